"""How numbers came about: the protocol card of an evaluation, and what keeps runs from being measured by it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from dfgame.config import EvaluateConfig
from dfgame.outcomes import LEVELS, Account, Level
from dfgame.players import Entry
from dfgame.protocol import Protocol, Selection, rows, videos_of
from dfgame.records import UserError
from dfgame.rows import MANIFEST, AskedRows, people

ALLOW = "or measure them all the same with --allow-mismatch"
BEST, LAST = "best", "last"
_OF_GROUP = ("dataset", "method", "compression", "split")
_OF_EXTRACTION = ("frames", "sampling", "size", "margin", "alignment")


def mismatches(entries: Sequence[Entry], asked: AskedRows, allow: bool) -> list[str]:
    """Warnings: where the runs do not fit what they are tested on, or it is not known whether they do.

    A detector that learned from faces cut out with another margin, alignment or face detector may be no better than
    a coin; and a number belongs to a protocol only if the training did.

    Raises:
        UserError: a run does not fit, and that is not allowed.
    """
    said = [_other_protocol(entry, asked.protocol) for entry in entries if asked.protocol and entry.kind == "run"]
    unknown = []
    for entry in entries:
        if entry.kind == "scores":
            continue
        trained = _cut(entry.info.get("data", {}).get("made_by") or {})
        for source in asked.sources:
            if source.sha256 in entry.manifests:
                continue
            here = _cut(source.made_by)
            for name, value in trained.items():
                if value is None or here[name] is None:
                    unknown.append(f"{entry.name}: {name}")
                elif value != here[name]:
                    problem = f"trained on crops of {name} {value}, those to test on have {here[name]}"
                    said.append(f"{entry.name}: {problem}")
    unknown = list(dict.fromkeys(unknown))
    said = [line for line in said if line]
    if said and not allow:
        raise UserError(said[0], f"test runs on what they were trained for, {ALLOW}")
    if unknown:
        said.append(f"not known whether these are the same in training and test: {', '.join(unknown)}")
    return said


def trained_elsewhere(entries: Sequence[Entry], hashes: Sequence[str]) -> list[str]:
    """Detectors known to be trained on another manifest, whose people cannot be checked against this one's."""
    return [entry.name for entry in entries if entry.manifests and not set(hashes) <= set(entry.manifests)]


