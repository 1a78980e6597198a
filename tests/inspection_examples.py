"""A made-up inspection: faces from the ORL set, evidence and verdicts of every kind."""

from typing import Any

import cv2

from conftest import orl_face
from dfgame.records import (
    ErrorRates,
    Evidence,
    FaceScore,
    FileVerdict,
    Kind,
    MediaFacts,
    Model,
    Probe,
    TrackScore,
    Verdict,
)
from dfgame.report.inspection import InspectionContext

DETECTOR = {
    "name": "photographs-lite0",
    "version": "1",
    "sha256": "ef" * 32,
    "thresholds": {"fake": 0.64, "real": 0.18},
    "calibration": {"slope": 1.28, "intercept": -0.87},
    "made": {
        "calibrated_on": {"people": 34, "datasets": ["made up"]},
        "real_videos": 102,
        "fake_videos": 408,
    },
}
ABOUT = InspectionContext(DETECTOR, {"python": "3.11", "dfgame": "0.1.0"}, "dfgame inspect clip.mp4 --report r.html")
RATES = ErrorRates("48 to 80 pixels wide, little detail", 34, 3 / 34, 136, 7 / 136, 0.97)
FACTS = MediaFacts(3_456_789, "mov,mp4", "h264", "yuv420p", 1280, 720, 575, 23.0, 25.0, 1_200_000)


def png(person: int, side: int = 32) -> bytes:
    return cv2.imencode(".png", cv2.resize(orl_face(person), (side, side)))[1].tobytes()


def jpeg(person: int) -> bytes:
    return cv2.imencode(".jpg", orl_face(person, scale=0.5))[1].tobytes()


def track(number: int, verdict: Verdict, scores: list[float], start: float = 1.0, **fields) -> TrackScore:
    frames = tuple(
        FaceScore(start + place, score, (10.0, 10.0, 90.0, 90.0), 25 * int(start + place), 3.0)
        for place, score in enumerate(scores)
    )
    mean = sum(scores) / len(scores)
    limits: dict[str, Any] = {"fake_from": 0.64, "real_up_to": 0.18}
    return TrackScore(number, mean, frames[0].time, frames[-1].time, frames, verdict, **limits | fields)


def evidence(of: TrackScore, place: int) -> Evidence:
    frame = of.frames[place]
    probes = [Probe("blur", sigma, frame.p_fake / (1 + sigma)) for sigma in (0.3, 0.6, 1.0)]
    probes += [Probe("h264", crf, frame.p_fake * 0.9) for crf in (23, 40)]
    probes += [Probe("scale", share, frame.p_fake * share) for share in (0.5, 0.25)]
    pictures = (png(of.id), png(of.id + 1), png(of.id + 2))
    return Evidence(of.id, frame.frame, frame.time, frame.p_fake, *pictures, 1.8, 0.6, tuple(probes), 0.6)


def verdict(name: Verdict, *tracks: TrackScore, kind: Kind = "video", **fields) -> FileVerdict:
    p_fake = max((one.p_fake for one in tracks), default=None)
    model = Model("photographs-lite0", "1", DETECTOR["sha256"])
    given = {"facts": FACTS, "frames": 24, "settings": {"frames": 24, "device": "cpu"}} | fields
    return FileVerdict("films/clip.mp4", "ab" * 32, kind, name, p_fake, tracks, model, **given)


def example() -> tuple[FileVerdict, list[Evidence], dict[tuple[int, int], bytes]]:
    """Three people; evidence of two frames of the forged one, a thumbnail of these and of one frame of another."""
    real = track(1, "real", [0.1, 0.05, 0.3], interval=(0.02, 0.2), rates=RATES)
    fake = track(2, "fake", [0.9, 0.7, 0.5], start=4.0, interval=(0.6, 0.9), rates=RATES, width=96.0)
    open_one = track(3, "inconclusive", [0.4, 0.5], start=8.0, reasons=("it is 30 pixels wide",))
    found = [evidence(fake, 0), evidence(fake, 1)]
    thumbnails = {(2, item.frame): jpeg(2) for item in found} | {(1, 25): jpeg(1)}
    return verdict("fake", real, fake, open_one, interval=(0.6, 0.9)), found, thumbnails


CASES = {
    "several people": example(),
    "picture": (
        verdict("fake", track(1, "fake", [0.9]), kind="picture"),
        [evidence(track(1, "fake", [0.9]), 0)],
        {(1, 25): jpeg(1)},
    ),
    "no face": (verdict("no face", facts=None, settings={}, frames=0), [], {}),
    "inconclusive": (
        verdict("inconclusive", track(1, "inconclusive", [0.4]), reasons=("it is too small", "it is dark")),
        [],
        {},
    ),
    "broken off": (verdict("real", track(1, "real", [0.1, 0.1]), error="the file ends in the middle"), [], {}),
    "crowd": (verdict("real", *(track(number, "real", [0.1] * 5) for number in range(20))), [], {}),
}
