"""Hundreds of files made to do harm, through the service: each is refused or told, and comes back as text."""

import os
import stat
import time
from pathlib import Path

import psutil
import pytest

from hostile import hostile_files
from pages import Page
from serving import serving, tiny_detector

MOST_MEMORY = 2 * 2**30
SECONDS_A_FILE = 60
ENDED = ("done", "failed")


def sendable(path: Path) -> bool:
    """Whether it is a file, with content that can be sent."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - names that hold a null
    except (OSError, ValueError):
        return False


def check_harmless(page: str) -> None:
    """No script but the service's own, nothing that runs on an event, nothing embedded."""
    for tag, attributes in Page(page).tags:
        assert tag not in ("iframe", "object", "embed")
        assert tag != "script" or (attributes.get("src") or "").startswith("/static/")
        assert not [name for name in attributes if name.startswith("on")]


def memory() -> int:
    """Bytes of this process and of the largest of those below it."""
    below = [process.memory_info().rss for process in psutil.Process().children(recursive=True)]
    return max([psutil.Process().memory_info().rss, *below])


@pytest.mark.slow
def test_hostile_files_are_refused_or_told(tmp_path):
    (tmp_path / "files").mkdir()
    files = [file for file in hostile_files(tmp_path / "files") if sendable(file)]
    assert len(files) >= 300
    taken = refused = 0
    with serving(tmp_path / "served", tiny_detector(tmp_path), timeout=SECONDS_A_FILE) as server:
        for file in files:
            name = os.fsencode(file.name).decode("utf-8", "replace")
            started = time.monotonic()
            answer = server.send(file, name)
            assert answer.status_code in (202, 400, 413, 415, 422), (file, answer.text)
            if answer.status_code == 202:
                taken += 1
                job = server.wait(answer.json()["id"], *ENDED)
                check_harmless(server.client.get(f"/jobs/{job['id']}").text)
                if job["status"] == "done":
                    check_harmless(server.client.get(f"/api/jobs/{job['id']}/report").text)
                assert job["status"] == "done" or job["problem"]
            else:
                refused += 1
            assert time.monotonic() - started < SECONDS_A_FILE
            assert memory() < MOST_MEMORY
        check_harmless(server.client.get("/").text)
    assert taken and refused
