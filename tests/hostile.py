"""Files that nobody sends in good faith: small real ones, damaged, misnamed or blown up, the same in every run."""

import gzip
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
from PIL import Image, PngImagePlugin
from pillow_heif import register_heif_opener

Files = Iterator[tuple[str | bytes, bytes]]
CUTS = (0.02, 0.1, 0.3, 0.6, 0.95)
FLIPS = (1, 3, 10, 40, 200)
HTML = "<script>alert('dfgame')</script><img src=x onerror=alert(1)>"
HUGE = 0x7FFFFFFF


def hostile_files(folder: Path) -> list[Path]:
    """Fill a folder with more than 300 files, and give their paths; names are odd, too, where the disk takes them.

    Some can be read, most cannot. Among them are folders, pipes and links that lead nowhere or to themselves.
    """
    return [path for paths in hostile_kinds(folder).values() for path in paths]


def hostile_kinds(folder: Path) -> dict[str, list[Path]]:
    """The same by what is wrong with them."""
    folder.mkdir(parents=True, exist_ok=True)
    random, real = np.random.default_rng(20), _real_files()
    kinds: dict[str, list[Path]] = {}
    for kind, make in _KINDS.items():
        kinds[kind] = []
        for name, content in make(real, random):
            path = folder / os.fsdecode(name)
            with suppress(OSError):
                path.write_bytes(content)
                kinds[kind].append(path)
    return kinds | {"folders, pipes, dead links": list(_no_files(folder))}


def _photograph(shift: int = 0) -> Image.Image:
    y, x = np.mgrid[:80, :96]
    grain = np.random.default_rng(1).integers(0, 30, (80, 96))
    channels = [(x * 2 + shift + grain), (y * 3 + grain), (x + y + grain)]
    return Image.fromarray((np.stack(channels, axis=-1) % 256).astype(np.uint8))


def _picture(form: str, **options: object) -> bytes:
    memory = io.BytesIO()
    _photograph().save(memory, form, **options)
    return memory.getvalue()


def _moving(form: str) -> bytes:
    memory = io.BytesIO()
    rest = [_photograph(shift) for shift in (20, 40, 60)]
    _photograph().save(memory, form, save_all=True, append_images=rest, duration=50, loop=0)
    return memory.getvalue()


def _video(form: str, codec: str, options: dict[str, str], pixels: str = "yuv420p") -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "video"
        with av.open(str(path), "w", format=form, options=options | {"fflags": "+bitexact"}) as container:
            container.metadata["title"] = HTML
            stream = container.add_stream(codec, rate=25, options={"threads": "1", "g": "5"})
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt = 96, 80, pixels
            for number in range(12):
                container.mux(stream.encode(av.VideoFrame.from_image(_photograph(4 * number))))
            container.mux(stream.encode())
        return path.read_bytes()


def _real_files() -> dict[str, bytes]:
    register_heif_opener()
    exif = Image.Exif()
    exif[0x010F], exif[0x0131], exif[0x0112] = HTML, HTML, 6
    return {
        "a.jpg": _picture("JPEG", exif=exif),
        "progressive.jpg": _picture("JPEG", progressive=True),
        "a.png": _picture("PNG"),
        "a.webp": _picture("WEBP", exif=exif),
        "a.tiff": _picture("TIFF", compression="tiff_lzw"),
        "a.bmp": _picture("BMP"),
        "a.heic": _picture("HEIF"),
        "a.avif": _picture("AVIF"),
        "moving.gif": _moving("GIF"),
        "moving.webp": _moving("WEBP"),
        "moving.png": _moving("PNG"),
        "a.mp4": _video("mp4", "libx264", {}),
        "first.mp4": _video("mp4", "libx264", {"movflags": "faststart"}),
        "parts.mp4": _video("mp4", "libx264", {"movflags": "frag_keyframe+empty_moov"}),
        "a.mkv": _video("matroska", "libx264", {}),
        "a.webm": _video("webm", "libvpx", {}),
        "a.avi": _video("avi", "mpeg4", {}),
        "a.ts": _video("mpegts", "mpeg2video", {}),
        "a.mov": _video("mov", "mjpeg", {}, "yuvj420p"),
    }


