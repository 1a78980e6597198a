"""Tables, list files and folders of faces without a list, on trees of empty files built here."""

import csv
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfgame.datasets import find_data
from dfgame.datasets.table import OPTIONAL, REQUIRED
from dfgame.manifest import SCHEMA
from dfgame.records import UserError, Video
from test_datasets import said, tree, with_splits

REUSED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)


class TestTable:
    COLUMNS: ClassVar[list[str]] = [*REQUIRED, *OPTIONAL]

    def table(self, path: Path, rows: list[dict[str, Any]]) -> Path:
        columns = list(rows[0])
        if path.suffix == ".parquet":
            pq.write_table(pa.Table.from_pylist(rows), path)
        else:
            with path.open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(columns)
                writer.writerows([row[column] for column in columns] for row in rows)
        return path

    @pytest.mark.parametrize("name", ["data.csv", "data.parquet", "data.CSV"])
    def test_all_columns(self, tmp_path, name):
        tree(tmp_path, "v/a.mp4", "v/b.mp4", "m/a.mp4")
        full = ("v/a.mp4", "fake", "anna", "bert", "Deepfakes", "c0", "test", "mine", "v/b.mp4", "m/a.mp4")
        bare = ("v/b.mp4", "REAL", *[""] * 8)
        rows = [dict(zip(self.COLUMNS, values, strict=True)) for values in (full, bare)]
        data = find_data(self.table(tmp_path / name, rows))
        assert data.layout == "table" and data.root == tmp_path and not data.notes
        assert data.videos == [
            Video("v/a.mp4", "fake", "Deepfakes", "raw", "anna", "bert", "test", "m/a.mp4", "v/b.mp4", "mine"),
            Video("v/b.mp4", "real", "original", "unknown", "v/b", dataset=tmp_path.name),
        ]

    @pytest.mark.parametrize(
        ("name", "real", "fake"),
        [
            *(("data.csv", *labels) for labels in (("0", "1"), ("Real", "FAKE"), (0, 1))),
            *(("data.parquet", *labels) for labels in (("0", "1"), ("Real", "FAKE"), (0, 1), (0.0, 1.0))),
            ("data.parquet", False, True),
        ],
    )
    def test_labels(self, tmp_path, name, real, fake):
        tree(tmp_path, "a.mp4", "b.mp4")
        rows = [{"path": "a.mp4", "label": real}, {"path": "b.mp4", "label": fake}]
        assert [v.label for v in find_data(self.table(tmp_path / name, rows)).videos] == ["real", "fake"]

    def test_a_folder_of_pictures_and_absolute_paths_below_are_fine(self, tmp_path):
        tree(tmp_path, "a.mp4", "crops/b/0.png")
        rows = [{"path": str(tmp_path / "a.mp4"), "label": 0}, {"path": "./crops//b/", "label": 1}]
        videos = find_data(self.table(tmp_path / "data.csv", rows)).videos
        assert [(video.path, video.identity) for video in videos] == [("a.mp4", "a"), ("crops/b", "crops/b")]

    def test_a_fake_of_whom_nobody_says_who_is_in_it_shows_whom_its_original_shows(self, tmp_path):
        tree(tmp_path, "real/a.mp4", "real/b.mp4", "fake/a.mp4", "fake/b.mp4", "fake/c.mp4")
        rows = [
            {"path": "fake/a.mp4", "label": 1, "original": "real/a.mp4", "identity": ""},
            {"path": "fake/b.mp4", "label": 1, "original": "real/b.mp4", "identity": ""},
            {"path": "fake/c.mp4", "label": 1, "original": "real/c.mp4", "identity": ""},
            {"path": "real/a.mp4", "label": 0, "original": "", "identity": ""},
            {"path": "real/b.mp4", "label": 0, "original": "", "identity": "anna"},
        ]
        videos = find_data(self.table(tmp_path / "data.csv", rows), build_splits=True).videos
        assert [video.identity for video in videos] == ["real/a", "anna", "real/c", "real/a", "anna"]
        assert videos[0].split == videos[3].split and videos[1].split == videos[4].split

    def test_files_that_are_not_there(self, tmp_path):
        tree(tmp_path, "a.mp4")
        rows = [
            {"path": "a.mp4", "label": 1, "mask": "mask.mp4"},
            {"path": "b.mp4", "label": 0, "mask": ""},
        ]
        data = find_data(self.table(tmp_path / "data.csv", rows))
        assert [(video.path, video.mask) for video in data.videos] == [("a.mp4", None)]
        assert data.missing == {"b.mp4": "data.csv", "mask.mp4": "data.csv"}

    def test_columns_that_are_not_known_are_noted(self, tmp_path):
        rows = [{"path": "a.mp4", "label": 1, "age": 40}]
        assert "1 columns passed over, their names are not known: age" in said(
            find_data(self.table(tree(tmp_path, "a.mp4") / "data.csv", rows))
        )

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("path,label\na.mp4,2\n", "line 2: the label is 2"),
            ("path,label\na.mp4,\n", "line 2: the label is missing"),
            ("path,label\na.mp4,0\n\n./a.mp4,0\n", "line 4: a.mp4 is also in line 2"),
            ("path,label,split\na.mp4,0,dev\n", "line 2: the split is dev"),
            ("path,kind\na.mp4,0\n", "line 1: no column label"),
            ("", "line 1: no column path and label"),
            ("path,label,label\na.mp4,0,0\n", "line 1: two columns label"),
            ("path,label\na.mp4,0,0\n", "line 2: 3 values for 2 columns"),
            ("path,label\n/etc/a.mp4,0\n", "line 2: /etc/a.mp4 is not below"),
            ("path,label\nx/../../a.mp4,0\n", "line 2: .* is not below"),
            ("path,label\n,0\n", "line 2: no path is not below"),
            ("path,label,method\na.mp4,1,original\n", "line 2: a fake whose method is original"),
            ('path,label\n"a.mp4,0\n', "cannot be read"),
            ("path,label\nnot_there.mp4,0\n", "holds no video"),
        ],
    )
    def test_what_is_wrong_is_named_with_its_line(self, tmp_path, text, problem):
        path = tree(tmp_path, "a.mp4") / "data.csv"
        path.write_text(text)
        with pytest.raises(UserError, match=problem) as caught:
            find_data(path)
        assert str(path) in caught.value.problem

    def test_a_parquet_file_names_its_rows(self, tmp_path):
        rows = [{"path": "a.mp4", "label": 0}, {"path": "b.mp4", "label": 7}]
        with pytest.raises(UserError, match="row 2: the label is 7"):
            find_data(self.table(tree(tmp_path, "a.mp4") / "data.parquet", rows))
        (tmp_path / "bad.parquet").write_text("nothing")
        with pytest.raises(UserError, match="not a Parquet file"):
            find_data(tmp_path / "bad.parquet")

    def test_a_manifest_is_no_table(self, tmp_path):
        pq.write_table(SCHEMA.empty_table(), tmp_path / "manifest.parquet")
        with pytest.raises(UserError, match="a manifest already") as caught:
            find_data(tmp_path / "manifest.parquet")
        assert "dfgame train" in caught.value.remedy and "dfgame evaluate" in caught.value.remedy

    @pytest.mark.parametrize(
        ("paths", "labels", "turned"),
        [
            (["real/1", "real/2", "x/fake_ones/3", "manipulated/4"], "1100", 1),
            (["real/1", "real/2", "YouTube-real/3", "Celeb-synthesis/4"], "1111", 3),
            (["real/1", "real/2", "fake/3", "fake/4"], "1011", 0),
            (["real/1", "real/2", "fake/3"], "110", 0),
            (["a/1", "real_or_fake/2", "pristine/forged/3", "b/4"], "1111", 0),
        ],
    )
    def test_labels_against_the_names_of_folders(self, tmp_path, paths, labels, turned):
        files = [f"{path}.mp4" for path in paths]
        rows = [{"path": path, "label": label} for path, label in zip(files, labels, strict=True)]
        data = find_data(self.table(tree(tmp_path, *files) / "data.csv", rows))
        assert len(data.turned) == turned
        assert [video.label == "fake" for video in data.videos] == [
            label == "1" for _, label in sorted(zip(files, labels, strict=True))
        ]

    @REUSED
    @given(st.binary(max_size=40) | st.text(alphabet='pathlbe,01\n"\0/.', max_size=40).map(str.encode))
    def test_any_bytes_are_read_or_refused(self, tmp_path, content):
        for name in ("data.csv", "data.parquet"):
            (tmp_path / name).write_bytes(b"path,label\n" * (name == "data.csv") + content)
            try:
                find_data(tmp_path / name)
            except UserError as error:
                assert name in error.problem


