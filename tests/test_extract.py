"""Extraction end to end on real clips: what is written, what fails, and how a broken-off call goes on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dfgame.extract
from conftest import CLIP_FRAMES, CROP_SIZE, METHODS, QUALITIES, frame_of, moving, orl_face
from dfgame.config import ExtractConfig
from dfgame.extract import MANIFEST, extract_faces, extract_video, make_jobs, report_failures, spread, summary
from dfgame.extract.records import read_record, write_record
from dfgame.files import held_folder
from dfgame.manifest import made_by, read_manifest
from dfgame.media import read_frames, write_video
from dfgame.records import Failure, UserError, Video

SETTINGS = ExtractConfig(size=32, workers=1)


def real(root: Path, name: str, images, crf: int = 23) -> Path:
    """Put a clip into the plain folder `root`, which gets its empty fake/ too."""
    (root / "fake").mkdir(parents=True, exist_ok=True)
    path = root / "real" / name
    write_video(path, images, fps=25, crf=crf)
    return path


def files_of(out: Path) -> dict[str, bytes]:
    """Every file an extraction left, but for its own records."""
    found = (path for path in out.rglob("*") if path.is_file() and ".extract" not in path.parts)
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}


class TestSpread:
    @pytest.mark.parametrize(
        ("total", "wanted", "numbers"), [(0, 5, []), (3, 5, [0, 1, 2]), (9, 3, [0, 4, 8]), (10, 1, [0])]
    )
    def test_by_hand(self, total, wanted, numbers):
        assert spread(total, wanted) == numbers

    @given(st.integers(1, 5000), st.integers(2, 400))
    def test_is_even_from_first_to_last(self, total, wanted):
        numbers = spread(total, wanted)
        steps = np.diff(numbers)
        assert len(numbers) == min(total, wanted)
        assert numbers[0] == 0 and numbers[-1] == total - 1
        assert total == 1 or (steps.min() >= 1 and steps.max() - steps.min() <= 1)


class TestWholeTree:
    def test_every_video_gives_all_its_frames(self, manifest):
        rows = [
            (method, quality, split, 2, 2 * CLIP_FRAMES)
            for method in sorted((*METHODS, "original"))
            for quality in QUALITIES
            for split in ("test", "train", "val")
        ]
        assert summary(read_manifest(manifest)) == rows

    def test_rows_are_sorted_and_name_crops_of_the_asked_size(self, manifest):
        table = read_manifest(manifest)
        keys = list(zip(table["video"].to_pylist(), table["frame"].to_pylist(), strict=True))
        assert keys == sorted(keys)
        assert table["path"][0].as_py() == "Deepfakes_c23/000_001/000_001_000000_0.png"
        for path in table["path"].to_pylist()[::16]:
            crop = cv2.imread(str(manifest.parent / path))
            assert crop is not None and crop.shape == (CROP_SIZE, CROP_SIZE, 3)

    def test_a_row_is_the_crop_of_its_frame(self, manifest, mini_ff):
        """Cut the box out of the frame again, by plain slicing, and compare it with the crop."""
        row = next(r for r in read_manifest(manifest).to_pylist() if r["frame"] == 5 and r["method"] == "FaceSwap")
        frame = next(f for f in read_frames(mini_ff / row["video"].removeprefix("FaceForensics++/")) if f.index == 5)
        assert row["time"] == pytest.approx(5 / 25)
        side = 1.3 * max(row["right"] - row["left"], row["bottom"] - row["top"])
        left, top = round((row["left"] + row["right"] - side) / 2), round((row["top"] + row["bottom"] - side) / 2)
        whole = round(side)
        padded = np.pad(frame.image, ((whole, whole), (whole, whole), (0, 0)), mode="edge")
        square = padded[top + whole : top + 2 * whole, left + whole : left + 2 * whole]
        expected = cv2.resize(square, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_AREA)
        crop = cv2.imread(str(manifest.parent / row["path"]))
        assert crop is not None and np.array_equal(crop[:, :, ::-1], expected)

    def test_labels_people_and_history(self, manifest):
        table = read_manifest(manifest)
        row = next(row for row in table.to_pylist() if row["video"].endswith("FaceSwap/c40/videos/003_002.mp4"))
        assert (row["label"], row["identity"], row["source"], row["split"]) == ("fake", "003", "002", "val")
        assert row["left"] < row["landmarks"][0] < row["landmarks"][2] < row["right"]
        assert made_by(table)["settings"]["size"] == CROP_SIZE
        assert json.loads((manifest.parent / "failures.json").read_text()) == []

    def test_workers_make_no_difference(self, manifest, mini_ff, tmp_path):
        extract_faces(mini_ff, tmp_path / "two", ExtractConfig(size=CROP_SIZE, workers=1))
        assert files_of(tmp_path / "two") == files_of(manifest.parent)

    def test_a_choice_of_methods_can_grow_in_the_same_folder(self, mini_ff, tmp_path, capsys):
        few = ExtractConfig(size=32, workers=1, methods=("original",), compressions=("c40",))
        more = ExtractConfig(size=32, workers=1, methods=("original", "FaceSwap"), compressions=("c40",))
        assert {row[0] for row in summary(extract_faces(mini_ff, tmp_path, few).table)} == {"original"}
        report = extract_faces(mini_ff, tmp_path, more)
        assert {row[:2] for row in summary(report.table)} == {("original", "c40"), ("FaceSwap", "c40")}
        assert report.new_frames == 6 * CLIP_FRAMES
        assert "no longer in it" not in capsys.readouterr().err
        extract_faces(mini_ff, tmp_path, few)
        assert "6 videos of an earlier call are no longer in it" in " ".join(capsys.readouterr().err.split())


class TestOneVideo:
    def test_frames_are_spread_over_it(self, tmp_path):
        real(tmp_path / "in", "a.mp4", moving(1, frames=9))
        report = extract_faces(tmp_path / "in", tmp_path / "out", ExtractConfig(size=32, frames=3, workers=1))
        assert report.table["frame"].to_pylist() == [0, 4, 8]
        assert report.table["time"].to_pylist() == pytest.approx([0, 4 / 25, 8 / 25])

    def test_of_three_faces_the_largest_is_cropped_and_it_is_noted(self, tmp_path):
        large, small, smaller = orl_face(1, scale=2.5), orl_face(2, scale=1.4), orl_face(3, scale=1.2)
        frame = frame_of((small, 10, 10), (large, 150, 10), (smaller, 400, 60), width=520, height=300)
        real(tmp_path / "in", "a.mp4", [frame] * 4)
        report = extract_faces(tmp_path / "in", tmp_path / "out", SETTINGS)
        assert report.table.num_rows == 4
        assert report.several_faces == 1
        middles = [(row["left"] + row["right"]) / 2 for row in report.table.to_pylist()]
        assert all(150 < middle < 150 + 92 * 2.5 for middle in middles)

    def test_one_filmed_upright_with_a_telephone(self, tmp_path):
        """Stored lying on its side, with a matrix in the track header that says to turn it by 90 degrees."""
        lying = [np.rot90(image) for image in moving(1)]
        path = real(tmp_path / "in", "a.mp4", lying)
        _turn_when_shown(path)
        upright = real(tmp_path / "upright", "a.mp4", moving(1))
        report = extract_faces(tmp_path / "in", tmp_path / "out", SETTINGS)
        expected = extract_faces(upright.parent.parent, tmp_path / "expected", SETTINGS).table
        assert report.table.num_rows == CLIP_FRAMES
        for side in ("left", "top", "right", "bottom"):
            assert np.allclose(report.table[side].to_numpy(), expected[side].to_numpy(), atol=6)

    def test_names_that_repeat_get_folders_of_their_own(self, tmp_path):
        names = ("anna/1.mp4", "ben/1.mp4", "ben/2.mp4")
        for person, name in enumerate(names):
            real(tmp_path / "in", name, moving(person + 1, frames=2))
        table = extract_faces(tmp_path / "in", tmp_path / "out", SETTINGS).table
        assert len(set(table["path"].to_pylist())) == 6
        assert all((tmp_path / "out" / path).is_file() for path in table["path"].to_pylist())
        assert table["identity"].to_pylist() == ["anna"] * 2 + ["ben"] * 4

    @given(st.lists(st.text("ab_/", min_size=1, max_size=5), unique=True, max_size=6))
    def test_no_two_videos_share_a_folder(self, names):
        videos = [Video(f"real/{name}.mp4", "real", "original", "unknown", name) for name in names]
        folders = [job.crops.casefold() for job in make_jobs(Path("in"), Path("out"), videos, SETTINGS)]
        assert len(set(folders)) == len(folders)


def _turn_when_shown(path: Path) -> None:
    """Write a rotation by 90 degrees clockwise into the display matrix of an mp4's track header."""
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    one, w = 0x10000, 0x40000000
    values = (0, one, 0, -one, 0, 0, 0, 0, w)
    data[matrix : matrix + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in values)
    path.write_bytes(data)


