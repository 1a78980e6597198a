"""Which runs are seeds of one player, and what sets players apart that play the same game."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from dfgame.config import HOUSEKEEPING, TrainConfig, to_dict
from dfgame.records import ORIGINAL, UNKNOWN, UserError

APART = " of "
"""Between a method and the data set, or the test set, that tells it apart from others of its name."""
Kind = Literal["run", "box", "onnx", "scores"]
"""What can be evaluated: a run's folder, a calibrated box, an ONNX file, a table of scores of another tool."""
NOT_THE_RECIPE = {"game", "methods", "compressions", "seed"} | HOUSEKEEPING
"""Training settings that do not make another player: they are its name already, its seed, or housekeeping."""
OF_DATA = ("manifest", "protocol")
"""What of a recipe is what it was trained on."""


@dataclass(frozen=True, slots=True)
class Training:
    """What a detector was trained on; an empty tuple is everything its manifest had.

    `had` are the methods that its manifest had, where that is known. Of a detector of somebody else's nothing is
    `known`.
    """

    methods: tuple[str, ...]
    compressions: tuple[str, ...]
    had: tuple[str, ...] = field(default=(), compare=False)
    known: bool = True

    def saw(self, method: str) -> bool | None:
        """Whether fakes of this method, which may be named with its data set, were trained on; None is not known.

        That two data sets do not name a method does not make it the same.
        """
        base, _, elsewhere = method.partition(APART)
        if not self.known or (base == UNKNOWN and elsewhere):
            return None
        known = self.methods or self.had
        return not known or method in known or base in known

    @property
    def method_words(self) -> str:
        """The methods joined by +, or all, or unknown."""
        return "unknown" if not self.known else "+".join(self.methods) or "all"

    @property
    def compression_words(self) -> str:
        """The compressions joined by +, or all, or unknown."""
        return "unknown" if not self.known else "+".join(self.compressions) or "all"


@dataclass(frozen=True, slots=True)
class Entry:
    """A detector that takes part in an evaluation.

    `name` tells it apart from the others and serves as a file name; `player` is the game of a run, followed by the
    settings that set it apart where others play the same game: with another recipe, or, if they were trained on the
    same, from another manifest or by another protocol. Another kind of
    detector is a player by itself, of its own name and without a seed.
    """

    path: Path
    name: str
    player: str
    training: Training
    seed: int | None
    info: dict[str, Any]

    @property
    def kind(self) -> Kind:
        """What it is."""
        return self.info.get("kind", "run")

    @property
    def manifests(self) -> list[str]:
        """The SHA-256 of the manifests that it is known to have been trained on."""
        data = self.info.get("data", {})
        return data.get("manifests") or [one for one in (data.get("manifest_sha256"),) if one]


def identify(paths: Sequence[Path], infos: Sequence[dict[str, Any]]) -> list[Entry]:
    """The entries of detectors, in their order, from what `score.run_info` and its like say of each.

    Raises:
        UserError: two runs have the same settings and the same seed, or a file is named twice.
    """
    trainings = _named([_training_of(info) for info in infos])
    recipes = [_recipe_of(info) if _is_run(info) else {} for info in infos]
    rivals: dict[tuple[str, Training], list[dict[str, str]]] = defaultdict(list)
    everywhere: dict[str, list[dict[str, str]]] = defaultdict(list)
    for info, training, recipe in zip(infos, trainings, recipes, strict=True):
        if _is_run(info):
            rivals[info["game"], training].append(recipe)
            everywhere[info["game"]].append({key: recipe[key] for key in recipe if key not in OF_DATA})
    entries = []
    names = _distinct([info["name"] for info in infos])
    for path, name, info, training, recipe in zip(paths, names, infos, trainings, recipes, strict=True):
        player = name
        if _is_run(info):
            differing = _differing(rivals[info["game"], training]) | _differing(everywhere[info["game"]])
            words = ", ".join(f"{key} {recipe.get(key, 'unset')}" for key in sorted(differing))
            player = f"{info['game']} ({words})" if words else info["game"]
        entries.append(Entry(path, name, player, training, info["seed"], info))
    _refuse_twins(entries)
    return entries


def _named(trainings: list[Training]) -> list[Training]:
    """Trainings on all that manifests had are on methods by name, where these manifests had different ones."""
    if len({training.had for training in trainings if training.had and not training.methods}) < 2:
        return trainings
    return [
        replace(training, methods=training.methods or tuple(method for method in training.had if method != ORIGINAL))
        for training in trainings
    ]


def _is_run(info: dict[str, Any]) -> bool:
    return info.get("kind", "run") == "run"


def _training_of(info: dict[str, Any]) -> Training:
    if info["methods"] is None:
        return Training((), (), known=False)
    had = info.get("data", {}).get("trained_on", {}).get("methods", ())
    return Training(tuple(sorted(info["methods"])), tuple(sorted(info["compressions"])), tuple(had))


def _recipe_of(info: dict[str, Any]) -> dict[str, str]:
    """What makes a run's player: its settings, those younger than the run at their defaults, manifest and protocol."""
    manifest = info.get("data", {}).get("manifest_sha256")
    protocol = info.get("protocol")
    of_data = {OF_DATA[0]: manifest[:8]} if manifest else {}
    of_data[OF_DATA[1]] = f"{protocol['name']} {protocol['sha256'][:8]}" if protocol else "none"
    return _recipe(to_dict(TrainConfig(game=info["game"]))) | _recipe(info["config"]) | of_data


def _recipe(config: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """The settings that make a player, flat, by their flags' names."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= _recipe(value, f"{prefix}{key}.")
        elif prefix or key not in NOT_THE_RECIPE:
            flat[f"{prefix}{key}".replace("_", "-")] = json.dumps(value).strip('"')
    return flat


def _differing(recipes: list[dict[str, str]]) -> set[str]:
    """The settings in which recipes differ."""
    return {key for key in set().union(*recipes) if len({recipe.get(key) for recipe in recipes}) > 1}


def _distinct(names: list[str]) -> list[str]:
    """Names that repeat are numbered, from the second on: run, run-2."""
    taken: list[str] = []
    for name in names:
        number, candidate = 1, name
        while candidate in taken:
            number += 1
            candidate = f"{name}-{number}"
        taken.append(candidate)
    return taken


def _refuse_twins(entries: list[Entry]) -> None:
    named: set[Path] = set()
    for entry in entries:
        if entry.path in named and entry.kind != "run":
            raise UserError(f"{entry.path}: named twice", "name each detector once")
        named.add(entry.path)
    first: dict[tuple[str, Training, int | None], Entry] = {}
    for entry in entries:
        twin = first.setdefault((entry.player, entry.training, entry.seed), entry)
        if twin is not entry:
            raise UserError(
                f"{twin.path} and {entry.path}: the same settings and the same seed",
                "give one of them: a seed counted twice is not a second seed",
            )
