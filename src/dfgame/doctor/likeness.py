"""Whether two clips show the same pictures: a hash of a few frames each, compared over all pairs.

A frame in grey is brought to 64 x 64 pixels; its hash are the signs of the 16 x 16 lowest frequencies of its cosine
transform but the mean: 255 bits. The distance of two clips is the number of bits that differ, by frame of the one to
the frame of the other that is nearest, on average over the frames of the one that fits better.

`NEAR` was chosen on 140 studio portraits of 70 people, 878 official portraits, and 52 clips forged from them, one
frame a clip. Bits that differ:

    the same frame at raw, c23, c40                                        at most 9, median 4
    scaled to half or 1.5 times, to a square, encoded again at CRF 35      at most 6, median 2
    10% brighter                                                           at most 14, median 3
    one frame later, in clips whose whole motion is 12 frames long         at most 36, median 14
    2% cut off on each side (not found)                                    at most 44, median 29
    the same person, smiling and not, in one studio                        at least 30, median 85
    two people of the same studio (9,660 pairs)                            at least 46, 0.1% below 57, median 102
    two people of official portraits (385,003 pairs)                       at least 46, 0.1% below 66, median 121
    two people's faces cut out (the same photographs)                      at least 53, 0.1% below 78, median 124
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

NEAR = 36
"""Distance up to which two clips count as one."""
BITS = 255
_SIDE, _FREQUENCIES = 64, 16
_FLAT = 3.0
"""Standard deviation below which a frame shows nothing: black ones are all alike."""
_BLOCK = 128


def frame_hash(grey: NDArray[np.uint8]) -> bytes | None:
    """The hash of a grey picture, packed; None of one that shows nothing."""
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    if small.std() < _FLAT:
        return None
    low = np.asarray(dctn(small, norm="ortho"))[:_FREQUENCIES, :_FREQUENCIES].ravel()[1:]
    return np.packbits(low > 0).tobytes()


def unpacked(clips: Sequence[Sequence[bytes]]) -> NDArray[np.float32]:
    """Hashes as -1 and 1: clips x frames x bits. A clip of fewer frames repeats its own."""
    frames = max(map(len, clips), default=1)
    packed = b"".join(clip[number % len(clip)] for clip in clips for number in range(frames))
    bits = np.unpackbits(np.frombuffer(packed, np.uint8).reshape(len(clips), frames, -1), axis=-1, count=BITS)
    return bits.astype(np.float32) * 2 - 1


def distances(some: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """The distance of each of some clips from each of the others: some x others."""
    (m, frames, bits), n = some.shape, len(others)
    differing = (bits - some.reshape(-1, bits) @ others.reshape(-1, bits).T) / 2
    differing = differing.reshape(m, frames, n, frames)
    return np.minimum(differing.min(axis=3).mean(axis=1), differing.min(axis=1).mean(axis=2))


def nearest(
    hashes: NDArray[np.float32], group: NDArray[np.int64], related: Sequence[NDArray[np.int64]]
) -> list[tuple[int, int, float]]:
    """For each clip the nearest one of an earlier group, where that is near: (clip, other, distance).

    Args:
        hashes: see `unpacked`.
        group: of each clip; in ascending order.
        related: clips x names. Two clips that have a name in common are not compared; a negative one is no name.
    """
    found = []
    for value in np.unique(group)[1:]:
        first, last = np.searchsorted(group, [value, value + 1])
        for start in range(first, last, _BLOCK):
            block = slice(start, min(start + _BLOCK, last))
            apart = distances(hashes[block], hashes[:first])
            for names in related:
                for mine in names[block].T:
                    for theirs in names[:first].T:
                        apart[(mine[:, None] == theirs) & (mine[:, None] >= 0)] = np.inf
            best = apart.argmin(axis=1)
            least = apart[np.arange(len(best)), best]
            found += [(start + row, int(best[row]), float(least[row])) for row in np.flatnonzero(least <= NEAR)]
    return found
