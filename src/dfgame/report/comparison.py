"""A comparison of runs for readers: tables on a terminal, and a page without script."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rich.table import Table
from rich.text import Text

from dfgame.faces.sample import spread
from dfgame.outcomes import Compared, ComparedRun, Tested
from dfgame.records import COVERAGE, ORIGINAL
from dfgame.report.drawing import COLOURS, DASHES, STYLE, svg_of
from dfgame.report.environment import environment_of
from dfgame.report.plain import plain
from dfgame.report.words import number, span
from dfgame.summary import ALL_HARDEST, SEEN, UNSEEN

MOST_EPOCHS = 12
"""Epochs that are shown in words, spread over the run; the curves and the JSON have all."""
NOTHING = "–"
CURVES = (("val_auc", "AUC on the val split"), ("detector/loss", "the detector's loss in the epoch's last round"))


class Row(NamedTuple):
    """A fact of each run, in words."""

    what: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether the runs differ in it."""
        return len(set(self.values)) > 1


class Section(NamedTuple):
    """Facts of one kind."""

    title: str
    rows: tuple[Row, ...]


def sections(compared: Compared) -> list[Section]:
    """All that is said, in words; text out of files has nothing invisible left in it."""
    runs = compared.runs
    differing = [
        _row(runs, f"--{flag}", lambda run, flag=flag: _value(run.settings[flag])) for flag in compared.differing
    ]
    found = [
        Section("Settings that differ", tuple(differing)),
        Section("Data", tuple(_row(runs, what, told) for what, told in _DATA.items())),
        Section("Training", tuple(_row(runs, what, told) for what, told in _TRAINING.items())),
        Section("AUC on the val split after epoch", tuple(_epochs(runs))),
        Section("At the end", tuple(_losses(runs))),
    ]
    if compared.evaluation is not None:
        found.append(Section(f"Mean video-level AUC in {plain(compared.evaluation)}", tuple(_subjects(runs))))
    return found


def terminal_sections(compared: Compared) -> Iterator[Table]:
    """A table for each section; what differs is bold."""
    for section in sections(compared):
        table = Table(title=Text(section.title), title_justify="left", title_style="bold")
        table.add_column("")
        for name in names(compared):
            table.add_column(Text(name), overflow="fold")
        for row in section.rows:
            style = "bold" if row.differs else ""
            table.add_row(Text(row.what), *(Text(value, style=style) for value in row.values))
        if not section.rows:
            table.add_row(Text("none"), *[Text("") for _ in compared.runs])
        yield table


def render_comparison(compared: Compared) -> str:
    """The same as a page of HTML, with the curves; the same bytes for the same numbers."""
    environment = environment_of("dfgame.report")
    return environment.get_template("compare.html.j2").render(
        names=names(compared),
        paths=[plain(run.path) for run in compared.runs],
        sections=sections(compared),
        curves=Markup(curves_figure(compared)),
        coverage=f"{COVERAGE:.0%}",
        evaluation=compared.evaluation,
    )


def names(compared: Compared) -> list[str]:
    """What the runs are called: by their folders' names, or by their paths where these are the same."""
    short = [plain(run.name) for run in compared.runs]
    return [plain(run.path) if short.count(name) > 1 else name for name, run in zip(short, compared.runs, strict=True)]


def curves_figure(compared: Compared) -> str:
    """Validation AUC and loss by epoch, a line a run, as inline SVG."""
    with rc_context(STYLE):
        figure = Figure(figsize=(8.6, 3.1))
        for place, (key, title) in enumerate(CURVES):
            axes = figure.add_axes((0.06 + 0.5 * place, 0.15, 0.43, 0.73))
            for index, (name, run) in enumerate(zip(names(compared), compared.runs, strict=True)):
                points = [(entry["epoch"], entry[key]) for entry in run.epochs if key in entry]
                style = {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[index % len(DASHES)]}
                marker = "o" if len(points) < MOST_EPOCHS else ""
                axes.plot(*zip(*points, strict=True) if points else ((), ()), label=name, marker=marker, ms=3, **style)
            axes.set_title(title, fontsize=9, loc="left")
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(color="#e6e9ed", linewidth=0.7)
            axes.set_axisbelow(True)
        figure.axes[0].legend(loc="best", frameon=False, fontsize=8, handlelength=2.6)
    words = "; ".join(
        f"{name}: {', '.join(number(entry['val_auc']) for entry in run.epochs if 'val_auc' in entry) or 'none'}"
        for name, run in zip(names(compared), compared.runs, strict=True)
    )
    return svg_of(figure, "curves", f"AUC on the val split after each epoch. {words}.")


