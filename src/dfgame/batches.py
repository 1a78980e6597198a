"""Balanced batches of real and fake crops. The batch of a round follows from (seed, round) and nothing else.

The fakes are the manifest's, or are forged from the real crops on the spot.
So a run that is killed goes on exactly where it was, without any state of a sampler to save; and the batches
do not depend on how many processes load them.
"""

import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from jaxtyping import Float, Int, UInt8
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dfgame.augment import Augmentation
from dfgame.config import LiveConfig
from dfgame.faces.crop import points_in_crop
from dfgame.footage import Footage
from dfgame.forgery.live import Forger
from dfgame.manifest import made_by
from dfgame.media import RgbImage
from dfgame.records import LABELS, Face, Label, UserError
from dfgame.stored import MEND_CROPS, read_stored, resized

PREFETCHED_BATCHES = 4
Item = TypeVar("Item")


class Batch(NamedTuple):
    """RGB images in [0, 1], the real ones first, and their classes: real 0, fake 1 (or 1 to 4 by method)."""

    images: Float[Tensor, "B 3 H W"]
    labels: Int[Tensor, "B"]


def read_crop(path: Path, size: int) -> UInt8[Tensor, "3 H W"]:
    """A face crop as an RGB tensor of `size` x `size`.

    Raises:
        UserError: the file is missing or is not a picture.
    """
    return fitted(read_stored(path), size)


def fitted(image: RgbImage, size: int) -> UInt8[Tensor, "3 H W"]:
    """An image as a tensor of `size` x `size`."""
    return torch.from_numpy(resized(image, size)).permute(2, 0, 1)


def to_unit(images: UInt8[Tensor, "*B 3 H W"]) -> Float[Tensor, "*B 3 H W"]:
    """0..255 -> [0, 1]."""
    return images.float() / 255