def _damaged(real: dict[str, bytes], random: np.random.Generator) -> Files:
    """Cut off, with bytes flipped anywhere or in the header, or with a piece left out or twice there."""
    for name, content in real.items():
        for cut in CUTS:
            yield f"cut{int(cut * 100)}-{name}", content[: max(int(len(content) * cut), 1)]
        for reach, most in (("all", len(content)), ("head", min(200, len(content)))):
            for count in FLIPS:
                flipped = np.frombuffer(content, np.uint8).copy()
                flipped[random.integers(0, most, count)] ^= random.integers(1, 256, count, dtype=np.uint8)
                yield f"flip-{reach}{count}-{name}", flipped.tobytes()
        middle = len(content) // 2
        yield f"hole-{name}", content[: middle - 100] + content[middle + 100 :]
        yield f"twice-{name}", content[:middle] + content[middle // 2 :]


def _misnamed(real: dict[str, bytes], random: np.random.Generator) -> Files:
    yield "picture.mp4", real["a.jpg"]
    yield "video.jpg", real["a.mp4"]
    yield "gif.png", real["moving.gif"]
    yield "no suffix", real["a.mkv"]
    yield "both.jpg", real["a.jpg"] + real["a.mp4"]
    yield "empty.mp4", b""
    yield "empty.jpg", b""
    yield "one.png", b"\x89"
    for suffix in ("jpg", "mp4", "png", "webm", "heic"):
        yield f"noise.{suffix}", random.bytes(5000)
        yield f"zeros.{suffix}", bytes(5000)
        yield f"text.{suffix}", b"<html><script>alert(1)</script></html>\n" * 40


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _patched(content: bytes, mark: bytes, after: int, form: str, *values: int) -> bytes:
    """A file with numbers written over, `after` bytes behind the first place where a mark stands."""
    patched = bytearray(content)
    struct.pack_into(form, patched, content.index(mark) + len(mark) + after, *values)
    return bytes(patched)


def _headers(real: dict[str, bytes], random: np.random.Generator) -> Files:
    """Sides, counts and lengths that no file of this size can have."""
    film, parts, frames = real["a.mp4"], real["parts.mp4"], real["a.avi"]
    for side in (20_000, 65_535):
        yield f"sides{side}.mp4", _patched(film, b"avc1", 24, ">HH", side, side)
        yield f"sides{side}.gif", _patched(real["moving.gif"], b"GIF89a", 0, "<HH", side, side)
        yield f"sides{side}.avi", _patched(frames, b"strf", 8, "<ii", side, side)
        yield f"sides{side}.jpg", _patched(real["a.jpg"], b"\xff\xc0", 3, ">HH", side, side)
        yield f"sides{side}.bmp", _patched(real["a.bmp"], b"BM", 16, "<ii", side, side)
    for count in (20_000_000, 85_000_000, HUGE):
        samples = _patched(_patched(film, b"stsz", 4, ">II", 1, count), b"stsc", 12, ">I", count)
        yield f"samples{count}.mp4", _patched(samples, b"stts", 8, ">I", count)
        yield f"times{count}.mp4", _patched(film, b"stts", 8, ">I", count)
        yield f"runs{count}.mp4", _patched(_patched(parts, b"trun", 0, ">I", 0), b"trun", 4, ">I", count)
        yield f"edits{count}.mp4", _patched(film, b"elst", 4, ">I", count)
        yield f"chunks{count}.mp4", _patched(film, b"stco", 4, ">I", count)
    yield "sides.y4m", b"YUV4MPEG2 W40000 H40000 F25:1 Ip A1:1 C420jpeg\nFRAME\n" + bytes(5000)
    yield "rate.avi", _patched(frames, b"strh", 24, "<II", 1, HUGE)
    yield "long.mkv", _patched(real["a.mkv"], b"\x18\x53\x80\x67", 0, ">Q", 0x01FFFFFFFFFFFFFE)
    yield "box.mp4", struct.pack(">I4s", 16, b"ftyp") + b"isom\0\0\0\0" + struct.pack(">I4sQ", 1, b"moov", 1 << 62)
    yield "nested.mp4", struct.pack(">I4s", 16, b"ftyp") + b"isom\0\0\0\0" + _nested(2000)


def _nested(depth: int) -> bytes:
    return b"".join(struct.pack(">I4s", 8 * (depth - level), b"moov") for level in range(depth))


def _bombs(real: dict[str, bytes], random: np.random.Generator) -> Files:
    """Little that unpacks into much."""
    pixels = zlib.compress(bytes(1 << 24), 9)
    for name, colour in (("grey", 0), ("rgb", 2)):
        header = _chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, colour, 0, 0, 0))
        content = b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")
        yield f"bomb-{name}.png", content
        yield f"bomb-{name}.mp4", content
    text = _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200_000_000), 9))
    yield "text-bomb.png", real["a.png"][:33] + text + real["a.png"][33:]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        entry = zipfile.ZipInfo("a.mp4", (2020, 1, 1, 0, 0, 0))
        file.writestr(entry, bytes(50_000_000), zipfile.ZIP_DEFLATED)
    for suffix in ("png", "mp4"):
        yield f"archive.{suffix}", archive.getvalue()
        yield f"gz.{suffix}", gzip.compress(bytes(50_000_000), mtime=0)
    scans = real["progressive.jpg"]
    last = scans.rindex(b"\xff\xda")
    yield "scans.jpg", scans[:last] + scans[last:-2] * 3000 + b"\xff\xd9"
    yield "pages.tiff", _patched(real["a.tiff"], b"II*\0", 0, "<I", 4)


