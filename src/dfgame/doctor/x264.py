"""What x264 writes of its settings into the first packet of a video: an SEI message of plain text.

x264 - core 165 r3222 ... - options: cabac=1 ref=2 ... rc=crf mbtree=0 crf=23.0 qcomp=0.60 ... aq=1:1.00
"""

import re

_MESSAGE = re.compile(rb"x264 - core [^\0]{0,400}? - options: ([\x20-\x7e]{1,4000})")


def x264_options(packet: bytes) -> dict[str, str]:
    """The options in the packet, by name; empty where there is no such message."""
    found = _MESSAGE.search(packet)
    words = found[1].decode("ascii").split() if found else []
    return dict(word.split("=", 1) for word in words if "=" in word)


def constant_rate_factor(packet: bytes) -> float | None:
    """The rate factor of the video that the packet begins, 0 lossless; None where it is not told, or was not held.

    A constant quantiser is a rate factor for this purpose: the two are on one scale.
    """
    options = x264_options(packet)
    value = options.get({"crf": "crf", "cqp": "qp"}.get(options.get("rc", ""), ""), "")
    return float(value) if re.fullmatch(r"\d{1,2}(\.\d{1,4})?", value) else None
