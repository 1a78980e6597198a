"""What the scores of a file's faces amount to: a verdict for each face, and for the file.

A face's raw score is the mean over its frames, as that of a video is in an evaluation; it is then calibrated. Frames
in which it is turned to a side do not count, unless it is so in more than half of them: then nothing is concluded. The
`p_fake` of a single frame is calibrated by the same map, though that was fitted to means over videos. Each track is
judged by itself: that two tracks before and after a cut are one person is not known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dfgame.boxed import BoxedDetector
from dfgame.extract.records import reason
from dfgame.faces.quality import face_turn, face_width
from dfgame.faces.sample import MOST_IN, Sample
from dfgame.inspection.conditions import (
    between,
    doubtful_here,
    left_out,
    not_counted,
    out_of_reach,
    too_few,
    turned_away,
)
from dfgame.inspection.intervals import mean_interval
from dfgame.records import Face, FaceScore, FileVerdict, Interval, Kind, TrackScore, Verdict, face_name

SINGLE = "a single picture: how far its score would move from frame to frame cannot be said, so it has no interval"


@dataclass(frozen=True, slots=True)
class ScoredFace:
    """A face in a frame, without its pixels: the raw score of its crop in [0, 1], and how much detail that holds."""

    frame: int
    time: float
    face: Face
    detail: float
    raw: float


def judged(
    file: Path,
    sample: Sample,
    tracks: Mapping[int, Sequence[ScoredFace]],
    detector: BoxedDetector,
    max_turn: float,
    settings: Mapping[str, Any],
) -> FileVerdict:
    """The verdict on a file.

    It is fake if one of its faces is; else inconclusive if the score of one leaves it open; else real, if a face is.
    Of several such faces the most suspicious one decides. Only faces seen long enough count; those that the detector
    cannot judge are named among the reasons and decide nothing, unless there are no others. Where no face is seen long
    enough, as in a video of short shots, nothing can be concluded, and `p_fake` is that of all frames of the main
    tracks that count.

    Args:
        file: what was inspected.
        sample: what was found in it.
        tracks: its faces by track, those of a track in the order of time.
        detector: what gave the scores.
        max_turn: how far a face may be turned to a side, see `inspection/conditions.py`.
        settings: what the verdict depends on, for the record.
    """
    scores = tuple(_track(number, faces, sample, detector, max_turn) for number, faces in sorted(tracks.items()))
    verdict, p_fake, interval, reasons = _of_file(sample, tracks, scores, detector, max_turn)
    missed = left_out(MOST_IN[sample.kind], sample.left_out)
    return FileVerdict(
        file=str(file),
        sha256=sample.sha256,
        kind=sample.kind,
        verdict=verdict,
        p_fake=p_fake,
        tracks=scores,
        model=detector.model,
        error=reason(sample.problem, file) if sample.problem else None,
        interval=interval,
        reasons=(*reasons, missed) if missed else reasons,
        frames=sample.looked_at,
        facts=sample.facts,
        settings=dict(settings),
    )


def _track(
    number: int, faces: Sequence[ScoredFace], sample: Sample, detector: BoxedDetector, max_turn: float
) -> TrackScore:
    counting = _counting(faces, max_turn)
    numbers, aside = {one.frame for one in counting}, len(faces) - len(counting)
    raw = [one.raw for one in counting]
    p_fake = detector.calibrated(float(np.mean(raw)))
    width, detail, turn = _seen(counting)
    condition = detector.condition(width, detail)
    limits = detector.limits(condition)
    away = turned_away(turn, max_turn)
    against = [
        away or out_of_reach(width, detail, detector) or doubtful_here(p_fake, condition, detector),
        between(p_fake, condition, detector),
    ]
    if sample.kind == "video":
        against.insert(0, too_few(len(counting), sample.looked_at, aside))
    against = [sentence for sentence in against if sentence]
    known = [not_counted(aside, len(faces)), SINGLE if sample.kind == "picture" else ""]
    return TrackScore(
        id=number,
        p_fake=p_fake,
        first_time=round(faces[0].time, 3),
        last_time=round(faces[-1].time, 3),
        frames=tuple(_frame(one, detector, one.frame in numbers) for one in faces),
        verdict="inconclusive" if against else detector.verdict(p_fake),
        interval=_interval(raw, sample.kind, detector),
        reasons=(*against, *filter(None, known)),
        width=round(width, 1),
        rates=condition.rates if condition and not away else None,
        fake_from=limits.fake,
        real_up_to=limits.real,
    )


def _counting(faces: Sequence[ScoredFace], max_turn: float) -> Sequence[ScoredFace]:
    """The frames that a face is judged by."""
    ahead = [one for one in faces if not turned_away(face_turn(one.face.points), max_turn)]
    return ahead if 2 * len(ahead) >= len(faces) else faces


def _seen(faces: Sequence[ScoredFace]) -> tuple[float, float, float]:
    """How wide a face is in its frames, in pixels, how much detail it has, how far it is turned: the medians."""
    looks = [(face_width(one.face), one.detail, face_turn(one.face.points)) for one in faces]
    width, detail, turn = np.median(looks, axis=0)
    return float(width), float(detail), float(turn)


def _judgeable(faces: Sequence[ScoredFace], detector: BoxedDetector, max_turn: float) -> bool:
    """Whether the score of a face means anything."""
    width, detail, turn = _seen(_counting(faces, max_turn))
    return not turned_away(turn, max_turn) and not out_of_reach(width, detail, detector)


def _frame(one: ScoredFace, detector: BoxedDetector, counts: bool) -> FaceScore:
    return FaceScore(
        time=round(one.time, 3),
        p_fake=detector.calibrated(one.raw),
        box=one.face.box,
        frame=one.frame,
        detail=round(one.detail, 2),
        counts=counts,
    )


def _interval(raw: Sequence[float], kind: Kind, detector: BoxedDetector) -> Interval | None:
    found = mean_interval(raw) if kind == "video" else None
    return found and (detector.calibrated(found[0]), detector.calibrated(found[1]))


def _of_file(
    sample: Sample,
    tracks: Mapping[int, Sequence[ScoredFace]],
    scores: Sequence[TrackScore],
    detector: BoxedDetector,
    max_turn: float,
) -> tuple[Verdict, float | None, Interval | None, tuple[str, ...]]:
    if not scores:
        return "no face", None, None, ()
    long = [one for one in scores if sample.kind == "picture" or not too_few(len(one.judged_by), sample.looked_at)]
    if long or len(scores) == 1:
        long = long or scores
        judgeable = [one for one in long if _judgeable(tracks[one.id], detector, max_turn)]
        by_verdict = [[one for one in judgeable if one.verdict == verdict] for verdict in ("fake", "inconclusive")]
        chosen = next(filter(None, [*by_verdict, judgeable]), long)
        decides = max(chosen, key=lambda one: one.p_fake)
        left = [one for one in scores if one is not decides and one not in judgeable]
        open_ones = [f"{face_name(one)}: {reason}" for one in left for reason in one.reasons if reason != SINGLE]
        return decides.verdict, decides.p_fake, decides.interval, (*_named(decides, scores), *open_ones)
    raw = [one.raw for number in sample.main for one in _counting(tracks[number], max_turn)]
    seen = "seen from the front" if any(len(one.judged_by) < len(one.frames) for one in scores) else "seen"
    sentence = (
        f"no face is {seen} in enough of the {sample.looked_at} frames that were looked at, and whether shots show "
        "the same person is not known"
    )
    return "inconclusive", detector.calibrated(float(np.mean(raw))), None, (sentence,)


def _named(track: TrackScore, among: Sequence[TrackScore]) -> tuple[str, ...]:
    """The reasons of the face that decides, which are said to be its where there are several."""
    return track.reasons if len(among) == 1 else tuple(f"{face_name(track)}: {one}" for one in track.reasons)
