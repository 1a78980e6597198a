"""Settings that only work together with others, so that none is taken and then ignored."""

import dataclasses
from collections.abc import Callable
from typing import Any

from dfgame.config.values import default_of, flat, flat_field, pairs_of

_Works = Callable[[Any], bool]
_PLAYED: tuple[_Works, str] = (lambda c: c.game != "none", "a --game with an adversary")
_MOVES: tuple[_Works, str] = (lambda c: c.game in ("gradient", "generator"), "--game gradient or generator")
_DRAWS: tuple[_Works, str] = (lambda c: c.game == "generator", "--game generator")
_LIGHT: tuple[_Works, str] = (
    lambda c: {c.augment.before, c.augment.again} != {"none"},
    "--augment.before light or full",
)
_FULL: tuple[_Works, str] = (lambda c: "full" in (c.augment.before, c.augment.again), "--augment.before full")
_CHOSEN: tuple[_Works, str] = (lambda c: not c.protocol, "no --protocol, which says what is chosen")
_STEPS: tuple[_Works, str] = (lambda c: c.optimizer.schedule == "step", "--optimizer.schedule step")
_FILMED = ("crf", "scale", "twice", "light", "focus", "sharpened")
_NEEDS: tuple[tuple[str, _Works, str], ...] = (
    ("detector.weights", lambda c: c.detector.pretrained, "--detector.pretrained"),
    ("detector.stride", lambda c: c.detector.head == "patch", "--detector.head patch"),
    ("detector.dropout", lambda c: c.detector.head == "fc", "--detector.head fc"),
    ("detector.bn2", *_PLAYED),
    *((f"adversary.{name}", *_PLAYED) for name in ("start", "share", "attacks")),
    (
        "adversary.share",
        lambda c: pairs_of(c.adversary.share, c.part_pairs) < c.part_pairs,
        "a share that leaves out a pair: a lower one, or more pairs in a part of a batch",
    ),
    *((f"optimizer.{name}", *_STEPS) for name in ("decay_factor", "decay_epochs")),
    *((f"adversary.{name}", *_MOVES) for name in ("perturbation", "shuffled", "moves")),
    (
        "adversary.step",
        lambda c: c.game == "gradient" and c.adversary.perturbation != "additive",
        "--game gradient (the step of additive noise is --additive.step)",
    ),
    *((f"adversary.{name}", *_DRAWS) for name in ("loss", "filters", "blocks", "norm", "lr", "weights")),
    (
        "blur",
        lambda c: c.game != "none" and c.adversary.perturbation == "blur",
        "an adversary that blurs: a --game other than none, and --adversary.perturbation blur",
    ),
    ("blur.budget", lambda c: c.blur.constraint in ("norm", "learn-norm"), "--blur.constraint norm or learn-norm"),
    (
        "blur.constraint",
        lambda c: c.game != "random-blur" or c.blur.constraint != "free",
        "a player that learns: random blur is from nothing to the same sigma under clamp and free",
    ),
    ("blur.sigmoid", *_DRAWS),
    ("blur.channels", *_MOVES),
    ("kernel", lambda c: c.adversary.perturbation == "kernel", "--adversary.perturbation kernel"),
    ("flow", lambda c: c.adversary.perturbation == "flow", "--adversary.perturbation flow"),
    ("residual", lambda c: c.adversary.perturbation == "residual", "--adversary.perturbation residual"),
    ("additive", lambda c: c.adversary.perturbation == "additive", "--adversary.perturbation additive"),
    ("additive.step", lambda c: c.game == "gradient", "--game gradient"),
    *((f"footage.{name}", lambda c: c.footage.chance > 0, "--footage.chance") for name in _FILMED),
    ("optimizer.weighted", lambda c: c.detector.multi, "--detector.multi: of two classes each is half a batch"),
    *((f"augment.{name}", *_LIGHT) for name in ("flip", "colour")),
    *((f"augment.{name}", *_FULL) for name in ("jpeg", "noise", "grey", "geometry")),
    *((name, *_CHOSEN) for name in ("methods", "compressions", "datasets", "split")),
    ("attributes", lambda c: c.by, "--by with columns of the file"),
    ("segment_length", lambda c: c.val_level == "video", "--val-level video"),
)
"""Settings, or groups of them, that only work together with others: (name, when it works, what it needs)."""


def changed_settings(config: Any) -> list[str]:
    """The dotted names of the settings that were changed from their defaults."""
    defaults = {
        key: value for item in dataclasses.fields(config) for key, value in flat_field(item.name, default_of(item))
    }
    return [key for key, value in flat(config).items() if value != defaults[key]]


def idle_settings(config: Any) -> list[tuple[str, str]]:
    """The settings that were changed from their defaults and can have no effect here: (flag, what it needs)."""
    changed = changed_settings(config)
    return [
        (key.replace("_", "-"), needs)
        for name, works, needs in _NEEDS
        for key in changed
        if (key == name or key.startswith(f"{name}.")) and not works(config)
    ]
