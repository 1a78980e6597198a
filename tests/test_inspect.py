"""Pictures and videos that are inspected: by the pipeline, and by the command."""

import errno
import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dfgame
import dfgame.inspection.readers as readers_module
from boxes import BRIGHTNESS, FACTS, trained_a_little
from conftest import frame_of, moving, orl_face
from dfgame.boxed import load_detector, save_box
from dfgame.cli import main
from dfgame.cli.reports import Reports
from dfgame.config import InspectConfig, SettingError
from dfgame.faces.detect import default_detector
from dfgame.faces.sample import Sample, SampleJob, SeenFace, chosen_frames, sample_faces
from dfgame.faces.video import write_png
from dfgame.forgery.heads import turned_head
from dfgame.inspection.again import crops_again
from dfgame.inspection.pipeline import inspect_files
from dfgame.inspection.places import files_below, named_files
from dfgame.inspection.progress import looking
from dfgame.inspection.readers import Readers
from dfgame.inspection.written import JsonLines
from dfgame.media import write_video
from dfgame.records import FaceScore, Failure, FileVerdict, Model, TrackScore, UserError
from dfgame.report.inspection_words import summary_lines
from dfgame.report.media_words import about_words, flat_rows
from dfgame.reports import command_of


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    path = tmp_path_factory.mktemp("box") / "tiny.safetensors"
    save_box(path, FACTS, [trained_a_little(seed) for seed in (0, 1)])
    return path


def verdict_of(path, detector=BRIGHTNESS, **settings) -> FileVerdict:
    (said,) = inspect_files([path], detector, InspectConfig(**settings))
    assert isinstance(said, FileVerdict), said
    return said


def test_two_people_in_a_video(tmp_path):
    dark, bright = (orl_face(2) * 0.5).astype(np.uint8), orl_face(9)
    clip = (frame_of((dark, 20 + k, 40), (bright, 260 - k, 30), width=480) for k in range(12))
    write_video(tmp_path / "two.mp4", clip, fps=25, crf=18)
    said = verdict_of(tmp_path / "two.mp4", frames=6)
    assert said.kind == "video" and len(said.tracks) == 2
    left, right = sorted(said.tracks, key=lambda track: track.frames[0].box[0])
    assert right.p_fake > left.p_fake and said.p_fake == right.p_fake
    assert [len(track.frames) for track in said.tracks] == [6, 6]
    assert (left.first_time, left.last_time) == (0.0, 0.44)
    assert left.frames[0].box[0] < left.frames[-1].box[0]


