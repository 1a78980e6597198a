"""Celeb-DF, DFDC and DeepfakeBench, on trees of empty files built here."""

import json
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfgame.datasets import find_data
from dfgame.datasets.dfdc import preview_people
from dfgame.records import UserError, Video
from test_datasets import LISTS, said, splits_of_people, tree, with_splits

LIST = "List_of_testing_videos.txt"
WORDS = st.sampled_from(["FAKE", "a.mp4", "frames", "train"])
KEYS = st.sampled_from(["label", "frames", "a.mp4", "train", "DFDC"]) | st.text(max_size=2)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
REUSED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


class TestCelebDF:
    REAL, OTHER, YOUTUBE = "Celeb-real/id0_0000.mp4", "Celeb-real/id20_0003.mp4", "YouTube-real/00170.mp4"
    FAKE, FREE = "Celeb-synthesis/id0_id1_0000.mp4", "Celeb-synthesis/id20_id21_0003.mp4"

    def test_the_published_tree(self, tmp_path):
        tree(tmp_path, self.REAL, self.OTHER, self.YOUTUBE, self.FAKE, self.FREE)
        write(tmp_path / LIST, f"1 {self.YOUTUBE}\n0 {self.FAKE}\n")
        data = find_data(tmp_path)
        name, synthesis = "Celeb-DF-v2", "Celeb-synthesis"
        assert data.layout == "celebdf" and data.names == (name,) and not data.missing and not data.turned
        assert data.videos == [
            Video(self.REAL, "real", "original", "unknown", "id0", dataset=name),
            Video(self.OTHER, "real", "original", "unknown", "id20", split="train", dataset=name),
            Video(self.FAKE, "fake", synthesis, "unknown", "id0", "id1", "test", None, self.REAL, name),
            Video(self.FREE, "fake", synthesis, "unknown", "id20", "id21", "train", None, self.OTHER, name),
            Video(self.YOUTUBE, "real", "original", "unknown", "youtube-00170", split="test", dataset=name),
        ]
        assert "1 videos not listed for testing have no split" in said(data)
        assert data.official[name] == {
            ("original", None): 590 + 300,
            (synthesis, None): 5639,
            ("original", "test"): 108 + 70,
            (synthesis, "test"): 518 - 178,
        }

    def test_a_source_in_the_list_leaves_the_training_set_as_well(self, tmp_path):
        tree(tmp_path, "Celeb-real/id1_0007.mp4", self.FAKE, self.FREE)
        write(tmp_path / LIST, f"0 {self.FAKE}\n")
        assert [video.split for video in find_data(tmp_path).videos] == [None, "test", "train"]

    def test_people_of_listed_files_that_are_not_there_count(self, tmp_path):
        tree(tmp_path, self.REAL, self.FREE)
        write(tmp_path / LIST, f"0 {self.FAKE}\n1 {self.YOUTUBE}\n")
        data = find_data(tmp_path)
        assert [video.split for video in data.videos] == [None, "train"]
        assert data.missing == {self.FAKE: LIST, self.YOUTUBE: LIST}

    @pytest.mark.parametrize("level", ["", "videos/"])
    @pytest.mark.parametrize("folder", ["Youtube-real/", "YouTube-real/videos/", "YouTube-real\\"])
    def test_capitals_and_the_level_videos_may_differ(self, tmp_path, level, folder):
        tree(tmp_path, f"Youtube-real/{level}00170.mp4", f"Celeb-synthesis/{level}id0_id1_0000.mp4")
        write(tmp_path / LIST, f"1 {folder}00170.mp4\n1 Celeb-real/id0_0000.mp4\n")
        data = find_data(tmp_path)
        assert [(video.split, video.original) for video in data.videos] == [
            (None, f"Celeb-real/{level}id0_0000.mp4"),
            ("test", None),
        ]
        assert data.missing == {f"Celeb-real/{level}id0_0000.mp4": LIST}

    def test_without_the_list_there_are_no_splits(self, tmp_path):
        data = find_data(tree(tmp_path, self.REAL, self.FAKE))
        assert {video.split for video in data.videos} == {None} and f"no {LIST}" in said(data)

    @pytest.mark.parametrize("given_", [LIST, ""])
    def test_the_list_elsewhere(self, tmp_path, given_):
        write(tmp_path / "lists" / LIST, f"1 {self.REAL}\n")
        root = tree(tmp_path / "data", self.REAL)
        assert find_data(root, splits=tmp_path / "lists" / given_).videos[0].split == "test"
        with pytest.raises(UserError, match="no List_of_testing_videos"):
            find_data(root, splits=root)

    def test_a_list_with_the_labels_turned(self, tmp_path):
        files = [f"Celeb-real/id0_{number:04}.mp4" for number in range(5)]
        tree(tmp_path, *files)
        write(tmp_path / LIST, "".join(f"0 {file}\n" for file in files))
        data = find_data(tmp_path)
        assert data.turned == [f"all 5 lines of {LIST}: 1 stands for fake there; the folders say the opposite"]
        assert {video.label for video in data.videos} == {"real"}
        write(tmp_path / LIST, f"0 {files[0]}\n" + "".join(f"1 {file}\n" for file in files[1:]))
        assert find_data(tmp_path).turned == [f"{LIST}: {files[0]} is fake there"]

    @pytest.mark.parametrize("line", ["2 Celeb-real/id0_0000.mp4", "Celeb-real/0.mp4", "1 id0_0000.mp4", "1 x/y.mp4"])
    def test_lines_that_are_none(self, tmp_path, line):
        write(tree(tmp_path, self.REAL) / LIST, f"\n1 {self.REAL}\n{line}\n")
        with pytest.raises(UserError, match=f"{LIST}, line 3: not a line"):
            find_data(tmp_path)

    @REUSED
    @given(text=st.text(max_size=20) | st.from_regex(r"[01 ]{0,3}(Celeb-real)?/?[./\\a-z0-9]{0,8}(\n.{0,9})?"))
    def test_any_list_is_read_or_refused(self, tmp_path, text):
        tree(tmp_path, self.REAL)
        (tmp_path / LIST).write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            assert len(find_data(tmp_path).videos) == 1
        except UserError as error:
            assert LIST in error.problem

    @pytest.mark.parametrize(
        ("files", "lines", "folder", "version", "is_guess"),
        [
            (["Celeb-real/id17_0000.mp4"], 0, "data", "Celeb-DF-v2", False),
            (["Celeb-real/id16_0000.mp4"], 0, "Celeb-DF-v2", "Celeb-DF-v2", False),
            (["Celeb-real/id16_0000.mp4"], 0, "data", "Celeb-DF-v1", True),
            (["Celeb-real/id16_0000.mp4"], 518, "data", "Celeb-DF-v2", False),
            (["Celeb-real/id16_0000.mp4"], 100, "data", "Celeb-DF-v1", False),
            ([f"Celeb-synthesis/id0_id1_{n:04}.mp4" for n in range(796)], 0, "data", "Celeb-DF-v2", False),
        ],
    )
    def test_which_version_it_is(self, tmp_path, files, lines, folder, version, is_guess):
        root = tree(tmp_path / folder, *files)
        if lines:
            write(root / LIST, "".join(f"1 YouTube-real/{number:05}.mp4\n" for number in range(lines)))
        data = find_data(root)
        assert data.names == (version,) and ("taken for" in said(data)) == is_guess

    def test_names_of_another_kind_are_passed_over(self, tmp_path):
        data = find_data(tree(tmp_path, self.REAL, "Celeb-synthesis/id0_0000.mp4", "YouTube-real/abc.mp4"))
        assert [video.path for video in data.videos] == [self.REAL] and "2 files passed over" in said(data)


