"""`dfgame forge` as a user calls it: what it prints, its exit codes, and Ctrl-C."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from conftest import orl_face

QUICK = ("--frames", "2", "--size", "96", "--methods", "FaceSwap", "--compressions", "c40", "--workers", "1")


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    folder = tmp_path / "faces"
    folder.mkdir()
    for person in range(1, 5):
        Image.fromarray(orl_face(person, scale=1)).save(folder / f"s{person}_1.png")
    return folder


def command(faces: Path, out: Path, *flags: str) -> list[str]:
    return [sys.executable, "-m", "dfgame", "forge", str(faces), str(out), *flags]


def run(faces: Path, out: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(faces, out, *flags), capture_output=True, text=True, timeout=120)


def test_summary_on_stdout_failures_on_stderr(faces, tmp_path):
    (faces / "note_1.jpg").write_text("text")
    done = run(faces, tmp_path / "out", *QUICK)
    assert done.returncode == 1, done.stderr
    assert "4 people (2 train, 0 val, 2 test), 8 clips" in done.stdout
    assert "FaceSwap" in done.stdout
    assert "note_1.jpg: not a picture" in done.stderr
    assert "note_1.jpg" not in done.stdout


def test_one_line_what_is_wrong_and_one_what_to_do(tmp_path):
    done = run(tmp_path / "nowhere", tmp_path / "out")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 2
    assert "nowhere: no such folder" in done.stderr


def test_ctrl_c_leaves_nothing_half_written_and_the_next_call_goes_on(faces, tmp_path):
    out = tmp_path / "out"
    flags = ("--frames", "60", "--size", "160", "--methods", "FaceSwap", "--compressions", "c23", "--workers", "2")
    process = subprocess.Popen(command(faces, out, *flags))
    deadline = time.monotonic() + 90
    while not list(out.rglob("[!.]*.mp4")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    assert not list(out.rglob(".*.tmp*"))
    finished = {path: path.stat().st_mtime_ns for path in out.rglob("[!.]*.mp4")}
    assert 0 < len(finished) < 12
    assert run(faces, out, *flags).returncode == 0
    assert len(list(out.rglob("*.mp4"))) == 12
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in finished.items())