def test_faces_beyond_the_largest_are_counted_and_told(tmp_path):
    group = [(orl_face(1 + n, scale=1), 20 + 130 * (n % 5), 20 + 140 * (n // 5)) for n in range(10)]
    write_png(tmp_path / "group.png", frame_of(*group, width=680, height=300))
    write_video(tmp_path / "group.mp4", [frame_of(*group, width=680, height=300)] * 3, fps=25, crf=10)
    picture, video = (verdict_of(tmp_path / name) for name in ("group.png", "group.mp4"))
    assert len(picture.tracks) == 10 and not [reason for reason in picture.reasons if "largest" in reason]
    assert len(video.tracks) == 8
    assert video.reasons[-1] == "of the faces in one frame only the 8 largest are judged: up to 2 more are not"
    assert any("only the 8 largest are judged: up to 2 more are not." in line for line in summary_lines(video))
    assert about_words(video).endswith("3 frames looked at, 8 faces followed.")


def test_numbers_are_those_of_the_crops_that_extraction_makes(mini_ff, manifest, box):
    """The same frames of the same video, cut out by `extract` and by `inspect`: the same scores."""
    from dfgame.manifest import read_manifest
    from dfgame.score import raw_scores

    name = "original_sequences/youtube/c23/videos/004.mp4"
    rows = [row for row in read_manifest(manifest).to_pylist() if row["video"].endswith(name)]
    detector = load_detector(box, "cpu")
    paths = [manifest.parent / row["path"] for row in rows]
    expected = np.concatenate(list(raw_scores(detector.probabilities, paths, 64, 4)))
    (track,) = verdict_of(mini_ff / name, detector, frames=len(rows)).tracks
    assert [face.p_fake for face in track.frames] == pytest.approx(expected, abs=0.02)
    assert track.p_fake == pytest.approx(expected.mean(), abs=0.01)


def call(capsys, *words):
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return end.value.code, capsys.readouterr()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A video, a damaged one, pictures with and without a face, and a file that is neither."""
    place = tmp_path_factory.mktemp("media")
    write_video(place / "b" / "clip.mp4", moving(3), fps=25, crf=23)
    (place / "a.mp4").write_bytes(b"no video")
    write_png(place / "c.png", frame_of((orl_face(4), 40, 40)))
    write_png(place / "d.PNG", frame_of())
    (place / "notes.txt").write_text("not media")
    (place / "._clip.mp4").write_bytes(b"left by another system")
    return place


def test_a_folder_stands_for_its_pictures_and_videos(folder, tmp_path):
    named = [path.relative_to(folder).as_posix() for path in files_below([folder])]
    assert named == ["a.mp4", "b/clip.mp4", "c.png", "d.PNG"]
    with pytest.raises(UserError, match="no picture or video"):
        files_below([tmp_path])


def test_a_folder_below_that_cannot_be_read_is_no_secret(folder, monkeypatch):
    scandir: Any = os.scandir
    locked = folder / "b"

    def refuses(place):
        if Path(place) == locked:
            raise PermissionError(errno.EACCES, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refuses)
    assert files_below([folder]) == [folder / "a.mp4", folder / "c.png", folder / "d.PNG", locked]


@pytest.mark.parametrize("workers", [1, 2])
def test_json_and_a_bad_file_among_good_ones(folder, box, workers, capsys):
    words = ("--detector", box, "--json", "--frames", 4, "--workers", workers, "--device", "cpu")
    code, shown = call(capsys, "inspect", folder, folder / "none.mp4", *words)
    assert code == 1
    bad, clip, face, empty, missing = json.loads(shown.out)
    assert bad == {"file": str(folder / "a.mp4"), "verdict": None, "error": bad["error"]}
    assert "not a video" in bad["error"] and missing["error"] == "no such file"
    keys = {"file", "sha256", "kind", "verdict", "p_fake", "tracks", "model", "interval", "reasons", "settings"}
    assert all(set(said) >= keys for said in (clip, face, empty))
    assert clip["settings"]["frames"] == 4 and clip["settings"]["fake_from"] == 0.75
    assert (clip["kind"], face["kind"], empty["kind"]) == ("video", "picture", "picture")
    assert (empty["verdict"], empty["p_fake"], empty["tracks"]) == ("no face", None, [])
    (track,) = clip["tracks"]
    assert set(track) >= {"id", "p_fake", "first_time", "last_time", "frames", "verdict", "interval", "reasons"}
    assert track["interval"][0] <= track["p_fake"] <= track["interval"][1]
    assert len(track["frames"]) == 4
    assert all(set(frame) >= {"time", "p_fake", "box"} and len(frame["box"]) == 4 for frame in track["frames"])
    assert f"dfgame: {folder / 'none.mp4'}: no such file" in shown.err
    assert set(clip["model"]) == {"name", "version", "sha256"} and clip["model"]["name"] == "tiny"
    assert clip["p_fake"] == track["p_fake"] and 0 < clip["p_fake"] < 1


def test_text_is_a_line_a_file_and_a_line_a_face(folder, box, capsys):
    words = ("--detector", box, "--workers", 1, "--device", "cpu")
    code, shown = call(capsys, "inspect", folder / "b", folder / "c.png", folder / "d.PNG", *words)
    lines = shown.out.splitlines()
    of_files = [line for line in lines if not line.startswith(" ")]
    assert code == 0 and len(of_files) == 4
    assert of_files[0].startswith(f"{folder / 'b' / 'clip.mp4'}: ") and "%" in lines[1]
    assert "8 frames" in lines[1]
    assert [line for line in lines if re.search(r"Face 1, at \d+, \d+ to \d+, \d+: ", line)]
    assert "single picture" in shown.out
    assert of_files[2].startswith(f"{folder / 'd.PNG'}: No face was found")
    assert "evidence, not proof" in of_files[3]


def test_more_frames_are_advised_once_and_only_where_there_are_some(box, tmp_path, capsys):
    for frames in (2, 9):
        write_video(tmp_path / f"{frames}.mp4", moving(3, frames=frames), fps=25, crf=23)
    words = ("--detector", box, "--device", "cpu", "--frames", 2)
    _, short = call(capsys, "inspect", tmp_path / "2.mp4", *words)
    _, long = call(capsys, "inspect", tmp_path, *words)
    assert "a verdict needs 3" in short.out and "--every" not in short.out
    assert long.out.count("a verdict needs 3") == 2 and long.out.count("--every or --frames looks at more") == 1
    assert "--" not in dfgame.inspect(tmp_path / "9.mp4", load_detector(box, "cpu"), frames=2).reasons[0]


def write_cut_short(path, images):
    """Write a video of 288 x 288 that begins with its tables, and lose the last third of the file."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 288, 288, "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 7 // 10])


def test_a_video_that_breaks_off_is_judged_by_what_is_there_and_said_so(box, tmp_path, capsys):
    write_cut_short(tmp_path / "cut.mp4", moving(3, frames=30))
    code, shown = call(capsys, "inspect", tmp_path, "--detector", box, "--json", "--frames", 12)
    (said,) = json.loads(shown.out)
    assert code == 1 and "breaks off" in said["error"]
    assert said["verdict"] in ("real", "fake", "inconclusive") and said["tracks"]


def test_lines_reach_a_pipe_while_a_bar_is_drawn_on_a_terminal(folder, box):
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "dfgame", "inspect", folder, "--detector", box, "--workers", "2"]
    environment = os.environ | {"TERM": "xterm"}
    done = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=environment, text=True)
    os.close(theirs)
    drawn = b""
    with suppress(OSError):
        while part := os.read(ours, 4096):
            drawn += part
    os.close(ours)
    lines = done.communicate(timeout=60)[0].splitlines()
    assert b"inspecting" in drawn and b"p_fake" not in drawn
    assert [line.partition(": ")[0] for line in lines if line.startswith(str(folder))] == [
        str(folder / name) for name in ("a.mp4", "b/clip.mp4", "c.png", "d.PNG")
    ]


def test_wrong_use_is_told(box, capsys):
    code, shown = call(capsys, "inspect", "--detector", box)
    assert code == 2 and "no FILE" in shown.err
    code, shown = call(capsys, "inspect", "a.mp4", "--detector", "none.safetensors")
    assert code == 2 and "none.safetensors: no such file" in shown.err
    code, shown = call(capsys, "inspect", "a.mp4", "--frames", "0")
    assert code == 2 and "--frames" in shown.err


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (["--rows", "faces"], "--rows"),
        (["-0"], "--null"),
        (["--verify", "r.html", "--fail-on-fake"], "--fail-on-fake"),
        (["--verify", "r.html", "--json"], "--json"),
        (["--verify", "r.html", "--every", "1"], "--every"),
    ],
)
def test_options_that_would_change_nothing_are_refused(words, flag, capsys):
    code, shown = call(capsys, "inspect", "a.mp4", *words)
    assert code == 2 and f"{flag}: changes nothing here" in shown.err


