"""Extraction beyond a plain tree: several people, masks, qualities, alignment, several data sets in one table."""

import json
import os
import shutil
import signal
from pathlib import Path

import av
import cv2
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import CLIP_FRAMES, CROP_SIZE, frame_of, moving, orl_face, remuxed
from dfgame.config import ExtractConfig, SettingError
from dfgame.extract import FAILURES, MANIFEST, TRACKS, extract_faces, make_jobs
from dfgame.extract.adopt import _frame_and_face, adopt
from dfgame.extract.job import chosen_frames
from dfgame.extract.records import read_record
from dfgame.faces.crop import align_face
from dfgame.faces.track import iou
from dfgame.jobs import run_jobs
from dfgame.manifest import check_leaks, made_by, read_manifest
from dfgame.media import MediaError, count_frames, read_frames, transcode, write_video
from dfgame.records import Face, UserError, Video

SMALL = ExtractConfig(size=32, workers=1)
FAKE = "manipulated_sequences/Deepfakes/{}/videos/000_001.mp4"
REAL = "original_sequences/youtube/{}/videos/000.mp4"
WIDTH, HEIGHT = 640, 300


def clip(path: Path, images, crf: int = 18) -> Path:
    write_video(path, images, fps=25, crf=crf)
    return path


def two_people(altered: bool, frames: int = 6):
    """A large face on the left and a smaller one on the right, which is another person's where it is altered."""
    small = orl_face(4 if altered else 2, scale=1.6)
    for number in range(frames):
        yield frame_of(
            (orl_face(1, scale=2.4), 10 + number, 10), (small, 400 + number, 60), width=WIDTH, height=HEIGHT
        )


def mask_of_the_right(frames: int = 6):
    for number in range(frames):
        mask = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        mask[80:220, 420 + number : 530 + number] = 255
        yield mask


@pytest.fixture
def crowd(tmp_path) -> Path:
    """A real video of two people, and a fake of the smaller one with its mask."""
    root = tmp_path / "crowd"
    clip(root / REAL.format("c23"), two_people(altered=False))
    clip(root / FAKE.format("c23"), two_people(altered=True))
    clip(root / FAKE.format("masks"), mask_of_the_right())
    return root


def middles(table) -> dict[str, set[str]]:
    """Which side each method's faces are on."""
    sides: dict[str, set[str]] = {}
    for row in table.to_pylist():
        sides.setdefault(row["method"], set()).add("left" if row["right"] < 320 else "right")
    return sides


class TestSeveralPeople:
    def test_the_mask_points_to_the_altered_one_and_to_the_same_in_the_real_video(self, crowd, tmp_path):
        table = extract_faces(crowd, tmp_path / "out", SMALL).table
        assert middles(table) == {"Deepfakes": {"right"}, "original": {"right"}}

    def test_without_a_mask_the_difference_from_the_real_video_does(self, crowd, tmp_path):
        (crowd / FAKE.format("masks")).unlink()
        table = extract_faces(crowd, tmp_path / "out", SMALL).table
        assert middles(table) == {"Deepfakes": {"right"}, "original": {"left"}}

    def test_with_neither_the_largest_is_taken(self, crowd, tmp_path):
        (crowd / FAKE.format("masks")).unlink()
        (crowd / REAL.format("c23")).unlink()
        assert middles(extract_faces(crowd, tmp_path / "out", SMALL).table) == {"Deepfakes": {"left"}}

    def test_a_real_video_that_is_broken_points_to_nobody(self, crowd, tmp_path):
        (crowd / FAKE.format("masks")).unlink()
        (crowd / REAL.format("c23")).write_text("broken")
        table = extract_faces(crowd, tmp_path / "out", SMALL).table
        assert middles(table) == {"Deepfakes": {"left"}}

    def test_of_a_quality_that_is_made_it_is_the_raw_real_video_that_tells(self, crowd, tmp_path):
        (crowd / FAKE.format("masks")).unlink()
        for name in (REAL, FAKE):
            (crowd / name.format("raw")).parent.mkdir(parents=True)
            (crowd / name.format("c23")).rename(crowd / name.format("raw"))
        config = ExtractConfig(size=32, workers=1, methods=("Deepfakes",), qualities=("c23",))
        table = extract_faces(crowd, tmp_path / "out", config).table
        assert set(table["compression"].to_pylist()) == {"raw", "c23"}
        assert middles(table) == {"Deepfakes": {"right"}}

    def test_a_real_video_or_a_mask_that_comes_later_counts(self, crowd, tmp_path):
        out, away = tmp_path / "out", tmp_path / "away"
        away.mkdir()
        mask, real = crowd / FAKE.format("masks"), crowd / REAL.format("c23")
        mask.rename(away / "mask.mp4")
        real.rename(away / "real.mp4")
        assert middles(extract_faces(crowd, out, SMALL).table) == {"Deepfakes": {"left"}}
        (away / "real.mp4").rename(real)
        later = extract_faces(crowd, out, SMALL)
        assert middles(later.table) == {"Deepfakes": {"right"}, "original": {"left"}} and later.new_frames == 12
        (away / "mask.mp4").rename(mask)
        later = extract_faces(crowd, out, SMALL)
        assert later.table.equals(extract_faces(crowd, tmp_path / "fresh", SMALL).table)
        assert extract_faces(crowd, out, SMALL).new_frames == 0

    def test_the_others_are_kept_apart_where_asked(self, crowd, tmp_path):
        out = tmp_path / "out"
        table = extract_faces(crowd, out, ExtractConfig(size=32, workers=1, tracks="all")).table
        others = read_manifest(out / TRACKS)
        assert middles(table) == {"Deepfakes": {"right"}, "original": {"right"}}
        assert middles(others) == {"Deepfakes": {"left"}, "original": {"left"}}
        assert all((out / path).is_file() for path in others["path"].to_pylist())
        assert not set(others["path"].to_pylist()) & set(table["path"].to_pylist())


