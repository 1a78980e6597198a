"""Pictures and videos in and out, against files patched and encoded by hand."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from conftest import orl_face
from dfgame.media import MediaError, count_frames, media_facts, read_frames, read_image, write_video

WIDTH, HEIGHT, COUNT = 96, 64, 10


def ramp(number: int = 0) -> np.ndarray:
    """A smooth picture whose four corners differ, brighter with each number."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    channels = [x * 2, y * 3, (x + y) + 4 * number]
    return np.stack(channels, axis=-1).astype(np.uint8)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    write_video(path, [ramp(n) for n in range(COUNT)], fps=25, crf=0)
    return path


def rotated(path: Path, clockwise: int) -> Path:
    """The file with the display matrix of its track header overwritten, as a phone held sideways writes it."""
    cos, sin = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[clockwise]
    return shown_by(path, (cos, sin, -sin, cos), f"turned{clockwise}.mp4")


def shown_by(path: Path, matrix: tuple[int, int, int, int], name: str) -> Path:
    """The file with another display matrix (a b c d: x' = a x + c y, y' = b x + d y), beside it under a name."""
    one = 1 << 16
    a, b, c, d = (one * value for value in matrix)
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4 + 40
    assert content[start : start + 36] == struct.pack(">9i", one, 0, 0, 0, one, 0, 0, 0, 1 << 30)
    content[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    other = path.with_name(name)
    other.write_bytes(content)
    return other


def test_lossless_comes_back_but_for_rounding(video):
    for number, frame in enumerate(read_frames(video)):
        assert frame.index == number
        assert frame.time == pytest.approx(number / 25)
        assert np.abs(frame.image.astype(int) - ramp(number)).max() <= 2


def test_lossy_files_are_smaller_and_near(tmp_path):
    frames = [ramp(n) for n in range(COUNT)]
    sizes = []
    for crf in (0, 23, 40):
        path = tmp_path / f"{crf}.mp4"
        write_video(path, frames, fps=25, crf=crf)
        sizes.append(path.stat().st_size)
        error = np.mean([(f.image.astype(float) - ramp(f.index)) ** 2 for f in read_frames(path)])
        assert 10 * np.log10(255**2 / error) > 30
        with av.open(str(path)) as container:
            assert container.streams.video[0].codec_context.pix_fmt == ("yuv444p" if crf == 0 else "yuv420p")
    assert sizes[0] > sizes[1] > sizes[2]


def test_writing_again_gives_the_same_bytes(tmp_path):
    """At a width that is no multiple of 16, after other data was in the memory: x264's macroblock tree read it."""
    random = np.random.default_rng(0)
    faces = [np.roll(cv2.resize(orl_face(5, number), (132, 160)), 3 * number, 1) for number in (1, 2, 3, 4)]
    frames = [np.clip(face + random.normal(0, 1.5, face.shape), 0, 255).astype(np.uint8) for face in faces]
    written = set()
    for _ in range(40):
        scattered = [random.bytes(size) for size in random.integers(1, 100_000, 200)]
        del scattered
        write_video(tmp_path / "again.mp4", frames, fps=25, crf=23)
        written.add((tmp_path / "again.mp4").read_bytes())
    assert len(written) == 1


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    def frames():
        yield ramp()
        raise RuntimeError("camera unplugged")

    with pytest.raises(RuntimeError, match="unplugged"):
        write_video(tmp_path / "clip.mp4", frames(), fps=25, crf=23)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("clockwise", [90, 180, 270])
def test_rotation_is_applied(video, clockwise):
    path = rotated(video, clockwise)
    upright = np.rot90(ramp(), -clockwise // 90)
    frame = next(read_frames(path))
    assert frame.image.shape == upright.shape
    assert np.abs(frame.image.astype(int) - upright).max() <= 2


@pytest.mark.parametrize(
    ("matrix", "shown", "rotation"),
    [
        ((-1, 0, 0, 1), lambda a: a[:, ::-1], 0),
        ((1, 0, 0, -1), lambda a: a[::-1], 180),
        ((0, 1, 1, 0), lambda a: a.transpose(1, 0, 2), 270),
        ((0, -1, -1, 0), lambda a: np.rot90(a, 2).transpose(1, 0, 2), 90),
    ],
)
def test_mirrored_frames_are_mirrored_back(video, matrix, shown, rotation):
    path = shown_by(video, matrix, "mirrored.mp4")
    upright = shown(ramp())
    frame = next(read_frames(path))
    assert frame.image.shape == upright.shape
    assert np.abs(frame.image.astype(int) - upright).max() <= 2
    facts = media_facts(path)
    assert (facts.height, facts.width, facts.rotation) == (*upright.shape[:2], rotation)


def test_only_the_wanted_frames(video):
    found = list(read_frames(video, [7, 2]))
    assert [frame.index for frame in found] == [2, 7]
    assert np.abs(found[1].image.astype(int) - ramp(7)).max() <= 2
    assert list(read_frames(video, [])) == []


def test_time_stamps_are_the_files_own(tmp_path):
    path = tmp_path / "uneven.mkv"
    ticks = [0, 40, 50, 400]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for tick in ticks:
            frame = av.VideoFrame.from_ndarray(ramp(), format="rgb24")
            frame.pts, frame.time_base = tick, stream.codec_context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert [frame.time for frame in read_frames(path)] == pytest.approx([t / 1000 for t in ticks], abs=1e-3)


def test_frames_are_counted_where_the_container_does_not_say(video, tmp_path):
    matroska = tmp_path / "clip.mkv"
    write_video(matroska, [ramp(n) for n in range(COUNT)], fps=25, crf=23)
    with av.open(str(matroska)) as container:
        assert container.streams.video[0].frames == 0
    assert count_frames(matroska) == COUNT == count_frames(video)


def test_a_truncated_file_gives_what_it_has_and_then_complains(tmp_path):
    path = tmp_path / "cut.mp4"
    noise = np.random.default_rng(0)
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for _ in range(COUNT):
            image = noise.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])
    found = []
    with pytest.raises(MediaError, match=r"cut\.mp4: breaks off after \d+") as error:
        for frame in read_frames(path):
            found.append(frame.index)
    assert 0 < len(found) < COUNT
    assert f"after {len(found)} " in error.value.problem
    assert "\n" not in error.value.problem