@pytest.mark.parametrize(("option", "name"), [("--csv", "verdicts.csv"), ("--report", "reports"), ("--csv", "")])
def test_a_place_that_cannot_be_written_is_told_before_the_work(option, name, box, folder, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / name if name else tmp_path
    code, shown = call(capsys, "inspect", folder / "c.png", "--detector", box, option, place)
    assert code == 2 and len(shown.err.splitlines()) <= 2 and str(tmp_path) in shown.err
    assert str(folder / "c.png") not in shown.out


@pytest.mark.parametrize(("option", "name"), [("--csv", "a.csv"), ("--jsonl", "a.jsonl"), ("--report", "a.html")])
def test_what_is_no_file_is_never_replaced_or_read(option, name, box, folder, tmp_path, capsys):
    place = tmp_path / name
    os.mkfifo(place)
    words = (option, place) if option == "--jsonl" else (option, place, "--overwrite")
    code, shown = call(capsys, "inspect", folder / "c.png", "--detector", box, *words)
    assert code == 2 and f"{place}: is not a file" in shown.err and place.is_fifo()


def test_a_link_stays_one_and_its_file_is_replaced(box, folder, tmp_path, capsys):
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    real.write_text("before")
    link.symlink_to(real.name)
    code, _ = call(capsys, "inspect", folder / "c.png", "--detector", box, "--csv", link, "--overwrite")
    assert code == 0 and link.is_symlink() and real.read_text().startswith("file,sha256")


def test_two_outputs_are_not_one_file(box, folder, tmp_path, capsys):
    words = ("--jsonl", tmp_path / "v.out", "--csv", tmp_path / "." / "v.out")
    code, shown = call(capsys, "inspect", folder / "c.png", "--detector", box, *words)
    assert code == 2 and "--csv and --jsonl: both are" in shown.err


def test_an_interrupted_call_leaves_the_table_of_what_was_done(box, tmp_path, monkeypatch, capsys):
    def interrupted(*_, **__):
        yield Failure("a.mp4", "is empty")
        raise KeyboardInterrupt

    monkeypatch.setattr("dfgame.inspection.pipeline.inspect_files", interrupted)
    table = tmp_path / "v.csv"
    code, shown = call(capsys, "inspect", "a.mp4", "b.mp4", "--detector", box, "--csv", table)
    assert code == 130 and "the verdicts until then" in shown.err
    assert table.read_text().splitlines()[1:] == ["a.mp4,,,,,,,,,,is empty,"]


def test_every_report_has_a_name_of_its_own(tmp_path):
    files = [Path("n1/clip"), Path("n2/clip"), Path("n3/clip-2"), Path("n4/CLIP")]
    pages = [page.name for page in Reports(tmp_path / "out", files, False).pages.values()]
    assert pages == ["clip.html", "clip-2.html", "clip-2-2.html", "CLIP-3.html"]


def test_a_report_that_cannot_be_made_loses_no_other(box, tmp_path, monkeypatch, capsys):
    (tmp_path / "media").mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (40, 288, 288, 3), np.uint8)
    write_cut_short(tmp_path / "media" / "cut.mp4", noise)
    long = tmp_path / "media" / f"{'n' * 240}.png"
    write_png(tmp_path / "media" / "n.png", frame_of((orl_face(4), 40, 40)))
    (tmp_path / "media" / "n.png").rename(long)
    words = ("--detector", box, "--report", tmp_path / "reports", "--device", "cpu")
    call(capsys, "inspect", tmp_path / "media", *words)
    assert len(list((tmp_path / "reports").glob("*.html"))) == 2

    def fails(*_):
        raise UserError("cannot be read again")

    monkeypatch.setattr("dfgame.cli.reports.report_page", fails)
    code, shown = call(capsys, "inspect", tmp_path / "media", *words, "--overwrite", "--csv", tmp_path / "all.csv")
    assert code == 1 and shown.err.count("no report (cannot be read again)") == 2
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 3


