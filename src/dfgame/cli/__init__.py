"""The `dfgame` command: one module a verb."""

import errno
import os
import signal
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn

from cyclopts import App, CycloptsError, Parameter
from cyclopts.config import Toml

from dfgame import __version__
from dfgame.records import SettingError, UserError

VERBS = (
    *("forge", "doctor", "extract", "train", "evaluate", "robustness", "compare", "calibrate", "inspect", "serve"),
    *("export", "bench", "demo", "completion"),
)
"""Each is a function in the module of its name, which is imported only when that verb is called, or all are listed."""
app = App(
    name="dfgame",
    help="Deepfake forensics via an adversarial game. `dfgame COMMAND --help` lists settings, and shows examples.",
    version=__version__,
    version_flags=["--version"],
    help_format="plaintext",  # the list of verbs has no Markdown, whose reader is slow to import; the verbs' help has
    result_action="return_value",
    suppress_keyboard_interrupt=False,
    default_parameter=Parameter(negative_iterable=(), consume_multiple=True),
)
app.meta.suppress_keyboard_interrupt = False
for place, verb in enumerate(VERBS):
    app.command(f"dfgame.cli.{verb}:{verb}", name=verb, sort_key=place, help_format="markdown")


GOES_ON = "the same command goes on where it was"
_AGAIN = {
    **dict.fromkeys(("forge", "extract", "evaluate", "robustness", "demo"), GOES_ON),
    "train": f"{GOES_ON} with --resume",
    "inspect": f"with --jsonl alone {GOES_ON}",
}
"""What the verbs that keep what they have done say of being called again; the others begin anew."""
_TAKES_HYPHEN = ("--jsonl", "--csv")
"""Options of which - is a value: standard output."""
_OF_A_PATH = (PermissionError, FileNotFoundError, IsADirectoryError, NotADirectoryError)
"""What is wrong with a path that the user gave; any other OSError is a defect and keeps its traceback."""


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    config: Annotated[Path | None, Parameter(help="Settings from a TOML file; flags win over it.")] = None,
) -> int | None:
    if config is not None:
        _check_toml(config)
        app.config = (Toml(config, must_exist=True, use_commands_as_keys=False),)
    try:
        return app(tokens, exit_on_error=False, print_error=False)
    finally:
        app.config = ()


def _check_toml(path: Path) -> None:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"--config {path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise UserError(f"--config {path}: not a TOML file ({error})") from None
    if sections := sorted(found.keys() & set(VERBS)):
        raise UserError(
            f"--config {path}: [{sections[0]}] is the name of a verb, and no setting is in such a section",
            "put a verb's settings at the top of a file of its own",
        )


def _with_lists_last(words: list[str]) -> list[str]:
    """Words with each - that stands for a list of files behind a --, where it is not taken for an option."""
    end = words.index("--") if "--" in words else len(words)
    lists = [place for place in range(1, end) if words[place] == "-" and words[place - 1] not in _TAKES_HYPHEN]
    if not lists:
        return words
    others = [word for place, word in enumerate(words[:end]) if place not in lists]
    return [*others, "--", *["-"] * len(lists), *words[end + 1 :]]


def _terminated(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _complain(problem: str, remedy: str = "") -> None:
    print(f"dfgame: {problem}", file=sys.stderr)
    if remedy:
        print(f"        {remedy}", file=sys.stderr)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the `dfgame` command and exit."""
    words = _with_lists_last(sys.argv[1:] if arguments is None else arguments)
    again = next((_AGAIN[word] for word in words if word in _AGAIN), "")
    if not set(words) & set(VERBS):
        for verb in VERBS:
            _ = app[verb]  # once it is imported, the list says what it is for
    exit_with(lambda: app.meta(words, exit_on_error=False, print_error=False), "dfgame VERB --help", again)


def exit_with(command: Callable[[], object], explains: str, again: str = GOES_ON) -> NoReturn:
    """Run a command and exit: 0 done, 1 some inputs failed, 2 wrong use, 130 interrupted, 141 its output is not read.

    Errors are a line each.

    Args:
        command: returns the exit code; anything but a number is 0.
        explains: the command that explains every setting.
        again: what is told of calling it again where it was interrupted.
    """
    signal.signal(signal.SIGTERM, _terminated)
    # Read when torch is first imported, which only a verb does. Threads that spin while they wait steal the core
    # from whoever they wait for as soon as anything else runs: 8 times slower training beside one busy process.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        code = command()
    except KeyboardInterrupt:
        _complain("interrupted", again)
        sys.exit(130)
    except UserError as error:
        _complain(error.problem, error.remedy)
        sys.exit(2)
    except SettingError as error:
        _complain(str(error), f"{explains} explains every setting")
        sys.exit(2)
    except CycloptsError as error:
        _complain(str(error), f"{explains} lists what there is")
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(141)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            _complain(
                f"{error.filename or 'standard output'}: the disk is full",
                f"make room; {again or 'then call it again'}",
            )
        elif isinstance(error, _OF_A_PATH) and error.filename is not None:
            _complain(f"{error.filename}: {error.strerror}")
        else:
            raise
        sys.exit(2)
    sys.exit(code if isinstance(code, int) else 0)
