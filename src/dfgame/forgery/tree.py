"""The tree that is made: FaceForensics++'s own, and beside it who is who, so that it can be gone on with."""

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dfgame import __version__
from dfgame.config import ForgeConfig, to_dict
from dfgame.files import LOCK, read_json, sha256, write_json
from dfgame.forgery.photographs import Person
from dfgame.records import METHODS, ORIGINAL, SPLITS, Split, UserError

PEOPLE = "people.json"
"""Which photographs became which id, with the settings; a folder with it is a tree of ours."""
HIDDEN = ".forge"
"""Where the trained networks are kept for a call that goes on."""
_CONTENT = ("original_sequences", "manipulated_sequences", "splits", "failures.json", HIDDEN, PEOPLE)
_FREE_TO_CHANGE = ("workers", "overwrite", "methods", "compressions")
"""Settings that add to a tree without changing what is there."""


def real_video(out: Path, compression: str, identity: str) -> Path:
    """Where the real clip of a person is."""
    return out / "original_sequences" / "youtube" / compression / "videos" / f"{identity}.mp4"


def fake_video(out: Path, method: str, compression: str, target: str, source: str) -> Path:
    """Where a forged clip is; its masks are where `compression` is "masks"."""
    return out / "manipulated_sequences" / method / compression / "videos" / f"{target}_{source}.mp4"


def network_file(out: Path, method: str) -> Path:
    """Where the weights of a method's trained network are."""
    return out / HIDDEN / f"{method}.safetensors"


def refuse_foreign(out: Path) -> None:
    """Refuse to write into a folder that holds something else.

    Raises:
        UserError: OUT is not empty and not a tree made by `dfgame forge`.
    """
    if out.is_dir() and any(path.name != LOCK for path in out.iterdir()) and not (out / PEOPLE).is_file():
        raise UserError(f"{out}: not empty, and not made by `dfgame forge`", "choose an empty or new folder as OUT")


def claim(
    out: Path, people: Sequence[Person], pairs: dict[Split, list[list[str]]], config: ForgeConfig, faces: Path
) -> None:
    """Mark OUT as made from these people with these settings; write people.json and the splits.

    Raises:
        UserError: it was made with others, and `config.overwrite` is not set.
    """
    description = _described(people, pairs, config, faces)
    if (out / PEOPLE).is_file():
        changed = _changes(read_json(out / PEOPLE), description)
        if changed and not config.overwrite:
            raise UserError(
                f"{out}: was made with other settings ({', '.join(changed)})",
                "give the same ones, choose another folder as OUT, or forge it anew with --overwrite",
            )
        if changed:
            _clear(out)
    write_json(out / PEOPLE, description)
    for split in SPLITS:
        write_json(out / "splits" / f"{split}.json", pairs[split])


def remove_leftovers(out: Path) -> None:
    """Remove the temporary files of processes that were killed."""
    for path in out.rglob(".*.tmp.*"):
        path.unlink(missing_ok=True)


def clips(out: Path) -> dict[tuple[str, str], int]:
    """The number of clips by (method, compression), the real ones first."""
    found = Counter((ORIGINAL, path.parts[-3]) for path in out.glob("original_sequences/youtube/*/videos/*.mp4"))
    for method in METHODS:
        found.update((method, p.parts[-3]) for p in out.glob(f"manipulated_sequences/{method}/*/videos/*.mp4"))
    return {key: number for key, number in found.items() if key[1] != "masks"}


def _described(
    people: Sequence[Person], pairs: dict[Split, list[list[str]]], config: ForgeConfig, faces: Path
) -> dict[str, Any]:
    split_of = {person: split for split in SPLITS for pair in pairs[split] for person in pair}
    settings = {k: v for k, v in to_dict(config).items() if k not in _FREE_TO_CHANGE}
    return {
        "what": "a miniature of FaceForensics++'s layout, forged by dfgame; not FaceForensics++",
        "version": __version__,
        "faces": str(faces.resolve()),
        "settings": settings,
        "people": [
            {
                "id": person.id,
                "name": person.name,
                "split": split_of.get(person.id),
                "photographs": {
                    photograph.path.relative_to(faces).as_posix(): sha256(photograph.path)
                    for photograph in person.photographs
                },
            }
            for person in people
        ],
    }


def _changes(before: Any, now: dict[str, Any]) -> list[str]:
    """What differs between two descriptions, in words; where the photographs lie does not matter."""
    if not isinstance(before, dict) or not isinstance(before.get("settings"), dict):
        return [f"{PEOPLE} is damaged"]
    old, new = to_dict(ForgeConfig()) | before["settings"], now["settings"]
    changed = [f"{name} was {old.get(name)}" for name in new if old.get(name) != new[name]]
    if before.get("version") != now["version"]:
        changed.append(f"version was {before.get('version')}")
    if before.get("people") != now["people"] and not changed:
        changed.append("from other photographs")
    return changed


def _clear(out: Path) -> None:
    """Remove what we made, people.json last, so that an interruption leaves a folder that is still ours."""
    for name in _CONTENT:
        path = out / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
