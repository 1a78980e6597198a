"""Verdicts on many files as JSON, as lines of JSON that a later call goes on from, and as CSV."""

import csv
import io
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from dfgame.files import replaceable, sha256
from dfgame.records import Failure, FileVerdict, UserError, verdict_json

Said = FileVerdict | Failure
Rows = Literal["files", "faces"]
OF_FILE: tuple[str, ...] = (
    "file",
    "sha256",
    "kind",
    "verdict",
    "p_fake",
    "low",
    "high",
    "faces",
    "frames",
    "reasons",
    "error",
    "detector",
)
OF_FACE: tuple[str, ...] = (
    "file",
    "face",
    "verdict",
    "p_fake",
    "low",
    "high",
    "first_time",
    "last_time",
    "frames",
    "width",
    "reasons",
)


def json_array(said: Iterable[Said]) -> str:
    """All verdicts as an indented JSON array."""
    return _printable(json.dumps([verdict_json(one) for one in said], indent=2, ensure_ascii=False, allow_nan=False))


_BEGINNING = b'{"file": '
"""How each line begins: what begins otherwise is not what a call that was killed left of its last one."""
UNNAMED: dict[str, Any] = {"max_turn": 0.0}
"""What held where the settings of a verdict do not name it, since it was reached before there was such a setting."""


def json_line(said: Said) -> str:
    """A verdict as one line of JSON."""
    return _printable(json.dumps(verdict_json(said), ensure_ascii=False, allow_nan=False))


def csv_text(said: Iterable[Said], rows: Rows) -> str:
    """A table with a header: a row a file, or a row a face; a file without a face, or that failed, has none of these.

    `low` and `high` are the ends of the 95% interval, empty where there is none; `reasons` are joined by spaces.
    """
    names, of = (OF_FILE, _file_rows) if rows == "files" else (OF_FACE, _face_rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for one in said:
        writer.writerows(of(one))
    return _printable(text.getvalue())


class JsonLines:
    """A file of verdicts, a line each, that outlives its writer: what it holds already is not done again."""

    def __init__(self, path: Path, detector: str, settings: dict[str, Any]) -> None:
        """Open the file, or begin one; half a line at its end, of a call that was killed, is taken away.

        Raises:
            UserError: it is no file or holds something else, or verdicts of another detector (its SHA-256) or other
                settings.
            OSError: it cannot be written.
        """
        self._path = replaceable(path)
        self._verdicts: dict[tuple[str, str], dict[str, Any]] = {}
        self._last_failures: dict[str, str | None] = {}
        for values in _lines(path):
            self._last_failures[values["file"]] = values.get("error") if values["verdict"] is None else None
            if values["verdict"] is None:
                continue
            by = UNNAMED | (values.get("settings") or {})
            if (values.get("model", {}).get("sha256"), by) != (detector, UNNAMED | settings):
                raise UserError(
                    f"{path}: holds verdicts of another detector or other settings", "give the same, or another file"
                )
            self._verdicts[values["file"], values["sha256"]] = values
        self._files = {file for file, _ in self._verdicts}
        self._path.open("ab").close()

    def verdict_on(self, file: Path) -> dict[str, Any] | None:
        """The last verdict on the file as it is now, if there is one."""
        if str(file) not in self._files or not os.path.isfile(file):  # noqa: PTH113 - Path.is_file raises where a name is too long
            return None
        try:
            return self._verdicts.get((str(file), sha256(file)))
        except OSError:
            return None

    def add(self, said: Said) -> None:
        """Add a verdict; it is on the disk when this returns. What is a file's last line already is not told again."""
        if isinstance(said, Failure) and self._last_failures.get(said.path) == said.reason:
            return
        with self._path.open("ab") as file:
            file.write(json_line(said).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _lines(path: Path) -> list[dict[str, Any]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = path.read_bytes() if path.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    try:
        found = [json.loads(line) for line in whole.splitlines() if line.strip()]
        if not all("file" in one and "verdict" in one for one in found):
            raise ValueError("no verdict")
    except (ValueError, TypeError):
        raise UserError(f"{path}: not a file of `dfgame inspect --jsonl`", "name another file") from None
    if len(whole) < len(content):
        begun = content[len(whole) :]
        if not begun.startswith(_BEGINNING[: len(begun)]):
            raise UserError(f"{path}: not a file of `dfgame inspect --jsonl`", "name another file")
        os.truncate(path, len(whole))
    return found


def _file_rows(said: Said) -> list[dict[str, Any]]:
    if isinstance(said, Failure):
        return [{"file": said.path, "error": said.reason}]
    low, high = said.interval or (None, None)
    detector = f"{said.model.name} {said.model.version} {said.model.sha256}"
    values = {name: getattr(said, name) for name in ("file", "sha256", "kind", "verdict", "p_fake", "frames", "error")}
    counted = {"low": low, "high": high, "faces": len(said.tracks), "reasons": _joined(said.reasons)}
    return [values | counted | {"detector": detector}]


def _face_rows(said: Said) -> list[dict[str, Any]]:
    if isinstance(said, Failure):
        return []
    rows = []
    for track in said.tracks:
        low, high = track.interval or (None, None)
        values = {name: getattr(track, name) for name in ("verdict", "p_fake", "first_time", "last_time", "width")}
        of = {"file": said.file, "face": track.id, "low": low, "high": high, "frames": len(track.judged_by)}
        rows.append(values | of | {"reasons": _joined(track.reasons)})
    return rows


def _joined(reasons: Sequence[str]) -> str:
    return " ".join(f"{reason}." for reason in reasons)


def _printable(text: str) -> str:
    """Text that can be encoded: the bytes of a file's name that are no UTF-8 as escapes, which JSON reads again."""
    return text.encode("utf-8", "backslashreplace").decode()