def _lists(real: dict[str, bytes], random: np.random.Generator) -> Files:
    """Texts that would have a reader open other files, addresses or programs."""
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n%s\n#EXT-X-ENDLIST\n"
    texts = {
        "file.m3u8": playlist % b"file:///etc/passwd",
        "address.m3u8": playlist % b"http://127.0.0.1:9/a.ts",
        "list.txt": b"ffconcat version 1.0\nfile '/etc/passwd'\n",
        "stream.sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
        "manifest.mpd": b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>',
        "picture.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "page.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n",
        "push.mvg": b"push graphic-context\nimage over 0,0 0,0 'https://127.0.0.1:9/'\n",
    }
    for name, text in texts.items():
        yield name, text
        yield f"{name}.mp4", text
        yield f"{name}.jpg", text


def _names(real: dict[str, bytes], random: np.random.Generator) -> Files:
    for name in (
        "-rf", "--help", "a\nb.jpg", "a\rb.jpg", "a\tb.jpg", "<img src=x onerror=alert(1)>.jpg", "'\"`$(id)`.jpg",
        "a;id.jpg", "..%2f..%2fx.jpg", "..\\..\\x.jpg", "...jpg", " .jpg", "%s%n.jpg", "{0}.jpg", "[x]*?.jpg",
        "http:x.jpg", "concat:a|b.jpg", "file:x.jpg", "\u202egpj.exe", "\U0001f600.jpg", "\x1b[31mred.jpg", "x" * 250,
        b"\xff\xfe.jpg", b"\xc3.mp4", "CON", "~", "\x7f.jpg",
    ):  # fmt: skip
        yield name, real["a.jpg"]
    yield "-i", real["a.mp4"]
    yield b"\xed\xa0\x80.mp4", real["a.mp4"]


def _with_html(real: dict[str, bytes], random: np.random.Generator) -> Files:
    """Metadata that a careless page would run."""
    texts = PngImagePlugin.PngInfo()
    for name in ("Title", HTML[:70], "Comment"):
        texts.add_text(name, HTML * 50)
    yield "html.png", _picture("PNG", pnginfo=texts)
    yield "html.jpg", _picture("JPEG", comment=HTML.encode())
    yield "html.gif", _picture("GIF", comment=HTML.encode())
    yield "html-in-exif.jpg", real["a.jpg"]
    yield "html.mp4", real["a.mp4"]
    yield "control.mkv", real["a.mkv"].replace(HTML.encode()[:20], b"\x1b]0;\x07\n\r\0\xff\xfe" + b"x" * 10)


def _no_files(folder: Path) -> Iterator[Path]:
    def made(name: str, make: Callable[[Path], object]) -> Path:
        path = folder / name
        with suppress(FileExistsError):
            make(path)
        return path

    yield made("folder.mp4", Path.mkdir)
    yield made("folder.jpg", Path.mkdir)
    yield made("loop.mp4", lambda path: path.symlink_to(path.name))
    yield made("nowhere.jpg", lambda path: path.symlink_to("there is no such file"))
    yield made("device.jpg", lambda path: path.symlink_to("/dev/zero"))
    yield made("terminal.mp4", lambda path: path.symlink_to("/dev/tty"))
    yield made("pipe.mp4", os.mkfifo)
    yield made("pipe.jpg", os.mkfifo)
    secret = made("secret.jpg", lambda path: path.write_bytes(_picture("JPEG")))
    secret.chmod(0)
    yield secret
    yield folder / "none.jpg"
    yield folder / "none" / ".." / ".." / "x.mp4"
    yield folder / ("long" * 100)
    yield folder / "null\0.jpg"


_KINDS: dict[str, Callable[[dict[str, bytes], np.random.Generator], Files]] = {
    "truncated, flipped bytes, holes": _damaged,
    "wrong suffix, empty, noise": _misnamed,
    "absurd headers": _headers,
    "bombs: zipped, 50,000 pixels a side": _bombs,
    "playlists and scripts": _lists,
    "names like paths and options": _names,
    "HTML in metadata": _with_html,
}
