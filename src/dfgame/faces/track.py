"""Faces followed through a video: detections of single frames -> tracks, a track a person and shot.

Pure geometry. Only frames that were looked at count: a position is a number among them, a gap is a run of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dfgame.records import Face

SAME_FACE_IOU = 0.3
"""Overlap (intersection over union) from which two boxes of nearby frames are one face."""
LONGEST_GAP = 5
"""Looked-at frames for which a face may be missed and still be the same when it comes back, if not said otherwise."""
LONGEST_GUESS = 1.0
"""Seconds over which a missed face's place is interpolated; over more, nobody knows where it was."""
SAME_PERSON_AREA = 4.0
"""After a cut the face that goes on is larger or smaller than the main one by at most this factor in area."""
LEAST_ALTERED = 0.05
"""Share of a face's box that must be altered before a mask has anything to say about who was altered."""
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Sighting:
    """A face of track `track` at position `position` among the looked-at frames, found or interpolated."""

    track: int
    position: int
    face: Face


@dataclass(frozen=True, slots=True)
class Track:
    """One face through a shot: first and last position, frames in which it was found, mean box area in pixels."""

    number: int
    first: int
    last: int
    frames: int
    mean_area: float

    @property
    def weight(self) -> float:
        """Frames times mean area: what is large and steady weighs much."""
        return self.frames * self.mean_area

    def overlaps(self, other: "Track") -> bool:
        """Whether both are on screen at some moment."""
        return self.first <= other.last and other.first <= self.last


def area(box: Box) -> float:
    """Area of (left, top, right, bottom); 0 where it is turned inside out."""
    left, top, right, bottom = box
    return max(right - left, 0.0) * max(bottom - top, 0.0)


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, in [0, 1]."""
    shared = area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))
    together = area(a) + area(b) - shared
    return shared / together if together > 0 else 0.0


class Tracker:
    """Links the faces of one frame after the other into tracks.

    In each frame the pairs of largest overlap are linked first. A face that overlaps no track begins a new one.
    A track ends at a cut, and when its face was missed in more than `longest_gap` frames.
    """

    def __init__(self, longest_gap: int = LONGEST_GAP) -> None:
        self._longest_gap = longest_gap
        self.position = -1
        """The number of the frame that was added last."""
        self._running: list[_Running] = []
        self._all: list[_Running] = []

    def running(self) -> Iterator[tuple[int, int, Face]]:
        """Each track that may go on: its number, and where its face was found last, by position and in the frame."""
        for track in self._running:
            yield track.number, track.last, track.face

    def add(
        self, faces: list[Face], time: float, cut: bool = False, expected: Mapping[int, Face] | None = None
    ) -> list[Sighting]:
        """Link the faces of the next looked-at frame, whose time stamp is `time` seconds.

        `cut` says that a new shot begins with it, `expected` where the faces of tracks should be by now, if not where
        they were found last. Returns its sightings and those interpolated in the gaps it
        closes, which lie at most `longest_gap` positions back.
        """
        self.position += 1
        self._running = [
            track for track in self._running if not cut and self.position - track.last <= self._longest_gap + 1
        ]
        places = [(expected or {}).get(track.number, track.face).box for track in self._running]
        linked = _best_links(places, [face.box for face in faces])
        sightings: list[Sighting] = []
        for number, face in enumerate(faces):
            if number in linked:
                sightings += self._running[linked[number]].go_on(self.position, time, face)
            else:
                track = _Running(len(self._all), self.position, time, face)
                self._all.append(track)
                sightings.append(Sighting(track.number, self.position, face))
        self._running += [track for track in self._all if track.first == self.position]
        return sightings

    def tracks(self) -> list[Track]:
        """The tracks so far, in the order in which they began."""
        return [Track(t.number, t.first, t.last, t.frames, t.total_area / t.frames) for t in self._all]


def main_tracks(tracks: Sequence[Track], altered: Mapping[int, float] | None = None) -> list[Track]:
    """The tracks of the face a video is about: the altered one, or the largest steady one; never two at a moment.

    The heaviest track (frames times mean area) is taken. Then, since after a cut or a turned head a person goes on
    in another track, the heaviest of those of similar size that are not on screen with one already taken, and so
    on. Where it is known how much of each track's face was altered (0 to 1, by its number) and one clearly was, its
    weight is multiplied by that, and no track follows that is altered less than half as much as the first. Returned
    in the order of time.
    """
    share = altered if altered and max(altered.values()) >= LEAST_ALTERED else {}
    weights = {track.number: track.weight * share.get(track.number, 0.0 if share else 1.0) for track in tracks}
    heaviest_first = sorted(tracks, key=lambda track: (-weights[track.number], track.number))
    chosen = heaviest_first[:1]
    for track in heaviest_first[1:]:
        ratio = track.mean_area / max(chosen[0].mean_area, 1e-9)
        similar = 1 / SAME_PERSON_AREA <= ratio <= SAME_PERSON_AREA
        pointed_at = share.get(track.number, 0.0) >= share.get(chosen[0].number, 0.0) / 2
        if similar and pointed_at and not any(track.overlaps(other) for other in chosen):
            chosen.append(track)
    return sorted(chosen, key=lambda track: track.first)


class _Running:
    """A track while it is followed: where and when its face was last found."""

    def __init__(self, number: int, position: int, time: float, face: Face) -> None:
        self.number, self.first = number, position
        self.last, self.time, self.face = position, time, face
        self.frames, self.total_area = 1, area(face.box)

    def go_on(self, position: int, time: float, face: Face) -> list[Sighting]:
        """The face was found again: its sighting, after those interpolated in between."""
        gap = position - self.last
        known = time - self.time <= LONGEST_GUESS
        between = [
            Sighting(self.number, self.last + step, interpolate(self.face, face, step / gap))
            for step in range(1, gap if known else 1)
        ]
        self.last, self.time, self.face = position, time, face
        self.frames, self.total_area = self.frames + 1, self.total_area + area(face.box)
        return [*between, Sighting(self.number, position, face)]


def interpolate(a: Face, b: Face, share: float) -> Face:
    """The face that lies at `share` of the way from `a` to `b`, with the lower of their scores."""

    def mix(x: float, y: float) -> float:
        return x + share * (y - x)

    left, top, right, bottom = (mix(x, y) for x, y in zip(a.box, b.box, strict=True))
    points = tuple((mix(p[0], q[0]), mix(p[1], q[1])) for p, q in zip(a.points, b.points, strict=True))
    return Face((left, top, right, bottom), points, min(a.score, b.score))


def _best_links(before: list[Box], now: list[Box]) -> dict[int, int]:
    """Number in `now` -> number in `before`, greedily by overlap."""
    overlaps = [(iou(a, b), i, j) for i, a in enumerate(before) for j, b in enumerate(now)]
    linked: dict[int, int] = {}
    for overlap, i, j in sorted(overlaps, key=lambda item: (-item[0], item[1:])):
        if overlap >= SAME_FACE_IOU and j not in linked and i not in linked.values():
            linked[j] = i
    return linked