class TestMasks:
    def test_they_are_cropped_alongside(self, crowd, tmp_path):
        out = tmp_path / "out"
        rows = extract_faces(crowd, out, SMALL).table.to_pylist()
        masks = {row["mask"] for row in rows if row["label"] == "fake"}
        assert len(masks) == 6 and {row["mask"] for row in rows if row["label"] == "real"} == {None}
        for path in masks:
            assert path.startswith("masks/Deepfakes_c23/000_001/")
            mask = cv2.imread(str(out / path), cv2.IMREAD_UNCHANGED)
            assert mask is not None and mask.shape == (32, 32)
            assert mask[16, 16] > 200 and mask[0].max() < 60

    def test_they_can_be_left_out(self, crowd, tmp_path):
        table = extract_faces(crowd, tmp_path / "out", ExtractConfig(size=32, workers=1, masks=False)).table
        assert set(table["mask"].to_pylist()) == {None}
        assert not (tmp_path / "out" / "masks").exists()
        assert middles(table)["Deepfakes"] == {"right"}

    def test_a_broken_mask_costs_the_mask_only_and_is_named(self, crowd, tmp_path):
        (crowd / FAKE.format("masks")).write_text("broken")
        report = extract_faces(crowd, tmp_path / "out", SMALL)
        [failure] = report.failures
        assert "its mask" in failure.reason and failure.path == FAKE.format("c23")
        assert sum(row["label"] == "fake" for row in report.table.to_pylist()) == 6


class TestFrames:
    @given(st.integers(0, 500), st.integers(1, 300))
    def test_first_or_spread(self, total, wanted):
        first = chosen_frames(total, ExtractConfig(frames=wanted, sampling="first"))
        even = chosen_frames(total, ExtractConfig(frames=wanted))
        assert first == list(range(min(total, wanted)))
        assert len(even) == len(first)
        assert not even or wanted == 1 or even[-1] == total - 1

    def test_thirty_two_frames_are_spread_over_the_video_unless_asked_otherwise(self, tmp_path):
        clip(tmp_path / "in" / "real" / "a.mp4", list(moving(1, frames=36)) + list(moving(1, frames=36))[::-1])
        (tmp_path / "in" / "fake").mkdir()
        spread = extract_faces(tmp_path / "in", tmp_path / "a", ExtractConfig(size=32, frames=32, workers=1)).table
        first = ExtractConfig(size=32, frames=32, workers=1, sampling="first")
        assert spread["frame"].to_pylist()[-1] == 71
        assert extract_faces(tmp_path / "in", tmp_path / "b", first).table["frame"].to_pylist() == list(range(32))

    def test_fewer_than_asked_for_are_all_taken_and_counted(self, tmp_path):
        clip(tmp_path / "in" / "real" / "a.mp4", moving(1, frames=5))
        (tmp_path / "in" / "fake").mkdir()
        report = extract_faces(tmp_path / "in", tmp_path / "out", SMALL)
        assert report.fewer_frames == 1 and report.table.num_rows == 5
        assert made_by(read_manifest(report.manifest))["sources"][0]["fewer_frames"] == 1

    def test_between_detections_faces_are_where_they_would_be_found(self, mini_ff, tmp_path):
        often = ExtractConfig(size=32, workers=1, detect_every=1, methods=("original",))
        seldom = ExtractConfig(size=32, workers=1, detect_every=3, methods=("original",))
        all_of, some = (extract_faces(mini_ff, tmp_path / str(c.detect_every), c).table for c in (often, seldom))
        assert all_of["path"].to_pylist() == some["path"].to_pylist()
        boxes = [
            np.column_stack([t[s].to_numpy() for s in ("left", "top", "right", "bottom")]) for t in (all_of, some)
        ]
        overlaps = [iou(tuple(a), tuple(b)) for a, b in zip(*boxes, strict=True)]
        assert min(overlaps) > 0.7 and np.mean(overlaps) > 0.9

    def test_pictures_are_videos_of_one_frame(self, tmp_path):
        for label, person in (("real", 1), ("fake", 2)):
            path = tmp_path / "in" / label / f"{person}.png"
            path.parent.mkdir(parents=True)
            cv2.imwrite(str(path), frame_of((orl_face(person), 30, 30)))
        report = extract_faces(tmp_path / "in", tmp_path / "out", SMALL)
        assert report.fewer_frames == 0, "none were to be expected"
        assert [(row["video"], row["frame"], row["label"]) for row in report.table.to_pylist()] == [
            ("in/fake/2.png", 0, "fake"),
            ("in/real/1.png", 0, "real"),
        ]


