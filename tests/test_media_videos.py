"""Videos of every kind: long, interlaced, deep, turned; what is read by seeking is what is read by decoding all."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

import dfgame.media.videos as videos
from conftest import CLIP_FRAMES, moving, remuxed
from dfgame.media import (
    Frame,
    MediaError,
    count_frames,
    frame_times,
    kind_of,
    media_facts,
    read_frames,
    read_image,
    transcode,
    write_video,
)

WIDTH, HEIGHT = 96, 64


def image(number: int) -> np.ndarray:
    """A picture that says its number: a bright bar that moves, on a shade that grows."""
    frame = np.full((HEIGHT, WIDTH, 3), 40 + number % 50, np.uint8)
    frame[:, (3 * number) % (WIDTH - 8) :][:, :8] = 220
    return frame


LONG = 300


def encode(path: Path, count: int, codec: str = "libx264", ticks: list[int] | None = None, **given: str) -> Path:
    """A video of `count` frames, 25 a second or at the given milliseconds."""
    options = {key: value for key, value in given.items() if key not in ("pix_fmt", "flags")}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, given.get("pix_fmt", "yuv420p")
        if ticks is not None:
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(image(number), format="rgb24").reformat(format=stream.pix_fmt)
            if ticks is not None:
                frame.pts, frame.time_base = ticks[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("name", ["a.mkv", "a.ts"])
def test_the_clock_begins_with_the_video(tmp_path, name):
    path = encode(tmp_path / name, 20, ticks=[5_000_000 + 40 * number for number in range(20)])
    assert [frame.time for frame in read_frames(path)] == pytest.approx(
        [number / 25 for number in range(20)], abs=2e-3
    )
    assert frame_times(path).tolist() == pytest.approx([number / 25 for number in range(20)], abs=2e-3)
    assert media_facts(path).duration == pytest.approx(0.8, abs=0.06)


def test_a_stream_without_times_goes_by_its_frame_rate(tmp_path):
    path = encode(tmp_path / "bare.h264", 20)
    times = [frame.time for frame in read_frames(path)]
    assert times == pytest.approx([number / 25 for number in range(20)])
    assert frame_times(path).tolist() == pytest.approx(times)


@pytest.mark.parametrize("count", [100, LONG])
def test_a_matroska_file_that_is_cut_off_says_so(tmp_path, count):
    path = encode(tmp_path / "a.mkv", count, g="20")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    found = []
    with pytest.raises(MediaError, match=r"breaks off after \d+ frames \(holds \d+\.\d of \d+\.0 seconds\)"):
        found.extend(read_frames(path, [0, 5, count - 1]))


@pytest.mark.parametrize("count", [60, LONG])
@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.flv", "libx264"), ("a.mkv", "libx264"), ("a.ts", "libx264"), ("a.asf", "mpeg4"), ("a.nut", "mpeg4")],
)
def test_a_whole_file_is_not_said_to_be_cut_off(tmp_path, name, codec, count):
    path = encode(tmp_path / name, count, codec)
    assert [frame.index for frame in read_frames(path)] == list(range(count))
    assert [frame.index for frame in read_frames(path, [0, count - 1])] == [0, count - 1]


def test_of_several_video_streams_the_one_shown_by_default_is_read(tmp_path):
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=25) for _ in range(2)]
        for stream, grey in zip(streams, (60, 200), strict=True):
            stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
            stream.disposition = Disposition.default if grey == 200 else Disposition(0)
        for _ in range(5):
            for stream, grey in zip(streams, (60, 200), strict=True):
                picture = np.full((64, 64, 3), grey, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        for stream in streams:
            container.mux(stream.encode())
    assert next(read_frames(path)).image.mean() == pytest.approx(200, abs=4)
    assert media_facts(path).video_streams == 2


def alike(found: list[Frame], expected: list[Frame]) -> bool:
    pairs = zip(found, expected, strict=True)
    return all(a.index == b.index and a.time == b.time and np.array_equal(a.image, b.image) for a, b in pairs)


WANTED = [0, 1, 47, 48, 49, 50, 120, 121, 299]


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"g": "48", "bf": "3"}),
        ("open.mkv", "libx264", {"g": "48", "bf": "3", "x264-params": "open-gop=1:b-pyramid=normal"}),
        ("a.ts", "libx264", {"g": "48", "bf": "2"}),
        ("hevc.mp4", "libx265", {"x265-params": "keyint=48:bframes=4:open-gop=1:log-level=none:pools=1"}),
        ("a.webm", "libvpx-vp9", {"g": "48", "deadline": "realtime", "cpu-used": "8", "threads": "1"}),
        ("a.avi", "mjpeg", {"pix_fmt": "yuvj420p"}),
        ("a.mpg", "mpeg2video", {"g": "12", "bf": "2"}),
        ("h264.avi", "libx264", {"g": "48", "bf": "3"}),
        ("mpeg4.avi", "mpeg4", {"g": "48", "bf": "2"}),
    ],
)
def test_what_is_sought_is_what_decoding_all_gives(tmp_path, monkeypatch, name, codec, options):
    path = encode(tmp_path / name, LONG, codec, **options)
    everything = list(read_frames(path))
    assert len(everything) == LONG == count_frames(path)
    expected = [everything[number] for number in WANTED]
    decoded = []
    whole = videos._decoded
    monkeypatch.setattr(videos, "_decoded", lambda *args: decoded.append(1) or whole(*args))
    assert alike(list(read_frames(path, WANTED)), expected)
    assert alike(list(read_frames(path, [*WANTED, 5000])), expected)
    assert frame_times(path) == pytest.approx([frame.time for frame in everything])
    assert (np.diff([frame.time for frame in everything]) > 0).all()
    if name.endswith((".mp4", ".mkv", ".webm")) or name == "a.avi":
        assert not decoded, "it was not sought"


def test_seeking_decodes_little(tmp_path, monkeypatch):
    """Three frames of 300, a key frame every 30: at most three groups are decoded."""
    path = encode(tmp_path / "a.mp4", LONG, g="30", bf="2")
    given = []
    number_of = videos.seek_frames.__globals__["_number_of"]
    monkeypatch.setitem(videos.seek_frames.__globals__, "_number_of", lambda *a: given.append(1) or number_of(*a))
    assert [frame.index for frame in read_frames(path, [10, 150, 299])] == [10, 150, 299]
    assert 0 < len(given) <= 3 * 30 + 1


def test_frames_that_no_other_refers_to_are_left_out(tmp_path, monkeypatch):
    path = encode(tmp_path / "a.mp4", LONG, g="300", bf="3", b_strategy="0")
    given = []
    number_of = videos.seek_frames.__globals__["_number_of"]
    monkeypatch.setitem(videos.seek_frames.__globals__, "_number_of", lambda *a: given.append(1) or number_of(*a))
    wanted = [10, 11, 12, 13, 150, 151, 299]
    assert [frame.index for frame in read_frames(path, wanted)] == wanted
    assert len(wanted) < len(given) < 0.6 * LONG


def test_a_seek_that_misleads_ends_in_decoding_all(tmp_path, monkeypatch):
    path = encode(tmp_path / "a.mp4", LONG, g="30")
    expected = [frame for frame in read_frames(path) if frame.index in (10, 150, 299)]
    number_of, calls = videos.seek_frames.__globals__["_number_of"], []

    def lost_at_last(frame, packets):
        calls.append(1)
        if len(calls) > 12:
            raise videos.LostError
        return number_of(frame, packets)

    monkeypatch.setitem(videos.seek_frames.__globals__, "_number_of", lost_at_last)
    assert alike(list(read_frames(path, [10, 150, 299])), expected)
    assert len(calls) == 13


def test_uneven_times_are_sought_too(tmp_path):
    ticks = np.cumsum(np.random.default_rng(0).integers(5, 90, LONG)).tolist()
    path = encode(tmp_path / "uneven.mkv", LONG, ticks=ticks, bf="2", g="40")
    found = list(read_frames(path, WANTED))
    shown = [(ticks[number] - ticks[0]) / 1000 for number in WANTED]
    assert [frame.time for frame in found] == pytest.approx(shown, abs=1e-3)
    for frame in found:
        assert np.abs(frame.image.astype(int) - image(frame.index)).mean() < 6


def interlaced(path: Path, count: int, codec: str, **options: str) -> Path:
    """A bar moving 6 pixels a field: even rows are half a frame older than odd ones."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(count):
            frame = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
            for field in (0, 1):
                left = 6 * (2 * number + field) % 80
                frame[field::2, left : left + 12] = 200
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def combs(frame: np.ndarray) -> float:
    """How much rows differ from the mean of their neighbours."""
    grey = frame.astype(float).mean(axis=2)
    return float(np.abs(grey[1:-1] - (grey[:-2] + grey[2:]) / 2).mean())


