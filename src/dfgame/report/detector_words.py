"""What is said of the detector behind a verdict: how it was calibrated, what it cannot tell, its facts."""

from collections.abc import Mapping
from typing import Any

from dfgame.records import Kind
from dfgame.report.inspection_words import percent
from dfgame.report.language import counted, listed

LIMITS = (
    "A score is evidence, not proof. It must not be used to accuse anybody, to decide about anybody by itself, or as "
    "proof that something is real; “inconclusive” means no opinion.",
    "Only faces that were found are judged. Whatever else may be wrong with the file (its sound, its text, its "
    "surroundings, where and when it is said to be from) is not looked at, and neither are speech and motion: each "
    "frame is judged by itself.",
    "A face or a whole picture that a generator made from nothing has no seam between real and forged to find, and "
    "may pass as real.",
    "Strong compression, small size, blur and low light hide what the detector looks for. Beauty filters, smoothed "
    "skin, reddened faces and screens filmed again can make real faces look forged.",
    "Each further face in a film is another chance of a false alarm.",
    "“No sign of forgery” only says that the detector knows nothing against the file: forgeries unlike those that it "
    "was made with can pass.",
)
"""What holds of every detector of this kind."""
KNOWN_LIMITS = {
    "photographs-lite0": (
        "This detector was made from photographs alone and has not been measured on real deepfake videos: expect it "
        "to do worse on what is met in the world than the rates beside the verdict say.",
        "At strong compression (H.264 at CRF 40) it ranks swapped faces, or another person's expression on a face, "
        "above a real one in seven of ten pairs only (a coin in five).",
        "Glasses, facial hair and heads turned a little were tested on 40 people of small grey photographs alone, of "
        "whose forgeries it called up to a fifth real. Skin colour was tested only on darker and lighter halves "
        "of a few people. Heads turned further were drawn from pictures of the front: judging them all, it called 6% "
        "of the real ones fake at 30 degrees, and a quarter at 60. Not tested: photographs in profile, children, the "
        "very old.",
    ),
}
"""What the card of a detector that comes with this package says further, by the detector's name."""


def limits(detector: Mapping[str, Any]) -> list[str]:
    """What the tool cannot tell, a paragraph each: of any detector, then of this one."""
    return [*LIMITS, *KNOWN_LIMITS.get(detector["name"], ()), *_calibration_limits(detector)]


def _calibration_limits(detector: Mapping[str, Any]) -> list[str]:
    made, on = detector.get("made") or {}, (detector.get("made") or {}).get("calibrated_on")
    if not on:
        return []
    people = counted(on["people"], "person", "people")
    videos = f"{counted(made['real_videos'], 'real video')} and {counted(made['fake_videos'], 'forged video')}"
    fewest, most = on.get("frames_of_a_video", (0, 0))
    frames = f", {fewest if fewest == most else f'{fewest} to {most}'} frames each" if most else ""
    return [
        f"Its percentages were matched to what came true in {videos} of {people}{frames} ({listed(on['datasets'])}). "
        "On media unlike those they are rougher than they look."
    ]


def threshold_words(detector: Mapping[str, Any]) -> str:
    """From when on a face is called what."""
    fake, real = (percent(detector["thresholds"][name]) for name in ("fake", "real"))
    if detector.get("stricter"):
        return (
            f"From {fake} at the least a face is called likely forged; up to {real} at the most, it shows no sign of "
            "forgery; what lies between is inconclusive. The limits for faces of its size and detail are said of each."
        )
    return (
        f"From {fake} a face is called likely forged; up to {real}, it shows no sign of forgery; what lies between is "
        "inconclusive."
    )


def method(kind: Kind) -> str:
    """How a verdict comes about."""
    frames = "in the picture" if kind == "picture" else "in the frames that were looked at"
    follow = "" if kind == "picture" else " and followed from one to the next"
    return (
        f"Faces are found {frames}{follow}. Each face is cut out with a margin and scored by the detector's networks, "
        "whose scores are averaged; a face's score is the mean over those of its frames in which it is "
        "not turned to a side, over all where these are fewer than half, and its log-odds go through a "
        "logistic function, fitted to videos of people left out of the training, which makes it a percentage. The "
        "heat map comes from the same networks. For the stability charts the cut-out face is blurred with Gaussians, "
        "compressed with H.264 and scaled down, and scored again. Everything is computed on one machine, nothing is "
        "sent anywhere; the same file, detector and settings give the same report."
    )


def detector_rows(detector: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The detector's facts that fit on a line; all others are in the data."""
    thresholds = detector["thresholds"]
    stricter = "; stricter for some faces" if detector.get("stricter") else ""
    terms = ", ".join(f"{name} {value:.4f}" for name, value in sorted(detector["calibration"].items()))
    return [
        ("detector", f"{detector['name']}, version {detector['version']}"),
        ("thresholds", f"forged from {thresholds['fake']:.4f}, real up to {thresholds['real']:.4f}{stricter}"),
        ("calibration", f"logistic function of the mean raw score's log-odds: {terms}"),
    ]
