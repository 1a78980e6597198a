"""dfgame extract."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from dfgame.config import ExtractConfig


def extract(
    root: Path, out: Path, /, *, settings: Annotated[ExtractConfig, Parameter(name="*")] = ExtractConfig()
) -> int:
    """Cut the faces out of the videos of the data set ROOT; writes OUT/manifest.parquet and the crops.

    ROOT is FaceForensics++ as its script downloads it, a tree made by `dfgame forge`, or a folder with real/ and
    fake/. A call that was interrupted goes on when it is made again.

    For example:

        dfgame extract FaceForensics++ crops --compressions c23 c40 --frames 32

        dfgame extract my_videos my_crops

    Parameters
    ----------
    root: Path
        The data set's folder.
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
    if report.several_faces:
        console.print(f"{report.several_faces} videos show several faces at a time: the largest steady one was taken")
    report_failures(report.failures, out / FAILURES)
    return 1 if report.failures else 0
