"""Pictures: still ones, and those that move (GIF, WebP, PNG, AVIF), as upright RGB."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from pillow_heif import register_heif_opener

from dfgame.media.guard import MOST_FRAME_PIXELS, MOST_PIXELS, MediaError, check_size, failure, open_regular, reason_of

RgbImage = NDArray[np.uint8]
"""Height x width x 3, red first, 0 to 255."""
Form = Literal["still", "animation"]

PICTURE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".tif", ".tiff", ".bmp", ".pgm", ".ppm"}
    | {".heic", ".heif", ".hif", ".avif"}
)
_MOVING = ("GIF", "WEBP", "PNG", "AVIF")
_FORMATS = ("JPEG", "TIFF", "BMP", "PPM", "HEIF", *_MOVING)
"""Those of Pillow's formats that decode pixels and nothing else: EPS, for one, would start Ghostscript."""
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_STILL_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"avif", b"avis"})
_WEAK_MAGIC = (b"BM", b"P1", b"P2", b"P3", b"P4", b"P5", b"P6")
_SHORTEST_DELAY, _USUAL_DELAY = 0.01, 0.1
_MOST_SCANS = 200
_TILE_WIDTH, _TILE_LENGTH = 322, 323

register_heif_opener()


def form_of(path: Path) -> Form | None:
    """Whether a file's content is a still picture or one that moves; None of what is neither.

    A damaged picture is told by its first bytes.

    Raises:
        MediaError: the file cannot be opened.
    """
    with open_regular(path) as file:
        if not _looks_like_a_picture(file.read(32)):
            return None
        try:
            with opened_picture(file, path) as picture:
                return "animation" if len(frame_numbers(picture)) > 1 else "still"
        except MediaError:
            file.seek(0)
            return None if file.read(2) in _WEAK_MAGIC else "still"


def _looks_like_a_picture(head: bytes) -> bool:
    webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    still = head[4:8] == b"ftyp" and head[8:12] in _STILL_BRANDS
    return webp or still or head.startswith(_MAGIC + _WEAK_MAGIC)


def read_image(path: Path) -> RgbImage:
    """Read a picture as upright 8-bit RGB; of several pages or frames the first, of a HEIC's stills the primary.

    Grey, CMYK, palettes, 16-bit values and EXIF rotation are understood; what is transparent lies on white.

    Raises:
        MediaError: it is not a picture, is damaged, or has more than MOST_PIXELS.
    """
    with open_regular(path) as file, opened_picture(file, path) as picture:
        check_size(path, *picture.size, MOST_PIXELS)
        picture.seek(frame_numbers(picture)[0])
        return _rgb(picture)


def read_animation(path: Path) -> Iterator[tuple[float, float, Image.Image]]:
    """The frames of a picture that moves, each from when to when (seconds); to be turned to pixels by `pixels_of`.

    A delay that is missing, or of 10 ms or less, lasts 100 ms, as in every browser.

    Raises:
        MediaError: a frame cannot be decoded; those before it have been given.
    """
    time = 0.0
    with open_regular(path) as file, opened_picture(file, path) as picture:
        check_size(path, *picture.size, MOST_FRAME_PIXELS)
        for number in frame_numbers(picture):
            picture.seek(number)
            picture.load()
            end = time + _delay(picture)
            yield time, end, picture
            time = end


def pixels_of(picture: Image.Image) -> RgbImage:
    """The upright RGB of a frame that `read_animation` gave, which is left as it is."""
    return _rgb(picture.copy())


def count_animation(path: Path) -> int:
    """How many frames a picture has that moves.

    Raises:
        MediaError: it cannot be opened.
    """
    with open_regular(path) as file, opened_picture(file, path) as picture:
        return len(frame_numbers(picture))


def animation_times(path: Path) -> NDArray[np.float64]:
    """The time in seconds of every frame of a picture that moves.

    Raises:
        MediaError: it cannot be decoded to its end.
    """
    return np.array([time for time, _, _ in read_animation(path)], np.float64)


def _delay(picture: Image.Image) -> float:
    seconds = float(picture.info.get("duration") or 0) / 1000
    return seconds if seconds > _SHORTEST_DELAY else _USUAL_DELAY


def frame_numbers(picture: Image.Image) -> range:
    """The frames that are shown, of a picture that was just opened.

    A PNG may begin with a picture for programs that know no animations; of the stills of a HEIC, one is the primary.
    """
    if picture.format not in _MOVING:
        return range(picture.tell(), picture.tell() + 1)
    count = int(getattr(picture, "n_frames", 1))
    first = 1 if count > 1 and getattr(picture, "default_image", False) else 0
    return range(first, count)


@contextmanager
def opened_picture(file: BinaryIO, path: Path) -> Iterator[Image.Image]:
    """A picture whose header was read, and whatever goes wrong with it then as a MediaError."""
    file.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = Image.open(file, formats=_FORMATS)
        with picture:
            _check_room(file, path, picture)
            yield picture
    except UnidentifiedImageError:
        raise failure(path, "not a picture") from None
    except (GeneratorExit, MediaError):
        raise
    except Image.DecompressionBombError:
        raise failure(path, f"too large (at most {MOST_PIXELS // 1_000_000} million pixels are read)") from None
    except Exception as error:  # of damaged files, Pillow's readers let out errors of any kind
        raise failure(path, f"cannot be read ({reason_of(error)})") from None


def _check_room(file: BinaryIO, path: Path, picture: Image.Image) -> None:
    """Refuse what takes far more room or time than its sides say: tiles larger than it, scans without number."""
    if picture.format == "TIFF":
        tags = getattr(picture, "tag_v2", {})
        check_size(path, int(tags.get(_TILE_WIDTH, 1)), int(tags.get(_TILE_LENGTH, 1)), MOST_PIXELS)
    if picture.format in ("JPEG", "MPO") and picture.info.get("progressive"):
        place = file.tell()
        file.seek(0)
        scans = sum(block.count(b"\xff\xda") for block in iter(lambda: file.read(1 << 20), b""))
        file.seek(place)
        if scans > _MOST_SCANS:
            raise failure(path, f"cannot be read ({scans} scans, where a progressive JPEG has about ten)")


def _rgb(picture: Image.Image) -> RgbImage:
    with suppress(Exception):  # EXIF data that cannot be read do not turn it
        ImageOps.exif_transpose(picture, in_place=True)
    if picture.mode.startswith(("I", "F")):
        return _from_deep_grey(np.asarray(picture))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGB", picture.size, "white")
        white.paste(picture, mask=picture.getchannel("A"))
        picture = white
    return np.array(picture if picture.mode == "RGB" else picture.convert("RGB"), np.uint8)


def _from_deep_grey(values: NDArray[np.generic]) -> RgbImage:
    """16-bit grey (or 32-bit and float, by its own largest value) as 8-bit RGB."""
    numbers = np.nan_to_num(values.astype(np.float32), posinf=0, neginf=0)
    largest = float(numbers.max())
    top = 65535.0 if 255 < largest <= 65535 else max(largest, 1.0)
    numbers *= 255 / top
    grey = np.clip(numbers, 0, 255, out=numbers).round(out=numbers).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def scaled(image: RgbImage, share: float) -> RgbImage:
    """The picture made smaller, to this share of its sides, and brought back: averaged over areas, then bicubic."""
    height, width = image.shape[:2]
    fewer = max(round(share * width), 1), max(round(share * height), 1)
    small = cv2.resize(image, fewer, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