class RoundBatches(Dataset[Batch]):
    """Item k is the batch of round k: half real, half fake.

    With `sampling` "video" each image is a random frame of a random video, all videos having equal chances whatever
    their number of frames; with "frame" each half walks its list of frames, shuffled anew each time it is through.
    `classes` are the names whose indices are the labels. Where several processes train together, `shard` is (this
    one, how many): each loads its share of every batch, half real and half fake, `block` images at a time in turn.
    With a `forger` the fakes are its forgeries of the very crops that are the batch's real half, and these are its
    originals. `footage` is what
    each image goes through before it is brought to the detector's size.
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
        classes: Sequence[str] = LABELS,
        sampling: str = "video",
        shard: tuple[int, int] = (0, 1),
        block: int = 1,
        forger: Forger | None = None,
        footage: Footage | None = None,
    ) -> None:
        self._folder, self._batch_size, self._image_size = folder, batch_size, image_size
        self._augmentation, self._seed = augmentation, seed
        self._shard, self._block = shard, block
        self._sampling, self._forger, self._footage = sampling, forger, footage
        self._videos: dict[Label, list[list[tuple[str, int]]]] = {
            label: _crops_by_video(table, label, classes) for label in (LABELS if forger is None else LABELS[:1])
        }
        self._frames = {label: list(chain.from_iterable(videos)) for label, videos in self._videos.items()}
        self._orders: dict[Label, tuple[int, NDArray[np.intp]]] = {}
        for label, videos in self._videos.items():
            if not videos:
                raise UserError(
                    f"no {label} crops to train on",
                    "see --methods and --compressions, and the manifest's split",
                )

    def draw(self, round_number: int) -> list[tuple[str, int, int]]:
        """The (crop, class, seed) of a round, of all processes; a forged fake has its original's crop and seed."""
        rng = np.random.default_rng((self._seed, round_number))
        half = self._batch_size // 2
        drawn = []
        for label, videos in self._videos.items():
            if self._sampling == "video":
                chosen = [
                    videos[index][rng.integers(len(videos[index]))] for index in rng.integers(len(videos), size=half)
                ]
            else:
                chosen = [self._walked(label, round_number * half + k) for k in range(half)]
            drawn += [(crop, number, int(rng.integers(2**62))) for crop, number in chosen]
        if self._forger is not None:
            drawn += [(crop, 1, seed) for crop, _, seed in drawn]
        return drawn

    def _walked(self, label: Label, step: int) -> tuple[str, int]:
        """Where a walk through all frames of a label is after `step` steps."""
        crops = self._frames[label]
        walk, place = divmod(step, len(crops))
        if label not in self._orders or self._orders[label][0] != walk:
            rng = np.random.default_rng((self._seed, LABELS.index(label), walk, 1))
            self._orders[label] = walk, rng.permutation(len(crops))
        return crops[self._orders[label][1][place]]

    def __getitem__(self, round_number: int) -> Batch:
        own, processes = self._shard
        drawn = [item for place, item in enumerate(self.draw(round_number)) if place // self._block % processes == own]
        images = [self._image(*item) for item in drawn]
        return Batch(to_unit(torch.stack(images)), torch.tensor([number for _, number, _ in drawn]))

    def _image(self, crop: str, number: int, seed: int) -> UInt8[Tensor, "3 H W"]:
        if self._forger:
            stored = self._forger(crop, seed) if number else self._forger.original(crop, seed)
        else:
            stored = _stored_below(self._folder, crop)
        seen = self._footage(stored, seed) if self._footage else stored
        return self._augmentation(fitted(seen, self._image_size), seed)


def forger_of(table: pa.Table, folder: Path, config: LiveConfig, network: Path, seed: int = 0) -> Forger:
    """Who forges the fakes of a training from these rows' real crops; see Forger for `network` and `seed`.

    Raises:
        UserError: none is real, or they were not cut out here, so that nobody knows where the eyes lie in them.
    """
    real = table.filter(pc.field("label") == LABELS[0])
    if not real.num_rows:
        raise UserError("no real crops to train on", "see --compressions, and the manifest's split")
    settings = made_by(table).get("settings", {})
    if not settings.get("margin"):
        raise UserError("--live.families: crops of unknown margin", "cut them out with `dfgame extract`")
    how = settings["margin"], settings["size"], settings["alignment"]
    crops = {
        row["path"]: (points_in_crop(_face(row), *how), f"{row['dataset']}/{row['identity']}")
        for row in real.to_pylist()
    }
    return Forger(crops, partial(_stored_below, folder), config, network, seed)


@lru_cache(maxsize=64)
def _stored_below(folder: Path, path: str) -> RgbImage:
    """A stored crop; of a pair both read it."""
    return read_stored(folder / path)


def _face(row: dict[str, Any]) -> Face:
    points = tuple(zip(row["landmarks"][::2], row["landmarks"][1::2], strict=True))
    return Face((row["left"], row["top"], row["right"], row["bottom"]), points, row["score"])


def round_loader(batches: RoundBatches, rounds: Sequence[int], workers: int) -> DataLoader[Batch]:
    """The batches of these rounds, in their order, loaded ahead by `workers` processes (0: none)."""
    return DataLoader(
        batches,
        batch_size=None,
        sampler=rounds,
        num_workers=workers,
        prefetch_factor=PREFETCHED_BATCHES if workers else None,
        worker_init_fn=_start_loading,
    )


def _start_loading(_number: int) -> None:
    """One thread a loading process: the others are for the networks. Ctrl-C is for the process that trains."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.excepthook = _report
    cv2.setNumThreads(0)


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Say nothing of a process that trains and that was interrupted while it was taking a batch."""
    if not issubclass(kind, (EOFError, ConnectionError)):
        sys.__excepthook__(kind, error, trace)


def plainly(batches: Iterable[Item]) -> Iterator[Item]:
    """Pass batches on; what the user can mend comes out of a loading process as it went in, without its traceback.

    A DataLoader puts the traceback of its process into the message; the original line is its last.
    """
    try:
        yield from batches
    except UserError as error:
        problem = error.problem.strip().splitlines()[-1].removeprefix("dfgame.records.UserError: ")
        raise UserError(problem, error.remedy or MEND_CROPS) from None
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise UserError(
            f"a loading process ended unexpectedly ({str(error).splitlines()[0]})",
            "memory or /dev/shm may be full: use fewer --workers; --workers 0 loads in the process itself",
        ) from None


class Crops(Dataset[Tensor]):
    """Crops in the order of a list of paths: (3, H, W), uint8; not augmented unless asked for."""

    def __init__(self, paths: Sequence[Path], image_size: int, augmentation: Augmentation | None = None) -> None:
        self._paths, self._image_size, self._augmentation = paths, image_size, augmentation

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> Tensor:
        crop = read_crop(self._paths[index], self._image_size)
        return crop if self._augmentation is None else self._augmentation(crop, index)


def crop_loader(
    paths: Sequence[Path],
    image_size: int,
    batch_size: int,
    workers: int,
    augmentation: Augmentation | None = None,
) -> Iterator[Tensor]:
    """Batches (B, 3, H, W) of crops in [0, 1], in the order of `paths`; an augmentation is seeded by that order."""
    loader = DataLoader(
        Crops(paths, image_size, augmentation),
        batch_size=batch_size,
        num_workers=workers,
        worker_init_fn=_start_loading,
    )
    return (to_unit(images) for images in plainly(loader))


def _crops_by_video(table: pa.Table, label: Label, classes: Sequence[str]) -> list[list[tuple[str, int]]]:
    """The (crop, class) of each frame of each video of this label."""
    crops: dict[str, list[tuple[str, int]]] = {}
    columns = (table.column(name).to_pylist() for name in ("path", "video", "label", "method"))
    for path, video, of_label, method in zip(*columns, strict=True):
        if of_label == label:
            name = method if of_label == "fake" and "fake" not in classes else label
            if name not in classes:
                raise UserError(
                    f"the manipulation method {method} has no class of its own",
                    f"with --detector.multi choose --methods among {', '.join(classes[1:])}",
                )
            crops.setdefault(video, []).append((path, classes.index(name)))
    return [crops[video] for video in sorted(crops)]