def cut_short(path: Path, frames: int) -> None:
    """End an mp4 after so many frames; its index is put first, as in files for the web, so that these still play."""
    ordered = path.with_name("ordered.mp4")
    with av.open(str(path)) as source, av.open(str(ordered), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    with av.open(str(ordered)) as whole:
        ends = [packet.pos + packet.size for packet in whole.demux(video=0) if packet.pos is not None]
    path.write_bytes(ordered.read_bytes()[: ends[frames - 1] + 10])
    ordered.unlink()


class TestFailures:
    def test_every_input_is_accounted_for(self, tmp_path):
        root, out = tmp_path / "in", tmp_path / "out"
        real(root, "good.mp4", moving(1))
        real(root, "nobody.mp4", [frame_of()] * 3)
        cut_short(real(root, "half.mp4", moving(2, frames=16), crf=0), frames=7)
        (root / "real" / "text.mp4").write_text("not a video")
        (root / "real" / "empty.mp4").touch()
        report = extract_faces(root, out, SETTINGS)
        reasons = {Path(failure.path).stem: failure.reason for failure in report.failures}
        assert sorted(reasons) == ["empty", "half", "nobody", "text"]
        assert "empty" in reasons["empty"]
        assert "not a video" in reasons["text"]
        assert "no face in 3 frames" in reasons["nobody"]
        assert "in part" in reasons["half"]
        rows = [Path(video).stem for video in report.table["video"].to_pylist()]
        assert rows.count("good") == CLIP_FRAMES
        assert 0 < rows.count("half") <= 7
        assert not any(str(tmp_path) in reason for reason in reasons.values())
        written = json.loads((out / "failures.json").read_text())
        assert [(entry["path"], entry["reason"]) for entry in written] == [(f.path, f.reason) for f in report.failures]

    def test_what_failed_is_done_again_and_what_was_mended_is_no_failure(self, tmp_path):
        root, out = tmp_path / "in", tmp_path / "out"
        real(root, "good.mp4", moving(1))
        cut_short(real(root, "half.mp4", moving(2, frames=16), crf=0), frames=7)
        (root / "real" / "text.mp4").write_text("not a video")
        assert len(extract_faces(root, out, SETTINGS).failures) == 2
        real(root, "half.mp4", moving(2, frames=16))
        real(root, "text.mp4", moving(3))
        report = extract_faces(root, out, SETTINGS)
        assert report.failures == []
        assert report.new_frames == 16 + CLIP_FRAMES
        assert json.loads((out / "failures.json").read_text()) == []

    def test_nothing_but_failures_is_an_empty_manifest(self, tmp_path):
        root = tmp_path / "in"
        real(root, "nobody.mp4", [frame_of()] * 3)
        report = extract_faces(root, tmp_path / "out", SETTINGS)
        assert report.table.num_rows == 0 == read_manifest(report.manifest).num_rows
        assert len(report.failures) == 1

    def test_the_first_are_listed_and_the_rest_counted(self, capsys):
        failures = [Failure(f"real/[{number}].mp4", "broken") for number in range(25)]
        report_failures(failures, Path("out/failures.json"))
        lines = capsys.readouterr().err.splitlines()
        assert lines[0] == "failed: real/[0].mp4: broken"
        assert len(lines) == 21
        assert lines[-1] == "25 failed, 5 not shown; all are in out/failures.json"

    def test_a_full_disk_is_the_users_to_mend(self, tmp_path, monkeypatch):
        real(tmp_path / "in", "a.mp4", moving(1, frames=2))

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(dfgame.extract, "write_manifest", full)
        with pytest.raises(UserError, match="disk is full"):
            extract_faces(tmp_path / "in", tmp_path / "out", SETTINGS)

    def test_without_a_detector_it_says_so_before_any_work(self, tmp_path, monkeypatch):
        real(tmp_path / "in", "a.mp4", moving(1, frames=2))
        monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
        with pytest.raises(UserError, match="yuface"):
            extract_faces(tmp_path / "in", tmp_path / "out", SETTINGS)
        assert not (tmp_path / "out").exists()


class TestAgain:
    @pytest.fixture
    def done(self, tmp_path) -> tuple[Path, Path]:
        root, out = tmp_path / "in", tmp_path / "out"
        real(root, "a.mp4", moving(1))
        extract_faces(root, out, SETTINGS)
        return root, out

    def test_nothing_is_done_twice(self, done: tuple[Path, Path]):
        before = files_of(done[1])
        assert extract_faces(*done, SETTINGS).new_frames == 0
        assert files_of(done[1]) == before

    def test_crops_that_were_lost_are_cut_out_again(self, done: tuple[Path, Path]):
        before = files_of(done[1])
        crops = sorted(done[1].rglob("*.png"))
        for lost in (crops[:1], crops):
            for path in lost:
                path.unlink()
            assert extract_faces(*done, SETTINGS).new_frames > 0
            assert files_of(done[1]) == before

    def test_videos_of_one_name_that_come_one_after_the_other_do_not_share_crops(self, tmp_path):
        root, out = tmp_path / "in", tmp_path / "out"
        for person, number in (("anna", 1), ("bert", 2)):
            real(root, f"{person}/1.mp4", moving(number, frames=3))
        for away in ("bert", "anna"):
            (root / "real" / away).rename(tmp_path / away)
            extract_faces(root, out, SETTINGS)
            (tmp_path / away).rename(root / "real" / away)
        (root / "real" / "bert").rename(tmp_path / "bert")
        alone = extract_faces(root, out, SETTINGS)
        expected = extract_faces(root, tmp_path / "alone", SETTINGS)
        assert alone.new_frames == 3 and alone.table.equals(expected.table)
        (tmp_path / "bert").rename(root / "real" / "bert")
        both = extract_faces(root, out, SETTINGS).table
        assert len(set(both["path"].to_pylist())) == 6
        pictures = {(out / path).read_bytes() for path in both["path"].to_pylist()}
        assert pictures == {path.read_bytes() for path in (out).rglob("*.png")} and len(pictures) == 6

    def test_a_call_that_was_killed_between_its_two_files_goes_on(self, done: tuple[Path, Path]):
        (done[1] / ".extract" / "data-0.json").unlink()
        report = extract_faces(*done, SETTINGS)
        assert report.new_frames == 0 and report.table.num_rows == CLIP_FRAMES

    def test_a_name_that_is_no_text_is_passed_over_and_the_rest_is_done(self, tmp_path):
        root = tmp_path / "in"
        path = real(root, "a.mp4", moving(1, frames=2))
        shutil.copy(path, Path(str(path.parent), b"caf\xe9.mp4".decode("utf-8", "surrogateescape")))
        report = extract_faces(root, tmp_path / "out", SETTINGS)
        assert report.table.num_rows == 2
        assert any("1 videos were passed over, since their names are not UTF-8" in note for note in report.notes)

    def test_a_folder_inside_the_photographs_is_refused(self, tmp_path):
        root = tmp_path / "in"
        real(root, "a.mp4", moving(1, frames=2))
        with pytest.raises(UserError, match="would be read with it"):
            extract_faces(root, root / "real", SETTINGS)

    def test_a_folder_that_is_being_written_is_left_alone(self, done: tuple[Path, Path]):
        with held_folder(done[1]), pytest.raises(UserError, match="another process is writing there"):
            extract_faces(*done, SETTINGS)

    def test_other_settings_are_refused_by_name(self, done: tuple[Path, Path]):
        with pytest.raises(UserError, match="size was 32 and is now 48"):
            extract_faces(*done, ExtractConfig(size=48))

    def test_faces_of_two_detectors_are_not_mixed(self, done: tuple[Path, Path], monkeypatch):
        root, out = done
        now = made_by(read_manifest(out / MANIFEST))["detector"]
        monkeypatch.setattr(dfgame.extract, "detector_facts", lambda: {"name": "yuface", "version": "99"})
        assert extract_faces(root, out, SETTINGS).new_frames == 0
        assert made_by(read_manifest(out / MANIFEST))["detector"] == now and now["version"] != "99"
        before = files_of(out)
        real(root, "b.mp4", moving(2))
        with pytest.raises(UserError, match=r"found by yuface .*, and yuface 99 is installed"):
            extract_faces(root, out, SETTINGS)
        assert files_of(out) == before

    def test_a_manifest_of_another_is_not_overwritten(self, done: tuple[Path, Path], tmp_path):
        shutil.rmtree(done[1] / ".extract")
        with pytest.raises(UserError, match="not made here"):
            extract_faces(*done, SETTINGS)

    def test_a_changed_video_is_done_again_and_leaves_no_old_crop(self, done: tuple[Path, Path]):
        root, out = done
        real(root, "a.mp4", moving(2, frames=3))
        table = extract_faces(root, out, SETTINGS).table
        assert table.num_rows == 3
        assert {path.relative_to(out).as_posix() for path in out.rglob("*.png")} == set(table["path"].to_pylist())

    def test_splits_added_later_reach_the_manifest(self, mini_ff, tmp_path):
        root, out = tmp_path / "in", tmp_path / "out"
        clip = "original_sequences/youtube/c23/videos/000.mp4"
        (root / clip).parent.mkdir(parents=True)
        shutil.copy(mini_ff / clip, root / clip)
        assert "built by identity" in extract_faces(root, out, SETTINGS).notes[0]
        (root / "splits").mkdir()
        (root / "splits" / "test.json").write_text('[["000", "001"]]')
        report = extract_faces(root, out, SETTINGS)
        assert set(report.table["split"].to_pylist()) == {"test"}
        assert report.new_frames == 0

    def test_what_does_not_say_what_it_depends_on_is_done_again(self, done: tuple[Path, Path]):
        """Records of before that was kept."""
        [record] = (done[1] / ".extract" / "videos").glob("*.parquet")
        before, kept = files_of(done[1]), read_record(record)
        assert kept is not None
        write_record(record, kept[0].to_pylist(), {key: value for key, value in kept[1].items() if key != "beside"})
        assert extract_faces(*done, SETTINGS).new_frames > 0
        assert files_of(done[1]) == before

    def test_half_a_record_is_no_record(self, done: tuple[Path, Path]):
        [record] = (done[1] / ".extract" / "videos").glob("*.parquet")
        before = files_of(done[1])
        record.write_bytes(record.read_bytes()[:40])
        assert extract_faces(*done, SETTINGS).new_frames == CLIP_FRAMES
        assert files_of(done[1]) == before

    def test_a_video_that_broke_off_leaves_no_crop(self, tmp_path, monkeypatch):
        real(tmp_path / "in", "a.mp4", moving(1))
        video = Video("real/a.mp4", "real", "original", "unknown", "a")
        [job] = make_jobs(tmp_path / "in", tmp_path / "out", [video], SETTINGS)

        def broken(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("dfgame.extract.job._put_in_place", broken)
        with pytest.raises(KeyboardInterrupt):
            extract_video(job)
        assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", "from dfgame.cli import main; main()", *map(str, arguments)]


class TestCommand:
    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=120)

    def test_results_failures_and_exit_codes(self, tmp_path):
        root, out = tmp_path / "in", tmp_path / "out"
        real(root, "a.mp4", moving(1))
        (root / "real" / "text.mp4").write_text("not a video")
        ended = self.run("extract", root, out, "--size", 32, "--workers", 1)
        assert ended.returncode == 1
        assert "original" in ended.stdout and f"{out / MANIFEST}: {CLIP_FRAMES} crops" in ended.stdout
        assert "failed: real/text.mp4" in ended.stderr and "Traceback" not in ended.stderr
        (root / "real" / "text.mp4").unlink()
        assert self.run("extract", root, out, "--size", 32).returncode == 0
        refused = self.run("extract", root, out, "--size", 48)
        assert refused.returncode == 2
        assert "size was 32" in refused.stderr


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="kills a process group")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_a_killed_extraction_goes_on_to_the_same_end(manifest, mini_ff, tmp_path, how):
    """Kill the command when some videos are done; the next call does the others only, and all ends the same."""
    out = tmp_path / "out"
    arguments = command("extract", mini_ff, out, "--size", CROP_SIZE, "--workers", 1)
    process = subprocess.Popen(arguments, start_new_session=True, stderr=subprocess.PIPE, text=True)
    records = out / ".extract" / "videos"
    deadline = time.monotonic() + 60
    while len(list(records.glob("[!.]*.parquet"))) < 3:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    if how == signal.SIGKILL:
        os.killpg(process.pid, how)
    else:
        process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if how == signal.SIGKILL else 130), errors
    done = len(list(records.glob("[!.]*.parquet")))
    videos = len(METHODS) * 12 + 12
    assert 3 <= done < videos
    assert not (out / MANIFEST).exists()
    report = extract_faces(mini_ff, out, ExtractConfig(size=CROP_SIZE, workers=1))
    assert report.new_frames == (videos - done) * CLIP_FRAMES
    assert files_of(out) == files_of(manifest.parent)
    assert not list(records.glob("*.work"))
