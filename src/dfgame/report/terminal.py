"""The main table for a terminal: 80 columns wide, one table a training and compression."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from dfgame.outcomes import Account
from dfgame.players import Training
from dfgame.report.card import LOST, card_facts
from dfgame.report.language import counted
from dfgame.report.words import number, seen_words, span, training_words
from dfgame.summary import HARDEST, Estimate, Evaluation, Player


def terminal_tables(evaluation: Evaluation) -> Iterator[Table]:
    """Video-level AUC of every player on every method, with intervals, seen methods marked; then the means."""
    for training in dict.fromkeys(player.training for player in evaluation.players):
        players = [player for player in evaluation.players if player.training == training]
        for compression in dict.fromkeys(cell.compression for cell in players[0].cells):
            yield _cells(players, training, compression)
        if any(player.unseen or player.hardest for player in players):
            yield _means(players)


def accounting_table(accounts: Sequence[Account]) -> Table:
    """What became of every input of every detector, in the columns that have anything to say."""
    lost = {name: words for name, words in LOST.items() if any(getattr(one, name) for one in accounts)}
    table = Table("detector", "inputs", title="what became of every input", title_justify="left", title_style="bold")
    for words in ("number", "scored", *lost.values()):
        table.add_column(words, justify="right")
    for one in accounts:
        numbers = (one.inputs, one.scored, *(getattr(one, name) for name in lost))
        table.add_row(Text(one.run), f"{one.unit}s", *(f"{count:,}" for count in numbers))
    return table


def card_table(card: dict[str, Any]) -> Table:
    """The protocol card: how the numbers came about."""
    table = Table(title="protocol card", title_justify="left", title_style="bold", show_header=False, box=None)
    for subject, words in card_facts(card):
        table.add_row(Text(subject), Text(words))
    return table


def _cells(players: Sequence[Player], training: Training, compression: str) -> Table:
    title = f"video-level AUC at {compression}, trained on {training_words(training)}"
    table = Table("game", title=title, title_justify="left", title_style="bold")
    cells = [cell for cell in players[0].cells if cell.compression == compression]
    for cell in cells:
        table.add_column(f"{cell.method}\n{seen_words(training.saw(cell.method))}")
    for player in players:
        values = (_value(player.cells[cell]) for cell in cells)
        table.add_row(_name(player), *values)
    return table


def _means(players: Sequence[Player]) -> Table:
    table = Table("game", title="means", title_justify="left", title_style="bold")
    table.add_column("unseen methods")
    table.add_column(f"all methods at {HARDEST}")
    for player in players:
        means = (_value(mean) if mean else Text("not scored") for mean in (player.unseen, player.hardest))
        table.add_row(_name(player), *means)
    return table


def _name(player: Player) -> Text:
    """The player and how many seeds it has, if it has any."""
    return Text(f"{player.name}\n{counted(len(player.seeds), 'seed')}" if player.seeds else player.name)


def _value(estimate: Estimate | None) -> Text:
    """Mean over seeds, interval over people and, with several seeds, in brackets the lowest and highest."""
    if estimate is None:
        return Text("not scored")
    lines = [number(estimate.value), span(estimate.low, estimate.high)]
    if len(estimate.by_seed) > 1:
        lines.append(f"[{span(min(estimate.by_seed), max(estimate.by_seed))}]")
    return Text("\n".join(lines))
