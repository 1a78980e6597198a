"""What all settings share: their checks, and the ways they are written down."""

import dataclasses
import json
from typing import Any, Literal

from dfgame.records import SettingError

Game = Literal["none", "random-blur", "gradient", "generator"]
Perturbation = Literal["blur", "kernel", "flow", "residual", "additive"]
"""The adversary's moves: each is the module of that name in perturb/."""
Device = Literal["auto", "cpu", "cuda", "mps"]
Compression = Literal["raw", "c23", "c40"]
Method = Literal["Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures"]
LiveFamilyName = Literal["selfblend", "lookalike", "mouth", "spectrum", "recompress", "rerender"]
"""Families of forgery that are made while training: each is the module of that name in forgery/live/."""


def require(condition: bool, flag: str, expected: str) -> None:
    """Refuse a setting by its flag unless it is as expected."""
    if not condition:
        raise SettingError(f"--{flag}: must be {expected}")


def at_least(flag: str, value: int, least: int) -> None:
    """Refuse a number below `least`."""
    require(value >= least, flag, f"at least {least}, not {value}")


def pairs_of(share: float, pairs: int) -> int:
    """How many of so many pairs of a real and a fake image a share is: rounded, and at least one."""
    return max(1, round(share * pairs))


def flat(config: Any) -> dict[str, Any]:
    """A configuration's values by dotted name: `blur.window`."""
    return dict(
        pair for item in dataclasses.fields(config) for pair in flat_field(item.name, getattr(config, item.name))
    )


def flat_field(name: str, value: Any) -> list[tuple[str, Any]]:
    """A field's (dotted name, value), or those of the group that it is."""
    if not dataclasses.is_dataclass(value):
        return [(name, value)]
    return [(f"{name}.{key}", inner) for key, inner in flat(value).items()]


def default_of(item: dataclasses.Field[Any]) -> Any:
    """A field's default, also where it is made."""
    return item.default_factory() if callable(item.default_factory) else item.default


def to_dict(config: Any) -> dict[str, Any]:
    """A configuration as plain JSON values; paths are text."""
    return json.loads(json.dumps(dataclasses.asdict(config), default=str))


def to_flags(config: Any, prefix: str = "") -> list[str]:
    """The command line's flags that give this configuration: those of its fields that differ from the defaults."""
    flags: list[str] = []
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        name = prefix + item.name.replace("_", "-")
        if dataclasses.is_dataclass(value):
            flags += to_flags(value, f"{name}.")
        elif value != default_of(item):
            match value:
                case bool():
                    flags.append(f"--{name}" if value else f"--{prefix}no-{item.name.replace('_', '-')}")
                case tuple():
                    flags += [f"--{name}", *map(str, value)]
                case _:
                    flags += [f"--{name}", str(value)]
    return flags
