"""The reports of `dfgame inspect`: which faces and moments they show, where they go, and how they are made again."""

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np

from dfgame import __version__
from dfgame.boxed import BoxedDetector
from dfgame.config import InspectConfig, to_flags
from dfgame.faces.sample import spread
from dfgame.files import versions, write_text
from dfgame.inspection.again import Moment, crops_again
from dfgame.media import RgbImage
from dfgame.records import FileVerdict, TrackScore, UserError

EXPLAINED_FACES, EXPLAINED_MOMENTS = 3, 3
"""The most suspicious faces, and the moments of each, whose scores are explained."""
SHOWN_FACES, SHOWN_MOMENTS = 24, 12
"""The most suspicious faces, and the moments of each spread over it, that are shown as small pictures."""
_THUMBNAIL = 96
_VERSIONS = ("torch", "timm", "numpy", "av", "opencv-python-headless", "yuface")


class Reports:
    """One report, OUT.html, or a folder with a report on each of many files."""

    def __init__(self, out: Path, files: Sequence[Path], overwrite: bool) -> None:
        """Choose the reports' names.

        Raises:
            UserError: one page is named and there are several files, or a report is there already.
        """
        if out.suffix.lower() in (".html", ".htm"):
            if len(files) > 1:
                raise UserError(f"--report {out}: one page, and {len(files)} files", "name a folder")
            self._pages = dict.fromkeys(map(str, files), out)
        else:
            self._pages = {str(file): out / f"{name}.html" for file, name in zip(files, _names(files), strict=True)}
        there = next((page for page in self._pages.values() if page.exists()), None)
        if there is not None and not overwrite:
            raise UserError(f"{there}: exists", "replace it with --overwrite, or name another place for --report")

    def write(self, said: FileVerdict, detector: BoxedDetector, config: InspectConfig) -> Path:
        """Write the report on a file; returns where."""
        page = self._pages[said.file]
        command = ["dfgame", "inspect", said.file, *to_flags(config), "--report", page.name]
        write_text(page, report_page(said, detector, shlex.join(command)))
        return page


def report_page(said: FileVerdict, detector: BoxedDetector, command: str) -> str:
    """The report on a file that is still where it was, as HTML."""
    from dfgame.explain import Moment as Explained
    from dfgame.explain import evidence, weightiest
    from dfgame.report.inspection import InspectionContext, render_inspection

    suspicious = sorted(said.tracks, key=lambda track: -track.p_fake)
    weighty = [
        (track.id, track.frames[place].frame)
        for track in suspicious[:EXPLAINED_FACES]
        for place in weightiest(track, EXPLAINED_MOMENTS)
    ]
    small = [moment for track in suspicious[:SHOWN_FACES] for moment in _spread(track)]
    times = {(track.id, face.frame): face.time for track in said.tracks for face in track.frames}
    crops = crops_again(Path(said.file), said, {*weighty, *small}, detector.facts.crop)
    explained = [Explained(*moment, times[moment], crops[moment]) for moment in weighty if moment in crops]
    thumbnails = {moment: _thumbnail(crop) for moment, crop in crops.items()}
    facts = asdict(detector.facts)
    about = {name: facts[name] for name in ("name", "version", "thresholds", "calibration", "made")}
    context = InspectionContext(
        detector=about | {"sha256": detector.sha256},
        versions={"dfgame": __version__} | versions(_VERSIONS),
        command=command,
    )
    return render_inspection(said, evidence(detector, explained), thumbnails, context)


def _spread(track: TrackScore) -> list[Moment]:
    return [(track.id, track.frames[place].frame) for place in spread(len(track.frames), SHOWN_MOMENTS)]


def _thumbnail(crop: RgbImage) -> bytes:
    small = cv2.resize(crop, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", np.ascontiguousarray(small[:, :, ::-1]))
    return encoded.tobytes()


def _names(files: Sequence[Path]) -> list[str]:
    """The files' names; those that repeat are numbered, from the second on."""
    seen: Counter[str] = Counter()
    names = []
    for file in files:
        key = file.name.casefold()
        seen[key] += 1
        names.append(file.name if seen[key] == 1 else f"{file.name}-{seen[key]}")
    return names
