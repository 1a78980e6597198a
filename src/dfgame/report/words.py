"""What the numbers say, in sentences: claims only where the evidence supports them."""

from collections.abc import Sequence
from typing import Any

from dfgame.players import Training
from dfgame.records import COVERAGE
from dfgame.report.language import counted, listed
from dfgame.summary import FEWEST_PEOPLE, HARDEST, Comparison, Estimate, Evaluation, Player

INTERVAL = f"{COVERAGE:.0%} interval"


def number(value: float | None) -> str:
    """A rate in [0, 1], as it is printed everywhere; None is not defined."""
    return "n/d" if value is None else f"{value:.3f}"


def span(low: float | None, high: float | None) -> str:
    """An interval, as it is printed everywhere; a dash would be lost beside a minus sign. None is not defined."""
    if low is None or high is None:
        return number(None)
    return f"{number(low)}{' to ' if low < 0 else '–'}{number(high)}"


def p_value(p: float | None) -> str:
    """A p-value; a smaller one than 0.001 is not told apart."""
    if p is None:
        return "n/d"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def undefined(evaluation: Evaluation) -> list[str]:
    """Why numbers of the tables are not defined, each reason once."""
    reasons = [reason for row in evaluation.results for reason in row.undefined.split("; ") if reason]
    return list(dict.fromkeys(reasons))


def training_words(training: Training) -> str:
    """What was trained on."""
    if not training.known:
        return "data not known here"
    methods = listed(training.methods) if training.methods else "all methods"
    qualities = listed(training.compressions) if training.compressions else "all compressions"
    return f"{methods} at {qualities}"


def seen_words(seen: bool | None) -> str:
    """Whether a method was among those trained on: seen, unseen, or that it is not known."""
    return {True: "seen", False: "unseen", None: "not known"}[seen]


def dataset_words(settings: dict[str, Any]) -> str:
    """The data set by the name its manifest gives, never another."""
    return listed(settings["datasets"])


def split_words(split: str) -> str:
    """`the test split`, `every split`."""
    return "every split" if split == "all" else f"the {split} split"


def setting(evaluation: Evaluation) -> str:
    """What was trained on, tested on, and on how much."""
    trainings = list(dict.fromkeys(player.training for player in evaluation.players))
    cells = [cell for player in evaluation.players for cell in player.cells]
    methods = listed(list(dict.fromkeys(cell.method for cell in cells)))
    qualities = listed(list(dict.fromkeys(cell.compression for cell in cells)))
    counts, settings = evaluation.settings["counts"], evaluation.settings
    return (
        f"Trained on {'; '.join(map(training_words, trainings))}. "
        f"Tested on {methods} at {qualities}: {_tested(settings)} {dataset_words(settings)}, "
        f"{counted(counts['real_videos'], 'real video')} and {counted(counts['fake_videos'], 'fake video')} "
        f"of {counted(counts['identities'], 'person', 'people')} (a clip counts once at each compression)"
        f"{seeds_words(evaluation.players)}."
    )


def _tested(settings: dict[str, Any]) -> str:
    if settings["protocol"]:
        return f"the test sets of the protocol {settings['protocol']} in"
    return f"{split_words(settings['split'])} of"


def seeds_words(players: Sequence[Player]) -> str:
    """How many seeds each player was trained with, as the end of a sentence; empty where none is a run."""
    numbers = sorted({len(player.seeds) for player in players if player.seeds})
    if not numbers:
        return ""
    each = "each player" if all(player.seeds for player in players) else "each player that is a run"
    if len(numbers) == 1:
        return f", {counted(numbers[0], 'seed')} for {each}"
    return f", {numbers[0]} to {numbers[-1]} seeds for {each}"


def findings(evaluation: Evaluation) -> list[str]:
    """One sentence or two for each comparison."""
    several = len({player.training for player in evaluation.players}) > 1
    games = {player.training for player in evaluation.players if player.seeds}
    return [_finding(comparison, several, comparison.training in games) for comparison in evaluation.comparisons]