class TestDFDC:
    PART: ClassVar = {
        "aaa.mp4": {"label": "FAKE", "split": "train", "original": "bbb.mp4"},
        "bbb.mp4": {"label": "real", "split": "train"},
        "ccc.mp4": {"label": "FAKE", "split": "train", "original": "bbb.mp4"},
    }

    def part(self, folder: Path) -> Path:
        write(folder / "metadata.json", self.PART)
        tree(folder, "aaa.mp4", "bbb.mp4", "ddd.mp4")
        return folder

    @pytest.mark.parametrize("below", ["", "dfdc_train_part_7/", "train/dfdc_train_part_07/"])
    def test_a_part_a_folder_of_parts_and_all(self, tmp_path, below):
        self.part(tmp_path / "dfdc" / below)
        data = find_data(tmp_path / "dfdc")
        assert data.layout == "dfdc" and data.names == ("DFDC",)
        assert data.videos == [
            Video(f"{below}aaa.mp4", "fake", "DFDC", "unknown", "bbb", None, "train", None, f"{below}bbb.mp4", "DFDC"),
            Video(f"{below}bbb.mp4", "real", "original", "unknown", "bbb", None, "train", dataset="DFDC"),
        ]
        assert data.missing == {f"{below}ccc.mp4": f"{below}metadata.json"}
        assert f"1 files passed over, no list names them: {below}ddd.mp4" in said(data)

    @pytest.mark.parametrize("inner", ["", "test_videos/", "videos/"])
    def test_the_released_test_set(self, tmp_path, inner):
        tree(tmp_path, f"test/{inner}x.mp4", f"test/{inner}y.mp4", "validation/z.mp4")
        write(tmp_path / "test" / "labels.csv", "filename,label\nx.mp4,1\ny.mp4,0\n")
        write(
            tmp_path / "test" / "metadata.json",
            {"x.mp4": {"is_fake": 1, "original": "y.mp4"}, "y.mp4": {"is_fake": 0}},
        )
        write(tmp_path / "validation" / "labels.csv", "filename,label,original\nz.mp4,FAKE,q.mp4\n")
        data = find_data(tmp_path)
        assert [(v.path, v.label, v.split, v.identity, v.original) for v in data.videos] == [
            (f"test/{inner}x.mp4", "fake", "test", "y", f"test/{inner}y.mp4"),
            (f"test/{inner}y.mp4", "real", "test", "y", None),
            ("validation/z.mp4", "fake", "val", "q", "validation/q.mp4"),
        ]
        assert not data.turned and not data.missing
        assert find_data(tmp_path / "test").videos[0].split == "test"

    def test_two_lists_that_contradict_each_other(self, tmp_path):
        tree(tmp_path, "test/x.mp4")
        write(tmp_path / "test" / "labels.csv", "filename,label\nx.mp4,0\n")
        write(tmp_path / "test" / "metadata.json", {"x.mp4": {"is_fake": 1}})
        data = find_data(tmp_path)
        assert len(data.turned) == 1 and "test/x.mp4" in data.turned[0]

    def test_a_part_without_its_list_is_named(self, tmp_path):
        self.part(tmp_path / "dfdc_train_part_0")
        data = find_data(tree(tmp_path, "dfdc_train_part_1/zzz.mp4"))
        assert "2 files passed over" in said(data) and "dfdc_train_part_1/zzz.mp4" in said(data)

    @pytest.mark.parametrize(
        ("name", "content", "problem"),
        [
            ("metadata.json", "{", "not a JSON file"),
            ("metadata.json", [], "does not say"),
            ("metadata.json", {"a.mp4": "FAKE"}, "does not say"),
            ("metadata.json", {"a.mp4": {}}, "a.mp4: the label is None"),
            ("metadata.json", {"a.mp4": {"label": "MAYBE"}}, "a.mp4: the label is 'MAYBE'"),
            ("labels.csv", "name,label\na.mp4,1\n", "no columns filename and label"),
            ("labels.csv", "filename,label\na.mp4,2\n", "line 2: the label is '2'"),
            ("labels.csv", "filename,label\n/data/y.mp4,0\n", "names /data/y.mp4"),
            ("labels.csv", 'filename,label\n"a.mp4,1\n', "cannot be read"),
        ],
    )
    def test_lists_that_cannot_be_read(self, tmp_path, name, content, problem):
        write(tree(tmp_path / "test", "a.mp4") / name, content)
        with pytest.raises(UserError, match=problem):
            find_data(tmp_path)

    @REUSED
    @given(content=JSON, name=st.sampled_from(["metadata.json", "dataset.json"]))
    def test_any_json_is_read_or_refused(self, tmp_path, content, name):
        root = tree(tmp_path / name, "a.mp4", "method_A/a.mp4")
        write(root / name, content)
        try:
            find_data(root, "dfdc")
        except UserError as error:
            assert str(root) in error.problem

    def test_the_preview(self, tmp_path):
        real, fake = (
            "original_videos/1795659/1795659_B_001.mp4",
            "method_A/1795659/1795659_B/2059066_1795659_B_001.mp4",
        )
        other, absent = "method_B/1003254/1003254_A/1255229_1003254_A_001.mp4", "method_B/1/2_1_A_001.mp4"
        tree(tmp_path, real, fake, other, "method_A/unlisted.mp4")
        listed = {
            real: {"label": "real", "set": "train", "augmentations": []},
            fake: {"label": "fake", "set": "train"},
            other: {"label": "fake", "set": "test", "target_id": 77, "swapped_id": "78"},
            absent: {"label": "fake", "set": "test"},
        }
        write(tmp_path / "dataset.json", listed)
        data = find_data(tmp_path)
        name = "DFDC-preview"
        assert data.names == (name,) and data.missing == {absent: "dataset.json"}
        assert "method_A/unlisted.mp4" in said(data)
        assert data.videos == [
            Video(fake, "fake", "method_A", "unknown", "1795659", "2059066", "train", dataset=name),
            Video(other, "fake", "method_B", "unknown", "77", "78", "test", dataset=name),
            Video(real, "real", "original", "unknown", "1795659", None, "train", dataset=name),
        ]
        listed[fake] |= {"label": "real"}
        listed[other] |= {"target_id": "1795659"}
        write(tmp_path / "dataset.json", listed)
        data = find_data(tmp_path)
        assert data.turned == [f"{fake} is real in dataset.json"]
        assert [video.split for video in data.videos] == [None, "test", None] and "2 videos of the train" in said(data)

    @pytest.mark.parametrize(
        ("path", "identity", "source"),
        [
            ("original_videos/1224068/1224068_A_001.mp4", "1224068", None),
            ("method_A/1795659/1795659_B/2059066_1795659_B_001.mp4", "1795659", "2059066"),
            ("method_B/1503734_1503735/clip.mp4", "1503735", "1503734"),
            ("method_B/clip.mp4", "method_B/clip", None),
        ],
    )
    def test_the_people_of_the_preview(self, path, identity, source):
        assert preview_people(PurePosixPath(path)) == (identity, source, None)