def test_settings_are_shown_as_the_numbers_that_they_are():
    shown = dict(flat_rows({"every": 1.0, "workers": 0, "keep": True, "threshold": None}))
    assert shown == {"every": "1.0", "workers": "0", "keep": "yes"}


def test_a_failure_has_no_verdict(tmp_path):
    (said,) = inspect_files([tmp_path], BRIGHTNESS, InspectConfig())
    assert said == Failure(str(tmp_path), "a folder, not a video and not a picture")
    assert list(inspect_files([], BRIGHTNESS, InspectConfig())) == []
    assert not list(Path(tmp_path).iterdir())


def test_hidden_folders_are_passed_over_and_broken_links_are_not(tmp_path):
    for place in (".hidden", "sub"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "a.JFIF").write_bytes(b"x")
    (tmp_path / "broken.jpg").symlink_to("nowhere.jpg")
    assert files_below([tmp_path]) == [tmp_path / "broken.jpg", tmp_path / "sub" / "a.JFIF"]


def test_a_list_on_standard_input_patterns_and_names(folder, tmp_path):
    clip, face = folder / "b" / "clip.mp4", folder / "c.png"
    lines = f"{clip}\n\n{face}\n".encode()
    assert named_files(["-"], io.BytesIO(lines)) == [clip, face]
    strange = tmp_path / "two\nlines.png"
    assert named_files(["-"], io.BytesIO(f"{strange}\0{face}\0".encode()), null=True) == [strange, face]
    assert named_files([folder / "**" / "*.mp4"]) == [folder / "a.mp4", clip]
    named = tmp_path / "[1]*.png"
    write_png(named, frame_of())
    assert named_files([named, named]) == [named]
    with pytest.raises(UserError, match="nothing matches"):
        named_files([folder / "*.xyz"])


def test_the_command_reads_a_list_that_ends_with_null_characters(folder, box):
    command = [sys.executable, "-m", "dfgame", "inspect", "-", "-0", "--detector", box, "--csv", "-"]
    names = f"{folder / 'c.png'}\0{folder / 'd.PNG'}\0".encode()
    done = subprocess.run(command, input=names, capture_output=True, timeout=300)
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0, done.stderr
    assert lines[0].startswith("file,sha256,kind,verdict") and len(lines) == 3
    assert lines[1].startswith(f"{folder / 'c.png'},") and ",no face," in lines[2]


