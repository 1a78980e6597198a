"""dfgame forge."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from dfgame.config import ForgeConfig


def forge(faces: Path, out: Path, /, *, settings: Annotated[ForgeConfig, Parameter(name="*")] = ForgeConfig()) -> int:
    """Make a mini FaceForensics++ in the folder OUT from the real face photographs in the folder FACES.

    A subfolder of FACES is a person; without subfolders a file's name up to the first "_" is. Each person becomes a
    clip, and each pair of people two forgeries a method, in the official layout with masks and splits. A call that
    was interrupted goes on when it is made again.

    For example:

        dfgame forge photographs faceforensics_mini

        dfgame forge photographs faceforensics_mini --methods FaceSwap --compressions c23 --people 100

    Parameters
    ----------
    faces: Path
        Folder of photographs.
    out: Path
        Folder for the tree; new, empty, or made by an earlier call.
    settings: ForgeConfig
        All settings.
    """
    from rich.table import Table

    from dfgame.extract import report_failures
    from dfgame.files import read_json
    from dfgame.forgery.build import build_tree
    from dfgame.forgery.tree import PEOPLE, clips
    from dfgame.jobs import stdout

    failures = build_tree(faces, out, settings)
    made = clips(out)
    shown = Table("clips", *settings.compressions)
    for method in dict.fromkeys(method for method, _ in made):
        shown.add_row(method, *(str(made.get((method, quality), 0)) for quality in settings.compressions))
    stdout.print(shown)
    people = read_json(out / PEOPLE)["people"]
    splits = [person["split"] for person in people]
    shares = ", ".join(f"{splits.count(split)} {split}" for split in ("train", "val", "test"))
    print(f"{out}: {len(people)} people ({shares}), {sum(made.values())} clips, masks, splits")
    report_failures(failures, out / "failures.json")
    return 1 if failures else 0