def picture(*folders: str) -> list[str]:
    return [f"{folder}/000.png" for folder in folders]


class TestDeepfakeBench:
    FF = "rgb/FaceForensics++"
    FAKE = f"{FF}/manipulated_sequences/Deepfakes/c23/frames/000_003"
    REAL = f"{FF}/original_sequences/youtube/c23/frames/000"
    CELEB = "rgb/Celeb-DF-v2"

    def entry(self, label: str, folder: str, before: str = "") -> dict[str, Any]:
        name = folder.removeprefix("rgb/")
        return {"label": label, "frames": [f"{before}{name}/{number:03}.png" for number in range(2)]}

    def test_faceforensics_with_pairs(self, tmp_path):
        mask = self.FAKE.replace("frames", "masks")
        other = "rgb/FaceForensics++/manipulated_sequences/FaceShifter/c40/frames/953_974"
        tree(
            tmp_path,
            *picture(self.FAKE, self.REAL, mask, other),
            f"{self.FAKE.replace('frames', 'landmarks')}/000.npy",
        )
        with_splits(tmp_path, self.FF)
        data = find_data(tmp_path)
        name = "FaceForensics++"
        assert data.layout == "deepfakebench" and data.names == (name,)
        assert data.videos == [
            Video(self.FAKE, "fake", "Deepfakes", "c23", "000", "003", "train", mask, self.REAL, name),
            Video(
                other,
                "fake",
                "FaceShifter",
                "c40",
                "953",
                "974",
                "test",
                original=f"{self.FF}/original_sequences/youtube/c40/frames/953",
                dataset=name,
            ),
            Video(self.REAL, "real", "original", "c23", "000", None, "train", dataset=name),
        ]

    @pytest.mark.parametrize("below", ["", "rgb", "rgb/FaceForensics++"])
    def test_the_root_may_be_any_of_three_folders(self, tmp_path, below, monkeypatch):
        with_splits(tree(tmp_path, *picture(self.FAKE)), self.FF)
        [video] = find_data(tmp_path / below).videos
        assert (tmp_path / below / video.path).is_dir() and video.split == "train"
        monkeypatch.chdir(tmp_path / below)
        assert find_data(Path()).videos == [video]

    @pytest.mark.parametrize("before", ["", "rgb/", "./datasets/rgb/", "/data/rgb/", "D:\\data\\rgb\\"])
    @pytest.mark.parametrize("place", ["dataset_json", "preprocessing/dataset_json", "elsewhere"])
    def test_lists_of_any_root_and_place(self, tmp_path, before, place):
        tree(tmp_path, *picture(self.FAKE, self.REAL))
        real, fake = self.entry("FF-real", self.REAL, before), self.entry("FF-DF", self.FAKE, before)
        absent = self.entry("FF-DF", self.FAKE.replace("000_003", "009_008"), before)
        if "\\" in before:
            fake["frames"] = [name.replace("/", "\\") for name in fake["frames"]]
        fakes = {"val": {"c23": {"000_003": fake, "009_008": absent}}}
        listed = {"FF-DF": {"FF-real": {"val": {"c23": {"000": real}}}, "FF-DF": fakes}}
        write(tmp_path / place / "FF-DF.json", listed)
        data = find_data(tmp_path, splits=tmp_path / place if place == "elsewhere" else None)
        assert [video.split for video in data.videos] == ["val", "val"]
        assert data.missing == {self.FAKE.replace("000_003", "009_008"): "FF-DF.json"} and not data.turned

    def test_celebdf_with_its_lists_that_train_on_all(self, tmp_path):
        real = f"{self.CELEB}/Celeb-real/frames/id0_0000"
        fake, free = (f"{self.CELEB}/Celeb-synthesis/frames/{name}" for name in ("id0_id1_0000", "id2_id3_0000"))
        tree(tmp_path, *picture(real, fake, free))
        fakes = {"a": self.entry("CelebDFv2_fake", fake), "b": self.entry("CelebDFv2_fake", free)}
        real_entry = {"id0_0000": self.entry("CelebDFv2_real", real)}
        listed = {
            "CelebDFv2_real": {"train": real_entry, "val": {}, "test": {}},
            "CelebDFv2_fake": {"train": fakes, "val": {"a": fakes["a"]}, "test": {"a": fakes["a"]}},
        }
        write(tmp_path / "dataset_json" / "Celeb-DF-v2.json", {"Celeb-DF-v2": listed})
        data = find_data(tmp_path)
        assert [(v.path, v.split, v.identity, v.source, v.original) for v in data.videos] == [
            (real, None, "id0", None, None),
            (fake, "test", "id0", "id1", real),
            (free, "train", "id2", "id3", f"{self.CELEB}/Celeb-real/frames/id2_0000"),
        ]
        assert all(len(splits) == 1 for splits in splits_of_people(data.videos).values())
        assert "1 videos are in several splits" in said(data) and "show people of the test set" in said(data)
        assert data.names == ("Celeb-DF-v2",) and data.official["Celeb-DF-v2"]["original", "test"] == 178

    def test_celebdf_with_its_own_list(self, tmp_path):
        youtube = f"{self.CELEB}/YouTube-real/frames/00170"
        tree(tmp_path, *picture(youtube, f"{self.CELEB}/Celeb-real/frames/id0_0000"))
        write(tmp_path / self.CELEB / LIST, "1 YouTube-real/00170.mp4\n")
        assert [v.split for v in find_data(tmp_path).videos] == ["train", "test"]

    def test_deepfakedetection_is_for_testing_whatever_its_list_says(self, tmp_path):
        fake = f"{self.FF}/manipulated_sequences/DeepFakeDetection/c23/frames/01_02__walk__ABC"
        real = f"{self.FF}/original_sequences/actors/c23/frames/01__walk"
        tree(tmp_path, *picture(fake, real))
        every = {split: {"c23": {"x": self.entry("DFD_fake", fake)}} for split in ("train", "val", "test")}
        write(tmp_path / "dataset_json" / "DeepFakeDetection.json", {"DeepFakeDetection": {"DFD_fake": every}})
        data = find_data(tmp_path)
        assert [(v.split, v.identity, v.original) for v in data.videos] == [("test", "01", real), ("test", "01", None)]
        assert data.names == ("DeepFakeDetection",)

    def test_dfdc(self, tmp_path):
        part, test = "rgb/DFDC/train/dfdc_train_part_0", "rgb/DFDC/test"
        tree(tmp_path, *picture(f"{part}/frames/aaa", f"{part}/frames/bbb", f"{test}/frames/x", f"{test}/frames/y"))
        write(tmp_path / part / "metadata.json", TestDFDC.PART)
        # its own program writes one entry into the place of the split's videos
        broken = self.entry("DFDC_Real", f"{test}/frames/x")
        fakes = {"test": {"x": broken}, "val": broken, "train": {}}
        write(tmp_path / "dataset_json" / "DFDC.json", {"DFDC": {"DFDC_Real": fakes}})
        data = find_data(tmp_path)
        assert [(v.path, v.label, v.split, v.identity, v.original) for v in data.videos] == [
            (f"{test}/frames/x", "real", "test", "x", None),
            (f"{part}/frames/aaa", "fake", "train", "bbb", f"{part}/frames/bbb"),
            (f"{part}/frames/bbb", "real", "train", "bbb", None),
        ]
        assert f"without a label or with a name that is not their data set's: {test}/frames/y" in said(data)

    def test_dfdcp_is_the_preview(self, tmp_path):
        fake = "rgb/DFDCP/method_A/frames/1255229_1003254_A_001"
        real = "rgb/DFDCP/original_videos/frames/1003254_A_001"
        tree(tmp_path, *picture(fake, real))
        listed = {"method_A/1003254/1003254_A/1255229_1003254_A_001.mp4": {"label": "fake", "set": "test"}}
        write(tmp_path / "rgb" / "DFDCP" / "dataset.json", listed)
        name = "DFDC-preview"
        assert find_data(tmp_path).videos == [
            Video(fake, "fake", "method_A", "unknown", "1003254", "1255229", "test", dataset=name),
            Video(real, "real", "original", "unknown", "1003254", dataset=name),
        ]

    def test_contradictions(self, tmp_path):
        tree(tmp_path, *picture(self.FAKE, self.REAL))
        listed = {"test": {"c23": {"000_003": self.entry("FF-real", self.FAKE)}}}
        write(tmp_path / "dataset_json" / "FF-DF.json", {"FF-DF": {"FF-DF": listed}})
        data = find_data(tmp_path)
        assert data.turned == [f"{self.FAKE} is real in FF-DF.json"]
        assert [video.label for video in data.videos] == ["fake", "real"]

    def test_what_is_passed_over(self, tmp_path):
        odd = f"{self.FF}/manipulated_sequences/Deepfakes/c23/frames/odd"
        (tmp_path / self.REAL).mkdir(parents=True)
        tree(tmp_path, *picture(self.FAKE, odd))
        other = {"UADFV_Real": {"test": {"0000": self.entry("UADFV_Real", "UADFV/real/frames/0000")}}}
        write(tmp_path / "dataset_json" / "UADFV.json", {"UADFV": other})
        data = find_data(tmp_path)
        assert [video.path for video in data.videos] == [self.FAKE]
        assert odd in said(data) and f"no picture in them: {self.REAL}" in said(data) and "UADFV" in said(data)

    @REUSED
    @given(content=JSON | st.dictionaries(st.just("DFDC"), JSON))
    def test_any_json_is_read_or_refused(self, tmp_path, content):
        tree(tmp_path, *picture(self.FAKE))
        write(tmp_path / "dataset_json" / "FF-DF.json", content)
        try:
            assert len(find_data(tmp_path).videos) == 1
        except UserError as error:
            assert "FF-DF.json" in error.problem

    def test_lists_of_pairs_elsewhere(self, tmp_path):
        tree(tmp_path / "data", *picture(self.FAKE))
        with_splits(tmp_path, "lists", LISTS)
        for given_ in ("lists", "lists/train.json"):
            assert find_data(tmp_path / "data", splits=tmp_path / given_).videos[0].split == "train"
