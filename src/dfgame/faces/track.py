"""Faces followed through a video: detections of single frames -> tracks, a track a person and shot.

Pure geometry. Only frames that were looked at count; a gap is a number of such frames.
"""

from dataclasses import dataclass

from dfgame.records import Face

SAME_FACE_IOU = 0.3
"""Overlap (intersection over union) from which two boxes of nearby frames are one face."""
LONGEST_GAP = 5
"""Looked-at frames for which a face may be lost and still be the same when it comes back."""
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Track:
    """One face through a shot: `faces[i]` was found at position `positions[i]` among the looked-at frames."""

    positions: tuple[int, ...]
    faces: tuple[Face, ...]

    @property
    def mean_area(self) -> float:
        """Mean area of the boxes, in square pixels."""
        return sum(area(face.box) for face in self.faces) / len(self.faces)

    def overlaps(self, other: "Track") -> bool:
        """Whether both are on screen at some moment."""
        return self.positions[0] <= other.positions[-1] and other.positions[0] <= self.positions[-1]


def area(box: Box) -> float:
    """Area of (left, top, right, bottom); 0 where it is turned inside out."""
    left, top, right, bottom = box
    return max(right - left, 0.0) * max(bottom - top, 0.0)


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, in [0, 1]."""
    shared = area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))
    together = area(a) + area(b) - shared
    return shared / together if together > 0 else 0.0


def follow(detections: list[list[Face]]) -> list[Track]:
    """Link the faces of consecutive frames into tracks, in the order in which they begin.

    In each frame the pairs of largest overlap are linked first. A face that overlaps no track begins a new one:
    that is what a cut does, and what a second person does. A track that misses its face for more than
    LONGEST_GAP frames has ended.
    """
    running: list[list[tuple[int, Face]]] = []
    ended: list[list[tuple[int, Face]]] = []
    for position, faces in enumerate(detections):
        lost = [track for track in running if position - track[-1][0] > LONGEST_GAP + 1]
        ended += lost
        running = [track for track in running if track not in lost]
        linked = _best_links(running, faces)
        for number, face in enumerate(faces):
            if number in linked:
                running[linked[number]].append((position, face))
            else:
                running.append([(position, face)])
    tracks = [Track(*map(tuple, zip(*seen, strict=True))) for seen in ended + running]
    return sorted(tracks, key=lambda track: (track.positions[0], -track.mean_area))


def main_tracks(tracks: list[Track]) -> list[Track]:
    """The tracks of the person a video is about: a large, steady face at every moment.

    A track weighs its frames times its mean area. The heaviest is taken, then the heaviest of those that are
    not on screen with one already taken, and so on, since after a cut the person goes on in another track.
    Returned in the order of time.
    """
    chosen: list[Track] = []
    for track in sorted(tracks, key=lambda t: (-len(t.faces) * t.mean_area, t.positions[0])):
        if not any(track.overlaps(other) for other in chosen):
            chosen.append(track)
    return sorted(chosen, key=lambda track: track.positions[0])


def _best_links(tracks: list[list[tuple[int, Face]]], faces: list[Face]) -> dict[int, int]:
    """Face number -> track number, greedily by overlap."""
    overlaps = [
        (iou(track[-1][1].box, face.box), t, f) for t, track in enumerate(tracks) for f, face in enumerate(faces)
    ]
    linked: dict[int, int] = {}
    taken: set[int] = set()
    for overlap, t, f in sorted(overlaps, reverse=True):
        if overlap >= SAME_FACE_IOU and t not in taken and f not in linked:
            linked[f] = t
            taken.add(t)
    return linked