def test_a_frame_every_so_many_seconds_of_a_variable_frame_rate(tmp_path):
    path = tmp_path / "variable.mp4"
    stamps = [0, 2, 4, 30, 33, 36, 40, 90, 95, 100]  # in hundredths of a second
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=100)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for stamp in stamps:
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90, np.uint8), format="rgb24")
            frame.pts = stamp
            container.mux(stream.encode(frame))
        container.mux(stream.encode())

    def chosen(every, most=100):
        return chosen_frames(SampleJob(path, 24, FACTS.crop, every, most), "video")

    # Due at 0, 0.1, 0.2 ... after the frame before: the first frame at or after each.
    assert chosen(0.1) == [0, 3, 6, 7, 9]
    assert chosen(0.3) == [0, 3, 7]
    assert chosen(0.001) == list(range(10))
    assert chosen(0.001, most=4) == [0, 3, 6, 9]
    assert chosen(100.0) == [0]


def test_every_looks_at_times_and_max_frames_holds(box, tmp_path):
    write_video(tmp_path / "clip.mp4", moving(3, frames=30), fps=25, crf=23)
    detector = load_detector(box, "cpu")
    said = verdict_of(tmp_path / "clip.mp4", detector, every=0.4)
    assert said.frames == 3 and [face.frame for face in said.tracks[0].frames] == [0, 10, 20]
    assert [face.time for face in said.tracks[0].frames] == pytest.approx([0.0, 0.4, 0.8])
    assert verdict_of(tmp_path / "clip.mp4", detector, every=0.1, max_frames=6).frames == 6
    few = verdict_of(tmp_path / "clip.mp4", detector, frames=20, max_frames=6)
    assert few.frames == 6 and few.settings["max_frames"] == 6 and few.settings["frames"] == 20


def test_a_face_seen_from_the_side_is_left_open(tmp_path):
    ahead = frame_of((orl_face(2, scale=4), 60, 20), width=480, height=480)
    points = np.array(default_detector(0.6)(ahead)[0].points)
    for name, degrees in (("ahead", 0), ("aside", 60)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), turned_head(ahead, points, degrees)[:, :, ::-1])
    assert verdict_of(tmp_path / "ahead.png", threshold=0.01).verdict == "fake"
    said = verdict_of(tmp_path / "aside.png", threshold=0.01)
    assert said.verdict == "inconclusive" and said.reasons[0].startswith("it is turned to a side (its nose lies ")
    assert said.settings["max_turn"] == 0.2
    assert verdict_of(tmp_path / "aside.png", threshold=0.01, max_turn=0.0).verdict == "fake"
    with pytest.raises(SettingError, match="max-turn"):
        InspectConfig(max_turn=-1.0)


def test_the_threshold_is_the_users(folder, box):
    detector = load_detector(box, "cpu")
    clip = folder / "b" / "clip.mp4"
    p_fake = verdict_of(clip, detector).p_fake
    assert p_fake is not None
    assert verdict_of(clip, detector, threshold=p_fake * 0.99).verdict == "fake"
    assert verdict_of(clip, detector, threshold=min(p_fake * 1.01, 1.0)).verdict != "fake"


def test_a_verdict_does_not_depend_on_what_else_is_inspected(folder, box):
    detector, clip = load_detector(box, "cpu"), folder / "b" / "clip.mp4"
    alone = verdict_of(clip, detector)
    among = list(inspect_files([folder / "c.png", clip, folder / "a.mp4"], detector, InspectConfig(workers=2)))
    assert among[1] == alone


def test_crops_can_be_cut_out_again(folder, box):
    """The crops behind a verdict are the very ones that were scored."""
    clip, seen = folder / "b" / "clip.mp4", list[SeenFace]()
    sample_faces(SampleJob(clip, 4, FACTS.crop), seen.append)
    said = verdict_of(clip, load_detector(box, "cpu"), frames=4)
    moments = [(face.track, face.frame) for face in seen]
    again = crops_again(clip, said, moments, FACTS.crop)
    assert len(moments) == 4 and all((again[one.track, one.frame] == one.crop).all() for one in seen)
    with pytest.raises(ValueError, match="without a face"):
        crops_again(clip, said, [(9, 9)], FACTS.crop)


