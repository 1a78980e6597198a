"""The miniature FaceForensics++: the official tree, from a folder of face photographs.

    original_sequences/youtube/{raw,c23,c40}/videos/000.mp4
    manipulated_sequences/{Deepfakes,Face2Face,FaceSwap,NeuralTextures}/{raw,c23,c40}/videos/000_003.mp4
    manipulated_sequences/{...}/masks/videos/000_003.mp4
    splits/{train,val,test}.json, people.json, failures.json

000_003 shows 000 (the target), forged with 003 (the source). raw is lossless. One job makes all videos of one target.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from dfgame import __version__
from dfgame.config import ForgeConfig, to_dict
from dfgame.files import atomic_path, read_json, writable_folder, write_json
from dfgame.forgery.clip import Clip, render
from dfgame.forgery.deepfakes import Autoencoder, Deepfakes, train_shared
from dfgame.forgery.face2face import Face2Face
from dfgame.forgery.faceswap import FaceSwap
from dfgame.forgery.family import Family
from dfgame.forgery.neuraltextures import MouthRenderer, NeuralTextures, train_renderer
from dfgame.forgery.photographs import Person, find_people, split_pairs
from dfgame.jobs import run_jobs
from dfgame.media import write_video
from dfgame.records import CRF, Failure, UserError

PEOPLE_FILE = "people.json"
_NETWORKS = ".forge"
_FREE_TO_CHANGE = {"workers", "overwrite", "methods", "compressions"}


@dataclass(frozen=True, slots=True)
class _Job:
    out: Path
    config: ForgeConfig
    target: Person
    source: Person


@dataclass(frozen=True, slots=True)
class _Training:
    method: str
    out: Path
    config: ForgeConfig
    people: tuple[Person, ...]


def build_tree(faces: Path, out: Path, config: ForgeConfig) -> list[Failure]:
    """Forge the tree; what is there already is kept, so that a call which was interrupted goes on.

    Returns the photographs that could not be used; they are also in OUT/failures.json.

    Raises:
        UserError: there are no two people, or OUT holds something else or was made with other settings.
    """
    people, failures = find_people(faces, config)
    writable_folder(out)
    _claim(out, people, config)
    write_json(out / "failures.json", [{"path": f.path, "reason": f.reason} for f in failures])
    by_id = {person.id: person for person in people}
    splits = split_pairs(list(by_id), config.split, config.seed)
    for split, pairs in splits.items():
        write_json(out / "splits" / f"{split}.json", pairs)

    learners = [method for method in _LEARNED if method in config.methods]
    trainings = [_Training(m, out, config, tuple(people)) for m in learners if not _network_path(out, m).is_file()]
    _finish(run_jobs(_train, trainings, config.workers, "forgers"))
    jobs = [
        _Job(out, config, by_id[target], by_id[source])
        for pairs in splits.values()
        for pair in pairs
        for target, source in (pair, pair[::-1])
    ]
    _finish(run_jobs(forge_target, [job for job in jobs if any(_missing(job))], config.workers, "forge"))
    return failures


def forge_target(job: _Job) -> int:
    """Make the videos of one target that are not there yet; returns how many."""
    missing = list(_missing(job))
    target, source = (_clip(person, job.config) for person in (job.target, job.source))
    made = 0
    if real := {path: crf for method, path, crf in missing if method is None}:
        made += _encode(real, target.frames, job.config.fps)
    for method in job.config.methods:
        wanted = {path: crf for of_method, path, crf in missing if of_method == method}
        if wanted:
            forged = _family(method, job.out, job.config)(target, source)
            mask_path = job.out / _mask(method, job)
            if mask_path in wanted:
                made += _encode({mask_path: wanted.pop(mask_path)}, _as_rgb(forged.masks), job.config.fps)
            made += _encode(wanted, forged.frames, job.config.fps)
    return made


def tree_counts(out: Path) -> dict[str, int]:
    """Videos in each folder of the tree, masks left out."""
    return {
        folder.parent.relative_to(out).as_posix(): sum(1 for _ in folder.glob("[!.]*.mp4"))
        for folder in sorted(out.glob("*_sequences/*/*/videos"))
        if folder.parent.name != "masks"
    }


def _missing(job: _Job) -> Iterator[tuple[str | None, Path, int]]:
    """(method or None for the real clip, path, CRF) of the target's videos that are not there."""
    for method in (None, *job.config.methods):
        for compression in job.config.compressions:
            path = job.out / _video(method, compression, job)
            if not path.is_file():
                yield method, path, CRF[compression]
        if method is not None and not (mask := job.out / _mask(method, job)).is_file():
            yield method, mask, 0


