"""The crops behind a verdict, cut out of the file once more: the faces that a report shows."""

from collections.abc import Iterable
from pathlib import Path

from dfgame.faces.crop import cutter
from dfgame.faces.detect import default_detector
from dfgame.faces.sample import rounded
from dfgame.faces.track import SAME_FACE_IOU, iou
from dfgame.media import RgbImage, read_frames
from dfgame.records import CropRule, Face, FaceScore, FileVerdict

Moment = tuple[int, int]
"""The id of a track, and the number of a frame."""


def crops_again(path: Path, said: FileVerdict, moments: Iterable[Moment], rule: CropRule) -> dict[Moment, RgbImage]:
    """The crops that were scored at some moments, as the rule says; only these frames stay in memory.

    They are the very crops where faces are not turned. Where they are, their eyes and mouth are found again; a moment
    at which no face is found in its place is left out.

    Raises:
        MediaError: it cannot be read.
        ValueError: the verdict holds no such face.
    """
    known = {(track.id, face.frame): face for track in said.tracks for face in track.frames}
    wanted = sorted(set(moments), key=lambda moment: moment[::-1])
    if not known.keys() >= set(wanted):
        raise ValueError("moments without a face")
    if not wanted:
        return {}
    cut_out = cutter(rule.alignment, rule.margin, rule.size)
    found: dict[Moment, RgbImage] = {}
    for frame in read_frames(path, sorted({number for _, number in wanted})):
        for moment in wanted:
            if moment[1] == frame.index and (face := _face(frame.image, known[moment], rule)) is not None:
                found[moment] = cut_out(frame.image, face)
    return found


def _face(image: RgbImage, score: FaceScore, rule: CropRule) -> Face | None:
    left, top, right, bottom = score.box
    box = left, top, right, bottom
    if rule.alignment == "none":
        return Face(box, (), 1.0)
    faces = [face for face in default_detector(rule.min_score)(image) if iou(face.box, box) >= SAME_FACE_IOU]
    return rounded(max(faces, key=lambda face: iou(face.box, box))) if faces else None
