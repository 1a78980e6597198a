"""A round of each game: against the published round, and against the bare passes of the networks that it needs.

    python benchmarks/rounds.py [BATCH] [SIZE] [FILTERS] [TURNS]    # 16 160 16 5

The same networks (EfficientNet-Lite0, the CycleGAN generator), clean images (BATCH, half real), window (3) and moves
(1) for all, timed in turns in one run; the least of each. The bare passes are the forward and backward passes alone:
no blur, no loss over patches, no optimiser. Then, for the gradient game, what each setting of `dfgame train` does.
"""

import os
import sys
from dataclasses import replace

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the dfgame command does

import torch
from published import generator_round, gradient_round

from dfgame.bench import Turn, bare_passes, least, round_of, train_settings
from dfgame.config import BenchConfig, TrainConfig
from dfgame.models import Detector, Generator


def published(config: TrainConfig, images: torch.Tensor) -> Turn:
    detector = as_timm_has_it(Detector(config.detector))
    optimizer = torch.optim.RAdam(detector.parameters(), lr=5e-4, weight_decay=5e-4)
    sides = images.chunk(2)
    if config.game == "gradient":
        return lambda: gradient_round(detector, optimizer, sides, window=3, moves=1)
    generators = [with_a_plain_end(Generator(1, config.adversary.filters, 3, "bn")) for _ in sides]
    optimizers = [torch.optim.RAdam(g.parameters(), lr=2e-3, weight_decay=5e-4) for g in generators]
    return lambda: generator_round(detector, generators, optimizer, optimizers, sides, window=3, moves=1)


def with_a_plain_end(generator: Generator) -> Generator:
    """With torch's own last convolution."""
    last = generator.body[-1]
    generator.body[-1] = torch.nn.Conv2d(last.in_channels, last.out_channels, 7, padding=3, padding_mode="reflect")
    return generator


def as_timm_has_it(detector: Detector) -> Detector:
    """Without what this project changes in timm's backbone: how it pads."""
    for module in detector.modules():
        module.__dict__.pop("forward", None)
    return detector


def main(batch: int = 16, size: int = 160, filters: int = 16, count: int = 5) -> None:
    torch.manual_seed(0)
    bench = BenchConfig(filters=filters)
    images = torch.rand((batch, 3, size, size))
    print(f"{batch} clean images at {size} px, {torch.get_num_threads()} threads, {filters} filters; images a second")
    print(
        f"{'game':>12} {'published':>10} {'dfgame':>8} {'bare passes':>12} {'faster':>8} {'in bf16':>8} {'on top':>8}"
    )
    for game in ("none", "random-blur", "gradient", "generator"):
        config = train_settings(bench, game)
        turns = {"dfgame": round_of(config, images), "bare": bare_passes(config, images)}
        turns["bf16"] = round_of(replace(config, precision="bf16"), images)
        if game in ("gradient", "generator"):
            turns["published"] = published(config, images)
        took = least(turns, count)
        rate = {name: f"{batch / value:.1f}" for name, value in took.items()}
        faster, in_bf16 = (
            f"{took['published'] / took[name]:.2f}x" if "published" in took else "" for name in ("dfgame", "bf16")
        )
        on_top = f"{took['dfgame'] / took['bare'] - 1:+.1%}"
        print(
            f"{game:>12} {rate.get('published', ''):>10} {rate['dfgame']:>8} {rate['bare']:>12} "
            f"{faster:>8} {in_bf16:>8} {on_top:>8}"
        )

    config = train_settings(bench, "gradient")
    variants = {
        "as it is": config,
        "--no-channels-last": replace(config, channels_last=False),
        "--precision bf16": replace(config, precision="bf16"),
        "--accumulate 2": replace(config, accumulate=2),
        "--compile": replace(config, compile=True),
    }
    took = least({name: round_of(variant, images) for name, variant in variants.items()}, count)
    print(f"\n{'gradient game':>20} {'images/s':>9} {'time':>7}")
    for name, value in took.items():
        print(f"{name:>20} {batch / value:>9.1f} {value / took['as it is']:>6.2f}x")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
