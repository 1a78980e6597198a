"""The study's page in Markdown: tables, and sentences only where the intervals bear them."""

from collections.abc import Iterator, Sequence
from typing import Any

from dfgame.records import COVERAGE
from dfgame.report.cross import Matrix
from dfgame.report.language import counted, listed
from dfgame.report.paper_tables import markdown_escaped, markdown_table
from dfgame.report.words import number, span
from dfgame.summary import FEWEST_PEOPLE

PLAIN = "none"
NOTHING = "–"


def study_page(found: dict[str, Any], matrices: Sequence[Matrix]) -> str:
    """The page on what `study.json` holds, and on the matrices."""
    parts = [
        "# What each player buys",
        _setting(found),
        "## What one learns",
        "\n".join(f"- {sentence}" for sentence in sentences(found)),
        _rule(),
    ]
    if len(found["methods"]) > 1:
        trainings = listed(found["methods"])
        parts += [f"## Over all trainings: on {trainings}, one at a time", tables(found["pooled"])]
    for method, subjects in found["trainings"].items():
        parts += [f"## Trained on {method} at c23", tables(subjects)]
    if matrices:
        parts += ["## Trained on one, tested on another", *map(markdown_table, matrices)]
    if found["search"]:
        parts += ["## Looking for a setting in which the adversary helps", _search(found["search"])]
    if found["robustness"]:
        parts += ["## As videos get worse, and are attacked", _robustness(found)]
    parts += ["## How it was done", _done(found)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def clock(seconds: float) -> str:
    """`3 h 20 min`, `12 min`, `40 s`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def sentences(found: dict[str, Any]) -> list[str]:
    """What is lost on other forgeries and qualities, and who is ahead of plain training or behind it."""
    said = []
    lost = found["gaps"][PLAIN]
    for path, gap in lost.items():
        if gap["supported"]:
            verb = "loses" if gap["lost"] > 0 else "gains"
            said.append(f"Plain training {verb} {abs(gap['lost']):.3f} AUC {path} (loss {_both(gap)}).")
    several = len(found["trainings"]) > 1
    subjects = found["pooled"] if several else next(iter(found["trainings"].values()))
    for title in _main(subjects):
        prefix = f"Over all trainings, {title}" if several else _capital(title)
        said += _ahead_sentences(prefix, subjects[title])
        open_ones = [name for name in _others(subjects[title]) if not subjects[title][name]["ahead_supported"]]
        if open_ones:
            said.append(f"{prefix}: {listed(open_ones)} cannot be told from plain training.")
    if several:
        for method, of_method in found["trainings"].items():
            said += [f"Trained on {method}, {title}: {_sides(of_method[title])}." for title in _main(of_method)]
    return said


def _sides(players: dict[str, dict[str, Any]]) -> str:
    """Who is ahead of plain training, who behind, and who cannot be told from it, without numbers."""
    ahead, behind, neither = [], [], []
    for name in _others(players):
        entry = players[name]
        (neither if not entry["ahead_supported"] else ahead if entry["ahead_of_none"] > 0 else behind).append(name)
    open_ones = f"not to be told from {'it' if ahead or behind else 'plain training'}"
    sides = (ahead, "ahead of plain training"), (behind, "behind plain training"), (neither, open_ones)
    return ", ".join(f"{listed(names)} {side}" for names, side in sides if names)


def _ahead_sentences(where: str, players: dict[str, dict[str, Any]]) -> Iterator[str]:
    for name in _others(players):
        entry = players[name]
        if entry["ahead_supported"]:
            side = "ahead of" if entry["ahead_of_none"] > 0 else "behind"
            both = _both({"interval": entry["ahead_interval"], "seed_interval": entry["ahead_seed_interval"]})
            yield f"{where}: {name} is {side} plain training by {abs(entry['ahead_of_none']):.3f} AUC ({both})."


def _others(players: dict[str, Any]) -> list[str]:
    return [name for name in players if name != PLAIN]


def _main(subjects: dict[str, Any]) -> list[str]:
    """The subjects that are not of a single cell."""
    return [title for title in subjects if title.startswith(("trained on at", "unseen at"))]


def _both(gap: dict[str, Any]) -> str:
    """The intervals over people and, where there are several seeds, over seeds."""
    over = {"people": gap["interval"], "seeds": gap["seed_interval"]}
    return ", ".join(f"over {what} {ends[0]:+.3f} to {ends[1]:+.3f}" for what, ends in over.items() if ends)


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _rule() -> str:
    return (
        f"A difference is called one only where its {COVERAGE:.0%} intervals over people (paired bootstrap) and over "
        "seeds (Student's, of the paired differences), both with Bonferroni's correction for the number of players "
        f"beside plain training, lie on one side of 0, with at least {FEWEST_PEOPLE} people of a class. The intervals "
        "printed are without that correction. It does not count the trainings and columns: of twenty in which nobody "
        "differs, one may still show a difference."
    )


def _setting(found: dict[str, Any]) -> str:
    tested, rounds = found["tested"], found["rounds"]
    fitting = ", ".join(f"{player} {count}" for player, count in rounds.items())
    videos = [counted(tested[f"{kind}_videos"], f"{kind} video") for kind in ("real", "fake")]
    return (
        f"{markdown_escaped(listed(found['datasets']))}: forgeries made by this project, stand-ins for four families. "
        "The numbers show how players compare, not how good a detector is on films out of the world. Each player was "
        f"trained on one forgery at c23 ({listed(found['methods'])}), with {counted(found['seeds'], 'seed')}, for "
        f"{found['seconds']:g} seconds of playing on one thread; rounds that fit: {fitting}. Tested on "
        f"{counted(tested['identities'], 'person', 'people')} whom no run has seen, {listed(videos)} (a clip counts "
        "at each quality). Video-level AUC; the checkpoint is that of the last epoch."
    )


def tables(subjects: dict[str, Any], plain: str = PLAIN) -> str:
    """AUC of each player on the main subjects, and how far each is ahead of plain training or what stands for it."""
    titles = _main(subjects)
    players = subjects[titles[0]]
    subject, of = ("player", "plain training") if plain == PLAIN else ("change", f"the {plain}")
    head, rule = _row([subject, *titles]), _row(["---"] * (1 + len(titles)))
    values = [_row([player, *(_auc(subjects[title][player]) for title in titles)]) for player in players]
    others = [player for player in players if player != plain]
    ahead = [_row([player, *(_ahead(subjects[title][player]) for title in titles)]) for player in others]
    return "\n".join([head, rule, *values, "", f"Ahead of {of}:", "", head, rule, *ahead])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _auc(entry: dict[str, Any]) -> str:
    return f"{number(entry['auc'])} {span(*entry['interval'])}"


def _ahead(entry: dict[str, Any]) -> str:
    both = _both({"interval": entry["ahead_interval"], "seed_interval": entry["ahead_seed_interval"]})
    return f"{entry['ahead_of_none']:+.3f}<br>" + both.replace(", ", "<br>")


def _search(search: dict[str, Any]) -> str:
    lines = [_row(["player", "unseen methods, validation people", "by seed"]), _row(["---"] * 3)]
    for player, entry in search["unseen"].items():
        lines.append(_row([player, _auc(entry), ", ".join(map(number, entry["by_seed"]))]))
    words = (
        f"Trained on {search['method']} with {counted(search['seeds'], 'seed')}; {search['chosen']} did best on the "
        "validation people, and is the one that stands among the players above, on the test people."
    )
    return f"{words}\n\n" + "\n".join(lines)


def _robustness(found: dict[str, Any]) -> str:
    """The curves as a table: a row a strength, a column a player."""
    curves, rows = found["robustness"], {}
    for entry in curves["rows"]:
        rows.setdefault((entry["transformation"], entry["strength"]), {})[entry["player"]] = entry
    players = list(dict.fromkeys(entry["player"] for entry in curves["rows"]))
    fewest = min(min(entry["n_real"], entry["n_fake"]) for entry in curves["rows"])
    lines = [_row(["what is done", "strength", *players]), _row(["---"] * (2 + len(players)))]
    for (what, strength), entries in rows.items():
        cells = [_curve_cell(entries[player]) if player in entries else NOTHING for player in players]
        lines.append(_row([what if strength is not None else "nothing", _strength(strength), *cells]))
    words = (
        f"The first seed of each player trained on {found['methods'][0]}, on test people at c23, at least "
        f"{counted(fewest, 'video')} of a class; one seed each, so that it holds for these networks, not yet for the "
        f"players. What was made worse were the {'videos' if curves['done_to'] == 'videos' else 'stored crops'}. "
        "Figures: robustness/robustness.html."
    )
    failed = [f"{counted(curves['failed'], 'video')} could not be used."] if curves["failed"] else []
    words = " ".join([words, *failed, *(f"{_capital(reason)}." for reason in curves["not_done"])])
    return f"{words}\n\n" + "\n".join(lines)


def _strength(strength: float | None) -> str:
    return NOTHING if strength is None else f"{strength:g}"


def _curve_cell(entry: dict[str, Any]) -> str:
    value = number(entry["auc"])
    return value if entry["low"] is None else f"{value} {span(entry['low'], entry['high'])}"


def _done(found: dict[str, Any]) -> str:
    took = ", ".join(f"{stage} {clock(seconds)}" for stage, seconds in found["took"].items())
    packages = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return (
        f"`{found['command']}` on {counted(found['cores'], 'core')}: {took}. dfgame {found['version']}, {packages}; "
        f"manifest {found['manifest_sha256'][:16]}. study.json holds every number, evaluation/report.html the whole "
        "evaluation, evaluation/matrices the matrices as pictures and LaTeX."
    )
