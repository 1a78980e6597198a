"""Layouts told by looking, on trees of empty files built here; the particular ones are in test_layouts_*.py."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfgame.datasets import LAYOUTS, DataSet, find_data
from dfgame.datasets.splits import by_identity, keep_apart, people_of
from dfgame.records import SPLITS, Split, UserError, Video

LISTS = {"train": [["000", "003"]], "val": [["001", "870"]], "test": [["953", "974"]]}


def tree(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def with_splits(root: Path, folder: str = "splits", lists: object = None) -> Path:
    (root / folder).mkdir(exist_ok=True, parents=True)
    for split, pairs in (lists if isinstance(lists, dict) else LISTS).items():
        (root / folder / f"{split}.json").write_text(json.dumps(pairs))
    return root


def said(data: DataSet) -> str:
    return "\n".join(data.notes)


ORIGINAL = "original_sequences/youtube/c23/videos/000.mp4"
FAKE = "manipulated_sequences/Deepfakes/c23/videos/000_003.mp4"
FF, MASK = "FaceForensics++", "manipulated_sequences/Deepfakes/masks/videos/000_003.mp4"
SCENE = "01_02__hugging_happy__YVGY8LOK.mp4"


class TestFaceForensics:
    def test_the_official_tree(self, tmp_path):
        shifter = "manipulated_sequences/FaceShifter/c40/videos/870_001.mp4"
        data = find_data(with_splits(tree(tmp_path, ORIGINAL, FAKE, shifter, MASK)))
        assert data.layout == "faceforensics" and data.names == (FF,) and data.root == tmp_path
        real_40 = ORIGINAL.replace("c23", "c40").replace("000", "870")
        assert data.videos == [
            Video(FAKE, "fake", "Deepfakes", "c23", "000", "003", "train", MASK, ORIGINAL, FF),
            Video(shifter, "fake", "FaceShifter", "c40", "870", "001", "val", None, real_40, FF),
            Video(ORIGINAL, "real", "original", "c23", "000", None, "train", MASK, None, FF),
        ]
        assert data.official[FF]["Deepfakes", "test"] == 140 and not data.turned

    def test_what_the_lists_name_and_is_not_there(self, tmp_path):
        data = find_data(with_splits(tree(tmp_path, ORIGINAL, FAKE)))
        assert data.missing[ORIGINAL.replace("000", "003")] == "train.json"
        assert data.missing[FAKE.replace("000_003", "974_953")] == "test.json"
        assert len(data.missing) == 5 + 5 and not any("c40" in path for path in data.missing)

    def test_c0_is_raw_and_the_originals_folder_may_have_the_other_name(self, tmp_path):
        fake, real = FAKE.replace("c23", "c0"), ORIGINAL.replace("c23", "raw")
        data = find_data(tree(tmp_path, fake, real))
        assert [(video.compression, video.original) for video in data.videos] == [("raw", real), ("raw", None)]

    def test_c0_and_raw_together_are_refused(self, tmp_path):
        with pytest.raises(UserError, match="both c0 and raw"):
            find_data(tree(tmp_path, FAKE.replace("c23", "c0"), FAKE.replace("c23", "raw")))

    def test_split_lists_beside_the_folders(self, tmp_path):
        videos = find_data(with_splits(tree(tmp_path, FAKE, ORIGINAL.replace("000", "974")), ".")).videos
        assert [video.split for video in videos] == ["train", "test"]

    @pytest.mark.parametrize("given_", ["lists", "lists/train.json"])
    def test_split_lists_elsewhere(self, tmp_path, given_):
        root = tree(tmp_path / "data", FAKE, ORIGINAL)
        with_splits(tmp_path, "lists")
        assert {video.split for video in find_data(root, splits=tmp_path / given_).videos} == {"train"}
        with pytest.raises(UserError, match=r"no train\.json"):
            find_data(root, splits=root)
        with pytest.raises(UserError, match="no such file"):
            find_data(root, splits=tmp_path / "elsewhere")

    def test_without_split_lists_they_are_built_by_identity(self, tmp_path):
        data = find_data(tree(tmp_path, ORIGINAL, FAKE, ORIGINAL.replace("000", "003")))
        assert len({video.split for video in data.videos}) == 1 and data.videos[0].split in SPLITS
        assert "built by identity" in said(data)

    @pytest.mark.parametrize(
        ("lists", "problem"),
        [
            ({"train": ["000", "003"]}, "not a list of pairs"),
            ({"train": {"000": "003"}}, "not a list of pairs"),
            ({"train": [[0, 3]]}, "not a list of pairs"),
            ({"train": [["000", "003"]], "test": [["003", "005"]]}, "003 is also in train"),
        ],
    )
    def test_split_lists_that_are_wrong(self, tmp_path, lists, problem):
        with pytest.raises(UserError, match=problem):
            find_data(with_splits(tree(tmp_path, ORIGINAL), lists=lists))

    def test_what_is_not_its_own_is_passed_over_and_named(self, tmp_path):
        unpaired, notes = FAKE.replace("000_003", "000"), FAKE.replace("000_003.mp4", "readme.txt")
        data = find_data(tree(tmp_path, ORIGINAL, FAKE.replace("Deepfakes", "NewMethod"), unpaired, notes))
        assert [video.path for video in data.videos] == [ORIGINAL]
        assert "NewMethod" in said(data) and f"not TARGET_SOURCE: {unpaired}" in said(data)

    def test_deepfakedetection_is_another_data_set_and_all_for_testing(self, tmp_path):
        fake = f"manipulated_sequences/DeepFakeDetection/c23/videos/{SCENE}"
        real = "original_sequences/actors/c23/videos/01__hugging_happy.mp4"
        odd = fake.replace("__YVGY8LOK", "")
        data = find_data(with_splits(tree(tmp_path, ORIGINAL, fake, real, odd)))
        dfd = "DeepFakeDetection"
        assert data.names == (dfd, FF) and data.official[dfd] == {("original", None): 363, (dfd, None): 3068}
        assert data.videos[:2] == [
            Video(fake, "fake", dfd, "c23", "01", "02", "test", None, real, dfd),
            Video(real, "real", "original", "c23", "01", None, "test", None, None, dfd),
        ]
        assert f"TARGET_SOURCE__SCENE__ID: {odd}" in said(data)

    def test_the_miniature_never_bears_its_name_alone(self, tmp_path):
        assert find_data(tree(tmp_path, ORIGINAL, "people.json")).names == ("mini FaceForensics++",)


class TestFolder:
    def test_videos_anywhere_below(self, tmp_path):
        data = find_data(
            tree(tmp_path, "real/a.mp4", "real/anna/b.MOV", "fake/deep/er/c.webm", "fake/notes.txt", "real/.d.mp4")
        )
        assert data.layout == "folder" and data.names == (tmp_path.name,)
        assert [(v.path, v.label, v.method, v.identity, v.split) for v in data.videos] == [
            ("fake/deep/er/c.webm", "fake", "unknown", "deep", None),
            ("real/a.mp4", "real", "original", "a", None),
            ("real/anna/b.MOV", "real", "original", "anna", None),
        ]

    def test_a_folder_named_like_a_video_is_none(self, tmp_path):
        (tmp_path / "fake" / "x.mp4").mkdir(parents=True)
        videos = find_data(tree(tmp_path, "real/a.mp4", "fake/x.mp4/inside.mp4")).videos
        assert [video.path for video in videos] == ["fake/x.mp4/inside.mp4", "real/a.mp4"]

    def test_it_may_have_splits(self, tmp_path):
        places = ("train/real/1.mp4", "train/fake/1.mp4", "test/real/1.mp4", "test/fake/anna/2.mp4")
        assert [(v.path, v.split, v.identity) for v in find_data(tree(tmp_path, *places)).videos] == [
            ("test/fake/anna/2.mp4", "test", "anna"),
            ("test/real/1.mp4", "test", "test/1"),
            ("train/fake/1.mp4", "train", "train/1"),
            ("train/real/1.mp4", "train", "train/1"),
        ]

    @pytest.mark.parametrize("other", ["metadata.json", "dataset.json", "train/labels.csv", "labels.csv"])
    def test_a_list_of_another_layout_beside_it_changes_nothing(self, tmp_path, other):
        assert find_data(tree(tmp_path, "real/a.mp4", "fake/b.mp4", other)).layout == "folder"

    def test_splits_are_built_where_asked(self, tmp_path):
        root = tree(tmp_path, *(f"{label}/{number}/a.mp4" for number in range(40) for label in ("real", "fake")))
        assert {video.split for video in find_data(root).videos} == {None}
        data = find_data(root, build_splits=True)
        assert {video.split for video in data.videos} == set(SPLITS)
        of_each: dict[str, set[str | None]] = {}
        for video in data.videos:
            of_each.setdefault(video.identity, set()).add(video.split)
        assert all(len(splits) == 1 for splits in of_each.values())
        assert "built by identity" in said(data) and "has no" not in said(data)

    def test_splits_that_lack_a_class_are_told(self, tmp_path):
        people = range(20)
        rows = [f"real/{number}.mp4,real,{number}," for number in people]
        rows += [f"fake/{number}.mp4,fake,{number},{(number + 1) % len(people)}" for number in people]
        root = tree(tmp_path, *(row.split(",")[0] for row in rows))
        (root / "data.csv").write_text("\n".join(["path,label,identity,source", *rows]))
        data = find_data(root / "data.csv", build_splits=True)
        assert len({video.split for video in data.videos}) == 1
        assert said(data).count("people who meet in a video stay together") == 2


class TestWrongFolders:
    def test_nothing_there(self, tmp_path):
        with pytest.raises(UserError, match="no such file or folder"):
            find_data(tmp_path / "missing")

    def test_a_name_that_is_not_known(self, tmp_path):
        with pytest.raises(UserError, match="--layout nonsense: not known") as caught:
            find_data(tmp_path, "nonsense")
        assert all(layout.NAME in caught.value.remedy for layout in LAYOUTS)

    @pytest.mark.parametrize(
        ("files", "problem"),
        [
            ([], "empty folder"),
            (["a.mp4"], "not a known layout"),
            (["real/a.mp4"], "not a known layout"),
            (["real/a.txt", "fake/b.txt"], "holds no video"),
            (["original_sequences/youtube/c23/videos/a.txt"], "holds no video"),
            (["Celeb-real/a.txt"], "holds no video"),
            (["rgb/Celeb-DF-v2/Celeb-real/frames/id0_0000/a.txt"], "holds no video"),
            (["original_c23/000/a.txt"], "holds no video"),
        ],
    )
    def test_says_what_was_expected(self, tmp_path, files, problem):
        with pytest.raises(UserError, match=problem) as caught:
            find_data(tree(tmp_path, *files))
        assert str(tmp_path) in caught.value.problem
        assert "expected" in caught.value.remedy

    @pytest.mark.parametrize("layout", [layout.NAME for layout in LAYOUTS])
    def test_any_layout_of_an_empty_folder(self, tmp_path, layout):
        with pytest.raises(UserError):
            find_data(tmp_path, layout)

    @pytest.mark.parametrize("layout", [layout.NAME for layout in LAYOUTS])
    def test_any_layout_of_a_file_that_is_something_else(self, tmp_path, layout):
        (tmp_path / "notes.txt").write_text("nothing\n")
        with pytest.raises(UserError):
            find_data(tmp_path / "notes.txt", layout)


PEOPLE = st.sampled_from("abcdefgh")
VIDEOS = st.lists(
    st.builds(
        lambda number, identity, source, split, dataset: Video(
            f"{number}.mp4", "fake", "x", "c23", identity, source, split, dataset=dataset
        ),
        st.integers(0, 10**6),
        PEOPLE,
        st.none() | PEOPLE,
        st.none() | st.sampled_from(SPLITS),
        st.sampled_from(("one", "other")),
    ),
    max_size=12,
    unique_by=lambda video: video.path,
)


def splits_of_people(videos: list[Video]) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for video in videos:
        for person in people_of(video) if video.split else ():
            found.setdefault(person, set()).add(str(video.split))
    return found


class TestSplits:
    @given(VIDEOS, st.randoms())
    def test_keep_apart_leaves_nobody_in_two(self, videos, random):
        kept, number = keep_apart(videos)
        assert all(len(splits) == 1 for splits in splits_of_people(kept).values())
        assert number == sum(a.split != b.split for a, b in zip(videos, kept, strict=True))
        assert all(b.split in (None, a.split) for a, b in zip(videos, kept, strict=True))
        assert [v.split for v in kept if v.split == "test"] == [v.split for v in videos if v.split == "test"]
        shuffled = random.sample(videos, len(videos))
        assert sorted(map(str, keep_apart(shuffled)[0])) == sorted(map(str, kept))

    def test_people_of_missing_tests_count(self):
        video = Video("a.mp4", "fake", "x", "c23", "a", "b", "train", dataset="one")
        assert keep_apart([video], {("one", "b")})[0][0].split is None
        assert keep_apart([video], {("other", "b")}) == ([video], 0)

    @given(VIDEOS, st.randoms())
    def test_by_identity_puts_nobody_into_two(self, videos, random):
        official, _ = keep_apart(videos)
        built = by_identity(official)
        assert all(len(splits) == 1 for splits in splits_of_people(built).values())
        for before, after in zip(official, built, strict=True):
            assert before.split in (None, after.split)
        shuffled = random.sample(official, len(official))
        assert sorted(map(str, by_identity(shuffled))) == sorted(map(str, built))
        if not any(video.split for video in official):
            assert all(video.split for video in built)

    @pytest.mark.parametrize("length", range(2, 12))
    def test_a_chain_of_people_who_meet_stays_together(self, length):
        """From the last one to the first, so that each link leads to the next."""
        names = [f"{number:02d}" for number in range(length + 1)]
        pairs = [*zip(names[1:], names, strict=False)][::-1]
        videos = [Video(f"{a}.mp4", "fake", "x", "c23", a, b, None, dataset="one") for a, b in pairs]
        for order in (videos, videos[::-1], [*videos, *videos]):
            assert len({video.split for video in by_identity(order)}) == 1

    def test_people_who_meet_go_where_one_of_them_is(self):
        def video(name: str, identity: str, source: str, split: Split | None = None) -> Video:
            return Video(name, "fake", "x", "c23", identity, source, split, dataset="one")

        videos = [
            video("1", "a", "a", "val"),
            video("2", "b", "a"),
            video("3", "b", "c"),
            video("4", "z", "z", "test"),
        ]
        assert [one.split for one in by_identity(videos)] == ["val", "val", "val", "test"]
        between = by_identity([*videos, video("5", "c", "z")])
        assert [one.split for one in between] == ["val", None, None, "test", None]
