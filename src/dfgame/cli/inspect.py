"""dfgame inspect."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from dfgame.config import InspectConfig, changed_settings
from dfgame.records import UserError


def inspect(
    *files: Path,
    json: bool = False,
    jsonl: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    csv: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    rows: Literal["files", "faces"] = "files",
    report: Path | None = None,
    verify: Path | None = None,
    null: Annotated[bool, Parameter(name=["--null", "-0"])] = False,
    fail_on_fake: bool = False,
    overwrite: bool = False,
    settings: Annotated[InspectConfig, Parameter(name="*")] = InspectConfig(),
) -> int:
    """Say of each picture and video in FILES whether its faces are fake: fake, real, inconclusive or no face.

    A folder stands for all files below it that are named as pictures and videos are, a pattern such as
    'clips/**/*.mp4' for all that match, - for a list of such names on standard input, one a line. Printed are the
    verdict on each file in a sentence, a line for each face with its calibrated probability of fake, where real and
    fake are equally likely beforehand, and its 95% interval over the frames of the shot, why a verdict is
    inconclusive, and how often the detector errs on such faces. A file is fake if one of its faces is, inconclusive if
    the score of one leaves it open, and real if none does; faces that cannot be judged decide nothing beside others.

    Exit code 0: all files were read, whatever the verdicts. 1: some could not be read, or not to their end; each is
    named on standard error. 2: wrong use. 3, with --fail-on-fake: a file is fake.

    For example:

        dfgame inspect clip.mp4 photograph.jpg

        dfgame inspect archive --jsonl verdicts.jsonl --every 1

        find archive -name '*.mp4' -print0 | dfgame inspect - -0 --csv verdicts.csv --fail-on-fake

        dfgame inspect clip.mp4 --frames 60 --report report.html

        dfgame inspect --verify report.html clip.mp4

    Parameters
    ----------
    files: Path
        Pictures, videos, folders of them, patterns, or - for a list on standard input.
    json: bool
        Print a JSON array with every face's time, box and score, instead of lines.
    jsonl: Path
        Write a line of JSON a file as soon as it is done; - prints them. Files that have a verdict in it already, by
        name and SHA-256, are not inspected again: a call that was killed goes on where it was. It then takes no
        --json, --csv or --report, from which they would be missing.
    csv: Path
        Write a table, a row a file or a face (see --rows); - prints it.
    rows: str
        What a row of the table is: one of the files, or one of the faces.
    report: Path
        Write a report: OUT.html on one file, or a folder for reports on many.
    verify: Path
        Check a report against the file it is on: its hashes, and its verdicts, scores and reasons once more. Exit
        code 1: something differs, or the report was changed.
    null: bool
        Names in a list end with a null character, as `find -print0` writes them.
    fail_on_fake: bool
        Exit with 3 if a file is fake, for pipelines.
    overwrite: bool
        Replace the table and reports that are there, instead of refusing.
    settings: InspectConfig
        All settings.
    """
    import sys

    if not files:
        raise UserError("no FILE to inspect", "name pictures, videos or folders")
    if rows != "files" and csv is None:
        raise UserError("--rows: changes nothing here, it needs --csv", "leave it out")
    if null and Path("-") not in files:
        raise UserError("--null: changes nothing here, it needs -, a list on standard input", "leave it out")
    if verify is not None:
        outputs = {"json": json, "jsonl": jsonl, "csv": csv, "report": report, "overwrite": overwrite}
        asked = [name for name, value in (outputs | {"fail-on-fake": fail_on_fake}).items() if value]
        asked += [name for name in changed_settings(settings) if name not in ("detector", "device")]
        if asked:
            flag = asked[0].replace("_", "-")
            raise UserError(f"--{flag}: changes nothing here, a report is verified as it was made", "leave it out")
        from dfgame.cli.verify import verify as verified

        return verified(verify, files, settings)
    from dfgame.inspection.readers import start_early

    start_early(1)  # beside the import of torch, which takes longer
    from dfgame.boxed import load_detector
    from dfgame.cli.inspect_outputs import Outputs, Wanted
    from dfgame.inspection.pipeline import inspect_files, with_threshold
    from dfgame.inspection.places import named_files

    wanted = Wanted(json, jsonl, csv, rows, report, overwrite)
    found = named_files(files, sys.stdin.buffer, null)
    detector = with_threshold(load_detector(settings.detector, settings.device), settings.threshold)
    outputs = Outputs(wanted, found, detector, settings)
    try:
        for said in inspect_files(outputs.left, detector, settings, in_order=jsonl is None):
            outputs.add(said)
    except BaseException:
        outputs.cut_short()
        raise
    outputs.finish()
    return outputs.code(fail_on_fake)
