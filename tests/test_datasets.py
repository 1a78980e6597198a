"""Layouts told by looking, on trees of empty files built here."""

import json
from pathlib import Path

import pytest

from dfgame.datasets import find_videos
from dfgame.records import UserError, Video

SPLITS = {"train": [["000", "003"]], "val": [["001", "870"]], "test": [["953", "974"]]}


def tree(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def with_splits(root: Path, folder: str = "splits", lists: object = None) -> Path:
    (root / folder).mkdir(exist_ok=True)
    for split, pairs in (lists if isinstance(lists, dict) else SPLITS).items():
        (root / folder / f"{split}.json").write_text(json.dumps(pairs))
    return root


ORIGINAL = "original_sequences/youtube/c23/videos/000.mp4"
FAKE = "manipulated_sequences/Deepfakes/c23/videos/000_003.mp4"


class TestFaceForensics:
    def test_the_official_tree(self, tmp_path):
        shifter = "manipulated_sequences/FaceShifter/c40/videos/870_001.mp4"
        mask = "manipulated_sequences/Deepfakes/masks/videos/000_003.mp4"
        name, videos = find_videos(with_splits(tree(tmp_path, ORIGINAL, FAKE, shifter, mask)))
        assert name == "FaceForensics++"
        assert videos == [
            Video(FAKE, "fake", "Deepfakes", "c23", "000", "003", "train", mask),
            Video(shifter, "fake", "FaceShifter", "c40", "870", "001", "val"),
            Video(ORIGINAL, "real", "original", "c23", "000", None, "train"),
        ]

    def test_c0_is_raw(self, tmp_path):
        _, [video] = find_videos(tree(tmp_path, ORIGINAL.replace("c23", "c0")))
        assert video.compression == "raw"

    def test_split_lists_beside_the_folders(self, tmp_path):
        _, videos = find_videos(with_splits(tree(tmp_path, FAKE, ORIGINAL.replace("000", "974")), "."))
        assert [video.split for video in videos] == ["train", "test"]

    def test_without_split_lists_it_says_so(self, tmp_path, capsys):
        _, [video] = find_videos(tree(tmp_path, ORIGINAL))
        assert video.split is None
        assert "the crops will have no split" in capsys.readouterr().err.replace("\n", " ")

    @pytest.mark.parametrize(
        ("lists", "problem"),
        [
            ({"train": ["000", "003"]}, "not a list of pairs"),
            ({"train": [[0, 3]]}, "not a list of pairs"),
            ({"train": [["000", "003"]], "test": [["003", "005"]]}, "003 is also in train"),
        ],
    )
    def test_split_lists_that_are_wrong(self, tmp_path, lists, problem):
        with pytest.raises(UserError, match=problem):
            find_videos(with_splits(tree(tmp_path, ORIGINAL), lists=lists))

    def test_what_is_not_its_own_is_passed_over_and_named(self, tmp_path, capsys):
        other = "manipulated_sequences/DeepFakeDetection/c23/videos/01_02__hugging_happy__YVGY8LOK.mp4"
        unpaired, notes = FAKE.replace("000_003", "000"), FAKE.replace("000_003.mp4", "readme.txt")
        _, videos = find_videos(tree(tmp_path, ORIGINAL, other, unpaired, notes))
        assert [video.path for video in videos] == [ORIGINAL]
        message = capsys.readouterr().err.replace("\n", "")
        assert "DeepFakeDetection" in message and "TARGET_SOURCE" in message

    def test_the_miniature_never_bears_its_name_alone(self, tmp_path):
        name, _ = find_videos(tree(tmp_path, ORIGINAL, "people.json"))
        assert name.startswith("mini ")


class TestFolder:
    def test_videos_anywhere_below(self, tmp_path):
        name, videos = find_videos(
            tree(tmp_path, "real/a.mp4", "real/anna/b.MOV", "fake/deep/er/c.webm", "fake/notes.txt", "real/.d.mp4")
        )
        assert name == "folder"
        assert [(v.path, v.label, v.method, v.identity, v.split) for v in videos] == [
            ("fake/deep/er/c.webm", "fake", "unknown", "deep", None),
            ("real/a.mp4", "real", "original", "a", None),
            ("real/anna/b.MOV", "real", "original", "anna", None),
        ]

    def test_a_folder_named_like_a_video_is_none(self, tmp_path):
        (tmp_path / "fake" / "x.mp4").mkdir(parents=True)
        _, videos = find_videos(tree(tmp_path, "real/a.mp4", "fake/x.mp4/inside.mp4"))
        assert [video.path for video in videos] == ["fake/x.mp4/inside.mp4", "real/a.mp4"]


class TestWrongFolders:
    def test_nothing_there(self, tmp_path):
        with pytest.raises(UserError, match="no such folder"):
            find_videos(tmp_path / "missing")

    @pytest.mark.parametrize(
        ("files", "problem"),
        [
            ([], "empty folder"),
            (["a.mp4"], "not a known layout"),
            (["real/a.mp4"], "not a known layout"),
            (["real/a.txt", "fake/b.txt"], "holds no video"),
            (["original_sequences/youtube/c23/videos/a.txt"], "holds no video"),
        ],
    )
    def test_says_what_was_expected(self, tmp_path, files, problem):
        with pytest.raises(UserError, match=problem) as caught:
            find_videos(tree(tmp_path, *files))
        assert str(tmp_path) in caught.value.problem
        assert "expected" in caught.value.remedy


def test_a_plain_folder_may_have_splits(tmp_path):
    for place in ("train/real/1.mp4", "train/fake/1.mp4", "test/real/1.mp4", "test/fake/anna/2.mp4"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    name, videos = find_videos(tmp_path)
    assert name == "folder"
    assert [(v.path, v.split, v.identity) for v in videos] == [
        ("test/fake/anna/2.mp4", "test", "anna"),
        ("test/real/1.mp4", "test", "test/1"),
        ("train/fake/1.mp4", "train", "train/1"),
        ("train/real/1.mp4", "train", "train/1"),
    ]
