"""What is said while jobs run: text as it is, and no bar behind it."""

from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from dfgame import jobs
from dfgame.extract import report_failures
from dfgame.records import Failure

SHOW_CURSOR = "\x1b[?25h"


@pytest.mark.parametrize("path", ["a[/b]", "[bold]", "[/x]/:key:"])
def test_a_path_is_printed_as_it_is(path, capsys):
    report_failures([Failure(path, path)], Path(path))
    jobs.stdout.print(path)
    out, err = capsys.readouterr()
    assert out == f"{path}\n"
    assert err == f"failed: {path}: {path}\n1 failed; all are in {path}\n"


def test_a_bar_is_gone_before_the_error_that_ended_its_loop_is_told(monkeypatch):
    shown = StringIO()
    monkeypatch.setattr(jobs, "console", Console(file=shown, force_terminal=True))
    with pytest.raises(RuntimeError) as error, closing(jobs.progress_bar(range(3), 3, "[/b]")) as bar:
        for item in bar:
            assert SHOW_CURSOR not in shown.getvalue()
            raise RuntimeError(f"at {item}")
    assert "[/b]" in shown.getvalue()
    assert SHOW_CURSOR in shown.getvalue(), f"the bar is live behind {error}"