def _finding(comparison: Comparison, name_training: bool, games: bool) -> str:
    """`games` is whether runs are among the players, whose games another seed may show in another light."""
    where = f"At {HARDEST}, over all methods" if comparison.subject == HARDEST else f"On {comparison.subject}"
    if name_training:
        where += f" (trained on {training_words(comparison.training)})"
    best = f"{comparison.best}: mean video-level AUC {_with_interval(comparison.estimate)}"
    close = [name for name, low, _ in comparison.rivals if low <= 0]
    if comparison.verdict == "alone":
        return f"{where}, {best}. There is no other player of this training to compare it with.{_few(comparison)}"
    if comparison.verdict == "other videos":
        return (
            f"{where}, no player can be called the best: they did not score the same videos. The highest number is "
            f"that of {best}."
        )
    if comparison.verdict == "too few people":
        return (
            f"{where}, no player can be called the best: a number rests on only "
            f"{counted(comparison.fewest_people, 'person', 'people')} of a class, and below {FEWEST_PEOPLE} the "
            f"intervals carry no claim. The highest number is that of {best}."
        )
    if comparison.verdict == "within the intervals":
        return (
            f"{where}, no player can be called the best: the highest number is that of {best}, but its lead "
            f"over {listed(close)} is within the intervals."
        )
    if comparison.verdict == "seeds overlap":
        return (
            f"{where}, no player can be called the best: the highest number is that of {best}, but the seeds "
            "of another player reach as high."
        )
    return f"{where}, {comparison.best} did best: {_claim(comparison, games)}"


def _few(comparison: Comparison) -> str:
    if comparison.fewest_people >= FEWEST_PEOPLE:
        return ""
    people = counted(comparison.fewest_people, "person", "people")
    return f" With only {people} of a class, the interval carries no claim."


def _claim(comparison: Comparison, games: bool) -> str:
    sentence = (
        f"mean video-level AUC {_with_interval(comparison.estimate)}, ahead of every other player by more than "
        "the videos vary"
    )
    if len(comparison.estimate.by_seed) > 1:
        return f"{sentence}, and with every seed."
    if not games:
        return f"{sentence}."
    return f"{sentence}. One seed each: this holds for these trained networks, not yet for the games."


def _with_interval(estimate: Estimate) -> str:
    return f"{number(estimate.value)} ({INTERVAL} {span(estimate.low, estimate.high)})"


def unscored(evaluation: Evaluation) -> list[str]:
    """Which detectors left out what they were to score: the others' numbers are of more than theirs."""
    return [
        f"{one.run} gave {one.not_scored:,} of {counted(one.scored + one.not_scored, one.unit)} no score. Its numbers "
        "are of the others alone, which may be the easier ones."
        for one in evaluation.accounting
        if one.not_scored
    ]


def notes(evaluation: Evaluation) -> list[str]:
    """What a reader must know before believing the numbers; most evaluations have none of it."""
    settings = evaluation.settings
    said = []
    if (
        settings["split"] != "test"
        and not settings["protocol"]
        and len(settings["other_manifest"]) < sum(run.training.known for run in evaluation.runs)
    ):
        said.append(
            f"These are scores on {split_words(settings['split'])}, which training has used: they do not show how "
            "well the detectors do on people they have not seen."
        )
    if settings["other_manifest"]:
        said.append(
            f"Trained on another manifest: {listed(settings['other_manifest'])}. Whether its people are also "
            "among those tested here could not be checked."
        )
    if settings["unknown_training"]:
        said.append(
            f"What {listed(settings['unknown_training'])} learned from is not known. There, no method counts as seen "
            "or unseen, and whether people tested here are among those learned from could not be checked."
        )
    if settings["unfinished"]:
        runs = [f"{run['run']} ({run['done']} of {run['epochs']} epochs)" for run in settings["unfinished"]]
        said.append(f"Training has not finished: {listed(runs)}.")
    said += unscored(evaluation)
    said += [f"Not done: the test {test['test']} ({test['reason']})." for test in settings["not_done"]]
    said += [
        f"Left out: {cell['run']} on {cell['method']} at {cell['compression']} ({cell['reason']})."
        for cell in settings["undefined"]
    ]
    return said + [f"Warning: {warning}." for warning in evaluation.card["warnings"]]
