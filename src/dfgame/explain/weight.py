"""Which frames of a face weigh most: those that are shown."""

from dfgame.records import FaceScore, TrackScore

SPREAD = 2
"""Of `count` frames no two lie nearer than the track's length / (SPREAD x count), as far as there are others."""


def weightiest(track: TrackScore, count: int) -> tuple[int, ...]:
    """The indices of at most `count` of those of a track's frames that count, in the order of time.

    The frame with the highest probability of fake comes first, of a track called real the one with the lowest; then
    the next of those that are not close in time to one that was taken, until none is left; then the close ones.
    """
    sign = 1 if track.verdict == "real" else -1
    counting = [index for index, frame in enumerate(track.frames) if frame.counts]
    order = sorted(counting, key=lambda index: sign * track.frames[index].p_fake)
    apart = (track.last_time - track.first_time) / (SPREAD * max(count, 1))
    taken: list[int] = []
    for index in order:
        if len(taken) < count and not _close(track.frames[index], [track.frames[i] for i in taken], apart):
            taken.append(index)
    taken += [index for index in order if index not in taken][: max(count - len(taken), 0)]
    return tuple(sorted(taken))


def _close(frame: FaceScore, others: list[FaceScore], apart: float) -> bool:
    return any(abs(frame.time - other.time) < apart for other in others)