INTERLACED = [
    ("tff.mp4", "libx264", {"x264-params": "tff=1", "g": "25", "crf": "10"}),
    ("field.mpg", "mpeg2video", {"flags": "+ildct+ilme", "top": "1", "qmin": "1", "qmax": "2"}),
]


@pytest.mark.parametrize(("name", "codec", "options"), INTERLACED)
def test_interlaced_frames_lose_their_combs(tmp_path, name, codec, options):
    path = interlaced(tmp_path / name, 12, codec, **options)
    with av.open(str(path)) as container:
        raw = list(container.decode(video=0))
    assert all(frame.interlaced_frame for frame in raw)
    found = list(read_frames(path))
    assert [frame.index for frame in found] == list(range(12))
    assert [frame.time for frame in found] == pytest.approx([float(frame.time - raw[0].time) for frame in raw])
    before = np.mean([combs(frame.to_ndarray(format="rgb24")) for frame in raw])
    assert np.mean([combs(frame.image) for frame in found]) < before / 4


@pytest.mark.parametrize(("name", "codec", "options"), INTERLACED)
def test_interlaced_frames_lose_their_combs_when_they_are_encoded_again(tmp_path, name, codec, options):
    path = interlaced(tmp_path / name, 12, codec, **options)
    transcode(path, tmp_path / "again.mp4", 5)
    before, after = (list(read_frames(file)) for file in (path, tmp_path / "again.mp4"))
    assert len(before) == len(after) == 12
    assert max(combs(frame.image) for frame in after) < 1.3 * max(combs(frame.image) for frame in before)


