"""What `dfgame inspect` says of files that nobody sends in good faith, by kind, and in what time and memory.

    python benchmarks/hostile_files.py

The files are those of tests/hostile.py: small real ones, damaged, misnamed or blown up. A call for each kind, with the
packaged detector; a line each: files that were named, how many got a verdict and how many a line that says why not
(folders have neither, what is in them does), the seconds of the whole call with its start, and the memory in MB of
its largest process.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from hostile import hostile_kinds

COMMAND = [sys.executable, "-m", "dfgame", "inspect", "-", "-0", "--frames", "3"]


def main() -> None:
    """Print the table."""
    print(f"{'kind':40} {'files':>6} {'verdict':>8} {'refused':>8} {'seconds':>8} {'MB':>6}  exit code")
    with tempfile.TemporaryDirectory() as folder:
        for number, (kind, files) in enumerate(hostile_kinds(Path(folder) / "files").items()):
            names, lines = Path(folder) / f"{number}.txt", Path(folder) / f"{number}.jsonl"
            names.write_bytes(b"\0".join(os.fsencode(file) for file in files if "\0" not in str(file)))
            started = time.monotonic()
            with names.open("rb") as listed:
                command = [*COMMAND, "--jsonl", str(lines)]
                process = subprocess.Popen(command, stdin=listed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                _, status, used = os.wait4(process.pid, 0)
            seconds, code = time.monotonic() - started, os.waitstatus_to_exitcode(status)
            said = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
            verdicts = sum(one["verdict"] is not None for one in said)
            counts = f"{len(files):6} {verdicts:8} {len(said) - verdicts:8}"
            print(f"{kind:40} {counts} {seconds:8.1f} {used.ru_maxrss / 1024:6.0f}  {code}", flush=True)


if __name__ == "__main__":
    main()
