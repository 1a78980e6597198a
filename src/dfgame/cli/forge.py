"""dfgame forge."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from dfgame.config import ForgeConfig


def forge(faces: Path, out: Path, /, *, settings: Annotated[ForgeConfig, Parameter(name="*")] = ForgeConfig()) -> int:
    """Make a miniature FaceForensics++ in OUT from the face photographs in FACES.

    In FACES each subfolder is a person; without subfolders a file's name up to the first "_" is. A call that was
    interrupted goes on when it is made again.

    Examples:

        dfgame forge photographs mini

        dfgame forge photographs mini --people 100 --methods Deepfakes FaceSwap --compressions c23 c40

    Parameters
    ----------
    faces: Path
        Folder of photographs.
    out: Path
        Folder for the tree.
    settings: ForgeConfig
        All settings.
    """
    from dfgame.extract import report_failures
    from dfgame.forgery.build import build_tree, tree_counts

    failures = build_tree(faces, out, settings)
    for folder, videos in tree_counts(out).items():
        print(f"{videos:6d}  {out / folder}")
    report_failures(failures, out / "failures.json")
    return 1 if failures else 0
