"""A file out of a form of type multipart/form-data: written to the disk as it comes, refused as it grows.

Nothing of it is held in memory but the chunk at hand. Its name is text for people to read, and never part of a path.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import IO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from dfgame.report.plain import plain
from dfgame.serve.problems import RequestError

FIELD = "file"
"""The form's field that holds the file."""
UNNAMED = "unnamed"
LONGEST_NAME = 200
_OVERHEAD = 64 * 1024
"""Bytes that a form may have beside the file."""
_PATIENCE = 60.0
"""Seconds in which something more must come."""
_SLOWEST = 10_000
"""Bytes a second, over the whole of a file: who sends more slowly would hold a place in the queue for ever."""


async def receive(headers: Mapping[str, str], body: AsyncIterator[bytes], to: Path, most: int) -> str:
    """Write the file of an uploaded form to `to`; returns the name that its sender gave it.

    What was written is left where it is if this fails.

    Args:
        headers: of the request.
        body: its body, in chunks.
        to: where the file goes, which must not exist.
        most: bytes of the file, at most.

    Raises:
        RequestError: it is no such form, holds no file or several, or too large a one, or stops coming.
    """
    boundary = _boundary(headers.get("content-type", ""))
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > most + _OVERHEAD:
        raise too_large(most)
    with to.open("xb") as file:
        form = _Form(boundary, file, most)
        try:
            await _take(form, body, most + _OVERHEAD)
        except FormParserError as error:
            raise RequestError(400, f"The form cannot be read: {plain(str(error), 200)}") from None
    if form.name is None:
        raise RequestError(400, f"The form holds no field '{FIELD}' with a file.")
    if not form.whole:
        raise RequestError(400, "The form breaks off before its end.")
    if not form.size:
        raise RequestError(415, "The file is empty; send one with content.")
    return clean_name(form.name)


async def _take(form: "_Form", body: AsyncIterator[bytes], most: int) -> None:
    chunks, total, began = aiter(body), 0, time.monotonic()
    while True:
        if time.monotonic() - began > _PATIENCE + total / _SLOWEST:
            raise RequestError(408, f"The file comes more slowly than {_SLOWEST / 1000:.0f} kB a second.")
        try:
            chunk = await asyncio.wait_for(anext(chunks), _PATIENCE)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise RequestError(408, f"Nothing more of the file came for {_PATIENCE:.0f} seconds.") from None
        except ClientDisconnect:
            raise RequestError(400, "The connection ended before the file did.") from None
        total += len(chunk)
        if total > most:
            raise too_large(form.most)
        await run_in_threadpool(form.feed, chunk)


def too_large(most: int) -> RequestError:
    """What is said of a file with more bytes than that."""
    return RequestError(
        413,
        f"The file is larger than the {most / 1e6:,.6g} MB that are taken here; send a smaller one, or a part of it.",
    )


def clean_name(name: str) -> str:
    """A file's name without folders, of whichever system, on one line; what cannot be seen in it is an escape."""
    last = re.split(r"[/\\]", name)[-1].strip()
    return plain(last[:LONGEST_NAME]).strip() or UNNAMED


def _boundary(content_type: str) -> bytes:
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise RequestError(
            415, f"The file must come as multipart/form-data, in the field '{FIELD}': `curl -F {FIELD}=@clip.mp4`."
        )
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= 200:
        raise RequestError(400, "The form names no boundary.")
    return boundary


class _Form:
    """Follows the parts of a form, and writes the bytes of the file among them."""

    def __init__(self, boundary: bytes, file: IO[bytes], most: int) -> None:
        self.name: str | None = None
        self.size, self.most, self.whole = 0, most, False
        self._file, self._wanted = file, False
        self._headers: dict[bytes, bytes] = {}
        self._header, self._value = b"", b""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._headers.clear,
                "on_header_field": lambda data, start, end: self._take_header(data[start:end], b""),
                "on_header_value": lambda data, start, end: self._take_header(b"", data[start:end]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._begin,
                "on_part_data": self._data,
                "on_end": self._end,
            },
        )

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the form."""
        self._parser.write(chunk)

    def _take_header(self, field: bytes, value: bytes) -> None:
        self._header += field
        self._value += value

    def _end_header(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header, self._value = b"", b""

    def _begin(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._wanted = options.get(b"name") == FIELD.encode() and b"filename" in options
        if not self._wanted:
            return
        if self.name is not None:
            raise RequestError(400, "The form holds several files; send them one by one.")
        self.name = options[b"filename"].decode("utf-8", "replace")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if not self._wanted:
            return
        self.size += end - start
        if self.size > self.most:
            raise too_large(self.most)
        self._file.write(data[start:end])

    def _end(self) -> None:
        self.whole = True
