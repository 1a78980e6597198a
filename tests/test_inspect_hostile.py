"""Hundreds of files made to do harm, through the command: each is accounted for, and none stops another."""

import json
import os
import subprocess
import sys

from boxes import FACTS, trained_a_little
from dfgame.boxed import save_box
from hostile import hostile_files

MOST_MEMORY = 2 * 2**20
"""KiB of the largest process."""
SECONDS = 600
MEASURED = """
import pathlib, resource, subprocess, sys
code = subprocess.run(sys.argv[2:]).returncode
pathlib.Path(sys.argv[1]).write_text(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""
"""Runs a command and writes down the memory of its largest process, whatever else these tests have run."""


def test_hostile_files_are_verdicts_or_lines(tmp_path):
    (tmp_path / "files").mkdir()
    files = [file for file in hostile_files(tmp_path / "files") if "\0" not in str(file)]  # it ends names
    assert len(files) >= 300
    save_box(tmp_path / "tiny.safetensors", FACTS, [trained_a_little(0)])
    lines = tmp_path / "said.jsonl"
    command = [sys.executable, "-m", "dfgame", "inspect", "-", "-0", "--detector", str(tmp_path / "tiny.safetensors")]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(tmp_path / "memory"), *command, "--jsonl", str(lines), "--frames", "3"],
        input=b"\0".join(os.fsencode(file) for file in files),
        capture_output=True,
        timeout=SECONDS,
    )
    assert done.returncode == 1, done.stderr[-2000:]
    assert b"Traceback" not in done.stderr
    said = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    assert {one["file"] for one in said} >= {str(file) for file in files if not os.path.isdir(file)}  # noqa: PTH112
    assert all(one["verdict"] or one["error"] for one in said)
    assert any(one["verdict"] for one in said), "whole files among them have verdicts"
    assert int((tmp_path / "memory").read_text()) < MOST_MEMORY
    assert all(line.isprintable() for line in done.stderr.decode().splitlines()), "nothing reaches the terminal raw"
