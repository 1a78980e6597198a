"""What a file is, as its bytes say: sides, codec, times, tags, provenance."""

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.error import FFmpegError
from PIL import ExifTags, Image

from dfgame.media.containers import aspect_of, displayed, moving_pictures, opened, orientation, seconds_of
from dfgame.media.guard import MediaError, open_regular
from dfgame.media.pictures import form_of, frame_numbers, opened_picture, read_animation
from dfgame.media.provenance import provenance_of
from dfgame.media.videos import count_frames
from dfgame.records import MediaFacts

MOST_TAGS = 50
LONGEST_TAG = 200
"""Characters of a tag's name, and of what it says, that are kept."""
_EXIF = (
    *(ExifTags.Base.Make, ExifTags.Base.Model, ExifTags.Base.Software, ExifTags.Base.DateTime),
    *(ExifTags.Base.ImageDescription, ExifTags.Base.Artist, ExifTags.Base.Copyright),
)
_EXIF_DETAIL = (ExifTags.Base.DateTimeOriginal, ExifTags.Base.LensModel)
_CODECS = {"AVIF": "av1", "HEIF": "hevc", "MPO": "jpeg"}
_TURNED = {3: 180, 4: 180, 5: 270, 6: 90, 7: 90, 8: 270}
_NO_TEXT = frozenset({"compression", "version", "xmp", "XML:com.adobe.xmp"})
_FRAMES_TO_LOOK_AT = 3


def media_facts(path: Path) -> MediaFacts:
    """What a picture's or video's bytes say of it.

    `width` and `height` are as displayed, after the rotation and with square pixels: those of the frames that
    `read_frames` gives. `rotation` is how many degrees clockwise the file asks to be turned. `frames` is the
    container's word, or a count of packets. Of tags MOST_TAGS are kept, of one line each and LONGEST_TAG characters;
    `provenance` is as `provenance_of` says.

    Raises:
        MediaError: it is neither a picture nor a video.
    """
    form = form_of(path)
    if form is None:
        return _of_video(path)
    facts = _of_picture(path)
    if form == "still":
        return replace(facts, frames=1)
    try:
        duration = max(end for _, end, _ in read_animation(path))
    except MediaError:
        return facts
    rate = (facts.frames or 0) / duration
    return replace(facts, duration=duration, frame_rate=rate, bit_rate=round(8 * facts.size / duration), audio=False)


def _of_picture(path: Path) -> MediaFacts:
    with open_regular(path) as file, opened_picture(file, path) as picture:
        orientation = _orientation(picture)
        width, height = picture.size[::-1] if orientation >= 5 else picture.size
        name = str(picture.format)
        return MediaFacts(
            size=os.fstat(file.fileno()).st_size,
            container=name,
            codec=str(_CODECS.get(name, picture.info.get("compression", name.lower()))),
            pixel_format=_pixel_format(picture),
            width=width,
            height=height,
            frames=len(frame_numbers(picture)),
            rotation=_TURNED.get(orientation, 0),
            tags=clean_tags(_picture_tags(picture)),
            provenance=provenance_of(path),
        )


def _orientation(picture: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; that of HEIC is applied by its reader, which keeps the file's word elsewhere."""
    with suppress(Exception):  # EXIF data may be damaged in any way
        number = int(picture.getexif().get(ExifTags.Base.Orientation, 1))
        return number if 1 <= number <= 8 else 1
    return 1


def _pixel_format(picture: Image.Image) -> str:
    """Pillow's mode, or the file's where it holds more than 8 bits that the mode does not show."""
    with suppress(AttributeError, IndexError, TypeError):
        tiles: list[Any] = getattr(picture, "tile", [])
        details = tiles[0].args
        raw = details if isinstance(details, str) else details[0]
        if isinstance(raw, str) and ";16" in raw:
            return raw
    return picture.mode


def _picture_tags(picture: Image.Image) -> Iterable[tuple[str, object]]:
    """The camera's and the program's words in EXIF, and all texts of a PNG or GIF."""
    with suppress(Exception):  # as above
        exif = picture.getexif()
        detail = exif.get_ifd(ExifTags.IFD.Exif)
        found = [(tag, exif.get(tag)) for tag in _EXIF] + [(tag, detail.get(tag)) for tag in _EXIF_DETAIL]
        yield from ((tag.name, value) for tag, value in found if value)
    texts = ((key, picture.info[key]) for key in picture.info if key not in _NO_TEXT)
    yield from ((str(key), value) for key, value in texts if isinstance(value, str) or key == "comment")


def clean_tags(tags: Iterable[tuple[str, object]]) -> tuple[tuple[str, str], ...]:
    """Names and texts of a file as one line of printable characters each, cut to LONGEST_TAG; MOST_TAGS of them."""
    return tuple((_line(name), _line(value)) for name, value in islice(tags, MOST_TAGS))


def _line(value: object) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    text = " ".join(text[: 10 * LONGEST_TAG].split())
    return "".join(char for char in text if char.isprintable())[:LONGEST_TAG]


def _of_video(path: Path) -> MediaFacts:
    with opened(path) as (container, stream):
        context = stream.codec_context
        frames = _first_frames(container, stream)
        _, clockwise = orientation(frames[0]) if frames else (False, 0)
        stored = (frames[0].width, frames[0].height) if frames else (context.width, context.height)
        sides = displayed(*stored, aspect_of(stream))
        width, height = sides[::-1] if clockwise % 180 else sides
        duration = seconds_of(container) or None
        size = path.stat().st_size
        rate = container.bit_rate or (round(8 * size / duration) if duration else None)
        facts = MediaFacts(
            size=size,
            container=container.format.name,
            codec=context.codec.canonical_name,
            pixel_format=str(context.pix_fmt or (frames[0].format.name if frames else "")),
            width=width,
            height=height,
            duration=duration,
            frame_rate=float(stream.average_rate) if stream.average_rate else None,
            bit_rate=rate,
            rotation=clockwise,
            interlaced=any(frame.interlaced_frame for frame in frames),
            audio=bool(container.streams.audio),
            video_streams=len(moving_pictures(container)),
            tags=clean_tags((container.metadata | stream.metadata).items()),
        )
    return replace(facts, frames=_frames(path), provenance=provenance_of(path))


def _first_frames(container: InputContainer, stream: av.VideoStream) -> list[av.VideoFrame]:
    """The first frames, or none where the video breaks off before."""
    stream.codec_context.thread_count = 1
    frames = []
    with suppress(FFmpegError, MemoryError):
        for frame in islice(container.decode(stream), _FRAMES_TO_LOOK_AT):
            frames.append(frame)
    return frames


def _frames(path: Path) -> int | None:
    try:
        return count_frames(path)
    except MediaError:
        return None