def test_a_turned_crop_is_left_out_where_the_face_is_not_found_again(folder):
    """Neither a crash, nor another face in its place."""
    seen = list[SeenFace]()
    rule = replace(FACTS.crop, alignment="similarity")
    sample_faces(SampleJob(folder / "c.png", 1, rule), seen.append)
    found = FaceScore(0.0, 0.5, seen[0].face.box)
    elsewhere = FaceScore(0.0, 0.5, (0.0, 0.0, 20.0, 20.0))
    tracks = tuple(TrackScore(number, 0.5, 0.0, 0.0, (one,)) for number, one in enumerate((found, elsewhere)))
    said = FileVerdict("c.png", "", "picture", "inconclusive", 0.5, tracks, Model("tiny", "1", ""))
    again = crops_again(folder / "c.png", said, [(0, 0), (1, 0)], rule)
    assert set(again) == {(0, 0)} and (again[0, 0] == seen[0].crop).all()
    assert crops_again(folder / "d.PNG", said, [(0, 0), (1, 0)], rule) == {}


def dying() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-S", "-c", ""], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_a_reader_that_died_while_it_waited_fails_no_file(folder, monkeypatch):
    dead = dying()
    dead.wait()
    monkeypatch.setattr(readers_module, "_idle", [dead])
    with Readers([SampleJob(folder / "d.PNG", 1, FACTS.crop)], 1) as readers:
        *_, (_, last) = readers.answers()
    assert isinstance(last, Sample), last


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted in /proc")
def test_readers_that_die_leave_no_open_pipes(folder, monkeypatch):
    monkeypatch.setattr(readers_module, "_idle", [])
    monkeypatch.setattr(readers_module, "_started", dying)
    opened = Path("/proc/self/fd")
    before = len(list(opened.iterdir()))
    with Readers([SampleJob(folder / "d.PNG", 1, FACTS.crop)] * 5, 1) as readers:
        ends = [str(answer) for _, answer in readers.answers()]
        assert not readers._processes
    assert len(ends) == 5 and all("ended unexpectedly" in end for end in ends)
    assert len(list(opened.iterdir())) <= before


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 1)), max_size=40))
def test_progress_is_the_mean_of_what_was_looked_at_of_each_file(steps):
    told, most = [], dict.fromkeys(range(5), 0.0)
    with looking(5, False, told.append) as bar:
        for file, share in steps:
            bar.at(file, share)
            most[file] = max(most[file], share)
            assert told[-1] == pytest.approx(sum(most.values()) / 5) and told[-1] <= 1


def test_a_reader_that_dies_loses_its_own_file_only(folder):
    jobs = [SampleJob(folder / "b" / "clip.mp4", 4, FACTS.crop), SampleJob(folder / "c.png", 4, FACTS.crop)]
    ends, killed = {}, False
    with Readers(jobs, 1) as readers:
        for number, answer in readers.answers():
            if not killed:
                (process,) = readers._processes
                process.kill()
                killed = True
            if not isinstance(answer, SeenFace | tuple):
                ends[number] = answer
    assert set(ends) == {0, 1} and not isinstance(ends[1], Exception)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="processes cannot be stopped")
def test_a_reader_that_hangs_is_given_up_and_loses_its_own_file_only(folder):
    jobs = [SampleJob(folder / "b" / "clip.mp4", 6, FACTS.crop), SampleJob(folder / "c.png", 4, FACTS.crop)]
    ends, stopped = {}, None
    with Readers(jobs, 1, timeout=5) as readers:
        for number, answer in readers.answers():
            if stopped is None:
                (stopped,) = readers._processes
                stopped.send_signal(signal.SIGSTOP)
            if not isinstance(answer, SeenFace | tuple):
                ends[number] = answer
    assert str(ends[0]).startswith("no frame of it was read in 5 seconds")
    assert stopped is not None and stopped.poll() == -signal.SIGKILL
    assert isinstance(ends[1], Sample)


@pytest.mark.slow
def test_a_reader_may_wait_for_whoever_takes_its_answers(folder):
    jobs = [SampleJob(folder / "b" / "clip.mp4", 2, FACTS.crop)] * 40
    with Readers(jobs, 1, timeout=10) as readers:
        answers = readers.answers()
        first = next(answers)
        time.sleep(12)
        ends = [answer for _, answer in (first, *answers) if not isinstance(answer, SeenFace | tuple)]
    assert len(ends) == 40 and all(isinstance(one, Sample) for one in ends)


def test_readers_end_with_whoever_leaves_early(folder):
    jobs = [SampleJob(folder / "b" / "clip.mp4", 8, FACTS.crop)] * 4
    with Readers(jobs, 2) as readers:
        next(readers.answers())
        processes = set(readers._processes)
    assert processes and all(process.poll() is not None for process in processes)


