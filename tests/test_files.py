"""Files are written whole or not at all, whatever the writer makes of a full disk."""

import errno

import pytest

from dfgame.files import atomic_path, read_json, sha256, writable_folder, write_json
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


def test_a_hash_by_hand(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_file_in_the_folders_place_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write there"):
        writable_folder(tmp_path / "file")
