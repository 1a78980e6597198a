"""dfgame bench."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from dfgame.config import BenchConfig


def bench(*, json: Path | None = None, settings: Annotated[BenchConfig, Parameter(name="*")] = BenchConfig()) -> int:
    """Time each stage on this machine, beside what limits it: decode, detect, crop, load, blur, rounds, inference.

    For example:

        dfgame bench

        dfgame bench --backbone tf_efficientnet_b5 --image-size 256 --batch-size 32 --json speeds.json

    Parameters
    ----------
    json: Path
        Write settings, machine and speeds to this file, too.
    settings: BenchConfig
        All settings.
    """
    from rich.table import Table

    from dfgame.bench import run_bench
    from dfgame.files import write_json
    from dfgame.jobs import stdout

    found = run_bench(settings)
    shown = Table("stage", "a second", "limited by", "a second", "of it")
    for speed in found["speeds"]:
        rates = (f"{speed[name]:,.1f} {speed['unit']}s" for name in ("per_second", "limit_per_second"))
        shown.add_row(speed["stage"], next(rates), speed["limited_by"], next(rates), f"{speed['share']:.0%}")
    stdout.print(shown)
    machine = found["machine"]
    compiled = "compiled" if machine["blur_compiled"] else "not compiled"
    print(f"{machine['processor']}, {machine['threads']} threads, {machine['device']}, the blur {compiled}")
    if json is not None:
        write_json(json, found)
    return 0