def test_a_reader_that_is_done_serves_the_next(folder, box):
    detector = load_detector(box, "cpu")
    idle = list(readers_module._idle)
    first = verdict_of(folder / "c.png", detector, workers=1)
    then = list(readers_module._idle)
    assert then and len(then) >= len(idle)
    assert verdict_of(folder / "c.png", detector, workers=1) == first
    assert readers_module._idle == then and all(process.poll() is None for process in then)


def test_lines_of_json_go_on_where_a_killed_call_was(folder, box, tmp_path, capsys):
    out = tmp_path / "new" / "verdicts.jsonl"
    words = ("--detector", box, "--jsonl", out, "--frames", 4, "--device", "cpu")
    assert call(capsys, "inspect", folder / "c.png", *words)[0] == 0
    first = out.read_bytes()
    out.write_bytes(first + b'{"file": "half of a li')
    code, shown = call(capsys, "inspect", folder / "c.png", folder / "d.PNG", folder / "a.mp4", *words)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert code == 1 and out.read_bytes().startswith(first) and "1 files have verdicts" in shown.err
    assert sorted(Path(line["file"]).name for line in lines) == ["a.mp4", "c.png", "d.PNG"]
    code, _ = call(capsys, "inspect", folder / "c.png", *words, "--threshold", "0.9")
    assert code == 2
    for asked in (["--json"], ["--csv", tmp_path / "all.csv"], ["--report", tmp_path / "reports"]):
        code, shown = call(capsys, "inspect", folder / "c.png", *words, *asked)
        assert code == 2 and f"1 files have verdicts there already, and would be missing from {asked[0]}" in shown.err
    old = tmp_path / "of_before.jsonl"
    old.write_bytes(first.replace(b'"max_turn": 0.2, ', b""))
    assert old.read_bytes() != first
    assert call(capsys, "inspect", folder / "c.png", "--jsonl", old, *words[:2], *words[4:])[0] == 2
    code, shown = call(capsys, "inspect", folder / "c.png", "--jsonl", old, *words[:2], *words[4:], "--max-turn", 0)
    assert code == 0 and "1 files have verdicts" in shown.err
    (tmp_path / "other.txt").write_text("a letter\n")
    mine = tmp_path / "metadata.json"
    mine.write_text('{"abc.mp4": {"label": "FAKE"}}')  # one line without an end, as json.dump writes it
    code, shown = call(capsys, "inspect", folder / "c.png", *words[:2], "--jsonl", mine)
    assert code == 2 and "not a file of `dfgame inspect --jsonl`" in shown.err
    assert mine.read_text() == '{"abc.mp4": {"label": "FAKE"}}'
    code, shown = call(capsys, "inspect", folder / "c.png", *words[:2], "--jsonl", tmp_path / "other.txt")
    assert code == 2 and (tmp_path / "other.txt").read_text() == "a letter\n"


def test_a_file_that_changed_is_inspected_again(box, tmp_path, capsys):
    out, picture = tmp_path / "verdicts.jsonl", tmp_path / "face.png"
    for person in (3, 4, 4):
        write_png(picture, frame_of((orl_face(person), 40, 40)))
        code, shown = call(capsys, "inspect", picture, "--detector", box, "--jsonl", out)
        assert code == 0
    assert len(out.read_text().splitlines()) == 2 and "1 files have verdicts" in shown.err


def test_a_file_that_fails_again_is_tried_again_and_told_once(folder, box, tmp_path, capsys):
    out, clip = tmp_path / "verdicts.jsonl", tmp_path / "clip.mp4"
    whole = (folder / "b" / "clip.mp4").read_bytes()
    for content in (b"nothing", b"nothing", whole, b"nothing"):
        clip.write_bytes(content)
        code, shown = call(capsys, "inspect", clip, "--detector", box, "--jsonl", out)
        assert (code, "dfgame: " in shown.err) == ((0, False) if content == whole else (1, True))
    first, verdict, last = map(json.loads, out.read_text().splitlines())
    assert first == last and first["verdict"] is None and verdict["kind"] == "video"


