"""Pictures of every kind, against files made by other libraries or byte by byte."""

import struct
import zlib
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dfgame.media import MediaError, count_frames, kind_of, read_frames, read_image

WIDTH, HEIGHT = 96, 64


def picture(shift: int = 0) -> NDArray[np.uint8]:
    """Smooth, coloured, and different in its four corners."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([x * 2 + shift, y * 3 + shift, x + y], axis=-1).astype(np.uint8)


def difference(image: NDArray[np.uint8], expected: NDArray[np.generic]) -> float:
    assert image.shape == expected.shape and image.dtype == np.uint8
    return float(np.abs(image.astype(int) - expected.astype(int)).max())


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize("suffix", ["png", "tiff"])
@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_written_by_opencv(tmp_path, suffix, channels):
    deep = picture().astype(np.uint16) * 257 if channels == 3 else picture()[:, :, 0].astype(np.uint16) * 257
    path = tmp_path / f"deep.{suffix}"
    assert cv2.imwrite(str(path), deep[:, :, ::-1] if channels == 3 else deep)
    expected = picture() if channels == 3 else np.repeat(picture()[:, :, :1], 3, axis=2)
    assert difference(read_image(path), expected) <= 1


@pytest.mark.parametrize("suffix", ["bmp", "webp", "ppm", "avif"])
def test_others_written_by_opencv(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    options = {"webp": [cv2.IMWRITE_WEBP_QUALITY, 101], "avif": [cv2.IMWRITE_AVIF_QUALITY, 95]}.get(suffix, [])
    if not cv2.haveImageWriter(str(path)):
        Image.fromarray(picture()).save(path, quality=95)
    else:
        cv2.imwrite(str(path), picture()[:, :, ::-1], options)
    assert kind_of(path) == "picture"
    assert difference(read_image(path), picture()) <= (8 if suffix == "avif" else 0)


@pytest.mark.parametrize(("brand", "turn"), [("heic", 0), ("heic", 6)])
def test_heic_as_a_phone_writes_it(tmp_path, brand, turn):
    exif = Image.Exif()
    if turn:
        exif[0x0112] = turn
    path = tmp_path / f"phone.{brand}"
    Image.fromarray(picture()).save(path, format="HEIF", quality=95, exif=exif.tobytes())
    assert path.read_bytes()[4:8] == b"ftyp"
    expected = np.rot90(picture(), -1) if turn else picture()
    assert difference(read_image(path), expected) <= 12
    assert kind_of(path) == "picture" and count_frames(path) == 1


@pytest.mark.parametrize("marker", [True, False])
def test_cmyk_jpegs_hold_their_inks_inverted_whether_adobes_marker_says_so_or_not(tmp_path, marker):
    """Against the colours that the inks make, and OpenCV, which like browsers takes any CMYK JPEG to be inverted."""
    inks = np.zeros((64, 64, 4), np.uint8)
    inks[:32, :, 0], inks[32:, :, 1], inks[:, 32:, 3] = 255, 255, 128
    expected = np.array([[[0, 255, 255], [0, 127, 127]], [[255, 0, 255], [127, 0, 127]]])
    path = tmp_path / "print.jpg"
    Image.fromarray(inks, "CMYK").save(path, quality=100, subsampling=0)
    content = path.read_bytes()
    at = content.index(b"\xff\xee")
    assert content[at + 4 : at + 9] == b"Adobe"
    if not marker:
        path.write_bytes(content[:at] + content[at + 16 :])
    by_opencv = cv2.imread(str(path))
    assert by_opencv is not None
    for image in (read_image(path), by_opencv[:, :, ::-1]):
        assert difference(np.asarray(image[16::32, 16::32], np.uint8), expected) <= 4


def test_cmyk_tiffs_hold_their_inks_as_they_are(tmp_path):
    inks = np.zeros((8, 8, 4), np.uint8)
    inks[..., 0], inks[..., 3] = 255, 51
    Image.fromarray(inks, "CMYK").save(tmp_path / "print.tiff")
    assert difference(read_image(tmp_path / "print.tiff"), np.full((8, 8, 3), (0, 204, 204))) <= 1


def test_what_is_transparent_lies_on_white(tmp_path):
    colours = np.dstack([picture(), np.full((HEIGHT, WIDTH), 255, np.uint8)])
    colours[:, :48, 3], colours[:32, :, 3] = 0, 128
    path = tmp_path / "alpha.png"
    cv2.imwrite(str(path), colours[:, :, [2, 1, 0, 3]])
    share = colours[:, :, 3:] / 255
    assert difference(read_image(path), (colours[:, :, :3] * share + 255 * (1 - share)).round()) <= 1


def test_a_palette_with_transparency_made_by_hand(tmp_path):
    """Three colours, the second of them half transparent, the third wholly: PLTE and tRNS, byte by byte."""
    rows = b"".join(b"\0" + bytes([0, 1, 2]) for _ in range(2))
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 2, 8, 3, 0, 0, 0))
    palette = png_chunk(b"PLTE", bytes([200, 0, 0, 0, 100, 0, 0, 0, 50])) + png_chunk(b"tRNS", bytes([255, 128, 0]))
    end = png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    path = tmp_path / "palette.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + palette + end)
    assert difference(read_image(path), np.array([[[200, 0, 0], [127, 177, 127], [255, 255, 255]]] * 2)) <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_of_a_jpeg(tmp_path, orientation):
    """Against OpenCV, which turns pictures by their EXIF data, too."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "phone.jpg"
    Image.fromarray(picture()).save(path, quality=95, exif=exif)
    by_opencv = cv2.imread(str(path))
    assert by_opencv is not None
    assert difference(read_image(path), by_opencv[:, :, ::-1]) <= 2