def test_interlaced_frames_are_the_same_however_they_are_read(tmp_path):
    path = interlaced(tmp_path / "long.mp4", LONG, "libx264", **INTERLACED[0][2])
    everything = list(read_frames(path))
    assert alike(list(read_frames(path, WANTED)), [everything[number] for number in WANTED])
    some = list(range(0, LONG, 3))
    assert alike(list(read_frames(path, some)), [everything[number] for number in some])


def test_the_last_interlaced_frame_of_a_broken_file_is_not_lost(tmp_path):
    path = interlaced(tmp_path / "cut.mpg", 40, "mpeg2video", **INTERLACED[1][2])
    short = path.with_name("short.mpg")
    short.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with av.open(str(short)) as container:
        raw = sum(1 for _ in container.decode(video=0))
    assert len(list(read_frames(short))) == raw > 5


@pytest.mark.parametrize(("codec", "pixels"), [("libx264", "yuv420p10le"), ("libx265", "yuv422p10le")])
def test_ten_bits_are_read_as_eight(tmp_path, codec, pixels):
    path = encode(tmp_path / "deep.mkv", 5, codec, pix_fmt=pixels, crf="5")
    for frame in read_frames(path):
        assert np.abs(frame.image.astype(int) - image(frame.index)).mean() < 4


