"""A whole data set is found whole; broken in one way, it is found broken in that way and in no other."""

import io
import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import dfgame.doctor
from conftest import CLIP_FRAMES, frame_of, moving, orl_face, remuxed
from dfgame import __version__
from dfgame.cli import main
from dfgame.config import DoctorConfig
from dfgame.datasets import find_data
from dfgame.datasets.faceforensics import FACEFORENSICS, OFFICIAL
from dfgame.doctor import Report, examine
from dfgame.doctor.findings import KINDS
from dfgame.doctor.likeness import BITS, NEAR, distances, frame_hash, nearest, unpacked
from dfgame.doctor.probe import Probe, ProbeJob, probe
from dfgame.doctor.shape import STEP
from dfgame.doctor.x264 import constant_rate_factor, x264_options
from dfgame.media import RgbImage, read_frames, write_video
from dfgame.records import SPLITS

REAL = "original_sequences/youtube/{}/videos/{}.mp4"
FAKE = "manipulated_sequences/FaceSwap/{}/videos/{}.mp4"
DEEPFAKE = "manipulated_sequences/Deepfakes/{}/videos/{}.mp4"
MASK = "manipulated_sequences/FaceSwap/masks/videos/{}.mp4"
PEOPLE = (("000", "001"), ("002", "003"), ("004", "005"))

Expected = dict[str, set[str]]
"""Paths by the kind of what is wrong with them."""


def shade(frames: int = CLIP_FRAMES) -> Iterator[RgbImage]:
    return (np.full((288, 288, 3), 255, np.uint8) for _ in range(frames))