def test_aligned_crops_are_warped_by_the_points_that_the_table_has(mini_ff, tmp_path):
    config = ExtractConfig(size=48, workers=1, margin=1.6, alignment="similarity", methods=("original",))
    row = extract_faces(mini_ff, tmp_path, config).table.to_pylist()[0]
    frame = next(read_frames(mini_ff / row["video"].removeprefix("FaceForensics++/"), [row["frame"]]))
    box = tuple(row[side] for side in ("left", "top", "right", "bottom"))
    face = Face(box, tuple(zip(row["landmarks"][::2], row["landmarks"][1::2], strict=True)), 1.0)
    crop = cv2.imread(str(tmp_path / row["path"]))
    assert crop is not None
    assert np.abs(crop[:, :, ::-1].astype(int) - align_face(frame.image, face, 1.6, 48)).max() <= 1


class TestQualities:
    @pytest.fixture
    def raw(self, tmp_path) -> Path:
        root = tmp_path / "raw"
        clip(root / REAL.format("raw"), moving(1), crf=0)
        clip(root / FAKE.format("c0"), moving(2), crf=0)
        clip(root / REAL.format("c23"), moving(1), crf=23)
        return root

    def test_they_are_made_from_raw_where_they_are_missing(self, raw, tmp_path):
        config = ExtractConfig(size=64, workers=1, qualities=("c23", "c40"), compressions=("c23", "c40"))
        table = extract_faces(raw, tmp_path / "out", config).table
        assert set(zip(table["method"].to_pylist(), table["compression"].to_pylist(), strict=True)) == {
            ("Deepfakes", "c23"),
            ("Deepfakes", "c40"),
            ("original", "c23"),
            ("original", "c40"),
        }
        assert f"FaceForensics++/{FAKE.format('c40')}" in table["video"].to_pylist()
        assert table.num_rows == 4 * CLIP_FRAMES
        jobs = make_jobs(raw, tmp_path / "x", [Video(REAL.format("raw"), "real", "original", "raw", "000")], config)
        assert [(job.video.compression, job.raw) for job in jobs] == [(q, REAL.format("raw")) for q in ("c23", "c40")]

    def test_a_quality_that_is_there_is_not_made(self, raw, tmp_path):
        config = ExtractConfig(size=32, workers=1, qualities=("c23",), methods=("original",))
        videos = extract_faces(raw, tmp_path / "out", config).table["video"].to_pylist()
        assert len(set(videos)) == 2 and len(videos) == 2 * CLIP_FRAMES

    def test_those_that_are_made_are_wanted_beside_those_that_are_read(self, raw, tmp_path):
        config = ExtractConfig(qualities=("c30",), compressions=("raw",))
        videos = [Video(REAL.format(quality), "real", "original", quality, "000") for quality in ("raw", "c23")]
        assert [job.video.compression for job in make_jobs(raw, tmp_path, videos, config)] == ["c30", "raw"]

    @pytest.mark.parametrize("full", [False, True])
    def test_colours_stay_what_they_are_written_down_as(self, tmp_path, full):
        path = tmp_path / "hd.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
            stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
            stream.codec_context.colorspace, stream.codec_context.color_range = 1, 2 if full else 1
            image = av.VideoFrame.from_ndarray(np.full((64, 64, 3), (226, 66, 16), np.uint8))
            container.mux(stream.encode(image.reformat(format="yuv420p", dst_colorspace=1, dst_color_range=1 + full)))
            container.mux(stream.encode())
        transcode(path, tmp_path / "again.mp4", 10)
        for file in (path, tmp_path / "again.mp4"):
            assert np.abs(next(read_frames(file)).image[32, 32].astype(int) - (226, 66, 16)).max() <= 3

    def test_without_a_raw_video_there_is_nothing_to_make_them_from(self, mini_ff, tmp_path):
        with pytest.raises(UserError, match="no raw video"):
            extract_faces(mini_ff, tmp_path / "out", ExtractConfig(qualities=("c30",)))

    def test_lists_of_splits_are_refused_where_the_data_has_its_own(self, mini_ff, tmp_path):
        for label in ("real", "fake"):
            clip(tmp_path / "in" / label / "a.mp4", moving(1, frames=2))
        with pytest.raises(UserError, match="--splits"):
            extract_faces(tmp_path / "in", tmp_path / "out", ExtractConfig(splits=mini_ff / "splits"))

    @pytest.mark.parametrize("quality", ["40", "c0", "c52", "cc", "C23"])
    def test_what_is_no_quality_is_refused(self, quality):
        with pytest.raises(SettingError, match="--qualities"):
            ExtractConfig(qualities=(quality,))

    def test_a_lower_quality_is_a_smaller_file_with_the_same_frames_and_times(self, tmp_path):
        path = clip(tmp_path / "a.mp4", moving(1), crf=0)
        for crf in (23, 40):
            transcode(path, tmp_path / f"{crf}.mp4", crf)
        sizes = [(tmp_path / name).stat().st_size for name in ("a.mp4", "23.mp4", "40.mp4")]
        assert sizes == sorted(sizes, reverse=True)
        before, after = list(read_frames(path)), list(read_frames(tmp_path / "23.mp4"))
        assert [f.time for f in before] == pytest.approx([f.time for f in after])
        assert np.mean([np.abs(a.image.astype(int) - b.image).mean() for a, b in zip(before, after, strict=True)]) < 4

    def test_frames_that_an_edit_list_hides_are_not_missed(self, tmp_path):
        path, trimmed = clip(tmp_path / "whole.mp4", moving(1)), tmp_path / "trimmed.mp4"
        remuxed(path, trimmed, hidden=3)
        transcode(trimmed, tmp_path / "again.mp4", 30)
        assert count_frames(tmp_path / "again.mp4") == CLIP_FRAMES - 3

    def test_sides_become_even_and_a_broken_video_gives_none(self, tmp_path):
        path = tmp_path / "odd.mkv"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("ffv1", rate=25)
            stream.width, stream.height, stream.pix_fmt = 101, 75, "yuv444p"
            for _ in range(3):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((75, 101, 3), np.uint8))))
            container.mux(stream.encode())
        transcode(path, tmp_path / "even.mp4", 30)
        assert count_frames(tmp_path / "even.mp4") == 3
        assert next(read_frames(tmp_path / "even.mp4")).image.shape == (74, 100, 3)
        (tmp_path / "no.mp4").write_text("no")
        with pytest.raises(MediaError):
            transcode(tmp_path / "no.mp4", tmp_path / "none.mp4", 30)
        assert not (tmp_path / "none.mp4").exists()


