"""A folder of photographs -> the mini FaceForensics++: find people, pair them, train, forge, encode.

One job a target: its real clip and its forgeries, each encoded at every quality from the same frames. What exists is
not made again, so a call that was killed goes on where it was.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import nn

from dfgame.config import ForgeConfig
from dfgame.files import atomic_path, held_folder, write_json
from dfgame.forgery import tree
from dfgame.forgery.cameras import camera_of, filmed
from dfgame.forgery.clip import Clip, render
from dfgame.forgery.deepfakes import Autoencoder, Deepfakes, train_shared
from dfgame.forgery.face2face import Face2Face
from dfgame.forgery.faceswap import FaceSwap
from dfgame.forgery.family import Family
from dfgame.forgery.neuraltextures import MouthRenderer, NeuralTextures, train_renderer
from dfgame.forgery.photographs import Person, find_people, split_pairs
from dfgame.jobs import run_jobs
from dfgame.media import write_video
from dfgame.records import CRF, SPLITS, Failure, UserError

MASKS = "masks"
_LEARNED: dict[str, tuple[Callable[..., nn.Module], Callable[[], nn.Module]]] = {
    "Deepfakes": (train_shared, Autoencoder),
    "NeuralTextures": (train_renderer, MouthRenderer),
}
"""The methods with a network: what trains it, and its class."""


@dataclass(frozen=True, slots=True)
class _Training:
    method: str
    people: tuple[Person, ...]
    out: Path
    config: ForgeConfig


@dataclass(frozen=True, slots=True)
class _Target:
    target: Person
    source: Person
    out: Path
    config: ForgeConfig

    def real_files(self) -> dict[str, Path]:
        """The files of the real clip that are missing, by compression."""
        files = {c: tree.real_video(self.out, c, self.target.id) for c in self.config.compressions}
        return {kind: path for kind, path in files.items() if not path.is_file()}

    def fake_files(self, method: str) -> dict[str, Path]:
        """The files of a method's clip that are missing, by compression; its masks are one of them."""
        ids = self.target.id, self.source.id
        kinds = (*self.config.compressions, MASKS)
        files = {kind: tree.fake_video(self.out, method, kind, *ids) for kind in kinds}
        return {kind: path for kind, path in files.items() if not path.is_file()}

    def methods(self) -> list[str]:
        """The methods of which a file is missing."""
        return [method for method in self.config.methods if self.fake_files(method)]


def build_tree(faces: Path, out: Path, config: ForgeConfig) -> list[Failure]:
    """Forge a tree in FaceForensics++'s layout in `out` from the photographs in `faces`.

    Besides the videos: `splits/`, `people.json` (which photographs became which id, settings, version) and
    `failures.json`. A call for a tree that is whole does nothing but look.

    Returns:
        What could not be used: photographs without a face or unreadable, and targets whose job failed.

    Raises:
        UserError: there are no two people, OUT holds something else, was made with other settings or is being
            written, or it cannot be written.
    """
    tree.refuse_foreign(out)
    with held_folder(out):
        return _build(faces, out, config)


def _build(faces: Path, out: Path, config: ForgeConfig) -> list[Failure]:
    people, failures = find_people(faces, config)
    pairs = split_pairs([person.id for person in people], config.split, config.seed)
    tree.claim(out, people, pairs, config, faces)
    by_id = {person.id: person for person in people}
    targets = [
        _Target(by_id[target], by_id[source], out, config)
        for split in SPLITS
        for a, b in pairs[split]
        for target, source in ((a, b), (b, a))
    ]
    waiting = [job for job in targets if job.real_files() or job.methods()]
    try:
        tree.remove_leftovers(out)
        _train_networks(people, waiting, out, config)
        for job, result in run_jobs(_forge_target, waiting, config.workers, "forge"):
            if isinstance(result, Exception):
                failures.append(Failure(job.target.name, f"{type(result).__name__}: {result}"))
    finally:
        tree.remove_leftovers(out)
    write_json(out / "failures.json", [{"path": f.path, "reason": f.reason} for f in failures])
    return failures


def _train_networks(people: Sequence[Person], waiting: Sequence[_Target], out: Path, config: ForgeConfig) -> None:
    """Train the networks that are needed and not there yet, at the same time."""
    needed = {method for job in waiting for method in job.methods()}
    jobs = [
        _Training(method, tuple(people), out, config)
        for method in _LEARNED
        if method in needed and not tree.network_file(out, method).is_file()
    ]
    for job, result in run_jobs(_train_network, jobs, config.workers, "train the forgers"):
        if isinstance(result, Exception):
            raise UserError(f"the network of {job.method} could not be trained: {result}") from result


def _train_network(job: _Training) -> None:
    train, _ = _LEARNED[job.method]
    model = train(job.people, job.config.size, job.config.effort, job.config.seed)
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    with atomic_path(tree.network_file(job.out, job.method)) as temporary:
        save_file(weights, temporary)


def _family(method: str, out: Path, config: ForgeConfig) -> Family:
    if method == "Face2Face":
        return Face2Face()
    if method == "FaceSwap":
        return FaceSwap()
    model: Any = _LEARNED[method][1]()
    model.load_state_dict(load_file(tree.network_file(out, method)))
    if method == "Deepfakes":
        return Deepfakes(model, config.effort, config.seed)
    return NeuralTextures(model, config.seed)


def _forge_target(job: _Target) -> None:
    """Make the files of one target that are missing."""
    clip = _rendered(job.target, job.config)
    _encode(clip.frames, job.real_files(), job.config)
    methods = job.methods()
    if not methods:
        return
    source = _rendered(job.source, job.config)
    for method in methods:
        files = job.fake_files(method)
        forged = _family(method, job.out, job.config)(clip, source)
        masks = files.pop(MASKS, None)
        _encode(forged.frames, files, job.config)
        if masks:
            write_video(masks, _as_rgb(forged.masks), job.config.fps, crf=0)


def _rendered(person: Person, config: ForgeConfig) -> Clip:
    clip = render(person, config.size, config.frames, config.seed)
    if config.cameras == "one":
        return clip
    return filmed(clip, camera_of(person, config.seed), (config.seed, int(person.id)))


def _encode(frames: NDArray[np.uint8], files: dict[str, Path], config: ForgeConfig) -> None:
    for compression, path in files.items():
        write_video(path, frames, config.fps, CRF[compression])


def _as_rgb(masks: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    for mask in masks:
        yield np.repeat(mask[:, :, None], 3, axis=2)
