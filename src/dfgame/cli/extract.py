"""dfgame extract."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from dfgame.config import ExtractConfig


def extract(
    root: Path, out: Path, /, *, settings: Annotated[ExtractConfig, Parameter(name="*")] = ExtractConfig()
) -> int:
    """Cut the faces out of the videos of the data set ROOT; writes OUT/manifest.parquet and the crops.

    ROOT is FaceForensics++ with or without DeepFakeDetection, Celeb-DF, DFDC, a tree made by `dfgame forge`, a folder
    with real/ and fake/, a table of paths and labels, or faces that were cut out before; looking at it tells which. Of
    photographs of real faces, --layout photographs tells. A call that was interrupted goes on when it is made again;
    another ROOT with the same OUT and settings joins its manifest.

    For example:

        dfgame extract FaceForensics++ crops --compressions c23 c40 --frames 32

        dfgame extract FaceForensics++ crops --qualities c23 c40 --methods original Deepfakes

        dfgame extract Celeb-DF-v2 crops --frames 32

    Parameters
    ----------
    root: Path
        The data set's folder, or the file that lists it.
    out: Path
        Folder for crops and manifest.
    settings: ExtractConfig
        All settings.
    """
    from rich.table import Table

    from dfgame.extract import FAILURES, extract_faces, report_failures, summary
    from dfgame.jobs import console, stdout

    report = extract_faces(root, out, settings)
    shown = Table("method", "compression", "split", "videos", "crops")
    for row in summary(report.table):
        shown.add_row(*map(str, row))
    stdout.print(shown)
    speed = f", {report.new_frames / report.seconds:.0f} frames/s" if report.new_frames else ", nothing new to do"
    print(f"{report.manifest}: {report.table.num_rows} crops{speed}")
    for note in report.notes:
        console.print(note, soft_wrap=True)
    if report.several_faces:
        words = "the altered one was taken where a mask or the real video shows it, else the largest steady one"
        console.print(f"{report.several_faces} videos show several faces at a time: {words}", soft_wrap=True)
    if report.fewer_frames:
        console.print(
            f"{report.fewer_frames} videos have fewer than {settings.frames} frames: all of theirs were taken"
        )
    report_failures(report.failures, out / FAILURES)
    return 1 if report.failures else 0