def test_damaged_exif_data_do_not_matter(tmp_path):
    path = tmp_path / "phone.jpg"
    Image.fromarray(picture()).save(path, quality=95, exif=b"Exif\0\0II*\0\xff\xff\xff\x7f" + b"\xff" * 40)
    assert difference(read_image(path), picture()) <= 8


def test_of_several_pages_the_first(tmp_path):
    path = tmp_path / "scan.tiff"
    cv2.imwritemulti(str(path), [picture()[:, :, ::-1], picture(40)[:, :, ::-1]])
    assert kind_of(path) == "picture" and count_frames(path) == 1
    assert difference(read_image(path), picture()) == 0


@pytest.mark.parametrize("primary", [0, 2])
def test_of_several_stills_in_a_heic_the_primary(tmp_path, primary):
    path = tmp_path / "burst.heic"
    stills = [Image.fromarray(picture(shift)) for shift in (0, 40, 80)]
    stills[0].save(path, save_all=True, append_images=stills[1:], primary_index=primary, quality=95)
    assert kind_of(path) == "picture" and count_frames(path) == 1
    assert np.abs(read_image(path).astype(int) - picture(40 * primary)).mean() < 3


@pytest.mark.parametrize("brand", ["hevc", "msf1"])
def test_an_image_sequence_of_heic_is_a_video(tmp_path, brand):
    path = tmp_path / "moves.heics"
    with av.open(str(path), "w", format="mp4", options={"brand": brand}) as container:
        stream = container.add_stream("libx265", rate=5, options={"crf": "10", "x265-params": "log-level=none"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for shift in (0, 30, 60):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(shift), format="rgb24")))
        container.mux(stream.encode())
    assert path.read_bytes()[4:12] == b"ftyp" + brand.encode()
    assert kind_of(path) == "video" and count_frames(path) == 3
    found = list(read_frames(path))
    assert [frame.time for frame in found] == pytest.approx([0, 0.2, 0.4])
    for frame, shift in zip(found, (0, 30, 60), strict=True):
        assert np.abs(frame.image.astype(int) - picture(shift)).mean() < 6


DELAYS = (40, 200, 120)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "avif"])
def test_a_picture_that_moves_is_a_video_with_the_times_of_its_frames(tmp_path, suffix):
    path = tmp_path / f"moves.{suffix}"
    frames = [Image.fromarray(picture(shift)) for shift in (0, 30, 60)]
    options: dict[str, Any] = {"webp": {"lossless": True}, "avif": {"quality": 95}}.get(suffix, {})
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=DELAYS, loop=0, **options)
    assert kind_of(path) == "video" and count_frames(path) == 3
    found = list(read_frames(path))
    assert [frame.index for frame in found] == [0, 1, 2]
    assert [frame.time for frame in found] == pytest.approx([0, 0.04, 0.24])
    for frame, shift in zip(found, (0, 30, 60), strict=True):
        error = np.abs(frame.image.astype(int) - picture(shift)).mean()
        assert error < (6 if suffix == "gif" else 2)
    assert [frame.index for frame in read_frames(path, [2])] == [2]
    assert np.array_equal(read_image(path), found[0].image)


def test_the_first_picture_of_a_png_that_is_not_of_its_animation_is_not_shown(tmp_path):
    path = tmp_path / "hidden.png"
    frames = [Image.fromarray(picture(shift)) for shift in (90, 0, 30)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, default_image=True)
    assert [difference(f.image, picture(s)) for f, s in zip(read_frames(path), (0, 30), strict=True)] == [0, 0]


def test_one_frame_is_a_still_picture_whatever_the_format(tmp_path):
    for suffix in ("gif", "webp", "png"):
        Image.fromarray(picture()).save(tmp_path / f"still.{suffix}")
        assert kind_of(tmp_path / f"still.{suffix}") == "picture"


def test_a_delay_of_nothing_lasts_a_tenth_of_a_second_as_in_browsers(tmp_path):
    path = tmp_path / "fast.gif"
    frames = [Image.fromarray(picture(shift)) for shift in (0, 30)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=0)
    assert [frame.time for frame in read_frames(path)] == pytest.approx([0, 0.1])


def test_a_picture_of_more_pixels_than_the_limit_is_refused_by_its_header(tmp_path):
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0))
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(bytes(1000))))
    with pytest.raises(MediaError, match=r"bomb\.png: too large"):
        read_image(path)


def test_a_progressive_jpeg_of_endless_scans_is_refused(tmp_path):
    path = tmp_path / "scans.jpg"
    Image.fromarray(picture()).save(path, progressive=True)
    content = path.read_bytes()
    assert difference(read_image(path), picture()) <= 40
    last = content.rindex(b"\xff\xda")
    path.write_bytes(content[:last] + content[last:-2] * 500 + b"\xff\xd9")
    with pytest.raises(MediaError, match="scans"):
        read_image(path)


def test_postscript_is_never_given_to_an_interpreter(tmp_path):
    path = Path(tmp_path / "page.png")
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n")
    with pytest.raises(MediaError, match="not a picture"):
        read_image(path)
