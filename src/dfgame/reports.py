"""The report on a file: which faces and moments it shows and explains, their crops cut out once more, the page."""

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np

from dfgame import __version__
from dfgame.boxed import BoxedDetector, Thresholds
from dfgame.config import InspectConfig, to_flags
from dfgame.faces.sample import spread
from dfgame.files import versions
from dfgame.inspection.again import Moment, crops_again
from dfgame.media import RgbImage
from dfgame.records import CropRule, FileVerdict, TrackScore

Cutter = Callable[[Path, FileVerdict, Iterable[Moment], CropRule], dict[Moment, RgbImage]]
"""Cuts crops out of a file again, as `crops_again` does."""

EXPLAINED_FACES, EXPLAINED_MOMENTS = 3, 3
"""The most suspicious faces, and the moments of each, whose scores are explained in full."""
SHOWN_FACES, SHOWN_MOMENTS, MOST_SHOWN = 24, 8, 48
"""The most suspicious faces, and the moments of each spread over it, that are shown with a heat map; the moments of
all faces together, so that the more faces there are, the fewer moments of each are shown."""
_THUMBNAIL = 96
_VERSIONS = ("torch", "timm", "numpy", "av", "opencv-python-headless", "yuface")


def report_page(
    said: FileVerdict, detector: BoxedDetector, command: str, place: Path | None = None, cut: Cutter = crops_again
) -> str:
    """The report on a file, as HTML.

    Args:
        said: the verdict on it.
        detector: what gave the verdict.
        command: what makes the report again, as typed into a shell.
        place: where the file is, if not where the verdict says.
        cut: cuts the crops out.
    """
    from dfgame.explain import Moment as Explained
    from dfgame.explain import evidence, looked_at, weightiest
    from dfgame.report.inspection import InspectionContext, render_inspection

    suspicious = sorted(said.tracks, key=lambda track: -track.p_fake)
    weighty = [
        (track.id, track.frames[place].frame)
        for track in suspicious[:EXPLAINED_FACES]
        for place in weightiest(track, EXPLAINED_MOMENTS)
    ]
    spread_out = _spread(suspicious[:SHOWN_FACES])
    times = {(track.id, face.frame): face.time for track in said.tracks for face in track.frames}
    limits = {track.id: Thresholds(track.fake_from, track.real_up_to) for track in said.tracks}
    crops = cut(place or Path(said.file), said, {*weighty, *spread_out}, detector.facts.crop)
    explained = [
        Explained(*moment, times[moment], crops[moment], limits[moment[0]]) for moment in weighty if moment in crops
    ]
    others = [Explained(*moment, times[moment], crops[moment]) for moment in crops if moment not in weighty]
    thumbnails = {moment: _thumbnail(crop) for moment, crop in crops.items()}
    facts = asdict(detector.facts)
    about = {name: facts[name] for name in ("name", "version", "thresholds", "calibration", "made")}
    context = InspectionContext(
        detector=about | {"sha256": detector.sha256, "stricter": any(one.limits for one in detector.facts.conditions)},
        versions={"dfgame": __version__} | versions(_VERSIONS),
        command=command,
    )
    found = (*evidence(detector, explained), *looked_at(detector, others))
    return render_inspection(said, found, thumbnails, context)


def command_of(file: str, config: InspectConfig, page: str) -> str:
    """What makes a report on a file, as typed into a shell."""
    name = f"./{file}" if file.startswith("-") else file
    return shlex.join(["dfgame", "inspect", name, *to_flags(config), "--report", page])


def _spread(tracks: Sequence[TrackScore]) -> list[Moment]:
    of_each = min(SHOWN_MOMENTS, MOST_SHOWN // max(len(tracks), 1))
    return [(track.id, track.frames[place].frame) for track in tracks for place in spread(len(track.frames), of_each)]


def _thumbnail(crop: RgbImage) -> bytes:
    small = cv2.resize(crop, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", np.ascontiguousarray(small[:, :, ::-1]))
    return encoded.tobytes()