def _video(method: str | None, compression: str, job: _Job) -> str:
    if method is None:
        return f"original_sequences/youtube/{compression}/videos/{job.target.id}.mp4"
    return f"manipulated_sequences/{method}/{compression}/videos/{job.target.id}_{job.source.id}.mp4"


def _mask(method: str, job: _Job) -> str:
    return f"manipulated_sequences/{method}/masks/videos/{job.target.id}_{job.source.id}.mp4"


def _encode(wanted: dict[Path, int], frames: NDArray[np.uint8], fps: int) -> int:
    for path, crf in wanted.items():
        write_video(path, frames, fps, crf)
    return len(wanted)


def _as_rgb(masks: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(masks[..., None], 3, axis=3)


def _clip(person: Person, config: ForgeConfig) -> Clip:
    return render(person, config.size, config.frames, config.seed)


@cache
def _family(method: str, out: Path, config: ForgeConfig) -> Family:
    """A family, ready to forge; one that learns loads what was trained for this tree."""
    match method:
        case "Deepfakes":
            autoencoder = Autoencoder()
            autoencoder.load_state_dict(load_file(_network_path(out, method)))
            return Deepfakes(autoencoder, config.effort, config.seed)
        case "NeuralTextures":
            renderer = MouthRenderer()
            renderer.load_state_dict(load_file(_network_path(out, method)))
            return NeuralTextures(renderer)
        case "Face2Face":
            return Face2Face()
        case "FaceSwap":
            return FaceSwap()
    raise ValueError(f"--methods: {method} is not a family of forgery")


_LEARNED = {"Deepfakes": train_shared, "NeuralTextures": train_renderer}


def _train(job: _Training) -> None:
    network = _LEARNED[job.method](job.people, job.config.size, job.config.effort, job.config.seed)
    with atomic_path(_network_path(job.out, job.method)) as temporary:
        save_file(network.state_dict(), temporary)


def _network_path(out: Path, method: str) -> Path:
    return out / _NETWORKS / f"{method}.safetensors"


def _finish(results: Iterator[tuple[Any, Any]]) -> None:
    """Wait for all jobs; one that failed is a defect or a lack of the machine, and ends the call."""
    for _, result in results:
        if isinstance(result, Exception):
            raise result


def _claim(out: Path, people: list[Person], config: ForgeConfig) -> None:
    """Mark OUT as made from these photographs with these settings, or refuse it."""
    settings = {k: v for k, v in to_dict(config).items() if k not in _FREE_TO_CHANGE}
    record: dict[str, Any] = {
        "note": "A miniature made by dfgame from photographs; it is not FaceForensics++.",
        "version": __version__,
        "settings": settings,
        "people": {p.id: {"name": p.name, "photographs": [str(q.path) for q in p.photographs]} for p in people},
    }
    path = out / PEOPLE_FILE
    if not path.is_file():
        if any(entry.name != "splits" for entry in out.iterdir()) and not config.overwrite:
            raise UserError(f"{out}: is not empty and was not made by forge", "choose another folder as OUT")
    else:
        before = read_json(path)
        changed = [name for name in settings if before["settings"].get(name) != settings[name]]
        if before["people"] != record["people"]:
            changed.append("FACES")
        if changed and not config.overwrite:
            raise UserError(
                f"{out}: was forged with other settings ({', '.join(changed)})",
                "give the same ones to go on, --overwrite to begin anew, or another folder as OUT",
            )
        if changed:
            _clear(out)
    write_json(path, record)


def _clear(out: Path) -> None:
    """Remove the videos and networks of an earlier forge, and nothing else."""
    for path in [*out.glob("*_sequences/*/*/videos/*.mp4"), *(out / _NETWORKS).glob("*.safetensors")]:
        path.unlink()
