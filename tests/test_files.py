"""Files are written whole or not at all, whatever the writer makes of a full disk."""

import errno
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dfgame.files import atomic_path, held_folder, read_json, sha256, versions, writable_folder, write_json, write_text
from dfgame.records import UserError


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"kept": True})
    with pytest.raises(ValueError, match="Out of range float"):
        write_json(path, float("nan"))
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("in the middle")
    assert read_json(path) == {"kept": True}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_every_writers_word_for_a_full_disk_becomes_one(tmp_path):
    for error in (OSError(errno.ENOSPC, "x"), RuntimeError("I/O error: No space left on device")):
        with pytest.raises(OSError) as caught, atomic_path(tmp_path / "a.bin"):
            raise error
        assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(tmp_path / "a.bin")


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc which file is synced")
def test_bytes_are_on_the_disk_before_they_get_their_name(tmp_path, monkeypatch):
    path, seen = tmp_path / "a.txt", []

    def fsync(descriptor):
        seen.append((str(Path(f"/proc/self/fd/{descriptor}").readlink()), path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    write_text(path, "text")
    assert seen == [(str(tmp_path / f".a.{os.getpid()}.tmp.txt"), False), (str(tmp_path), True)]


def test_a_folder_that_cannot_be_synced_is_no_failure(tmp_path, monkeypatch):
    def no_open(*_):
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(os, "open", no_open)
    write_text(tmp_path / "a.txt", "text")
    assert (tmp_path / "a.txt").read_text() == "text"


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path):
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    stale = f".a[1].{ended.pid}.tmp.json"
    others = {
        f".a[1].{os.getppid()}.tmp.json": "of a live process",
        f".a[1].b.{ended.pid}.tmp.json": "of another file",
        f".b.{ended.pid}.tmp.json": "of another file",
        f".a[1].{ended.pid}.tmp.csv": "of another file",
        f".a[1].{10**30}.tmp.json": "of no process",
    }
    for name in (stale, *others):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, time.time() - 7200))
    write_json(tmp_path / "a[1].json", {})
    assert {path.name for path in tmp_path.iterdir()} == {"a[1].json", *others}
    (tmp_path / stale).touch()
    write_json(tmp_path / "a[1].json", {})
    assert (tmp_path / stale).exists(), "of another machine's writer, perhaps"


def test_versions():
    assert versions(["numpy"]) == {"python": platform.python_version(), "numpy": np.__version__}


def test_a_hash_by_hand(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_file_in_the_folders_place_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write there"):
        writable_folder(tmp_path / "file")


def test_a_folder_is_held_by_one_process_and_let_go_of_when_that_is_killed(tmp_path):
    code = "import sys; from pathlib import Path; from dfgame.files import held_folder\n"
    code += "with held_folder(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(tmp_path / "out")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with pytest.raises(UserError, match=r"out: another process is writing there"), held_folder(tmp_path / "out"):
            pass
        holder.kill()
        holder.wait()
        with held_folder(tmp_path / "out"):
            pass
    with held_folder(tmp_path / "out"):
        pass
