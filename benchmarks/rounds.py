"""How many images a second each player's round trains on, and what the adversary costs beside plain training.

    python benchmarks/rounds.py [IMAGE_SIZE] [BATCH_SIZE] [FILTERS]

The players take turns in one run, so that a machine whose speed drifts drifts for all of them. Images are
random: neither decoding nor augmentation is timed. Clean images are counted; the adversary's come on top.
"""

import json
import statistics
import sys
import time

import torch

from dfgame.adversaries import Adversary, make_adversary
from dfgame.checkpoint import new_detector
from dfgame.config import AdversaryConfig, BlurConfig, DetectorConfig, OptimizerConfig
from dfgame.game import play_round
from dfgame.models import Detector

GAMES = ("none", "random-blur", "gradient", "generator")
TURNS = 5


def main(image_size: int = 256, batch_size: int = 16, filters: int = 64) -> None:
    """Print a table on stderr and JSON on stdout."""
    images = torch.rand((batch_size, 3, image_size, image_size)).to(memory_format=torch.channels_last)
    labels = torch.arange(batch_size) // (batch_size // 2)
    players = {game: make_players(game, filters) for game in GAMES}
    seconds: dict[str, list[float]] = {game: [] for game in GAMES}
    for turn in range(TURNS + 1):
        for game, (detector, optimizer, adversary) in players.items():
            started = time.perf_counter()
            play_round(detector, optimizer, adversary, images, labels)
            if turn:
                seconds[game].append(time.perf_counter() - started)
    median = {game: statistics.median(taken) for game, taken in seconds.items()}
    results = {
        game: {
            "images_per_second": round(batch_size / taken, 2),
            "times_as_long_as_none": round(taken / median["none"], 2),
        }
        for game, taken in median.items()
    }
    settings = {"image_size": image_size, "batch_size": batch_size, "filters": filters}
    print(json.dumps({"settings": settings, "threads": torch.get_num_threads(), "rounds": results}, indent=2))
    for game, result in results.items():
        print(f"{game:>12} {result['images_per_second']:8.2f} images/s", file=sys.stderr)


def make_players(game: str, filters: int) -> tuple[Detector, torch.optim.Optimizer, Adversary | None]:
    """A detector with its optimiser, and the adversary of the game."""
    detector = new_detector(DetectorConfig()).to(memory_format=torch.channels_last)
    adversary = make_adversary(game, BlurConfig(), AdversaryConfig(filters=filters), OptimizerConfig())
    if adversary is not None:
        adversary.to(memory_format=torch.channels_last)
    return detector, torch.optim.RAdam(detector.parameters(), lr=5e-4), adversary


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