REAL, FAKE = "original_c23/078", "Deepfakes_c23/001_870"
PICTURES = [f"{folder}/{folder[-3:]}_{number:06}_0.png" for folder in (REAL, FAKE) for number in (0, 12, 24)]
FF = "FaceForensics++"


class TestLists:
    def lists(self, root: Path, **lists: str) -> Path:
        for name, text in lists.items():
            path = root / f"{name}.lst"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return root

    @pytest.mark.parametrize("below", ["", "benchmark/"])
    def test_frames_and_videos(self, tmp_path, below):
        tree(tmp_path, *PICTURES, f"masks/{FAKE}/0.png")
        frames = "".join(f"{name} REAL\n" for name in PICTURES[:2])
        self.lists(tmp_path, **{f"{below}ff_train_c23": frames, f"{below}ff_test_Deepfakes_c23": f"{FAKE} FAKE\n"})
        expected = [
            Video(FAKE, "fake", "Deepfakes", "c23", "001", "870", "test", f"masks/{FAKE}", "original_c23/001", FF),
            Video(REAL, "real", "original", "c23", "078", None, "train", dataset=FF, crops=tuple(PICTURES[:2])),
        ]
        data = find_data(tmp_path)
        assert data.layout == "lists" and data.videos == expected and not data.missing
        one = find_data(tmp_path / f"{below}ff_train_c23.lst")
        assert one.root == tmp_path and one.videos == expected[1:]

    @pytest.mark.parametrize(("name", "split"), [("ff_val_all", "val"), ("all", None), ("trained_test", "test")])
    def test_the_split_is_a_word_of_the_name(self, tmp_path, name, split):
        data = find_data(self.lists(tree(tmp_path, *PICTURES), **{name: f"{FAKE} FAKE"}))
        assert [video.split for video in data.videos] == [split]
        assert ("no train, val or test in its name" in said(data)) == (split is None)

    def test_what_is_not_there(self, tmp_path):
        text = f"{PICTURES[0]} REAL\n{REAL}/078_000099_0.png REAL\nFaceSwap_c0/001_870 FAKE\n"
        data = find_data(self.lists(tree(tmp_path, *PICTURES), ff_test_all=text))
        assert [video.crops for video in data.videos] == [(PICTURES[0],)]
        assert data.missing == {
            f"{REAL}/078_000099_0.png": "ff_test_all.lst",
            "FaceSwap_c0/001_870": "ff_test_all.lst",
        }

    def test_a_video_in_two_splits_is_refused(self, tmp_path):
        lists = {"ff_train_c23": f"{FAKE} FAKE", "ff_test_all": f"{PICTURES[3]} FAKE"}
        with pytest.raises(UserError, match=r"line 1: .* is also in a list of test"):
            find_data(self.lists(tree(tmp_path, *PICTURES), **lists))

    @pytest.mark.parametrize(
        ("text", "turned"),
        [
            (f"{REAL} 1\n{FAKE} 0\n", 0),
            (f"{REAL} 0\n{FAKE} 1\n", 0),
            (f"{REAL} FAKE\n{FAKE} FAKE\n", 1),
            ("".join(f"{name} FAKE\n" for name in PICTURES[:3]) + f"{FAKE} REAL\n", 1),
        ],
    )
    def test_labels_against_folders(self, tmp_path, text, turned):
        data = find_data(self.lists(tree(tmp_path, *PICTURES), ff_test_all=text))
        assert len(data.turned) == turned
        assert [video.label for video in data.videos] == ["fake", "real"]

    @pytest.mark.parametrize(
        ("line", "problem"),
        [
            ("nonsense", "line 2: not a line"),
            ("original_c23/000/a/b.png REAL", "line 2: not a line"),
            ("original_c23 REAL", "line 2: not a line"),
            ("x_c23/../.. FAKE", "line 2: not a line"),
            ("/x_c23/000 FAKE", "line 2: not a line"),
            (f"{FAKE} MAYBE", "line 2: the label is MAYBE"),
            (f"{FAKE} 7", "line 2: the label is 7"),
        ],
    )
    def test_lines_that_cannot_be_read(self, tmp_path, line, problem):
        with pytest.raises(UserError, match=problem):
            find_data(self.lists(tree(tmp_path, *PICTURES), ff_test_all=f"{REAL} REAL\n{line}\n"))

    @REUSED
    @given(
        st.text(max_size=20) | st.from_regex(r"(original_c23|\w_c0)(/[\w./]{0,6}){0,3} (REAL|FAKE|[0-9])(\n.{0,9})?")
    )
    def test_any_list_is_read_or_refused(self, tmp_path, text):
        tree(tmp_path, *PICTURES)
        (tmp_path / "ff_test_all.lst").write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            find_data(tmp_path)
        except UserError as error:
            assert "ff_test_all.lst" in error.problem or "holds no video" in error.problem


