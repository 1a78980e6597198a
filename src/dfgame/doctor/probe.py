"""One video, picture or folder of pictures, looked at: its header, a few frames, and what is wrong with the file."""

import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError

from dfgame.doctor.likeness import frame_hash
from dfgame.doctor.x264 import constant_rate_factor
from dfgame.media import PICTURE_SUFFIXES, MediaError, read_image
from dfgame.media.containers import aspect_of, cut_by_tail, declared_frames, displayed, opened, orientation
from dfgame.media.pictures import Form, count_animation, form_of

MOMENTS = (0.0, 0.5, 1.0)
"""Where in a clip its frames are hashed; in a video, at the last key frame before."""


@dataclass(frozen=True, slots=True)
class ProbeJob:
    """What to look at: a file or folder, the names in it that count, every frame or a few, and whether to hash."""

    path: str
    file: Path
    crops: tuple[str, ...] = ()
    deep: bool = False
    hashed: bool = True


@dataclass(frozen=True, slots=True)
class Probe:
    """What was seen.

    `length` is in bytes; `width` and `height` are upright. `damage` is a kind of finding, or empty, and `reason` why.
    `frames` is the declared number, or None where nothing is declared and nobody counted. `encoded` are the bytes of
    the video stream alone. `crf` is what the encoder says of itself. `bad` are the damaged pictures of a folder, each
    with kind and reason; `sizes` is how many different sizes its pictures have.
    """

    path: str
    length: int = 0
    damage: str = ""
    reason: str = ""
    medium: str = "video"
    frames: int | None = None
    width: int = 0
    height: int = 0
    rate: float | None = None
    codec: str = ""
    pixels: str = ""
    encoded: int | None = None
    crf: float | None = None
    rotation: int = 0
    sizes: int = 1
    hashes: tuple[bytes, ...] = ()
    bad: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def bits_per_pixel(self) -> float | None:
        """Of the video stream, on average; None where it is not known."""
        pixels = (self.frames or 0) * self.width * self.height
        return 8 * self.encoded / pixels if self.encoded and pixels else None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self) | {"hashes": [code.hex() for code in self.hashes]}


def probe(job: ProbeJob) -> Probe:
    """Look at a video, a picture or a folder of pictures."""
    if job.file.is_dir():
        return _folder(job)
    try:
        size = job.file.stat().st_size
    except OSError as error:
        return Probe(job.path, damage="undecodable", reason=error.strerror or "cannot be read")
    seen = Probe(job.path, size, medium="picture" if job.file.suffix.lower() in PICTURE_SUFFIXES else "video")
    if size == 0:
        return replace(seen, damage="empty", reason="0 bytes")
    try:
        form = form_of(job.file)
    except MediaError as error:
        return replace(seen, damage="undecodable", reason=error.reason)
    if form is None:
        return _video(seen, job)
    return _picture(replace(seen, medium="picture" if form == "still" else "video"), job, form)


def _picture(seen: Probe, job: ProbeJob, form: Form) -> Probe:
    """A picture, or one that moves, which is a video."""
    try:
        image = read_image(job.file)
        frames = 1 if form == "still" else count_animation(job.file)
    except MediaError as error:
        return replace(seen, damage="undecodable", reason=error.reason)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return replace(seen, frames=frames, width=image.shape[1], height=image.shape[0], hashes=_hashes([grey]))


