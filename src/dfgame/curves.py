"""What TensorBoard shows of a run: scalars, histograms, and the adversary's pictures, which are files, too."""

from pathlib import Path

import cv2
import torch
from torch import nn
from torch.utils.tensorboard.writer import SummaryWriter

from dfgame.adversaries import Adversary
from dfgame.files import atomic_path
from dfgame.game import Round
from dfgame.pictures import adversarial_grid


class Curves:
    """The logs of a run in RUN/tensorboard and RUN/pictures; steps are rounds.

    A run that goes on from round `first` takes back what was logged from there on by one that was killed.
    """

    def __init__(self, run: Path, first: int) -> None:
        self._run = run
        self._writer = SummaryWriter(str(run / "tensorboard"), purge_step=first)

    def scalars(self, values: dict[str, float], step: int) -> None:
        """Values by name."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def histograms(self, played: Round, players: dict[str, nn.Module | None], step: int) -> None:
        """The adversary's maps, and the weights of each part of each player."""
        if played.perturbed is not None:
            self._writer.add_histogram("adversary/maps", played.perturbed.maps.float(), step)
        for player, module in players.items():
            for name, part in module.named_children() if module is not None else ():
                weights = [weight.detach().flatten() for weight in part.parameters()]
                if weights:
                    self._writer.add_histogram(f"{player}/{name}", torch.cat(weights), step)

    def pictures(self, played: Round, adversary: Adversary | None, epoch: int, step: int) -> None:
        """What the adversary made of a batch; nothing where nobody plays."""
        if played.attacked is None or played.perturbed is None or adversary is None:
            return
        grid = adversarial_grid(played.attacked, played.perturbed, adversary.perturbation)
        self._writer.add_image("clean, adversarial, difference, strength", grid, step, dataformats="HWC")
        with atomic_path(self._run / "pictures" / f"epoch_{epoch:03d}.png") as temporary:
            encoded = cv2.imencode(".png", cv2.cvtColor(grid, cv2.COLOR_RGB2BGR))[1]
            temporary.write_bytes(encoded.tobytes())

    def flush(self) -> None:
        """Bring to the disk what was logged."""
        self._writer.flush()

    def close(self) -> None:
        """Flush, and end."""
        self._writer.close()