@pytest.mark.parametrize(("aspect", "sides"), [("64/45", (137, 64)), ("1/2", (96, 128)), ("9/1", (96, 64))])
def test_pixels_that_are_not_square_are_made_so(tmp_path, aspect, sides):
    path = tmp_path / "wide.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(aspect)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image(0))))
        container.mux(stream.encode())
    facts, shown = media_facts(path), next(read_frames(path)).image
    assert (facts.width, facts.height) == sides == shown.shape[1::-1]
    transcode(path, tmp_path / "again.mp4", 20)
    again = next(read_frames(tmp_path / "again.mp4")).image
    assert (
        again.shape[1::-1] == (sides[0] // 2 * 2, sides[1])
        and media_facts(tmp_path / "again.mp4").width == again.shape[1]
    )


def test_frames_that_an_edit_list_hides_are_not_counted(tmp_path):
    write_video(tmp_path / "a.mp4", moving(1), fps=25, crf=23)
    remuxed(tmp_path / "a.mp4", tmp_path / "b.mp4", hidden=3)
    assert count_frames(tmp_path / "b.mp4") == len(list(read_frames(tmp_path / "b.mp4"))) == CLIP_FRAMES - 3


def test_content_decides_not_the_name(tmp_path):
    film, photograph = tmp_path / "film.jpg", tmp_path / "photograph.mp4"
    write_video(tmp_path / "a.mp4", [image(number) for number in range(6)], fps=25, crf=20)
    (tmp_path / "a.mp4").rename(film)
    av.VideoFrame.from_ndarray(image(3), format="rgb24").to_image().save(photograph, format="JPEG", quality=95)
    assert kind_of(film) == "video" and kind_of(photograph) == "picture"
    assert count_frames(film) == 6 and count_frames(photograph) == 1
    assert [frame.index for frame in read_frames(film)] == list(range(6))
    assert np.abs(read_image(photograph).astype(int) - image(3)).mean() < 4
    with pytest.raises(MediaError, match="not a picture"):
        read_image(film)


@pytest.mark.parametrize("name", ["c:lip.mp4", "http:x.mp4", "-rf", "concat:a|b.mp4", "a\nb.mp4", "<img src=x>.mp4"])
def test_a_name_is_only_a_name(tmp_path, name):
    path = tmp_path / name
    write_video(tmp_path / "a.mp4", [image(number) for number in range(4)], fps=25, crf=20)
    (tmp_path / "a.mp4").rename(path)
    assert kind_of(path) == "video" and len(list(read_frames(path))) == 4
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(MediaError) as error:
        kind_of(path)
    assert "\n" not in error.value.problem


def test_a_name_that_is_no_utf8(tmp_path):
    path = Path(str(tmp_path), b"\xff\xfe.mp4".decode("utf-8", "surrogateescape"))
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(MediaError, match=r"\\xff\\xfe\.mp4: not a video") as error:
        count_frames(path)
    error.value.problem.encode("utf-8")


def test_sound_alone_is_no_video_even_with_a_cover(tmp_path):
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(MediaError, match="no video stream"):
        kind_of(path)


def test_an_avi_with_frames_out_of_order_is_encoded_again_in_order(tmp_path):
    """AVI has no time stamps: those of H.264 packets are in decoding order, and frames came with them backward."""
    path = encode(tmp_path / "a.avi", 30, bf="3")
    transcode(path, tmp_path / "a.mp4", 10)
    frames = list(read_frames(tmp_path / "a.mp4"))
    assert np.diff([frame.time for frame in frames]) == pytest.approx([0.04] * 29)
    for number, frame in enumerate(frames):
        assert np.abs(frame.image.astype(int) - image(number)).mean() < 8
