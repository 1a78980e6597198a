"""dfgame compare."""

from pathlib import Path


def compare(
    *runs: Path,
    evaluation: Path | None = None,
    json: Path | None = None,
    html: Path | None = None,
) -> int:
    """Set RUNS side by side: the settings that differ, data, checkpoints, curves, losses, speed, and test results.

    For example:

        dfgame compare runs/plain runs/game

        dfgame compare runs/plain runs/game --evaluation evaluation --html comparison.html

    Parameters
    ----------
    runs: Path
        Folders written by `dfgame train`, two or more, or a folder of such.
    evaluation: Path
        OUT of a `dfgame evaluate` of these runs: show their results there, with how far each is ahead of the first.
    json: Path
        Write all of it, with every epoch, to this file, too.
    html: Path
        Write a page with the curves to this file, too.
    """
    from dfgame.compare import compare_runs
    from dfgame.files import writable_folder, write_json, write_text
    from dfgame.jobs import stdout
    from dfgame.report.comparison import render_comparison, terminal_sections

    for path, flag in ((json, "--json"), (html, "--html")):
        if path is not None:
            writable_folder(path.parent, flag)
    compared = compare_runs(runs, evaluation)
    for table in terminal_sections(compared):
        stdout.print(table)
    if json is not None:
        write_json(json, compared.to_dict())
    if html is not None:
        write_text(html, render_comparison(compared))
        stdout.print(f"{html}: the same as a page, with the curves", soft_wrap=True)
    return 0
