"""The manifest: written and read whole, selected, and checked for leaks."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfgame.manifest import SCHEMA, check_choice, check_leaks, evenly, made_by, read_manifest, select, write_manifest
from dfgame.records import UserError


def row(**values: Any) -> dict[str, Any]:
    common = {"path": "a.png", "video": "a.mp4", "dataset": "d", "frame": 0, "time": 0.04, "label": "real"}
    common |= {"method": "original", "compression": "c23", "identity": "000", "source": None, "split": "train"}
    common |= {"left": 1.0, "top": 2.0, "right": 3.0, "bottom": 4.5, "landmarks": [0.5] * 10, "score": 0.75}
    return common | {"track": 0, "mask": None, "sha256": None} | values


def table_of(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=SCHEMA)


def fake(method: str, compression: str = "c23", **values: Any) -> dict[str, Any]:
    return row(label="fake", method=method, compression=compression, **values)


class TestReadAndWrite:
    def test_comes_back_as_it_was_with_its_history(self, tmp_path):
        table = table_of(row(), fake("FaceSwap", source="001", split=None))
        write_manifest(tmp_path / "manifest.parquet", table, {"settings": {"size": 64}})
        again = read_manifest(tmp_path / "manifest.parquet")
        assert again.to_pylist() == table.to_pylist()
        assert made_by(again) == {"settings": {"size": 64}}
        assert [path.name for path in tmp_path.iterdir()] == ["manifest.parquet"]

    def test_a_folder_named_like_a_partition_adds_no_column(self, tmp_path):
        path = tmp_path / "split=all" / "manifest.parquet"
        write_manifest(path, table_of(row()), {})
        assert read_manifest(path).schema.names == SCHEMA.names
        assert read_manifest(path)["split"].to_pylist() == ["train"]

    def test_is_the_same_bytes_every_time(self, tmp_path):
        for name in ("a", "b"):
            write_manifest(tmp_path / name, table_of(row(), fake("FaceSwap")), {"b": 1, "a": 2})
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    def test_refuses_to_write_another_table(self, tmp_path):
        with pytest.raises(ValueError, match="not a manifest"):
            write_manifest(tmp_path / "m.parquet", pa.table({"path": ["a.png"]}), {})
        assert not list(tmp_path.iterdir())

    def test_says_what_is_wrong_with_a_file(self, tmp_path):
        (tmp_path / "text.parquet").write_text("hello")
        pq.write_table(pa.table({"path": ["a.png"]}), tmp_path / "other.parquet")
        for name, problem in [
            ("missing.parquet", "no such file"),
            ("text.parquet", "not a Parquet file"),
            ("other.parquet", "not a manifest, it has no column video"),
        ]:
            with pytest.raises(UserError, match=problem) as caught:
                read_manifest(tmp_path / name)
            assert str(tmp_path / name) in caught.value.problem
            assert "\n" not in caught.value.problem

    def test_types_of_other_writers_are_taken_where_nothing_is_lost(self, tmp_path):
        table = table_of(row(), fake("FaceSwap", frame=7))
        wide = {"frame": pa.int64(), "track": pa.int64(), "left": pa.float64(), "label": pa.large_string()}
        wide |= {"landmarks": pa.list_(pa.float64()), "method": pa.dictionary(pa.int32(), pa.string())}
        other = pa.table({name: table[name].cast(wide.get(name, table[name].type)) for name in reversed(SCHEMA.names)})
        pq.write_table(other.append_column("note", [["a", "b"]]), tmp_path / "m.parquet")
        again = read_manifest(tmp_path / "m.parquet")
        assert again.schema == SCHEMA
        assert again.to_pylist() == table.to_pylist()

    @pytest.mark.parametrize(
        ("column", "values", "problem"),
        [
            ("frame", pa.array(["0", "1"]), "column frame is not int32 (it holds text)"),
            ("frame", pa.array([0.5, 1.0]), "column frame is not int32"),
            ("video", pa.array(["a.mp4", None]), "column video is not string (1 values are missing)"),
            ("landmarks", pa.array([[0.5] * 10, [0.5] * 8]), "column landmarks is not"),
            ("label", pa.array(["real", "Fake"]), "labels Fake"),
        ],
    )
    def test_a_column_that_holds_something_else_is_named(self, tmp_path, column, values, problem):
        table = table_of(row(), fake("FaceSwap"))
        number = table.schema.get_field_index(column)
        pq.write_table(table.set_column(number, column, values), tmp_path / "m.parquet")
        with pytest.raises(UserError) as caught:
            read_manifest(tmp_path / "m.parquet")
        assert caught.value.problem.startswith(f"{tmp_path / 'm.parquet'}: {problem}")
        assert "\n" not in caught.value.problem and caught.value.remedy

    def test_a_table_without_history(self):
        assert made_by(table_of(row())) == {}


methods = st.sampled_from(["original", "Deepfakes", "FaceSwap"])
qualities = st.sampled_from(["c23", "c40"])
splits = st.sampled_from(["train", "val", "test", None])
rows = st.builds(
    lambda method, quality, split: row(
        method=method, compression=quality, split=split, label="real" if method == "original" else "fake"
    ),
    methods,
    qualities,
    splits,
)


class TestSelect:
    @given(
        st.lists(rows, max_size=8),
        splits,
        st.sets(st.sampled_from(["Deepfakes", "FaceSwap", "Face2Face"])),
        st.sets(qualities),
    )
    def test_is_what_a_plain_loop_keeps(self, table, split, wanted, compressions):
        expected = [
            one
            for one in table
            if (split is None or one["split"] == split)
            and (not wanted or one["label"] == "real" or one["method"] in wanted)
            and (not compressions or one["compression"] in compressions)
        ]
        assert select(table_of(*table), split, wanted, compressions).to_pylist() == expected

    def test_methods_restrict_the_fakes_only(self):
        table = table_of(row(), fake("Deepfakes"), fake("FaceSwap"))
        assert select(table, methods=["FaceSwap"])["method"].to_pylist() == ["original", "FaceSwap"]


class TestEvenly:
    @pytest.mark.parametrize(
        ("frames", "kept"), [(0, [5, 0, 9, 3]), (1, [0]), (2, [0, 9]), (3, [5, 0, 9]), (9, [5, 0, 9, 3])]
    )
    def test_takes_each_videos_first_last_and_between_in_the_tables_order(self, frames, kept):
        table = table_of(
            *(row(frame=n, video=v) for n in (5, 0, 9, 3) for v in ("b.mp4", "a.mp4")), row(video="c.mp4")
        )
        rows = evenly(table, frames).to_pylist()
        for video in ("a.mp4", "b.mp4"):
            assert [r["frame"] for r in rows if r["video"] == video] == kept
        assert rows[-1]["video"] == "c.mp4"

    def test_of_nothing_is_nothing(self):
        assert evenly(table_of(), 3).num_rows == 0


class TestChoice:
    def test_what_is_there_may_be_asked_for(self):
        check_choice(table_of(row(), fake("FaceSwap", "c40")), ["FaceSwap"], ["c23", "c40"], Path("m.parquet"))

    @pytest.mark.parametrize(
        ("methods", "compressions", "problem", "remedy"),
        [
            (["FaceSwap", "Faceswap"], [], "--methods Faceswap: not in m.parquet", "it has: FaceSwap"),
            ([], ["raw"], "--compressions raw: not in m.parquet", "it has: c23, c40"),
        ],
    )
    def test_what_is_not_there_is_named(self, methods, compressions, problem, remedy):
        with pytest.raises(UserError) as caught:
            check_choice(table_of(row(), fake("FaceSwap", "c40")), methods, compressions, Path("m.parquet"))
        assert (caught.value.problem, caught.value.remedy) == (problem, remedy)


class TestLeaks:
    def test_split_by_person_is_fine(self):
        check_leaks(table_of(row(), fake("FaceSwap", source="001"), row(identity="002", split="test")))

    def test_people_without_a_split_do_not_leak(self):
        check_leaks(table_of(row(split=None), row(split="test")))

    @pytest.mark.parametrize(
        "second",
        [
            row(identity="000", split="test"),
            fake("FaceSwap", identity="002", source="000", split="test"),
        ],
        ids=["the same target", "target in train, source in test"],
    )
    def test_a_person_in_two_splits_is_named(self, second):
        with pytest.raises(UserError, match="000"):
            check_leaks(table_of(row(), second))

    def test_names_five_and_counts_the_rest(self):
        people = [f"{number:03d}" for number in range(7)]
        leaking = [row(identity=person, split=split) for person in people for split in ("train", "val")]
        with pytest.raises(UserError, match="000, 001, 002, 003, 004 and 2 more"):
            check_leaks(table_of(*leaking))

    def test_the_miniature_has_none(self, manifest: Path):
        check_leaks(read_manifest(manifest))
