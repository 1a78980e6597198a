"""A round of each game: against the published round, and against the bare passes of the networks that it needs.

    python benchmarks/rounds.py [BATCH] [SIZE] [FILTERS] [TURNS]    # 16 160 16 5

The same networks (EfficientNet-Lite0, the CycleGAN generator), clean images (BATCH, half real), window (3) and moves
(1) for all, timed in turns in one run; the least of each. The bare passes are the forward and backward passes alone:
no blur, no loss over patches, no optimiser. Freed memory stays with a process once it has been told so, as `dfgame
train` does; so there are two, which take turns: the published round is played in one that was not told, as it was
published, and, to show what that alone is worth, in the one that was. Then, for the gradient game, what each setting
of `dfgame train` does.
"""

import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any, TypeVar

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the dfgame command does

import torch
from published import generator_round, gradient_round

from dfgame.bench import Turn, bare_passes, round_of, train_settings
from dfgame.config import BenchConfig, TrainConfig
from dfgame.memory import keep_freed_memory
from dfgame.models import Detector, Generator

GAMES = ("none", "random-blur", "gradient", "generator")
SETTINGS = {
    "as it is": {},
    "--no-channels-last": {"channels_last": False},
    "--precision bf16": {"precision": "bf16"},
    "--accumulate 2": {"accumulate": 2},
    "--compile": {"compile": True},
}
AS_PUBLISHED, KEPT = "as published", "kept"
"""The two processes, by what becomes of freed memory."""
Network = TypeVar("Network", bound=torch.nn.Module)
Way = tuple[str, str]
"""What is timed: the process, and what it does."""


def published(config: TrainConfig, images: torch.Tensor) -> Turn:
    detector = as_torch_has_it(Detector(config.detector))
    optimizer = torch.optim.RAdam(detector.parameters(), lr=5e-4, weight_decay=5e-4)
    sides = images.chunk(2)
    if config.game == "gradient":
        return lambda: gradient_round(detector, optimizer, sides, window=3, moves=1)
    generators = [with_a_plain_end(as_torch_has_it(Generator(1, config.adversary.filters, 3, "bn"))) for _ in sides]
    optimizers = [torch.optim.RAdam(g.parameters(), lr=2e-3, weight_decay=5e-4) for g in generators]
    return lambda: generator_round(detector, generators, optimizer, optimizers, sides, window=3, moves=1)


def with_a_plain_end(generator: Generator) -> Generator:
    """With torch's own last convolution."""
    last: Any = generator.body[-1]
    generator.body[-1] = torch.nn.Conv2d(last.in_channels, last.out_channels, 7, padding=3, padding_mode="reflect")
    return generator


def as_torch_has_it(network: Network) -> Network:
    """Without what this project changes in the layers of torch and timm. The images stay mirrored."""
    for module in network.modules():
        module.__dict__.pop("forward", None)
        if isinstance(module, torch.nn.ReLU6):
            module.inplace = True
    return network


def turn_of(game: str, what: str, bench: BenchConfig, images: torch.Tensor) -> Turn:
    config = train_settings(bench, game)
    match what:
        case "published":
            return published(config, images)
        case "bare":
            return bare_passes(config, images)
        case _:
            return round_of(replace(config, **SETTINGS[what]), images)


def serve(orders: Connection, memory: str, bench: BenchConfig) -> None:
    """Play the turns that are ordered, (game, what), and answer with their seconds; those of one game stay ready."""
    if memory == KEPT and not keep_freed_memory():
        print("this C library cannot keep freed memory", file=sys.stderr)
    torch.manual_seed(0)
    images = torch.rand((bench.batch_size, 3, bench.image_size, bench.image_size))
    ready: dict[tuple[str, str], Turn] = {}
    while (order := orders.recv()) is not None:
        if order not in ready:
            ready = {known: turn for known, turn in ready.items() if known[0] == order[0]}
            ready[order] = turn_of(*order, bench, images)
        started = time.perf_counter()
        ready[order]()
        orders.send(time.perf_counter() - started)


@contextmanager
def processes(bench: BenchConfig) -> Iterator[dict[str, Connection]]:
    context = multiprocessing.get_context("spawn")
    ends: dict[str, Connection] = {}
    started = []
    for memory in (AS_PUBLISHED, KEPT):
        ends[memory], theirs = context.Pipe()
        started.append(context.Process(target=serve, args=(theirs, memory, bench), daemon=True))
        started[-1].start()
    yield ends
    for end in ends.values():
        end.send(None)
    for process in started:
        process.join()


def least(ends: dict[str, Connection], game: str, ways: list[Way], count: int) -> dict[Way, float]:
    """The least seconds of each over `count` turns, which all take one after the other; the first turn is left out."""
    seconds: dict[Way, list[float]] = {way: [] for way in ways}
    for number in range(count + 1):
        for memory, what in ways:
            ends[memory].send((game, what))
            took = ends[memory].recv()
            if number:
                seconds[memory, what].append(took)
    return {way: min(values) for way, values in seconds.items()}


def main(batch: int = 16, size: int = 160, filters: int = 16, count: int = 5) -> None:
    bench = BenchConfig(batch_size=batch, image_size=size, filters=filters)
    ours, bare = (KEPT, "as it is"), (KEPT, "bare")
    theirs, theirs_kept = (AS_PUBLISHED, "published"), (KEPT, "published")
    print(f"{batch} clean images at {size} px, {torch.get_num_threads()} threads, {filters} filters; images a second")
    print(
        f"{'game':>12} {'published':>10} {'memory kept':>12} {'dfgame':>8} {'bare passes':>12} {'faster':>8} "
        f"{'than kept':>10} {'on top':>8}"
    )
    with processes(bench) as ends:
        for game in GAMES:
            has_published = game in ("gradient", "generator")
            ways = [*((theirs, theirs_kept) if has_published else ()), ours, bare]
            took = least(ends, game, ways, count)
            rate = {way: f"{batch / value:.1f}" for way, value in took.items()}
            faster, than_kept = (f"{took[way] / took[ours]:.2f}x" if has_published else "" for way in ways[:2])
            print(
                f"{game:>12} {rate.get(theirs, ''):>10} {rate.get(theirs_kept, ''):>12} {rate[ours]:>8} "
                f"{rate[bare]:>12} {faster:>8} {than_kept:>10} {took[ours] / took[bare] - 1:>+8.1%}",
                flush=True,
            )
        took = least(ends, "gradient", [(KEPT, name) for name in SETTINGS], count)
        print(f"\n{'gradient game':>20} {'images/s':>9} {'time':>7}")
        for (_, name), value in took.items():
            print(f"{name:>20} {batch / value:>9.1f} {value / took[ours]:>6.2f}x")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