def test_pictures_of_a_folder_are_in_the_order_of_their_numbers_and_one_too_large_loses_itself(tmp_path, monkeypatch):
    folder, record = tmp_path / "original_c23" / "000", tmp_path / "record.parquet"
    folder.mkdir(parents=True)
    for number in range(12):
        cv2.imwrite(str(folder / f"{number}.png"), np.zeros((64 if number == 2 else 8,) * 2, np.uint8))
    video = Video("original_c23/000", "real", "original", "c23", "000")
    for most, found in ((10_000, [0, 1, 2, 3]), (1_000, [0, 1, 3])):
        monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", most)
        adopt(tmp_path, video, ExtractConfig(frames=4, sampling="first"), record)
        written = read_record(record)
        assert written is not None
        rows, facts = written
        assert [int(Path(row["path"]).stem) for row in rows.to_pylist()] == found
    assert facts["problem"].startswith("1 pictures cannot be used, the first: 2.png")


class TestSeveralDataSets:
    @pytest.fixture
    def other(self, tmp_path) -> Path:
        root = tmp_path / "mine"
        clip(root / "real" / "000.mp4", moving(7))
        clip(root / "fake" / "000.mp4", moving(8))
        return root

    def test_a_new_one_joins_the_table_and_both_go_on(self, mini_ff, other, tmp_path):
        out, config = tmp_path / "out", ExtractConfig(size=32, workers=1, methods=("original", "unknown"))
        first = extract_faces(mini_ff, out, config).table
        both = extract_faces(other, out, config)
        assert both.new_frames == 2 * CLIP_FRAMES
        assert both.table.num_rows == first.num_rows + 2 * CLIP_FRAMES
        assert set(both.table["dataset"].to_pylist()) == {"FaceForensics++", "mine"}
        assert len(set(both.table["path"].to_pylist())) == both.table.num_rows
        assert all((out / path).is_file() for path in both.table["path"].to_pylist())
        again = extract_faces(mini_ff, out, config)
        assert again.new_frames == 0 and again.table.equals(both.table)
        history = made_by(read_manifest(out / MANIFEST))
        assert [(source["datasets"], source["videos"]) for source in history["sources"]] == [
            (["FaceForensics++"], 12),
            (["mine"], 2),
        ]
        assert history["detector"]["name"] == "yuface" and history["detector"]["version"]

    def test_the_same_id_in_two_data_sets_is_not_one_person(self, mini_ff, other, tmp_path):
        config = ExtractConfig(size=32, workers=1, methods=("original", "unknown"))
        extract_faces(mini_ff, tmp_path / "out", config)
        for label in ("real", "fake"):
            (other / "test" / label).mkdir(parents=True)
            shutil.move(other / label / "000.mp4", other / "test" / label / "000.mp4")
            (other / label).rmdir()
        check_leaks(extract_faces(other, tmp_path / "out", config).table)

    def test_two_of_a_kind_want_names(self, other, tmp_path):
        out, twin = tmp_path / "out", tmp_path / "elsewhere" / "mine"
        shutil.copytree(other, twin)
        extract_faces(other, out, SMALL)
        before = (out / MANIFEST).read_bytes()
        with pytest.raises(UserError, match=r"mine/fake/000\.mp4 already") as caught:
            extract_faces(twin, out, SMALL)
        assert "--name" in caught.value.remedy and (out / MANIFEST).read_bytes() == before
        named = ExtractConfig(size=32, workers=1, name="twin")
        assert set(extract_faces(twin, out, named).table["dataset"].to_pylist()) == {"mine", "twin"}

    def test_two_lists_of_one_folder_are_two(self, other, tmp_path):
        """Both name pictures of the same name in folders of the same name's crops."""
        out = tmp_path / "out"
        for split, label in (("train", "real"), ("test", "fake")):
            lines = f"path,label,split\n{label}/000.mp4,real,{split}\n"
            (other / f"{split}.csv").write_text(lines, encoding="utf-8")
        first = extract_faces(other / "train.csv", out, SMALL).table
        both = extract_faces(other / "test.csv", out, SMALL).table
        assert set(both["split"].to_pylist()) == {"train", "test"} and both.num_rows == 2 * CLIP_FRAMES
        again = extract_faces(other / "train.csv", out, SMALL)
        assert again.new_frames == 0 and again.table.equals(both)
        assert again.table.filter(pc.field("split") == "train").equals(first)
        pictures = {(out / path).read_bytes() for path in both["path"].to_pylist()}
        assert len(pictures) == 2 * CLIP_FRAMES

    def test_names_that_no_video_has_are_told_at_once(self, other, tmp_path, capsys):
        config = ExtractConfig(size=32, workers=1, methods=("original", "Deepfkaes"), compressions=("c32", "unknown"))
        extract_faces(other, tmp_path / "out", config)
        said = capsys.readouterr().err
        assert "--methods Deepfkaes: no video is of it; there are original unknown" in said
        assert "--compressions c32: no video is of it; there are unknown" in said

    def test_failures_of_all_are_in_the_file(self, other, tmp_path):
        out, broken = tmp_path / "out", tmp_path / "broken"
        clip(broken / "real" / "a.mp4", moving(1))
        (broken / "fake").mkdir()
        (broken / "fake" / "b.mp4").write_text("no")
        extract_faces(broken, out, SMALL)
        assert extract_faces(other, out, SMALL).failures == []
        [failure] = json.loads((out / FAILURES).read_text())
        assert (failure["dataset"], failure["path"], failure["label"]) == ("broken", "fake/b.mp4", "fake")

    def test_a_copy_in_another_split_is_a_leak(self, other, tmp_path):
        for split, name in (("train", "1.mp4"), ("test", "2.mp4")):
            for label in ("real", "fake"):
                (tmp_path / "in" / split / label).mkdir(parents=True, exist_ok=True)
            shutil.copy(other / "real" / "000.mp4", tmp_path / "in" / split / "real" / name)
        with pytest.raises(UserError, match="copies of a video"):
            check_leaks(extract_faces(tmp_path / "in", tmp_path / "out", SMALL).table)


