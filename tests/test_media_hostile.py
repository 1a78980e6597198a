"""Hundreds of hostile files: each ends soon, in little memory, in frames or in one line that names it."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from dfgame.media import MediaError, count_frames
from dfgame.media.boxes import check_tables
from hostile import hostile_files

MOST_MEMORY = 2 << 30
SECONDS_A_FILE = 20
READER = """
import json, os, resource, signal, sys, time
from pathlib import Path
from dfgame.media import MediaError, count_frames, kind_of, media_facts, read_frames
from dfgame.media.guard import shown

def most_frames(path):
    for number, frame in enumerate(read_frames(path)):
        assert frame.image.ndim == 3
        if number > 100:
            break

opened = []
watched = ("socket.connect", "subprocess.Popen")
sys.addaudithook(lambda event, args: opened.append(str(args)) if event in watched else None)
for line in sys.stdin:
    path = Path(json.loads(line))
    signal.alarm(int(sys.argv[1]))
    said, began = {}, time.monotonic()
    for read in (kind_of, media_facts, count_frames, most_frames):
        try:
            value = read(path)
            said[read.__name__] = value if isinstance(value, str) else None
            if read is media_facts:
                said["tags"] = value.tags
        except MediaError as error:
            said[read.__name__] = "!" + error.problem
            assert error.problem.startswith(shown(path) + ": "), error.problem
            assert error.problem.isprintable(), error.problem
    said["seconds"] = time.monotonic() - began
    said["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    said["opened"] = opened
    print(json.dumps(said), flush=True)
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[Path]:
    return hostile_files(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def said(files) -> list[dict]:
    """What a process of its own says of each file; it dies of a file that crashes it or takes too long."""
    done = subprocess.run(
        [sys.executable, "-c", READER, str(SECONDS_A_FILE)],
        input="".join(json.dumps(str(path)) + "\n" for path in files),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    next_file = repr(files[len(answers)]) if len(answers) < len(files) else ""
    assert done.returncode == 0, f"ended with {done.returncode} at {next_file}: {done.stderr[-2000:]}"
    return answers


def test_there_are_more_than_300_and_the_same_again(files, tmp_path):
    assert len(files) > 300 and len(set(files)) == len(files)
    again = hostile_files(tmp_path / "again")
    for first, second in zip(files, again, strict=True):
        assert first.name == second.name
        if "\0" not in first.name and len(first.name) < 256 and first.is_file() and not first.is_symlink():
            assert first.read_bytes() == second.read_bytes(), first.name


def test_all_are_read_or_refused_in_little_memory(files, said):
    assert len(said) == len(files)
    most = max(range(len(said)), key=lambda place: said[place]["memory"])
    assert said[most]["memory"] < MOST_MEMORY, files[most]
    assert not said[-1]["opened"]


def test_those_that_could_do_harm_are_refused(files, said):
    by_name = {path.name: one for path, one in zip(files, said, strict=True)}
    refused = ["bomb-rgb.png", "bomb-grey.mp4", "archive.mp4", "gz.png", "scans.jpg", "sides.y4m", "file.m3u8"]
    refused += ["list.txt", "list.txt.mp4", "stream.sdp", "page.eps.jpg", "picture.svg", "folder.mp4", "pipe.mp4"]
    refused += ["loop.mp4", "device.jpg", "terminal.mp4", "none.jpg", "samples85000000.mp4", "runs2147483647.mp4"]
    refused += ["sides65535.gif", "sides65535.jpg", "edits20000000.mp4"]
    assert [name for name in refused if not (by_name[name]["most_frames"] or "").startswith("!")] == []


def test_tracks_of_plain_sound_are_no_harm(tmp_path):
    path = tmp_path / "master.mov"
    with av.open(str(path), "w") as container:
        tracks = [container.add_stream("pcm_s16le", rate=48_000, layout="mono") for _ in range(2)]
        for track in tracks:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 90 * 48_000), np.int16), format="s16", layout="mono")
            silence.rate = 48_000
            container.mux(track.encode(silence))
    with path.open("rb") as file:
        check_tables(file, path)


def test_those_that_are_only_misnamed_are_read(files, said):
    by_name = {path.name: one for path, one in zip(files, said, strict=True)}
    for name, kind in {"picture.mp4": "picture", "video.jpg": "video", "gif.png": "video", "-rf": "picture"}.items():
        assert by_name[name]["kind_of"] == kind and by_name[name]["most_frames"] is None, name


def test_tags_are_single_printable_lines(said):
    tags = [text for one in said for tag in one.get("tags", ()) for text in tag]
    assert any("<script>" in text for text in tags), "the test has lost its HTML"
    assert all(len(text) <= 200 and text.isprintable() for text in tags)


def test_a_file_of_empty_boxes_is_not_looked_through_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr("dfgame.media.boxes.MOST_BOXES", 1_000)
    path = tmp_path / "boxes.mp4"
    for count, refused in ((999, False), (1_001, True)):
        path.write_bytes(b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\x08free" * count)
        with pytest.raises(MediaError) as error:
            count_frames(path)
        assert ("more than 1,000 boxes" in error.value.problem) == refused