def test_a_file_that_cannot_be_read_any_more_has_no_verdict(tmp_path, monkeypatch):
    clip, out = tmp_path / "clip.mp4", tmp_path / "verdicts.jsonl"
    clip.write_bytes(b"new")
    line = {"file": str(clip), "sha256": "b" * 64, "verdict": "real", "model": {"sha256": "a" * 64}, "settings": {}}
    out.write_text(json.dumps(line) + "\n\n")

    def unreadable(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("dfgame.inspection.written.sha256", unreadable)
    assert JsonLines(out, "a" * 64, {}).verdict_on(clip) is None


def test_a_verdict_on_what_a_file_was_does_not_count(tmp_path):
    """Nor one that a later line replaces."""
    clip, out = tmp_path / "clip.mp4", tmp_path / "verdicts.jsonl"
    clip.write_bytes(b"new")
    model = {"model": {"sha256": "a" * 64}, "settings": {}}
    said = [(b"old", "fake"), (b"new", "inconclusive"), (b"new", "real")]
    lines = [
        json.dumps({"file": str(clip), "sha256": hashlib.sha256(content).hexdigest(), "verdict": verdict} | model)
        for content, verdict in said
    ]
    out.write_text("\n".join(lines) + "\n")
    found = JsonLines(out, "a" * 64, {}).verdict_on(clip)
    assert found is not None and found["verdict"] == "real"
    clip.write_bytes(b"newer")
    assert JsonLines(out, "a" * 64, {}).verdict_on(clip) is None


def test_pipelines_may_fail_on_a_fake(folder, box, tmp_path, capsys):
    words = ("inspect", folder / "b", "--detector", box, "--threshold", "0.0001", "--device", "cpu")
    assert call(capsys, *words)[0] == 0
    assert call(capsys, *words, "--fail-on-fake")[0] == 3
    assert call(capsys, *words, "--fail-on-fake", "--jsonl", tmp_path / "a.jsonl")[0] == 3
    assert call(capsys, *words, "--fail-on-fake", "--jsonl", tmp_path / "a.jsonl")[0] == 3  # by what it says already
    assert call(capsys, "inspect", folder / "d.PNG", "--detector", box, "--fail-on-fake")[0] == 0


def test_tables(folder, box, tmp_path, capsys):
    out = tmp_path / "faces.csv"
    words = ("--detector", box, "--csv", out, "--device", "cpu", "--frames", 4)
    assert call(capsys, "inspect", folder / "b", folder / "d.PNG", *words, "--rows", "faces")[0] == 0
    head, *rows = out.read_text().splitlines()
    assert head.startswith("file,face,verdict,p_fake,low,high") and len(rows) == 1
    assert call(capsys, "inspect", folder / "b", *words)[0] == 2
    assert call(capsys, "inspect", folder / "a.mp4", *words, "--overwrite")[0] == 1
    assert "not a video" in out.read_text().splitlines()[1]
    assert call(capsys, "inspect", folder / "b", "--json", "--csv", "-", "--detector", box)[0] == 2


def test_names_do_nothing_to_a_terminal(box, tmp_path, capsys):
    path = tmp_path / "a\x1b[31mred\n.png"
    write_png(path, frame_of())
    code, shown = call(capsys, "inspect", path, "--detector", box)
    assert code == 0 and "\x1b[31mred" not in shown.out and "a\\x1b[31mred\\n.png: No face was found" in shown.out


def test_a_name_like_an_option_stays_a_name_in_the_command_of_a_report():
    assert command_of("-x.png", InspectConfig(), "r.html") == "dfgame inspect ./-x.png --report r.html"


def test_python(folder, box):
    assert callable(dfgame.inspect)
    detector = dfgame.load_detector(box, "cpu")
    said = dfgame.inspect(folder / "b" / "clip.mp4", detector, frames=4)
    assert isinstance(said, FileVerdict) and said.frames == 4 and len(said.tracks) == 1
    with pytest.raises(UserError, match="not a video"):
        dfgame.inspect(folder / "a.mp4", detector)
    many = list(dfgame.inspect_many([folder / "a.mp4", folder / "d.PNG"], detector))
    assert isinstance(many[0], Failure) and isinstance(many[1], FileVerdict) and len(many) == 2
    (one,) = dfgame.inspect_many(str(folder / "d.PNG"), detector)
    assert isinstance(one, FileVerdict) and one.file == str(folder / "d.PNG")
    assert said._repr_html_().startswith("<div")


def test_a_script_without_a_main_guard_may_inspect(folder, box, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(f"import dfgame\nprint(dfgame.inspect({str(folder / 'c.png')!r}, detector={str(box)!r}).kind)\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300)
    assert done.stdout == "picture\n", done.stderr
