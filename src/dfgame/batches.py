"""Balanced batches of real and fake crops. The batch of a round follows from (seed, round) and nothing else.

So a run that is killed goes on exactly where it was, without any state of a sampler to save; and the batches
do not depend on how many processes load them.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dfgame.augment import Augmentation
from dfgame.records import LABELS, Label, UserError

PREFETCHED_BATCHES = 4
MEND_CROPS = "extract the faces again into a new folder"
Item = TypeVar("Item")


class Batch(NamedTuple):
    """RGB images in [0, 1], the real ones first, and their labels: real 0, fake 1."""

    images: Float[Tensor, "B 3 H W"]
    labels: Int[Tensor, "B"]


def read_crop(path: Path, size: int) -> UInt8[Tensor, "3 H W"]:
    """A face crop as an RGB tensor of `size` x `size`.

    Raises:
        UserError: the file is missing or is not a picture.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if image is None:
        problem = "no such file" if not path.exists() else "not a picture"
        raise UserError(f"{path}: {problem}", MEND_CROPS)
    if image.shape[:2] != (size, size):
        shrinks = size < max(image.shape[:2])
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return torch.from_numpy(image).permute(2, 0, 1)


def to_unit(images: UInt8[Tensor, "*B 3 H W"]) -> Float[Tensor, "*B 3 H W"]:
    """0..255 -> [0, 1]."""
    return images.float() / 255


class RoundBatches(Dataset[Batch]):
    """Item k is the batch of round k: half real, half fake, each a random frame of a random video.

    Videos are drawn with equal chances whatever their number of frames.
    """

    def __init__(
        self,
        table: pa.Table,
        folder: Path,
        *,
        batch_size: int,
        image_size: int,
        augmentation: Augmentation,
        seed: int,
    ) -> None:
        self._folder, self._batch_size, self._image_size = folder, batch_size, image_size
        self._augmentation, self._seed = augmentation, seed
        self._videos: dict[Label, list[list[str]]] = {label: _crops_by_video(table, label) for label in LABELS}
        for label, videos in self._videos.items():
            if not videos:
                raise UserError(
                    f"no {label} crops to train on",
                    "see --methods and --compressions, and the manifest's split",
                )

    def draw(self, round_number: int) -> list[tuple[str, int, int]]:
        """The (crop, label, augmentation seed) of a round."""
        rng = np.random.default_rng((self._seed, round_number))
        half = self._batch_size // 2
        drawn = []
        for number, label in enumerate(LABELS):
            videos = self._videos[label]
            for index in rng.integers(len(videos), size=half):
                crops = videos[index]
                drawn.append((crops[rng.integers(len(crops))], number, int(rng.integers(2**62))))
        return drawn

    def __getitem__(self, round_number: int) -> Batch:
        drawn = self.draw(round_number)
        images = [
            self._augmentation(read_crop(self._folder / crop, self._image_size), seed) for crop, _, seed in drawn
        ]
        return Batch(to_unit(torch.stack(images)), torch.tensor([label for _, label, _ in drawn]))


def round_loader(batches: RoundBatches, rounds: Sequence[int], workers: int) -> DataLoader[Batch]:
    """The batches of these rounds, in their order, loaded ahead by `workers` processes (0: none)."""
    return DataLoader(
        batches,
        batch_size=None,
        sampler=rounds,
        num_workers=workers,
        prefetch_factor=PREFETCHED_BATCHES if workers else None,
    )


def plainly(batches: Iterable[Item]) -> Iterator[Item]:
    """Pass batches on; what the user can mend comes out of a loading process as it went in, without its traceback.

    A DataLoader puts the traceback of its process into the message; the original line is its last.
    """
    try:
        yield from batches
    except UserError as error:
        problem = error.problem.strip().splitlines()[-1].removeprefix("dfgame.records.UserError: ")
        raise UserError(problem, error.remedy or MEND_CROPS) from None


class Crops(Dataset[Tensor]):
    """Crops in the order of a list of paths, not augmented: (3, H, W), uint8."""

    def __init__(self, paths: Sequence[Path], image_size: int) -> None:
        self._paths, self._image_size = paths, image_size

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> Tensor:
        return read_crop(self._paths[index], self._image_size)


def crop_loader(paths: Sequence[Path], image_size: int, batch_size: int, workers: int) -> Iterator[Tensor]:
    """Batches (B, 3, H, W) of crops in [0, 1], in the order of `paths`."""
    loader = DataLoader(Crops(paths, image_size), batch_size=batch_size, num_workers=workers)
    return (to_unit(images) for images in plainly(loader))


def _crops_by_video(table: pa.Table, label: Label) -> list[list[str]]:
    crops: dict[str, list[str]] = {}
    columns = (table.column(name).to_pylist() for name in ("path", "video", "label"))
    for path, video, of_label in zip(*columns, strict=True):
        if of_label == label:
            crops.setdefault(video, []).append(path)
    return [crops[video] for video in sorted(crops)]