class TestFrames:
    def test_what_extraction_writes(self, tmp_path):
        scene, celebrity = "DeepFakeDetection_c23/01_02__walk__ABC", "Celeb-synthesis_unknown/id0_id1_0003"
        folders = (scene, celebrity, f"masks/{FAKE}", "new_c23/a_b")
        tree(tmp_path, *PICTURES, *(f"{name}/0.png" for name in folders))
        data = find_data(with_splits(tmp_path, lists={"val": [["001", "870"]], "test": [["078", "079"]]}))
        home, dfd, real = tmp_path.name, "DeepFakeDetection", "original_unknown/id0_0003"
        assert data.layout == "frames"
        assert data.videos == [
            Video(celebrity, "fake", "Celeb-synthesis", "unknown", "id0", "id1", None, None, real, home),
            Video(scene, "fake", dfd, "c23", "01", "02", "test", None, "original_c23/01__walk", dfd),
            Video(FAKE, "fake", "Deepfakes", "c23", "001", "870", "val", f"masks/{FAKE}", "original_c23/001", FF),
            Video("new_c23/a_b", "fake", "new", "c23", "a_b", dataset=home),
            Video(REAL, "real", "original", "c23", "078", None, "test", dataset=FF),
        ]

    def test_qualities(self, tmp_path):
        names = [f"original_{quality}/078" for quality in ("c0", "c40", "unknown")]
        data = find_data(tree(tmp_path, *(f"{name}/0.png" for name in names)))
        assert [video.compression for video in data.videos] == ["raw", "c40", "unknown"]
        assert {video.split for video in data.videos} == {None} and "see --splits" in said(data)
        with pytest.raises(UserError, match="both original_c0 and original_raw"):
            find_data(tree(tmp_path, "original_raw/078/0.png"))

    def test_folders_without_pictures_are_passed_over(self, tmp_path):
        data = find_data(tree(tmp_path, *PICTURES, "original_c23/079/notes.txt"))
        assert len(data.videos) == 2 and "no picture in them: original_c23/079" in said(data)

    def test_real_and_fake_only_where_named(self, tmp_path):
        tree(tmp_path, "real/anna/0.png", "real/anna/1.png", "fake/anna/0.png", "fake/loose.png")
        assert find_data(tmp_path).layout == "folder" and len(find_data(tmp_path).videos) == 4
        assert find_data(tmp_path, "frames").videos == [
            Video("fake/anna", "fake", "unknown", "unknown", "anna", dataset=tmp_path.name),
            Video("real/anna", "real", "original", "unknown", "anna", dataset=tmp_path.name),
        ]

    def test_real_and_fake_in_splits(self, tmp_path):
        tree(tmp_path, *(f"{split}/{label}/1/0.png" for split in ("train", "test") for label in ("real", "fake")))
        assert [(video.split, video.identity) for video in find_data(tmp_path, "frames").videos] == [
            ("test", "test/1"),
            ("test", "test/1"),
            ("train", "train/1"),
            ("train", "train/1"),
        ]