def _row(runs: Sequence[ComparedRun], what: str, told: Callable[[ComparedRun], str]) -> Row:
    return Row(plain(what), tuple(plain(told(run)) for run in runs))


def _value(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return " ".join(map(str, value)) or NOTHING
        case "":
            return NOTHING
        case float():
            return f"{value:.6g}"
        case _:
            return str(value)


def _amount(run: ComparedRun, split: str) -> str:
    had = run.data.get(split)
    if had is None:
        return NOTHING
    return f"{had['crops']:,} crops, {had['videos']:,} videos, {had['identities']:,} people"


def _trained_on(run: ComparedRun, what: str) -> str:
    had = run.data.get("trained_on", {}).get(what, ())
    return _value([name for name in had if name != ORIGINAL])


def _crops(run: ComparedRun) -> str:
    made = run.data.get("made_by") or {}
    settings, detector = made.get("settings") or {}, made.get("detector") or {}
    said = [f"{name} {settings[name]}" for name in ("size", "margin", "alignment", "frames") if name in settings]
    said += [" ".join(str(detector[name]) for name in ("name", "version") if name in detector)] if detector else []
    return ", ".join(said) or NOTHING


def _manifest(run: ComparedRun) -> str:
    return f"{run.data.get('manifest', NOTHING)} ({run.data.get('manifest_sha256', NOTHING)[:8]})"


def _last_and_best(run: ComparedRun) -> str:
    return f"{len(run.epochs)} of {run.epochs_planned}, {run.rounds:,} rounds"


def _rate(value: float | None, form: str) -> str:
    return form.format(value) if value is not None else NOTHING


_DATA: dict[str, Callable[[ComparedRun], str]] = {
    "manifest": _manifest,
    "protocol": lambda run: run.protocol or NOTHING,
    "data sets": lambda run: _trained_on(run, "datasets"),
    "methods": lambda run: _trained_on(run, "methods"),
    "qualities": lambda run: _trained_on(run, "compressions"),
    "trained on": lambda run: _amount(run, "train"),
    "validated on": lambda run: _amount(run, "val"),
    "crops": _crops,
}
_TRAINING: dict[str, Callable[[ComparedRun], str]] = {
    "dfgame": lambda run: run.version,
    "epochs": _last_and_best,
    "best epoch": lambda run: _value(run.best_epoch) if run.best_epoch is not None else NOTHING,
    "checkpoints": lambda run: _value(run.checkpoints),
    "images/s": lambda run: _rate(run.images_per_second, "{:.1f}"),
    "waiting for data": lambda run: _rate(run.waited_for_data, "{:.1%}"),
    "minutes of playing": lambda run: _rate(run.seconds and run.seconds / 60, "{:.1f}"),
}


def _epochs(runs: Sequence[ComparedRun]) -> Iterator[Row]:
    """The AUC after each epoch, or after some that are spread over the longest run."""
    longest = max(len(run.epochs) for run in runs)
    for place in spread(longest, MOST_EPOCHS):
        said = (_at(run, place, "val_auc") for run in runs)
        yield Row(str(place + 1), tuple(said))


def _at(run: ComparedRun, place: int, key: str) -> str:
    entry = run.epochs[place] if -len(run.epochs) <= place < len(run.epochs) else {}
    return number(entry[key]) if key in entry else NOTHING


def _losses(runs: Sequence[ComparedRun]) -> Iterator[Row]:
    """What was measured after each run's last epoch, and in its last round."""
    keys = dict.fromkeys(key for run in runs for key in (run.epochs[-1] if run.epochs else {}) if key != "epoch")
    for key in keys:
        what = {"val_auc": "AUC on the val split", "val_loss": "log loss on the val split"}.get(key, key)
        yield Row(plain(what), tuple(_at(run, -1, key) for run in runs))


def _subjects(runs: Sequence[ComparedRun]) -> Iterator[Row]:
    for subject in (SEEN, UNSEEN, ALL_HARDEST):
        if any(subject in run.tested for run in runs):
            tested = [run.tested.get(subject) for run in runs]
            yield Row(subject, tuple(_auc(one) for one in tested))
            yield Row("  ahead of the first", tuple(_ahead(one) for one in tested))


def _auc(tested: Tested | None) -> str:
    if tested is None:
        return NOTHING
    return f"{number(tested.auc)} {span(*tested.interval)}" if tested.interval else number(tested.auc)


def _ahead(tested: Tested | None) -> str:
    if tested is None or tested.ahead is None:
        return NOTHING
    if tested.ahead_interval is None:
        return f"{tested.ahead:+.3f}"
    low, high = tested.ahead_interval
    return f"{tested.ahead:+.3f} ({low:+.3f} to {high:+.3f})"