def _folder(job: ProbeJob) -> Probe:
    """All pictures by their lengths in bytes; the first, the middle and the last, or all, by their pixels."""
    there = {path.name: path for path in sorted(job.file.iterdir()) if path.suffix.lower() in PICTURE_SUFFIXES}
    wanted = [Path(crop).name for crop in job.crops] or [name for name in there if not name.startswith(".")]
    lengths = {name: there[name].stat().st_size for name in wanted if name in there}
    bad = {name: ("missing", "not in the folder") for name in wanted if name not in there}
    bad |= {name: ("empty", "0 bytes") for name, length in lengths.items() if length == 0}
    seen = Probe(job.path, sum(lengths.values()), medium="pictures", frames=len(lengths))
    if not lengths:
        return replace(seen, damage="no-pictures", reason="no picture in it")
    whole = [name for name, length in lengths.items() if length]
    chosen = {whole[round(moment * (len(whole) - 1))] for moment in MOMENTS if whole}
    sizes, greys = [], []
    for name in whole if job.deep else sorted(chosen):
        try:
            image = read_image(there[name])
        except MediaError as error:
            bad[name] = ("undecodable", error.reason)
            continue
        sizes.append((image.shape[1], image.shape[0]))
        if name in chosen:
            greys.append(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    width, height = max(sorted(set(sizes)), key=sizes.count, default=(0, 0))
    return replace(seen, bad=bad, width=width, height=height, sizes=len(set(sizes)), hashes=_hashes(greys))


def _video(seen: Probe, job: ProbeJob) -> Probe:
    try:
        with opened(job.file) as (container, stream):
            return _stream(seen, job, container, stream)
    except (MediaError, FFmpegError, OSError) as error:
        cut = _boxes_end_early(job.file, seen.length)
        reason = error.reason if isinstance(error, MediaError) else str(error.strerror)
        reason = "its index is missing or behind the file's end" if cut else reason
        return replace(seen, damage="truncated" if cut else "undecodable", reason=reason)


def _stream(seen: Probe, job: ProbeJob, container: InputContainer, stream: av.VideoStream) -> Probe:
    context = stream.codec_context
    context.thread_count = 1
    width, height = displayed(context.width, context.height, aspect_of(stream))
    index = [(entry.pos, entry.size) for entry in getattr(stream, "index_entries", None) or ()]
    packet = next((packet for packet in container.demux(stream) if packet.size), None)
    seen = replace(
        seen,
        medium="video",
        frames=declared_frames(container, stream) or None,
        width=width,
        height=height,
        rate=float(stream.average_rate) if stream.average_rate else None,
        codec=context.name,
        pixels=context.pix_fmt or "",
        encoded=sum(size for _, size in index) if len(index) > 1 else None,
        crf=constant_rate_factor(bytes(packet)) if packet is not None and context.name == "h264" else None,
    )
    cut = _cut_by_index(seen, index, container.format.name) if len(index) > 1 else cut_by_tail(container)
    if cut:
        return replace(seen, damage="truncated", reason=cut)
    try:
        shown = list(_key_frames(container, stream, MOMENTS if job.hashed else MOMENTS[:1]))
    except FFmpegError as error:
        return replace(seen, damage="undecodable", reason=f"a key frame cannot be decoded ({error.strerror})")
    if not shown:
        return replace(seen, damage="undecodable", reason="no frame can be decoded")
    mirrored, clockwise = orientation(shown[0])
    stored = (frame.to_ndarray(format="gray") for frame in shown)
    greys = (np.rot90(grey[:, ::-1] if mirrored else grey, -clockwise // 90) for grey in stored)
    seen = replace(seen, rotation=clockwise, hashes=_hashes(greys))
    if clockwise % 180:
        seen = replace(seen, width=seen.height, height=seen.width)
    return _decoded(seen, container, stream) if job.deep else seen


def _cut_by_index(seen: Probe, index: list[tuple[int, int]], container: str) -> str:
    """Why the file ends too early for its index; empty where it does not."""
    inside = sum(position + size <= seen.length for position, size in index)
    # AVI's index is at the end, and made up from what is there where it was cut off. MP4's leaves out, rightly, the
    # frames that its edit list hides.
    promised = max(len(index), seen.frames or 0) if container == "avi" else len(index)
    return f"holds {inside:,} of {promised:,} frames" if inside < promised else ""


def _key_frames(
    container: InputContainer, stream: av.VideoStream, moments: tuple[float, ...]
) -> Iterator[av.VideoFrame]:
    """The frames at the last key frame before each moment, each once."""
    start, length = stream.start_time or 0, stream.duration or 0
    if not length and container.duration and stream.time_base:
        length = int(container.duration / av.time_base / stream.time_base)
    yielded = set()
    for moment in moments:
        container.seek(start + int(moment * length) if moment else _beginning(stream), stream=stream)
        packets = container.demux(stream)
        packet = next((packet for packet in packets if packet.is_keyframe and packet.size), None)
        if packet is None or packet.pts in yielded:
            continue
        yielded.add(packet.pts)
        frames = packet.decode()
        if packet.is_discard:
            # An edit list hides it: the first frame behind it that is shown is taken.
            frames = next((shown for packet in packets if (shown := packet.decode())), [])
        # A decoder holds frames back to put them in order; told that nothing follows, it hands them out.
        yield from (frames or stream.codec_context.decode(None))[:1]


def _beginning(stream: av.VideoStream) -> int:
    """Where to look for a video's first frame: up to a second before its start, as it is stored before it is shown.

    Never before 0, where some containers cannot look.
    """
    start, second = stream.start_time or 0, int(1 / stream.time_base) if stream.time_base else 0
    return max(start - second, min(start, 0))


def _decoded(seen: Probe, container: InputContainer, stream: av.VideoStream) -> Probe:
    """Every frame decoded, and counted."""
    container.seek(_beginning(stream), stream=stream)
    frames = damaged = 0
    try:
        for packet in container.demux(stream):
            decoded = packet.decode()
            frames += len(decoded)
            damaged += sum(bool(frame.is_corrupt) for frame in decoded)
    except FFmpegError as error:
        return replace(seen, damage="undecodable", reason=f"breaks off after {frames:,} frames ({error.strerror})")
    if damaged:
        return replace(seen, damage="undecodable", reason=f"{damaged:,} of {frames:,} frames are damaged")
    declared = seen.frames or 0
    if frames < declared:
        return replace(seen, damage="truncated", reason=f"{frames:,} of {declared:,} frames can be decoded")
    return replace(seen, frames=frames)


def _boxes_end_early(file: Path, size: int) -> bool:
    """Whether an MP4 file that cannot be opened was cut: its last box ends behind the file, or it has no index."""
    names = set()
    with file.open("rb") as stream:
        place = 0
        while place + 8 <= size:
            stream.seek(place)
            header = stream.read(16)
            length, name = struct.unpack(">I4s", header[:8])
            if length == 1 and len(header) == 16:
                (length,) = struct.unpack(">Q", header[8:])
            if not names and name != b"ftyp":
                return False
            names.add(name)
            if length == 0:
                break
            if length < 8:
                return False
            place += length
    return bool(names) and (place > size or b"moov" not in names)


def _hashes(greys: Any) -> tuple[bytes, ...]:
    return tuple(code for grey in greys if (code := frame_hash(np.ascontiguousarray(grey, np.uint8))) is not None)