@pytest.fixture(scope="session")
def whole(mini_ff: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature tree with masks, known as a miniature so that no official number applies."""
    root = tmp_path_factory.mktemp("doctor") / "whole"
    shutil.copytree(mini_ff, root)
    (root / "people.json").write_text("[]")
    for pair in PEOPLE:
        for a, b in (pair, pair[::-1]):
            write_video(root / MASK.format(f"{a}_{b}"), shade(), fps=25, crf=23)
    return root


@pytest.fixture
def tree(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to be broken."""
    return shutil.copytree(whole, tmp_path / "tree")


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run here, one after the other: starting workers takes longer than the work."""

    def run_jobs(function, jobs, workers, what):
        for job in jobs:
            yield job, function(job)

    monkeypatch.setattr(dfgame.doctor, "run_jobs", run_jobs)


def wrong(report: Report) -> Expected:
    """What is above a note."""
    return {finding.kind: set(finding.files) for finding in report.findings if finding.severity != "note"}


def notes(report: Report) -> Expected:
    return {finding.kind: set(finding.files) for finding in report.findings if finding.severity == "note"}


def frames_of(path: Path) -> list[RgbImage]:
    return [frame.image for frame in read_frames(path)]


def scaled(images: list[RgbImage], width: int, height: int) -> list[RgbImage]:
    return [np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8) for image in images]


def empty(root: Path) -> Expected:
    path = FAKE.format("c23", "000_001")
    (root / path).write_bytes(b"")
    return {"empty": {path}}


def garbage(root: Path) -> Expected:
    path = FAKE.format("c23", "000_001")
    (root / path).write_bytes(b"no video " * 500)
    return {"undecodable": {path}}


def cut_without_index(root: Path) -> Expected:
    path = FAKE.format("c40", "000_001")
    (root / path).write_bytes((root / path).read_bytes()[:3000])
    return {"truncated": {path}}


def cut_behind_index(root: Path) -> Expected:
    """The index at the front, as from the web: such a file opens, and its first frames decode."""
    path = root / FAKE.format("c23", "000_001")
    remuxed(path, path.with_suffix(".fast.mp4"), movflags="faststart")
    content = path.with_suffix(".fast.mp4").read_bytes()
    path.with_suffix(".fast.mp4").unlink()
    path.write_bytes(content[:-200])
    return {"truncated": {FAKE.format("c23", "000_001")}}


def broken_key_frame(root: Path) -> Expected:
    path = root / REAL.format("c23", "000")
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat")
    content[start + 4 : -2000] = bytes(len(content) - 2000 - start - 4)
    path.write_bytes(content)
    return {"undecodable": {REAL.format("c23", "000")}}


def unknown_codec(root: Path) -> Expected:
    path = REAL.format("c23", "000")
    content = (root / path).read_bytes()
    place = content.rindex(b"avc1")
    (root / path).write_bytes(content[:place] + b"zzzz" + content[place + 4 :])
    return {"undecodable": {path}}


def mask_cut(root: Path) -> Expected:
    path = MASK.format("000_001")
    (root / path).write_bytes((root / path).read_bytes()[:1500])
    return {"truncated": {path}}


def without_fake(root: Path) -> Expected:
    path = FAKE.format("c23", "000_001")
    (root / path).unlink()
    return {"missing": {path}}


def without_real(root: Path) -> Expected:
    path = REAL.format("c23", "000")
    (root / path).unlink()
    return {
        "missing": {path},
        "target-missing": {FAKE.format("c23", "000_001"), DEEPFAKE.format("c23", "000_001")},
    }


def without_person(root: Path) -> Expected:
    reals = {REAL.format(quality, "000") for quality in ("c23", "c40")}
    for path in reals:
        (root / path).unlink()
    fakes = [one.format(quality, "{}") for one in (FAKE, DEEPFAKE) for quality in ("c23", "c40")]
    return {
        "missing": reals,
        "target-missing": {path.format("000_001") for path in fakes},
        "source-missing": {path.format("001_000") for path in fakes},
    }


def without_mask(root: Path) -> Expected:
    (root / MASK.format("002_003")).unlink()
    return {"mask-missing": {FAKE.format("c23", "002_003")}}


def longer_mask(root: Path) -> Expected:
    path = MASK.format("002_003")
    write_video(root / path, shade(CLIP_FRAMES + 2), fps=25, crf=23)
    return {"mask-length": {path}}


def source_of_another_split(root: Path) -> Expected:
    """A fake of a source who is in val; the lists say nothing of it."""
    path = FAKE.format("c23", "000_002")
    write_video(root / path, list(moving(3, photograph=5)), fps=25, crf=23)
    write_video(root / MASK.format("000_002"), shade(), fps=25, crf=23)
    return {"identities": {path}}


def copied_across_splits(root: Path) -> Expected:
    path = REAL.format("c23", "004")
    shutil.copy(root / REAL.format("c23", "000"), root / path)
    return {"split-copies": {path}}


def real_as_fake(root: Path) -> Expected:
    shutil.copy(root / REAL.format("c23", "000"), root / FAKE.format("c23", "000_001"))
    return {"split-copies": {REAL.format("c23", "000")}}


def copied_within_split(root: Path) -> Expected:
    shutil.copy(root / FAKE.format("c23", "000_001"), root / DEEPFAKE.format("c23", "000_001"))
    return {"copies": {FAKE.format("c23", "000_001")}}


def encoded_again_across_splits(root: Path) -> Expected:
    path = REAL.format("c23", "005")
    write_video(root / path, frames_of(root / REAL.format("c40", "000")), fps=25, crf=23)
    return {"near-copies": {path}}


def shifted_across_splits(root: Path) -> Expected:
    path = REAL.format("c23", "002")
    write_video(root / path, list(moving(1, CLIP_FRAMES + 1))[1:], fps=25, crf=23)
    return {"near-copies": {path}}


def scaled_across_splits(root: Path) -> Expected:
    path = REAL.format("c23", "005")
    write_video(root / path, scaled(frames_of(root / REAL.format("c23", "000")), 200, 200), fps=25, crf=23)
    return {
        "near-copies": {path},
        "resolution": {FAKE.format("c23", "005_004"), DEEPFAKE.format("c23", "005_004")},
    }


def c40_that_is_not(root: Path) -> Expected:
    path = FAKE.format("c40", "004_005")
    write_video(root / path, frames_of(root / FAKE.format("c23", "004_005")), fps=25, crf=25)
    return {"quality": {path}}


def c23_that_is_worse(root: Path) -> Expected:
    path = REAL.format("c23", "004")
    write_video(root / path, frames_of(root / path), fps=25, crf=35)
    return {"quality": {path}}


def c23_that_is_lossless(root: Path) -> Expected:
    path = FAKE.format("c23", "004_005")
    write_video(root / path, frames_of(root / FAKE.format("c23", "004_005")), fps=25, crf=0)
    return {"quality": {path}}


def raw_that_is_not(root: Path) -> Expected:
    for name in ("000", "001", "002", "003", "004", "005"):
        images = frames_of(root / REAL.format("c23", name))
        write_video(root / REAL.format("raw", name), images, fps=25, crf=30 if name == "003" else 0)
    return {"quality": {REAL.format("raw", "003")}}


def smaller_fake(root: Path) -> Expected:
    path = FAKE.format("c23", "000_001")
    write_video(root / path, scaled(frames_of(root / path), 144, 144), fps=25, crf=23)
    return {"resolution": {path}}


def tiny_fake(root: Path) -> Expected:
    return {"tiny": smaller(root, 48), "resolution": {FAKE.format("c23", "000_001")}}


def smaller(root: Path, side: int) -> set[str]:
    path = FAKE.format("c23", "000_001")
    write_video(root / path, scaled(frames_of(root / path), side, side), fps=25, crf=23)
    return {path}


def faster_fake(root: Path) -> Expected:
    path = FAKE.format("c23", "000_001")
    write_video(root / path, frames_of(root / path), fps=30, crf=23)
    return {"rate": {path}}


def racing_clip(root: Path) -> Expected:
    paths = {one.format("c23", name) for one, name in ((FAKE, "000_001"), (DEEPFAKE, "000_001"), (REAL, "000"))}
    for path in paths:
        write_video(root / path, frames_of(root / path), fps=240, crf=23)
    return {"odd-rate": paths}


def longer_fake(root: Path) -> Expected:
    path = FAKE.format("c23", "000_001")
    write_video(root / path, list(moving(2, CLIP_FRAMES + 1, photograph=3)), fps=25, crf=23)
    return {"longer": {path}, "mask-length": {MASK.format("000_001")}}


BREAKAGES = (
    empty,
    garbage,
    cut_without_index,
    cut_behind_index,
    broken_key_frame,
    unknown_codec,
    mask_cut,
    without_fake,
    without_real,
    without_person,
    without_mask,
    longer_mask,
    source_of_another_split,
    copied_across_splits,
    real_as_fake,
    copied_within_split,
    encoded_again_across_splits,
    shifted_across_splits,
    scaled_across_splits,
    c40_that_is_not,
    c23_that_is_worse,
    c23_that_is_lossless,
    raw_that_is_not,
    smaller_fake,
    tiny_fake,
    faster_fake,
    racing_clip,
    longer_fake,
)


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("deep", [False, True])
def test_nothing_is_wrong_with_a_whole_tree(whole, deep):
    report = examine(whole, DoctorConfig(deep=deep))
    assert wrong(report) == {} and not report.is_wrong
    assert notes(report).keys() == {"few-frames"}
    assert all(seen.frames == CLIP_FRAMES and seen.crf in (23, 40) for seen in report.probes.values())


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda one: one.__name__)
def test_what_is_broken_is_found_and_nothing_else(breakage: Callable[[Path], Expected], tree):
    expected = breakage(tree)
    report = examine(tree, DoctorConfig())
    assert wrong(report) == expected
    assert report.is_wrong


@pytest.mark.usefixtures("in_process")
def test_several_things_at_once(tree):
    several = (without_mask, c40_that_is_not, copied_across_splits, garbage)
    expected = {kind: paths for breakage in several for kind, paths in breakage(tree).items()}
    report = examine(tree, DoctorConfig())
    assert wrong(report) == expected
    assert [finding.kind for finding in report.findings if finding.severity == "error"] == [
        "undecodable",
        "split-copies",
        "quality",
    ]


@pytest.mark.usefixtures("in_process")
def test_a_frame_that_is_broken_between_key_frames_needs_deep(tree):
    path = REAL.format("c23", "000")
    content = bytearray((tree / path).read_bytes())
    with av.open(str(tree / path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size and packet.pos]
    position, size = packets[3]
    content[position + 8 : position + size] = os.urandom(size - 8)
    (tree / path).write_bytes(content)
    assert wrong(examine(tree, DoctorConfig())) == {}
    assert wrong(examine(tree, DoctorConfig(deep=True))) == {"undecodable": {path}}


def test_fewer_frames_than_declared_need_deep(tmp_path):
    """The last frame of a VP8 video, marked as not to be shown: its index is whole, its frames are not."""
    path = tmp_path / "clip.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=25, options={"auto-alt-ref": "0"})
        stream.width = stream.height = 288
        for image in moving(1):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode())
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        last = [bytes(packet) for packet in container.demux(video=0) if packet.size][-1]
    content[content.index(last)] &= ~0x10
    path.write_bytes(content)
    assert not probe(ProbeJob("clip", path)).damage
    seen = probe(ProbeJob("clip", path, deep=True))
    assert seen.damage == "truncated"
    assert seen.reason == f"{CLIP_FRAMES - 1} of {CLIP_FRAMES} frames can be decoded"


def test_letters_that_are_no_text_are_no_damage(mini_ff, tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes((mini_ff / REAL.format("c23", "000")).read_bytes().replace(b"VideoHandler", b"Vid\xe9oHandler"))
    seen = probe(ProbeJob("clip", path))
    assert (seen.damage, seen.frames) == ("", CLIP_FRAMES)


@pytest.mark.parametrize("deep", [False, True])
def test_frames_that_an_edit_list_hides_are_not_lost(deep, mini_ff, tmp_path):
    path = tmp_path / "trimmed.mp4"
    remuxed(mini_ff / REAL.format("c23", "000"), path, hidden=3)
    seen = probe(ProbeJob("trimmed", path, deep=deep))
    assert not seen.damage and seen.frames == CLIP_FRAMES - 3


def test_a_picture_that_moves_is_a_video_and_a_video_one_whatever_its_name(mini_ff, tmp_path):
    pictures = [Image.fromarray(frame) for frame in moving(1, frames=3)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=40)
    shutil.copy(mini_ff / REAL.format("c23", "000"), tmp_path / "b.jpg")
    seen = [probe(ProbeJob(name, tmp_path / name)) for name in ("a.gif", "b.jpg")]
    assert [(one.damage, one.medium, one.frames) for one in seen] == [("", "video", 3), ("", "video", CLIP_FRAMES)]


@pytest.mark.parametrize("deep", [False, True])
def test_a_transport_stream_is_seen_from_its_first_frame(deep, tmp_path):
    """Its frames are stored before they are shown: there is none before its start but the first."""
    path, stream = tmp_path / "clip.mp4", tmp_path / "clip.ts"
    write_video(path, moving(1), fps=25, crf=23)
    remuxed(path, stream)
    seen = probe(ProbeJob("clip", stream, deep=deep))
    assert not seen.damage and (not deep or seen.frames == CLIP_FRAMES)


@pytest.mark.parametrize("suffix", ["mkv", "avi", "mov"])
def test_other_containers_are_found_cut_short(suffix, tmp_path):
    path = tmp_path / f"clip.{suffix}"
    write_video(path, [image for _ in range(13) for image in moving(1)], fps=25, crf=23)
    seen = probe(ProbeJob("clip", path))
    assert (seen.damage, seen.width, seen.crf) == ("", 288, 23)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    end = (packets[40].pos or 0) + packets[40].size
    for length in (end, path.stat().st_size // 3):
        path.write_bytes(path.read_bytes()[:length])
        assert probe(ProbeJob("clip", path)).damage == "truncated"


def test_a_list_of_other_files_is_no_video(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", [frame_of()] * 5, fps=25, crf=23)
    (tmp_path / "list.mp4").write_text(f"ffconcat version 1.0\nfile '{tmp_path / 'clip.mp4'}'\n")
    assert not probe(ProbeJob("clip", tmp_path / "clip.mp4")).damage
    assert probe(ProbeJob("list", tmp_path / "list.mp4")).damage == "undecodable"


@pytest.mark.usefixtures("in_process")
def test_without_the_encoders_word_the_sizes_of_the_qualities_are_compared(tree):
    names = ("000_001", "002_003", "004_005")
    for name in names:
        for quality in ("c23", "c40"):
            path = tree / FAKE.format(quality, name)
            images = frames_of(tree / FAKE.format("c23", name))
            write_video(path, images, fps=25, crf=23 if quality == "c23" or name == "002_003" else 40)
            path.write_bytes(path.read_bytes().replace(b"x264 - core", b"xxxx - core"))
    for quality, crf in (("c23", 23), ("c40", 40)):
        write_video(tree / FAKE.format(quality, "001_000"), shade(), fps=25, crf=crf)
    report = examine(tree, DoctorConfig())
    still = [report.probes[FAKE.format(quality, "001_000")].bits_per_pixel or 0 for quality in ("c23", "c40")]
    assert still[0] < STEP * still[1], "a clip that shows nothing is of one size at every quality"
    assert "quality" not in wrong(report)
    assert wrong(report)["quality-order"] == {FAKE.format("c40", "002_003")}
    bits = [report.probes[FAKE.format(quality, "000_001")].bits_per_pixel or 0 for quality in ("c23", "c40")]
    assert bits[0] > STEP * bits[1]


@pytest.mark.usefixtures("in_process")
def test_notes_alone_are_no_error(tree, capsys):
    path = FAKE.format("c23", "000_001")
    write_video(tree / path, list(moving(2, CLIP_FRAMES - 1, photograph=3)), fps=25, crf=23)
    shutil.rmtree(tree / "manipulated_sequences/FaceSwap/masks")
    shutil.rmtree(tree / "manipulated_sequences/Deepfakes/c40")
    with pytest.raises(SystemExit) as exit_:
        main(["doctor", str(tree), "--workers", "1"])
    assert exit_.value.code == 0
    shown = capsys.readouterr().out
    assert "shorter" in shown and path in shown
    assert "mini FaceForensics++ Deepfakes  (at c40)" in shown
    assert "3 notes (headers" in shown
    assert shown.count(f"({CLIP_FRAMES} frames)") == 1, "of a note, one path"


@pytest.mark.usefixtures("in_process")
def test_one_unlike_all_others_stands_out(tmp_path):
    for number in range(24):
        side, fps = (96, 25) if number != 5 else (128, 30)
        label = "real" if number % 2 else "fake"
        images = scaled(list(moving(number + 1, 2)), side, side)
        write_video(tmp_path / label / f"{number}.mp4", images, fps=fps, crf=23)
    report = examine(tmp_path, DoctorConfig())
    assert wrong(report) == {} and notes(report)["stands-out"] == {"real/5.mp4"}
    for number in range(0, 24, 4):
        write_video(tmp_path / f"fake/{number}.mp4", scaled(list(moving(number + 1, 2)), 128, 128), fps=30, crf=23)
    assert "stands-out" not in notes(examine(tmp_path, DoctorConfig()))


def turned(path: Path) -> None:
    """Have a player turn it by a quarter: its track's matrix is 40 bytes into the header of the track."""
    content = bytearray(path.read_bytes())
    upright, quarter = ((1 << 16, 0, 0, 0, 1 << 16), (0, 1 << 16, 0, -1 << 16, 0))
    place = content.index(b"tkhd") + 4 + 40
    assert struct.unpack(">5i", content[place : place + 20]) == upright
    content[place : place + 20] = struct.pack(">5i", *quarter)
    path.write_bytes(content)


@pytest.mark.usefixtures("in_process")
def test_a_turned_video_is_a_note(tree):
    turned(tree / REAL.format("c23", "000"))
    report = examine(tree, DoctorConfig())
    assert notes(report)["rotated"] == {REAL.format("c23", "000")}
    wide = tree / "wide.mp4"
    write_video(wide, scaled(list(moving(1)), 160, 96), fps=25, crf=23)
    turned(wide)
    seen = probe(ProbeJob("wide", wide))
    assert (seen.width, seen.height, seen.rotation) == (96, 160, 90)


@pytest.mark.usefixtures("in_process")
def test_counts_beside_the_official_ones(tree, capsys):
    (tree / "people.json").unlink()
    report = examine(tree, DoctorConfig())
    assert wrong(report).keys() == {"counts"}
    assert "FaceForensics++ original c23" in wrong(report)["counts"]
    original = report.counts[0]
    assert (original.method, original.compression) == ("original", "c23")
    assert original.there == {"train": 2, "val": 2, "test": 2, None: 6}
    assert original.official == {"train": 720, "val": 140, "test": 140, None: 1000}
    with pytest.raises(SystemExit):
        main(["doctor", str(tree), "--workers", "1"])
    assert "2 of 720" in capsys.readouterr().out
    assert {"FaceForensics++ Face2Face", "FaceForensics++ NeuralTextures"} <= notes(report)["absent"]


@pytest.mark.usefixtures("in_process")
def test_a_count_is_not_told_twice_where_the_missing_files_explain_it(tree, monkeypatch):
    methods = ("original", "Deepfakes", "FaceSwap")
    official = {(method, split): 2 for method in methods for split in SPLITS}
    monkeypatch.setitem(OFFICIAL, FACEFORENSICS, official)
    (tree / "people.json").unlink()
    assert wrong(examine(tree, DoctorConfig())) == {}
    expected = without_fake(tree)
    assert wrong(examine(tree, DoctorConfig())) == expected
    official["FaceSwap", "val"] = 3
    report = examine(tree, DoctorConfig())
    assert wrong(report) == expected | {
        "counts": {f"FaceForensics++ FaceSwap {quality}" for quality in ("c23", "c40")}
    }
    official |= {("FaceSwap", "val"): 2, ("Deepfakes", "val"): 3, ("Deepfakes", "test"): 1}
    report = examine(tree, DoctorConfig())
    assert wrong(report) == expected
    assert notes(report)["splits"] == {f"FaceForensics++ Deepfakes {quality}" for quality in ("c23", "c40")}


@pytest.mark.usefixtures("in_process")
def test_labels_turned_round(whole, monkeypatch):
    line = "list.csv: real.mp4 is labelled fake"

    def turned(*arguments):
        return replace(find_data(*arguments), turned=[line])

    monkeypatch.setattr(dfgame.doctor, "find_data", turned)
    assert wrong(examine(whole, DoctorConfig())) == {"labels": {line}}


@pytest.mark.usefixtures("in_process")
def test_people_and_pictures_of_a_folder(tmp_path):
    """anna is in two splits; a picture is empty, one is tiny, one is of another person and the same."""
    for place, person in (
        ("train/real/anna/1", 1),
        ("train/fake/ben/1", 3),
        ("val/fake/c/1", 4),
    ):
        write_picture(tmp_path / f"{place}.png", orl_face(person))
    write_picture(tmp_path / "train/fake/ben/tiny.png", orl_face(5, scale=0.5))
    write_picture(tmp_path / "val/real/anna/2.jpg", orl_face(1, scale=2.2))
    write_picture(tmp_path / "val/fake/c/large.jpg", orl_face(3, scale=2.2))
    (tmp_path / "val/fake/c/empty.png").touch()
    assert wrong(examine(tmp_path, DoctorConfig())) == {
        "identities": {"val/real/anna/2.jpg"},
        "empty": {"val/fake/c/empty.png"},
        "tiny": {"train/fake/ben/tiny.png"},
        "near-copies": {"val/fake/c/large.jpg"},
    }


def write_picture(path: Path, image: RgbImage) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def test_folders_of_crops(tmp_path):
    folder = tmp_path / "crops"
    for number in range(7):
        write_picture(folder / f"{number}.png", orl_face(1, 1 + number))
    seen = probe(ProbeJob("crops", folder))
    assert (seen.damage, seen.frames, seen.width, seen.height, seen.sizes) == ("", 7, 184, 224, 1)
    assert len(seen.hashes) == 3 and not seen.bad
    (folder / "0.png").write_bytes(b"")
    (folder / "2.png").write_bytes(b"no picture")
    (folder / "6.png").write_bytes(b"no picture")
    write_picture(folder / "5.png", orl_face(1, 6, scale=1))
    assert probe(ProbeJob("crops", folder)).bad.keys() == {"0.png", "6.png"}
    seen = probe(ProbeJob("crops", folder, deep=True))
    assert {name: kind for name, (kind, _) in seen.bad.items()} == {
        "0.png": "empty",
        "2.png": "undecodable",
        "6.png": "undecodable",
    }
    assert seen.sizes == 2
    assert probe(ProbeJob("crops", folder, crops=("1.png", "x.png"))).bad == {
        "x.png": ("missing", "not in the folder")
    }
    shutil.rmtree(folder)
    folder.mkdir()
    assert probe(ProbeJob("crops", folder)).damage == "no-pictures"


def crash(job: ProbeJob) -> Probe:
    """Ends its process at one video; at module level, for workers to find it."""
    if job.path == REAL.format("c40", "003"):
        os._exit(7)
    return probe(job)


def test_a_video_that_crashes_the_decoder_is_a_finding(tree, monkeypatch):
    monkeypatch.setattr(dfgame.doctor, "probe", crash)
    report = examine(tree, DoctorConfig(workers=2))
    assert wrong(report) == {"crashed": {REAL.format("c40", "003")}}


def test_the_command(tree, tmp_path):
    path = copied_across_splits(tree)["split-copies"].pop()
    (tree / FAKE.format("c23", "000_001")).rename(tree / FAKE.format("c23", "000_001[b]"))
    command = [
        sys.executable,
        "-m",
        "dfgame",
        "doctor",
        str(tree),
        "--json",
        str(tmp_path / "all.json"),
        "--shown",
        "1",
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1, ended.stderr
    assert path in ended.stdout and "000_001[b].mp4" in ended.stdout
    found = json.loads((tmp_path / "all.json").read_text())
    assert (found["schema"], found["dfgame"], found["wrong"]) == (1, __version__, True)
    assert found["settings"]["shown"] == 1 and found["layout"] == "faceforensics"
    copies = next(one for one in found["findings"] if one["kind"] == "split-copies")
    assert (copies["severity"], copies["count"]) == ("error", 1)
    told = f"same bytes as {REAL.format('c23', '000')}, real in test and real in train"
    assert copies["files"] == [{"path": path, "detail": told}]
    assert copies["remedy"] == KINDS["split-copies"][1]
    assert {"path", "frames", "crf", "hashes"} <= found["files"][0].keys()
    assert {"dataset": "mini FaceForensics++", "method": "original"}.items() <= found["counts"][0].items()


@pytest.mark.usefixtures("in_process")
def test_the_number_of_paths_shown(tree, capsys):
    for name in ("000_001", "001_000", "002_003"):
        (tree / FAKE.format("c23", name)).write_bytes(b"")
    with pytest.raises(SystemExit) as exit_:
        main(["doctor", str(tree), "--shown", "2"])
    shown = capsys.readouterr().out
    assert exit_.value.code == 1
    assert "error         3  empty" in shown and "and 1 more" in shown
    assert FAKE.format("c23", "001_000") in shown and FAKE.format("c23", "002_003") not in shown


def grey(image: RgbImage) -> np.ndarray:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def hash_of(image: RgbImage) -> bytes:
    code = frame_hash(grey(image))
    assert code is not None
    return code


def test_no_two_of_forty_people_are_near_and_copies_of_each_are():
    frames = [frame_of((orl_face(person), 30, 30)) for person in range(1, 41)]
    strangers = unpacked([[hash_of(frame)] for frame in frames])
    apart = distances(strangers, strangers)
    assert apart[np.triu_indices(40, 1)].min() > NEAR + 10
    assert not nearest(strangers, np.arange(40), [])
    copies = [np.asarray(Image.open(squeezed(frame)).resize((200, 140))) for frame in frames]
    near = distances(strangers, unpacked([[hash_of(np.asarray(copy, np.uint8))] for copy in copies]))
    assert near.diagonal().max() < NEAR / 2


def squeezed(image: RgbImage) -> io.BytesIO:
    """As a small JPEG of poor quality."""
    file = io.BytesIO()
    Image.fromarray(image).resize((150, 150)).save(file, "JPEG", quality=30)
    return file


def test_a_frame_that_shows_nothing_has_no_hash():
    assert frame_hash(np.zeros((100, 100), np.uint8)) is None


codes = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=3)


@given(st.lists(codes, min_size=1, max_size=4))
def test_distances_are_those_of_a_plain_count(clips):
    def plain(one: bytes, other: bytes) -> int:
        return sum(bin(a ^ b).count("1") for a, b in zip(one[:-1], other[:-1], strict=True)) + bin(
            (one[-1] ^ other[-1]) >> 1
        ).count("1")

    hashes = unpacked(clips)
    frames = max(map(len, clips))
    found = distances(hashes, hashes)
    for i, one in enumerate(clips):
        for j, other in enumerate(clips):
            repeated = [[clip[n % len(clip)] for n in range(frames)] for clip in (one, other)]
            there, back = (
                np.mean([min(plain(a, b) for b in theirs) for a in mine])
                for mine, theirs in (repeated, repeated[::-1])
            )
            assert found[i, j] == pytest.approx(min(there, back))
    assert (found >= 0).all() and (found <= BITS).all() and not found.diagonal().any()
    assert np.allclose(found, found.T)


def test_related_clips_and_those_of_one_group_are_not_compared():
    same = unpacked([[bytes(32)]] * 4)
    group = np.array([0, 0, 1, 1])
    assert nearest(same, group, []) == [(2, 0, 0), (3, 0, 0)]
    people = np.array([[0, -1], [1, -1], [0, 1], [2, 0]])
    assert nearest(same, group, [people]) == [(3, 1, 0)]
    assert nearest(same, np.zeros(4, np.int64), []) == []


@given(
    st.binary(max_size=300), st.sampled_from([b"", b"x264 - core 165 - options: ", b"x264 - core - options: rc=crf "])
)
def test_wild_bytes_never_raise(tail, head):
    assert isinstance(x264_options(head + tail), dict)
    told = constant_rate_factor(head + tail)
    assert told is None or 0 <= told < 100


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (b"rc=crf mbtree=0 crf=23.0 qcomp=0.60", 23),
        (b"rc=crf crf=40 qp=3", 40),
        (b"rc=cqp mbtree=0 qp=0", 0),
        (b"rc=abr bitrate=500 crf=3", None),
        (b"rc=crf crf=x", None),
        (b"rc=crf crf=..", None),
        (b"cabac=1", None),
    ],
)
def test_what_the_encoder_says(options, told):
    packet = b"\0\0\2\x9e\6\5x264 - core 165 - H.264/MPEG-4 AVC codec - options: " + options + b"\0\x80\0\0"
    assert constant_rate_factor(packet) == told
