"""The boxes of an ISO media file (MP4, MOV, HEIC): refused if their tables promise more than the file can hold.

FFmpeg makes 70 bytes of index for each sample that a table declares, and one line of a table can declare millions
of them: a file of 2 KB can thus ask for 5 GB.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dfgame.media.guard import failure

MOST_SAMPLES = 8_000_000
"""Samples of all tracks together, however often edit lists show them: 8,000,000 frames are 37 hours at 60 a second."""
MOST_BOXES = 500_000
"""More take seconds to look through; a day in pieces of two seconds has about as many."""
_NESTS = frozenset(
    b"moov trak mdia minf stbl moof traf mvex edts dinf udta tref wave sinf schi gmhd meta".split(),
)
_DEEPEST = 12


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    start: int
    end: int
    depth: int


def check_tables(file: BinaryIO, path: Path) -> None:
    """Look through the sample tables of an ISO media file; other files pass. The file is left at its beginning.

    Raises:
        MediaError: they declare more samples than FFmpeg should be told to make room for.
    """
    size = os.fstat(file.fileno()).st_size
    samples, edits = 0, 1
    for number, box in enumerate(_boxes(file, 0, size, 0)):
        if number == MOST_BOXES:
            raise failure(path, f"cannot be read (it is made of more than {MOST_BOXES:,} boxes)")
        if box.kind == b"cmov":
            raise failure(path, "cannot be read (its header is compressed)")
        if box.kind in (b"stsz", b"stz2"):
            samples += _samples(file, box, size)
        elif box.kind == b"trun":
            samples += _number(file, box.start + 4)
        elif box.kind == b"elst":
            edits = max(edits, _number(file, box.start + 4))
        if samples * edits > MOST_SAMPLES:
            raise failure(path, f"cannot be read (it says that it holds {samples * edits:,} samples)")
    file.seek(0)


def _samples(file: BinaryIO, box: _Box, file_size: int) -> int:
    """The samples of a track that FFmpeg lists one by one; those of plain sound are runs, as long as they fit."""
    each, count = _number(file, box.start + 4), _number(file, box.start + 8)
    plain_sound = box.kind == b"stsz" and 0 < each <= 64 and each * count <= file_size
    return count // 1024 if plain_sound else count


def _boxes(file: BinaryIO, start: int, end: int, depth: int) -> Iterator[_Box]:
    """All boxes between two places, those inside others too, as far as they make sense."""
    while start + 8 <= end:
        file.seek(start)
        header = file.read(16)
        if len(header) < 8:
            return
        length, kind = struct.unpack(">I4s", header[:8])
        inside = start + 8
        if length == 1 and len(header) == 16:
            length, inside = struct.unpack(">Q", header[8:])[0], start + 16
        box_end = end if length == 0 else min(start + length, end)
        if length != 0 and start + length < inside:
            return
        yield _Box(kind, inside, box_end, depth)
        if kind in _NESTS and depth < _DEEPEST:
            yield from _boxes(file, inside + (4 if kind == b"meta" else 0), box_end, depth + 1)
        start = max(box_end, inside)


def _number(file: BinaryIO, at: int) -> int:
    file.seek(at)
    read = file.read(4)
    return struct.unpack(">I", read)[0] if len(read) == 4 else 0