@pytest.mark.parametrize(
    ("content", "reason"), [(b"hello, this is text\n" * 40, "not a video"), (b"", "empty"), (None, "no such file")]
)
@pytest.mark.parametrize("read", [count_frames, lambda path: list(read_frames(path))])
def test_what_is_no_video_is_named_in_one_line(tmp_path, content, reason, read):
    path = tmp_path / "film.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MediaError, match=reason) as error:
        read(path)
    assert error.value.problem.startswith(str(path))
    assert "\n" not in error.value.problem


def test_pictures_of_every_kind_come_back_as_the_same_rgb(tmp_path):
    grey = ramp()[:, :, 0]
    expected = np.repeat(grey[:, :, None], 3, axis=2)
    pictures = {
        "grey.png": Image.fromarray(grey),
        "palette.png": Image.fromarray(grey).convert("P"),
        "alpha.png": Image.fromarray(expected).convert("RGBA"),
        "deep.png": Image.fromarray(grey.astype(np.uint16) * 257),
        "deep.tiff": Image.fromarray(grey.astype(np.uint16) * 257),
        "cmyk.tiff": Image.fromarray(expected).convert("CMYK"),
    }
    for name, picture in pictures.items():
        picture.save(tmp_path / name)
        image = read_image(tmp_path / name)
        assert image.dtype == np.uint8
        assert image.shape == expected.shape, name
        assert np.abs(image.astype(int) - expected).max() <= 1, name


@pytest.mark.parametrize(("tag", "turns"), [(3, 2), (6, 3), (8, 1)])
def test_exif_rotation_is_applied(tmp_path, tag, turns):
    exif = Image.Exif()
    exif[0x0112] = tag
    Image.fromarray(ramp()).save(tmp_path / "phone.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "phone.png"), np.rot90(ramp(), turns))


def test_what_is_no_picture_is_named_in_one_line(tmp_path):
    text, cut = tmp_path / "text.jpg", tmp_path / "cut.jpg"
    text.write_text("hello")
    Image.fromarray(ramp()).save(cut)
    cut.write_bytes(cut.read_bytes()[:600])
    for path, reason in ((text, "not a picture"), (cut, "cannot be read"), (tmp_path / "none.png", "no such file")):
        with pytest.raises(MediaError, match=reason) as error:
            read_image(path)
        assert error.value.problem.startswith(str(path))
        assert "\n" not in error.value.problem
