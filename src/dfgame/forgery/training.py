"""What the two families that learn have in common: aligned faces of all people, and a seeded loop over them."""

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.adam import adam

from dfgame.forgery.align import alignment, cut
from dfgame.forgery.clip import Clip
from dfgame.forgery.photographs import Person, prepared

SIZE = 64
"""Side of the aligned faces that the networks see and make, as in the first deepfakes."""
MOST_PHOTOGRAPHS = 4
"""Photographs of one person that the shared training uses at most."""

LAST_RATE = 0.1
"""The learning rate at the end, as a share of that at the start."""
_ADAM: dict[str, Any] = {
    "beta1": 0.5,
    "beta2": 0.99,
    "eps": 1e-8,
    "weight_decay": 0.0,
    "amsgrad": False,
    "maximize": False,
}


def aligned_photographs(people: Sequence[Person], size: int) -> Tensor:
    """Aligned faces of everybody, (N, 3, SIZE, SIZE) in [0, 1]; `size` is the longer side of the pictures."""
    faces = []
    for person in people:
        for photograph in person.photographs[:MOST_PHOTOGRAPHS]:
            matrix = alignment(np.array(photograph.points), SIZE)
            faces.append(cut(prepared(photograph.path, size), matrix, SIZE))
    return to_tensor(np.stack(faces))


def aligned_frames(clip: Clip) -> tuple[Tensor, list[NDArray[np.float64]]]:
    """The clip's aligned faces, (T, 3, SIZE, SIZE) in [0, 1], and the map of each frame."""
    matrices = [alignment(points, SIZE) for points in clip.points]
    faces = [cut(frame, matrix, SIZE) for frame, matrix in zip(clip.frames, matrices, strict=True)]
    return to_tensor(np.stack(faces)), matrices


def to_tensor(faces: NDArray[np.float32]) -> Tensor:
    """(N, S, S, 3), 0 to 255 -> (N, 3, S, S), 0 to 1."""
    return torch.from_numpy(faces).permute(0, 3, 1, 2).contiguous() / 255


def to_faces(images: Tensor) -> NDArray[np.float32]:
    """The inverse of `to_tensor`, clipped."""
    return (images.clamp(0, 1) * 255).permute(0, 2, 3, 1).contiguous().numpy()


def fit(
    module: nn.Module,
    faces: Tensor,
    loss: Callable[[Tensor, np.random.Generator], Tensor],
    *,
    steps: int,
    batch: int,
    lr: float,
    seed: tuple[int, ...],
    mirror: bool = True,
) -> None:
    """Adam with a linear decay on random batches of `faces`, (N, C, H, W), with `mirror` flipped half of the time.

    It calls the function behind torch.optim.Adam: making the class imports torch's compiler, which takes seconds in
    every process.
    """
    rng = np.random.default_rng(seed)
    module.to(memory_format=torch.channels_last)
    weights: list[Tensor] = list(module.parameters())
    means, squares = ([torch.zeros_like(weight) for weight in weights] for _ in range(2))
    counts = [torch.zeros(()) for _ in weights]
    for step in range(steps):
        chosen = faces[torch.from_numpy(rng.integers(len(faces), size=batch))]
        if mirror and rng.random() < 0.5:
            chosen = chosen.flip(3)
        gradients = list(torch.autograd.grad(loss(chosen, rng), weights))
        rate = lr * (1 - LAST_RATE) * (1 - step / steps) + lr * LAST_RATE
        with torch.no_grad():
            adam(weights, gradients, means, squares, [], counts, lr=rate, **_ADAM)


def warped(faces: Tensor, rng: np.random.Generator, strength: float = 0.04) -> Tensor:
    """Each face under a smooth random distortion, as deepfake autoencoders are trained with."""
    count, _, size, _ = faces.shape
    steps = torch.linspace(-1, 1, size)
    grid = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), dim=-1)
    shifts = rng.standard_normal((count, 5, 5, 2)).astype(np.float32) * 2 * strength
    field = np.stack([cv2.resize(shift, (size, size), interpolation=cv2.INTER_CUBIC) for shift in shifts])
    return nn.functional.grid_sample(
        faces, grid + torch.from_numpy(field), padding_mode="reflection", align_corners=True
    )
