"""The data that a report carries, and how they are got back out of it.

The report is one HTML file. Its data are JSON in a `<pre id="data">`, with their SHA-256 beside them; each picture is
inside, too, and its SHA-256 is among the data. The SHA-256 of the page seals all of it: that of the file's text where
64 zeros stand in its own place. Hashes show damage and careless changes; they are no signature, and whoever changes a
report on purpose can make them again.
"""

import base64
import binascii
import hashlib
import html
import json
import re
from functools import partial
from pathlib import Path
from typing import Any

from dfgame.records import UserError

FORMAT = "dfgame inspection 1"
UNSEALED = "0" * 64
LARGEST = 256 * 2**20
"""A report of more bytes than this is not read."""

_KINDS = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg"}
_DATA = re.compile(r'<pre id="data">([^<]*)</pre>')
_DATA_HASH = re.compile(r'<code id="data-sha256">([0-9a-f]{64})</code>')
_SEAL = re.compile(r'<code id="page-sha256">([0-9a-f]{64})</code>')
_PICTURE = re.compile(r'<img id="([a-z0-9-]+)" src="data:image/(?:png|jpeg);base64,([A-Za-z0-9+/=]*)"')
_REMEDY = "name a report that `dfgame inspect --report` wrote, as it was written"


class ChangedError(UserError):
    """A report that is not as it was written."""


def data_text(values: dict[str, Any]) -> str:
    """Plain JSON values as ASCII text, the same for the same values; a line for each of the outermost keys.

    Raises:
        ValueError: a number is not finite.
    """
    compact = partial(json.dumps, sort_keys=True, allow_nan=False, separators=(",", ":"))
    lines = ",\n".join(f"{compact(key)}:{compact(value)}" for key, value in values.items())
    return "{" + lines.replace("\x7f", r"\u007f") + "}"


def text_hash(text: str) -> str:
    """The SHA-256 of a text as UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def picture_hash(picture: bytes) -> str:
    """The SHA-256 of a picture's bytes, in hexadecimal."""
    return hashlib.sha256(picture).hexdigest()


def picture_uri(picture: bytes) -> str:
    """A PNG or JPEG file as a data URI.

    Raises:
        ValueError: the bytes are neither.
    """
    kind = next((name for start, name in _KINDS.items() if picture.startswith(start)), None)
    if kind is None:
        raise ValueError("a picture of a report is neither PNG nor JPEG")
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def sealed(page: str) -> str:
    """The page with its own SHA-256 in the place kept for it."""
    kept = f'<code id="page-sha256">{UNSEALED}</code>'
    return page.replace(kept, f'<code id="page-sha256">{text_hash(page)}</code>', 1)


def read_report(path: Path) -> dict[str, Any]:
    """The data of a report: `verdict`, `evidence`, `pictures` (their SHA-256), `detector`, `versions`, `command`.

    Raises:
        ChangedError: it was changed: a part is missing, or its data, a picture or the page do not match their SHA-256.
        UserError: it is not a report.
    """
    page = _page(path)
    found = [pattern.findall(page) for pattern in (_DATA, _DATA_HASH, _SEAL)]
    if not any(found):
        raise UserError(f"{path}: not a report of an inspection", _REMEDY)
    if any(len(matches) != 1 for matches in found):
        raise ChangedError(f"{path}: its data or their SHA-256 are missing, or there twice", _REMEDY)
    text, said, seal = html.unescape(found[0][0]), found[1][0], found[2][0]
    if text_hash(text) != said:
        raise ChangedError(f"{path}: its data were changed: their SHA-256 is not {said[:12]}…", _REMEDY)
    data = _values(text, path)
    _check_pictures(page, data["pictures"], path)
    if text_hash(_SEAL.sub(f'<code id="page-sha256">{UNSEALED}</code>', page)) != seal:
        raise ChangedError(f"{path}: the page was changed: its SHA-256 is not {seal[:12]}…", _REMEDY)
    return data


def _page(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path}: too large for a report of an inspection", _REMEDY)
        return path.read_bytes().decode()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})", _REMEDY) from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a report of an inspection", _REMEDY) from None


def _values(text: str, path: Path) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict) or not isinstance(data.get("pictures"), dict):
        raise UserError(f"{path}: not a report of an inspection", _REMEDY)
    if data.get("format") != FORMAT:
        raise UserError(f"{path}: a report that another version of dfgame wrote", "read it with that version")
    return data


def _check_pictures(page: str, expected: dict[str, str], path: Path) -> None:
    """That each embedded picture has the SHA-256 that the data say, and that none is missing or added."""
    shown = _PICTURE.findall(page)
    if len(shown) != page.count("<img ") or sorted(name for name, _ in shown) != sorted(expected):
        raise ChangedError(f"{path}: its pictures are not those that its data name", _REMEDY)
    for name, encoded in shown:
        try:
            found = picture_hash(base64.b64decode(encoded, validate=True))
        except (binascii.Error, ValueError):
            found = ""
        if found != expected[name]:
            raise ChangedError(f"{path}: the picture {name} was changed: its SHA-256 is another", _REMEDY)
