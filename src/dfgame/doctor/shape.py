"""Is each video what its place says, and like its original: quality, size, rate, number of frames."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise

from dfgame.doctor.examined import Examined, by_group, crf_of
from dfgame.doctor.findings import Finding, of
from dfgame.doctor.probe import Probe
from dfgame.records import Video

RATES = (5, 120)
SMALLEST = 64
FEW = 32
"""Frames a video that protocols ask for."""
NEARLY_LOSSLESS = 17
"""Highest rate factor of a raw video: the real ones come from the web, and were encoded there."""
STEP = 1.5
"""Times the bits a pixel that a better quality has at least; between raw and c23 60 was measured, to c40 3.9."""
ALIKE, ENOUGH = 0.95, 20
"""A video stands out where this share of at least so many others is alike."""


def check_shape(examined: Examined) -> Iterator[Finding]:
    """Everything that is to do with the pictures' number, size and quality."""
    wrong = _wrong_quality(examined)
    yield from of("quality", "encoded at another quality than its place says", wrong)
    yield from of("quality-order", "as large as a better quality of the same clip", _out_of_order(examined, wrong))
    differing = list(_unlike_originals(examined))
    yield from differing
    yield from _odd(examined)
    told = {path for finding in differing for path in finding.files}
    yield from of("stands-out", "unlike nearly all others", _standing_out(examined, told))


def _wrong_quality(examined: Examined) -> dict[str, str]:
    """Videos whose encoder says another rate factor than that of their quality."""
    found = {}
    for path, video in examined.sound.items():
        due, told = crf_of(video.compression), examined.probes[path].crf
        if due is None or told is None:
            continue
        if told > NEARLY_LOSSLESS if due == 0 else abs(told - due) > 0.5:
            found[path] = f"encoded at CRF {told:g}, not {video.compression}"
    return found


def _out_of_order(examined: Examined, wrong: dict[str, str]) -> dict[str, str]:
    """Videos with as many bits a pixel as the clip's next better quality, where the encoder of either is silent."""
    found = {}
    for qualities in examined.clips.values():
        known = [
            (crf, video, bits)
            for video in qualities
            if video.path in examined.sound
            and (crf := crf_of(video.compression)) is not None
            and (bits := examined.probes[video.path].bits_per_pixel) is not None
        ]
        known.sort(key=lambda one: one[0])
        for (_, better, many), (_, worse, few) in pairwise(known):
            silent = any(examined.probes[one.path].crf is None for one in (better, worse))
            if silent and many < STEP * few and not {better.path, worse.path} & wrong.keys():
                found[worse.path] = f"{few:.3f} bits a pixel, {better.compression} has {many:.3f}"
    return found


def _unlike_originals(examined: Examined) -> Iterator[Finding]:
    """Fakes whose size, rate or number of frames is not their original's."""
    sizes, rates, longer, shorter = {}, {}, {}, {}
    for video, fake, real in examined.with_originals():
        if not fake.medium == real.medium == "video":
            continue
        if (fake.width, fake.height) != (real.width, real.height):
            sizes[video.path] = f"{_size(fake)}, the original {_size(real)}"
        if fake.rate and real.rate and abs(fake.rate - real.rate) > 0.01 * real.rate:
            rates[video.path] = f"{fake.rate:.4g} frames/s, the original {real.rate:.4g}"
        if fake.frames and real.frames and fake.frames != real.frames:
            told = f"{fake.frames:,} frames, the original {real.frames:,}"
            (longer if fake.frames > real.frames else shorter)[video.path] = told
    yield from of("resolution", "fake of another size than its original", sizes)
    yield from of("rate", "fake of another frame rate than its original", rates)
    yield from of("longer", "fake of more frames than its original", longer)
    yield from of("shorter", "fake of fewer frames than its original", shorter)


def _odd(examined: Examined) -> Iterator[Finding]:
    """Videos that are odd in themselves."""
    rates, tiny, few, rotated = {}, {}, {}, {}
    for path in examined.sound:
        seen = examined.probes[path]
        if seen.medium == "video" and not (seen.rate and RATES[0] <= seen.rate <= RATES[1]):
            rates[path] = f"{seen.rate:.4g} frames/s" if seen.rate else "not declared"
        if seen.width and min(seen.width, seen.height) < SMALLEST:
            tiny[path] = f"{_size(seen)} pixels"
        if seen.medium != "picture" and seen.frames and seen.frames < FEW:
            few[path] = f"{seen.frames} frames"
        if seen.rotation:
            rotated[path] = f"by {seen.rotation} degrees clockwise"
    yield from of("odd-rate", f"frame rate not within {RATES[0]} to {RATES[1]} a second", rates)
    yield from of("tiny", f"smaller than {SMALLEST} pixels", tiny)
    yield from of("few-frames", f"fewer than {FEW} frames, which protocols ask for", few)
    yield from of("rotated", "carries a rotation flag, which extraction honours", rotated)


_PROPERTIES: dict[str, Callable[[Probe], str]] = {
    "size": lambda seen: _size(seen) if seen.width else "",
    "sizes in the folder": lambda seen: str(seen.sizes) if seen.medium == "pictures" else "",
    "frame rate": lambda seen: f"{seen.rate:.4g}" if seen.rate else "",
    "codec": lambda seen: seen.codec,
    "pixel format": lambda seen: seen.pixels,
}


def _standing_out(examined: Examined, told: set[str]) -> dict[str, str]:
    """Videos that have a property of their own where nearly all others of their data set and quality share one."""
    found: dict[str, str] = {}
    groups: dict[tuple[str, ...], list[Video]] = by_group(examined.sound.values(), "dataset", "compression")
    for videos in groups.values():
        for name, value in _PROPERTIES.items():
            values = {video.path: is_ for video in videos if (is_ := value(examined.probes[video.path]))}
            usual, times = Counter(values.values()).most_common(1)[0] if values else ("", 0)
            if len(values) > ENOUGH and times < len(values) and times >= ALIKE * (len(values) - 1):
                for path, is_ in values.items():
                    if is_ != usual and path not in told:
                        found[path] = f"{name} {is_}, the others {usual}"
    return found


def _size(seen: Probe) -> str:
    return f"{seen.width} x {seen.height}"