class TestCutElsewhere:
    def test_its_own_crops_can_be_read_again(self, manifest, tmp_path):
        """A folder of crops without its manifest, as the published code and ours lay them out."""
        table = extract_faces(manifest.parent, tmp_path / "out", SMALL).table
        before = read_manifest(manifest)
        assert table.num_rows == before.num_rows
        assert sorted(table["frame"].to_pylist()) == sorted(before["frame"].to_pylist())
        row = next(row for row in table.to_pylist() if row["method"] == "FaceSwap")
        assert Path(row["path"]).is_file() and (row["right"], row["bottom"]) == (CROP_SIZE, CROP_SIZE)
        assert (row["label"], row["source"] is None) == ("fake", False)
        assert made_by(read_manifest(tmp_path / "out" / MANIFEST))["detector"] is None

    def test_pictures_that_cannot_be_used_are_counted(self, manifest, tmp_path):
        root = tmp_path / "crops"
        shutil.copytree(manifest.parent / "original_c23", root / "original_c23")
        one, two = sorted((root / "original_c23" / "000").iterdir())[:2]
        one.write_bytes(b"")
        two.write_text("no picture")
        for picture in (root / "original_c23" / "001").iterdir():
            picture.write_bytes(b"")
        report = extract_faces(root, tmp_path / "out", SMALL)
        reasons = {failure.path: failure.reason for failure in report.failures}
        assert "2 pictures cannot be used" in reasons["original_c23/000"] and "empty" in reasons["original_c23/000"]
        assert "empty" in reasons["original_c23/001"]
        assert report.table.num_rows == 6 * CLIP_FRAMES - 2 - CLIP_FRAMES
        history = made_by(read_manifest(tmp_path / "out" / MANIFEST))
        assert history["detector"] is None and history["settings"]["margin"] is None

    def test_a_list_that_names_other_pictures_is_read_again(self, manifest, tmp_path):
        root, out = tmp_path / "lists", tmp_path / "out"
        shutil.copytree(manifest.parent / "original_c23", root / "original_c23")
        names = sorted(path.relative_to(root).as_posix() for path in (root / "original_c23" / "000").iterdir())
        for chosen in (names[:2], names[2:4]):
            (root / "ff_train_c23.lst").write_text("".join(f"{name} REAL\n" for name in chosen), encoding="utf-8")
            table = extract_faces(root, out, SMALL).table
            assert [Path(path).name for path in table["path"].to_pylist()] == [Path(name).name for name in chosen]

    @pytest.mark.parametrize(
        ("stem", "found"),
        [("078_000012_0", (12, 0)), ("001_870_000003_1", (3, 1)), ("frame7", (7, 0)), ("042", (42, 0)), ("a", (9, 0))],
    )
    def test_frame_and_face_by_name(self, stem, found):
        assert _frame_and_face(stem, 9) == found


def end_of_the_worker(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_worker_that_crashes_loses_one_video():
    results = dict(run_jobs(end_of_the_worker, range(8), 2, "crash"))
    assert [number for number, result in results.items() if isinstance(result, Exception)] == [3]
    assert sorted(value for value in results.values() if not isinstance(value, Exception)) == [0, 1, 2, 4, 5, 6, 7]


def test_records_hold_what_the_file_was(mini_ff, tmp_path):
    out = tmp_path / "out"
    table = extract_faces(mini_ff, out, ExtractConfig(size=32, workers=1, methods=("original",))).table
    hashes = table["sha256"].to_pylist()
    assert len(set(hashes)) == 12 and all(len(content) == 64 for content in hashes)
    assert len(list((out / ".extract" / "videos").glob("*.parquet"))) == 12
    assert pq.read_schema(out / MANIFEST).names == table.schema.names
