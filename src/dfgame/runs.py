"""What a run's folder says of the run: RUN/run.json, without loading what was trained."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dfgame.config import SettingError, to_dict, train_config_from_dict
from dfgame.files import read_json
from dfgame.records import UserError

RUN_FILE = "run.json"


def runs_of(paths: Iterable[Path]) -> list[Path]:
    """The paths, in place of each folder that is no run and holds some all of these, by name."""
    found: list[Path] = []
    for path in paths:
        inside = [] if (path / RUN_FILE).is_file() else sorted(file.parent for file in path.glob(f"*/{RUN_FILE}"))
        found += inside or [path]
    return found


def read_record(run: Path) -> dict[str, Any]:
    """What RUN/run.json says; settings that it lacks, as newer ones, are at their defaults.

    Raises:
        UserError: it is missing, or was written by a version whose settings this one does not have.
    """
    record = read_json(run / RUN_FILE)
    try:
        settings = to_dict(train_config_from_dict(record["settings"]))
        needed = {name: record[name] for name in ("version", "data", "history")}
    except (TypeError, KeyError, AttributeError, SettingError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{run / RUN_FILE}: not a run of this version ({reason})", "train it again with this version"
        ) from None
    return {"protocol": None} | record | needed | {"settings": settings}