def unfinished(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """The runs known to have trained fewer epochs than they were to."""
    found = []
    for entry in entries:
        done, epochs = entry.info.get("epochs_done"), entry.info["config"].get("epochs")
        if done is not None and epochs is not None and done < epochs:
            found.append({"run": entry.name, "done": done, "epochs": epochs})
    return found


def cautions(entries: Sequence[Entry], asked: AskedRows, split: str, checkpoint: str) -> list[str]:
    """What must be known before what is measured is believed: whether these people are new to the detectors."""
    said = []
    if split in ("train", "all"):
        said.append(f"--split {split}: people that training has used; what is measured on them is flattered")
    if checkpoint == BEST and any(used_by(entry, "val", asked) for entry in entries):
        said.append("the checkpoint best was chosen on these people; see --checkpoint last")
    said += learned_from(entries, asked)
    if names := trained_elsewhere(entries, asked.hashes):
        said.append(f"trained on another manifest, whose people may be among these: {', '.join(names)}")
    if names := [entry.name for entry in entries if not entry.manifests]:
        said.append(f"not known what people were learned from: {', '.join(names)}")
    left = [f"{one['run']} ({one['done']} of {one['epochs']} epochs)" for one in unfinished(entries)]
    return [*said, f"training has not finished: {', '.join(left)}"] if left else said


def learned_from(entries: Sequence[Entry], asked: AskedRows) -> list[str]:
    """Which detectors have learned, by protocols of their own, from people that they are tested on."""
    by_protocol = [(entry, used_by(entry, "train", asked)) for entry in entries if entry.info.get("protocol")]
    return [
        f"{entry.name}: learned from {known:,} of these people, by its protocol {entry.info['protocol']['name']}"
        for entry, known in by_protocol
        if known
    ]


def used_by(entry: Entry, part: Literal["train", "val"], asked: AskedRows) -> int | None:
    """How many of the people who are tested on a run has trained on, or chosen its best checkpoint by.

    At whatever quality they are tested: it is the same people. None where that is not known, as of another manifest's.
    """
    if entry.kind != "run" or not set(asked.hashes) & set(entry.manifests):
        return None
    own = entry.info.get("protocol")
    datasets = entry.info["config"].get("datasets", ())
    choice = Selection(**own[part]) if own else Selection(part, part, tuple(datasets))
    here = [number for number, source in enumerate(asked.sources) if source.sha256 in entry.manifests]
    there = asked.everything.filter(pa.array(np.isin(asked.everything[MANIFEST].to_pylist(), here)))
    return len(_everybody(rows(there, choice)) & _everybody(asked.table))


def _everybody(table: pa.Table) -> set[tuple[str, str]]:
    """All who are seen in it, as targets and as sources."""
    datasets = table["dataset"].to_pylist()
    seen = {key: zip(datasets, table[key].to_pylist(), strict=True) for key in ("identity", "source")}
    return {(name, who) for pairs in seen.values() for name, who in pairs if who}


def _cut(made_by: dict[str, Any]) -> dict[str, Any]:
    """How faces were cut out, as far as it must be the same everywhere; None is not known."""
    settings, detector = made_by.get("settings") or {}, made_by.get("detector") or {}
    return {
        "margin": settings.get("margin"),
        "alignment": settings.get("alignment"),
        "face detector": detector.get("name"),
    }


def _other_protocol(entry: Entry, protocol: Protocol | None) -> str:
    """What is wrong with the run's protocol; empty if it trained and validated as this one says."""
    if protocol is None:
        return ""
    own = entry.info.get("protocol")
    if not own:
        return f"{entry.name}: was trained without --protocol {protocol.name}"
    if all(own[part] == protocol.facts[part] for part in ("train", "val")):
        return ""
    return f"{entry.name}: was trained by another protocol, {own['name']}, not by {protocol.name}"


def make_card(
    entries: Sequence[Entry],
    asked: AskedRows,
    config: EvaluateConfig,
    warnings: list[str],
    levels: Iterable[Level],
    accounts: Sequence[Account],
) -> dict[str, Any]:
    """The card, as plain JSON values; None is not known. `levels` and `accounts` are those of the results."""
    settings = asked.made_by.get("settings") or {}
    of_crops = {account.run for account in accounts if account.unit == "crop"}
    score = video_score(
        config.pooling,
        [entry.name for entry in entries if entry.name in of_crops],
        [entry.name for entry in entries if entry.name not in of_crops],
    )
    videos = [group for selection, chosen in asked.tests.items() for group in _groups(selection, chosen, asked)]
    return {
        "protocol": asked.protocol.facts if asked.protocol else None,
        "level": {"reported": sorted(set(levels), key=LEVELS.index), "video_score": score},
        "qualities": sorted(set(asked.table["compression"].to_pylist())),
        "tests": [_test(selection, chosen, settings.get("frames")) for selection, chosen in asked.tests.items()],
        "not_done": asked.not_done,
        "extraction": {
            **{name: settings.get(name) for name in _OF_EXTRACTION},
            "detector": asked.made_by.get("detector"),
            "differ": _differing(asked),
        },
        "videos": videos,
        "accounting": [asdict(account) for account in accounts if account.unit == "video"],
        "identities": people(asked.table),
        "seeds": sorted({entry.seed for entry in entries if entry.seed is not None}),
        "checkpoints": [_checkpoint(entry, config.checkpoint, asked) for entry in entries if entry.kind == "run"],
        "files": [_file(entry) for entry in entries if entry.kind != "run"],
        "training_crops": [{"run": entry.name, "same": _same_crops(entry, asked)} for entry in entries],
        "warnings": warnings,
    }


def _differing(asked: AskedRows) -> list[str]:
    """In which of the settings of their extraction the manifests differ."""
    made = [source.made_by for source in asked.sources]
    said = {name: [(one.get("settings") or {}).get(name) for one in made] for name in _OF_EXTRACTION}
    said["detector"] = [one.get("detector") for one in made]
    return [name for name, values in said.items() if any(value != values[0] for value in values)]


def _test(selection: Selection, chosen: pa.Table, extracted: int | None) -> dict[str, Any]:
    """A test set, and how many frames of a video are scored: fewer than were asked for, here or in extraction?"""
    frames = np.array(list(Counter(chosen["video"].to_pylist()).values()))
    wanted = selection.frames or extracted
    return {
        "name": selection.name or None,
        "split": selection.split,
        "frames": selection.frames or "all",
        "fewest": int(frames.min()),
        "most": int(frames.max()),
        "videos": len(frames),
        "videos_with_fewer": int((frames < wanted).sum()) if wanted else None,
        "fewer_than": wanted,
    }


def _groups(selection: Selection, chosen: pa.Table, asked: AskedRows) -> list[dict[str, Any]]:
    """Videos of the test set found, there with crops, too small, and failed, by data set, method, quality and split.

    A failed video, one of which extraction made no crop, has no score, also not that of a coin; nor has one that is
    too small, whose faces are all narrower than --min-face. Where the manifest does not say what failed, how many were
    found is not known. Which of those with crops a detector scored, its account says.
    """
    there = _of_group(chosen)
    narrow = rows(asked.small, replace(selection, frames=0))
    wide = pa.array(np.isin(narrow["video"].to_pylist(), chosen["video"].to_pylist(), invert=True), pa.bool_())
    small = _of_group(narrow.filter(wide))
    failures = asked.made_by.get("failures")
    failed = Counter()
    for failure in failures or ():
        if _is_chosen(selection, failure):
            failed[tuple(failure[name] for name in _OF_GROUP)] += failure["videos"]
    return [
        {
            "test": selection.name or None,
            **dict(zip(_OF_GROUP, group, strict=True)),
            "found": None if failures is None else there[group] + small[group] + failed[group],
            "with_crops": there[group],
            "too_small": small[group],
            "failed": None if failures is None else failed[group],
        }
        for group in sorted({*there, *small, *failed}, key=str)
    ]


def _of_group(chosen: pa.Table) -> Counter[tuple[Any, ...]]:
    """How many videos there are of each data set, method, quality and split."""
    videos = videos_of(chosen)
    return Counter(zip(*(videos[name].to_pylist() for name in _OF_GROUP), strict=True))


def failures_of(asked: AskedRows) -> list[dict[str, Any]] | None:
    """The failures of extraction that would have been tested on, each once; None where a manifest does not say."""
    failures = asked.made_by.get("failures")
    if failures is None:
        return None
    return [failure for failure in failures if any(_is_chosen(selection, failure) for selection in asked.tests)]


def _is_chosen(selection: Selection, failure: dict[str, Any]) -> bool:
    """Whether the selection would have had these videos."""
    wanted = (selection.datasets, selection.compressions, selection.methods if failure["label"] == "fake" else ())
    named = (failure["dataset"], failure["compression"], failure["method"])
    return selection.split in ("all", failure["split"]) and all(
        not names or name in names for names, name in zip(wanted, named, strict=True)
    )


def _checkpoint(entry: Entry, checkpoint: str, asked: AskedRows) -> dict[str, Any]:
    """Which weights were measured, how they were chosen, and whether by people who are tested on (None: not known)."""
    info = entry.info
    epoch = {BEST: info.get("best_epoch"), LAST: info.get("epochs_done")}.get(checkpoint)
    if checkpoint not in (BEST, LAST) and checkpoint.rpartition("_")[2].isdecimal():
        epoch = int(checkpoint.rpartition("_")[2])
    chosen = "named by the user"
    if checkpoint == BEST:
        of = info["config"].get("val_level", "frame")
        chosen = f"highest validation AUC of {of}s" if info.get("validated", True) else "last, without validation"
    known = used_by(entry, "val", asked) if checkpoint == BEST else 0 if checkpoint == LAST else None
    on_tested = None if known is None else known > 0
    return {"run": entry.name, "checkpoint": checkpoint, "epoch": epoch, "chosen": chosen, "on_tested": on_tested}


def _file(entry: Entry) -> dict[str, Any]:
    """A detector that is no run: what it is, and whether it is known what it was trained on."""
    return {"run": entry.name, "kind": entry.kind, "file": entry.path.name, "training_known": entry.training.known}


def _same_crops(entry: Entry, asked: AskedRows) -> bool | None:
    """Whether the run learned from crops made as these are; None if that is not known."""
    if set(asked.hashes) <= set(entry.manifests):
        return True
    trained = _cut(entry.info.get("data", {}).get("made_by") or {})
    pairs = list(zip(trained.values(), _cut(asked.made_by).values(), strict=True))
    if any(None not in pair and pair[0] != pair[1] for pair in pairs):
        return False
    return None if any(None in pair for pair in pairs) else True


def video_score(pooling: str, of_crops: Sequence[str], of_videos: Sequence[str]) -> str:
    """What a video's score is, in words, where the former detectors score crops, the latter whole videos."""
    if not of_crops:
        return "one given for it"
    kind, _, highest = pooling.partition("-")
    frames = (
        f"mean of the {highest} highest scores of its frames"
        if highest
        else f"{kind} probability of fake over its frames"
    )
    return f"{frames}; of {', '.join(of_videos)}, the one given for it" if of_videos else frames
