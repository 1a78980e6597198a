"""dfgame doctor."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from dfgame.config import DoctorConfig


def doctor(
    root: Path, /, *, json: Path | None = None, settings: Annotated[DoctorConfig, Parameter(name="*")] = DoctorConfig()
) -> int:
    """Say whether the data set ROOT is whole and right: what is missing, broken, mislabelled, doubled or leaking.

    ROOT is what `dfgame extract` reads. Nothing in it is changed. Exit code 0: nothing is wrong; 1: something is.

    For example:

        dfgame doctor FaceForensics++

        dfgame doctor FaceForensics++ --deep --json doctor.json

    Parameters
    ----------
    root: Path
        The data set's folder, or the file that lists it.
    json: Path
        Write everything that was found to this file, too, with all paths.
    settings: DoctorConfig
        All settings.
    """
    from dfgame.doctor import examine
    from dfgame.doctor.page import print_report
    from dfgame.files import writable_folder, write_json

    if json is not None:
        writable_folder(json.parent, "--json")
    report = examine(root, settings)
    print_report(report, settings.shown)
    if json is not None:
        write_json(json, report.to_dict())
    return 1 if report.is_wrong else 0
