"""The page: one HTML file without script, fonts or pictures from elsewhere, the same bytes for the same numbers."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from markupsafe import Markup

from dfgame.metrics import THRESHOLD
from dfgame.outcomes import LEVELS
from dfgame.players import Training
from dfgame.records import COVERAGE
from dfgame.report import words
from dfgame.report.card import card_facts, group_rows
from dfgame.report.cross import cross_matrices
from dfgame.report.environment import environment_of
from dfgame.report.figures import cross_figure, matrix_figure, roc_figure
from dfgame.report.language import counted, listed
from dfgame.report.worth import Worth, worth_of
from dfgame.summary import FEWEST_PEOPLE, HARDEST, Evaluation, Line, Player, Result

MOST_PAIRS = 60
"""Differences of two detectors that are shown, at most."""
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Picture(NamedTuple):
    """An example to show: what it is, in words that also serve readers who cannot see it, and a PNG file."""

    caption: str
    png: bytes

    @property
    def uri(self) -> str:
        """The picture as a data URI.

        Raises:
            ValueError: the bytes are not a PNG file.
        """
        if not self.png.startswith(PNG_SIGNATURE):
            raise ValueError(f"the picture of {self.caption!r} is not a PNG file")
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


@dataclass(frozen=True, slots=True)
class Matrix:
    """The heat map at one compression."""

    compression: str
    trained_on: bool | None
    svg: Markup


@dataclass(frozen=True, slots=True)
class Cross:
    """A matrix of what was trained on and what is tested."""

    title: str
    svg: Markup


@dataclass(frozen=True, slots=True)
class Curves:
    """The ROC figure at one compression, of the methods trained on or of the others."""

    compression: str
    seen: bool | None
    svg: Markup


@dataclass(frozen=True, slots=True)
class Section:
    """All that is shown of the players of one training."""

    training: Training
    players: list[Player]
    matrices: list[Matrix]
    curves: list[Curves]
    worths: list[Worth]


def render_page(evaluation: Evaluation, pictures: Sequence[Picture] = ()) -> str:
    """The report as HTML."""
    environment = environment_of("dfgame.report")
    environment.filters |= {
        "number": words.number,
        "listed": listed,
        "counted": counted,
        "training_words": words.training_words,
        "seen_words": words.seen_words,
    }
    environment.globals |= {"span": words.span, "p_value": words.p_value}
    settings = evaluation.settings
    return environment.get_template("report.html.j2").render(
        dataset=words.dataset_words(settings),
        setting=words.setting(evaluation),
        findings=words.findings(evaluation),
        notes=words.notes(evaluation),
        sections=[_section(evaluation, training) for training in _trainings(evaluation)],
        cross=[Cross(matrix.title, Markup(cross_figure(matrix))) for matrix in cross_matrices(evaluation)],
        several_seeds=any(len(player.seeds) > 1 for player in evaluation.players),
        levels=[(level, rows) for level in LEVELS[::-1] if (rows := _rows(evaluation, level))],
        evaluation=evaluation,
        undefined=words.undefined(evaluation),
        pictures=[Picture(*picture) for picture in pictures],
        card=card_facts(evaluation.card),
        groups=list(group_rows(evaluation.card)),
        settings=settings,
        settings_json=json.dumps(settings["asked"]["config"], indent=2),
        runs=[_run_facts(run) for run in settings["runs"]],
        video_score=evaluation.card["level"]["video_score"],
        threshold=THRESHOLD,
        most_pairs=MOST_PAIRS,
        hardest=HARDEST,
        fewest=FEWEST_PEOPLE,
        coverage=f"{COVERAGE:.0%}",
    )


def _trainings(evaluation: Evaluation) -> list[Training]:
    return list(dict.fromkeys(player.training for player in evaluation.players))


def _section(evaluation: Evaluation, training: Training) -> Section:
    players = [player for player in evaluation.players if player.training == training]
    names = [player.name for player in players]
    compressions = list(dict.fromkeys(cell.compression for cell in players[0].cells))
    knows_all = not training.compressions
    matrices = [
        Matrix(
            name,
            knows_all or name in training.compressions if training.known else None,
            Markup(matrix_figure(players, name)),
        )
        for name in compressions
    ]
    panels: dict[tuple[str, bool | None], list[Line]] = {}
    for line in evaluation.lines:
        if line.training == training:
            panels.setdefault((line.compression, line.seen), []).append(line)
    seen_first = sorted(panels, key=lambda panel: not panel[1])
    curves = [Curves(*panel, Markup(roc_figure(panels[panel], names))) for panel in seen_first]
    worths = [worth_of(evaluation, player) for player in players]
    return Section(training, players, matrices, curves, worths)


def _rows(evaluation: Evaluation, level: str) -> list[tuple[Result, bool | None]]:
    """The results of a level, each with whether its method was trained on, None where that is not known."""
    trainings = {
        (run.player, run.training.method_words, run.training.compression_words): run.training
        for run in evaluation.runs
    }
    return [
        (result, trainings[result.game, result.train_method, result.train_compression].saw(result.test_method))
        for result in evaluation.results
        if result.level == level
    ]


def _run_facts(run: dict[str, Any]) -> dict[str, Any]:
    """A run's facts and, apart from them, its settings as text."""
    return {**run, "config": json.dumps(run["config"], indent=2)}
