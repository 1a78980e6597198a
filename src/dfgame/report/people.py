"""The faces of a report, each with its lane on the timeline and the moments of which there is something to see."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from dfgame.records import Evidence, FaceScore, FileVerdict, TrackScore, Verdict
from dfgame.report.evidence_words import frame_verdict, map_words, score_words, stability_words
from dfgame.report.stability import Chart, charts_of
from dfgame.report.timeline import Lane, lane_of, length_of


@dataclass(frozen=True, slots=True)
class Explained:
    """A frame's evidence, and what it says; `warns` is whether the words on the map are a warning.

    `stability` is empty where no probe was made: only the crop and the heat map were.
    """

    evidence: Evidence
    charts: tuple[Chart, ...]
    map_words: str
    warns: bool
    stability: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """A frame of a face of which there is a thumbnail, evidence, or both."""

    name: str
    score: FaceScore
    verdict: Verdict
    thumbnail: bytes | None
    explained: Explained | None

    @property
    def words(self) -> str:
        """The frame's score, what it amounts to, and whether it counts."""
        aside = "" if self.score.counts else "; turned to a side, it does not count"
        return score_words(self.score.p_fake, self.verdict) + aside

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        """(name in the page, bytes) of its pictures."""
        if self.thumbnail is not None:
            yield f"{self.name}-thumbnail", self.thumbnail
        if self.explained:
            for part in ("crop", "amplified", "heat"):
                if picture := getattr(self.explained.evidence, part):
                    yield f"{self.name}-{part}", picture


@dataclass(frozen=True, slots=True)
class Person:
    """A face that was followed, and its moments by time.

    Those that were explained in full come apart from those of which only a heat map was made.
    """

    track: TrackScore
    lane: Lane
    moments: tuple[Moment, ...]

    @property
    def explained(self) -> list[Moment]:
        """The moments whose stability was measured, too."""
        return [moment for moment in self.moments if moment.explained and moment.explained.stability]

    @property
    def looked_at(self) -> list[Moment]:
        """The moments with a heat map alone."""
        return [moment for moment in self.moments if moment.explained and not moment.explained.stability]


def people_of(
    said: FileVerdict,
    evidence: Sequence[Evidence],
    thumbnails: Mapping[tuple[int, int], bytes],
) -> list[Person]:
    """The faces of a verdict in its order; what is said of their frames is by their own thresholds.

    Raises:
        ValueError: evidence or a thumbnail is of a face's frame that the verdict does not hold just once, or a frame
            has more than one evidence.
    """
    known = Counter((track.id, frame.frame) for track in said.tracks for frame in track.frames)
    weighty = {(item.track, item.frame): item for item in evidence}
    strangers = sorted(place for place in {*weighty, *thumbnails} if known[place] != 1)
    if strangers:
        raise ValueError(f"not one (face, frame) of the verdict each: {strangers}")
    if len(weighty) < len(evidence):
        raise ValueError("more than one evidence of a frame")
    length = length_of(said)

    def person(track: TrackScore) -> Person:
        verdict_on = partial(frame_verdict, fake=track.fake_from, real=track.real_up_to)
        pictured = frozenset(frame for owner, frame in (*weighty, *thumbnails) if owner == track.id)
        moments = []
        for frame in track.frames:
            place = (track.id, frame.frame)
            if frame.frame in pictured:
                found = _explained(weighty[place], track) if place in weighty else None
                seen = thumbnails.get(place), found
                verdict = verdict_on(frame.p_fake) if frame.counts else "inconclusive"
                moments.append(Moment(moment_name(*place), frame, verdict, *seen))
        return Person(track, lane_of(track, length, pictured, verdict_on), tuple(moments))

    return [person(track) for track in said.tracks]


def moment_name(track: int, frame: int) -> str:
    """The anchor of a face's frame in the page."""
    return f"moment-{track}-{frame}"


def _explained(evidence: Evidence, track: TrackScore) -> Explained:
    fake, real = track.fake_from, track.real_up_to
    words, warns = map_words(evidence.hot_change, evidence.random_change)
    charts = tuple(charts_of(evidence, fake, real))
    told = tuple(stability_words(evidence, fake, real)) if evidence.probes else ()
    return Explained(evidence, charts, words, warns, told)
