"""The protocol card in words: how the numbers came about, a line a subject."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from dfgame.report.language import counted, listed
from dfgame.report.words import split_words

NOT_KNOWN = "not known"
_LEVELS = {
    ("video",): "videos",
    ("frame", "video"): "frames, and videos",
    ("frame", "track", "video"): "frames, faces, and videos",
}
LOST = {
    "no_face": "no face",
    "too_small": "too small",
    "not_sampled": "not sampled",
    "unreadable": "unreadable",
    "failed": "failed, why not known",
    "not_scored": "no score",
}
"""What becomes of inputs that are not scored, in words."""


def card_facts(card: dict[str, Any]) -> list[tuple[str, str]]:
    """The card's lines: (subject, what there is to say of it); what is not known is said to be so."""
    return [
        *_protocol(card),
        ("level", f"{_LEVELS[tuple(card['level']['reported'])]}: the {card['level']['video_score']}"),
        ("quality", listed(card["qualities"])),
        ("frames", _frames(card)),
        ("faces", _faces(card["extraction"])),
        ("videos", _videos(card["videos"])),
        ("scored", _scored(card["accounting"])),
        ("people", counted(card["identities"], "identity", "identities")),
        *([("checkpoint", _checkpoints(card["checkpoints"], card["tests"]))] if card["checkpoints"] else []),
        *(("detector", _file(file)) for file in card["files"]),
        ("training", _training(card["training_crops"])),
        *([("seeds", ", ".join(map(str, card["seeds"])))] if card["seeds"] else []),
        *(("not done", f"test {test['test']}: {test['reason']}") for test in card["not_done"]),
        *(("warning", warning) for warning in card["warnings"]),
    ]


def group_rows(card: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """The videos found, with crops, too small and failed, a row a test set, data set, method, quality and split."""
    for group in card["videos"]:
        names = (
            group["test"] or "",
            group["dataset"],
            group["method"],
            group["compression"],
            group["split"] or "none",
        )
        yield (*names, *(_number(group[name]) for name in ("found", "with_crops", "too_small", "failed")))


def _number(value: int | None) -> str:
    return NOT_KNOWN if value is None else f"{value:,}"


def _protocol(card: dict[str, Any]) -> list[tuple[str, str]]:
    protocol, tests = card["protocol"], card["tests"]
    if protocol is None:
        return [("tested on", f"{split_words(tests[0]['split'])}, without a protocol")]
    names = listed([test["name"] for test in tests])
    return [
        ("protocol", f"{protocol['name']}: {protocol['title']}"),
        ("source", f"{protocol['source']} (SHA-256 of the protocol {protocol['sha256'][:12]})"),
        ("tested on", names),
    ]


def _frames(card: dict[str, Any]) -> str:
    """How many frames of a video are scored, how they were picked, and how many videos had fewer."""
    extraction = card["extraction"]
    tests: dict[str, list[str]] = {}
    for test in card["tests"]:
        tests.setdefault(_frames_of(test), []).append(test["name"])
    said = [f"{', '.join(names)}: {words}" if len(tests) > 1 else words for words, names in tests.items()]
    names = {"first": "its first ones", "uniform": "spread over it"}
    sampling = names.get(extraction["sampling"]) or _unsaid(extraction, "sampling")
    frames = extraction["frames"] or _unsaid(extraction, "frames")
    return "; ".join([*said, f"extracted: {frames} of a video, {sampling}"])


def _frames_of(test: dict[str, Any]) -> str:
    span = str(test["fewest"]) if test["fewest"] == test["most"] else f"{test['fewest']} to {test['most']}"
    asked = "all crops" if test["frames"] == "all" else f"{test['frames']} crops spread evenly"
    fewer = "whether videos had fewer than were asked for is not known"
    if test["fewer_than"]:
        few, videos = test["videos_with_fewer"], counted(test["videos"], "video")
        fewer = f"{few:,} of {videos} had fewer than {test['fewer_than']}"
    return f"{asked} of a video, {span}; {fewer}"


def _faces(extraction: dict[str, Any]) -> str:
    detector = extraction["detector"] or {}
    words = " ".join(filter(None, (detector.get("name"), detector.get("version")))) or _unsaid(extraction, "detector")
    names = ("margin", "alignment", "size")
    margin, alignment, size = (extraction[name] or _unsaid(extraction, name) for name in names)
    return f"detector {words}; margin {margin}; alignment {alignment}; pixels {size}"


def _unsaid(extraction: dict[str, Any], name: str) -> str:
    """Why there is no one value."""
    return "not the same in all manifests" if name in extraction["differ"] else NOT_KNOWN


def _videos(groups: list[dict[str, Any]]) -> str:
    """How many videos were found, have crops, failed; those of several test sets, as real ones are, once."""
    keys = ("dataset", "method", "compression", "split")
    once = {tuple(group[key] for key in keys): group for group in groups}
    there = sum(group["with_crops"] for group in once.values())
    if any(group["failed"] is None for group in groups):
        return f"{there:,} with crops; how many were found, and how many failed, is not known"
    failed: dict[str, int] = {}
    for (dataset, method, *_), group in once.items():
        failed[f"{dataset} {method}"] = failed.get(f"{dataset} {method}", 0) + group["failed"]
    total, small = sum(failed.values()), sum(group["too_small"] for group in once.values())
    of = "; ".join(f"{name} {number:,}" for name, number in failed.items() if number)
    crops = f"{there:,} with crops" + (f", {small:,} with too small faces alone" if small else "")
    said = f"{there + small + total:,} found, {crops}, {total:,} failed"
    return f"{said} ({of}), which have no score" if total else said


def _scored(accounts: list[dict[str, Any]]) -> str:
    """How many of its videos each detector scored, and what became of the others; those alike together."""
    alike: dict[str, list[str]] = {}
    for one in accounts:
        lost = [f"{one[name]:,} {words}" for name, words in LOST.items() if one[name]]
        of = f"{one['scored']:,} of {counted(one['inputs'], 'video')}"
        alike.setdefault(f"{of} ({', '.join(lost)})" if lost else of, []).append(one["run"])
    return "; ".join(f"{', '.join(runs)}: {words}" for words, runs in alike.items())


def _checkpoints(checkpoints: list[dict[str, Any]], tests: list[dict[str, Any]]) -> str:
    """How the weights were chosen, and of which epoch they are; runs of which the same is to be said together."""
    chosen: dict[str, list[str]] = {}
    for one in checkpoints:
        epoch = NOT_KNOWN if one["epoch"] is None else one["epoch"]
        chosen.setdefault(f"{one['checkpoint']} ({one['chosen']})", []).append(f"{one['run']} epoch {epoch}")
    words = "; ".join(f"{how}: {', '.join(runs)}" for how, runs in chosen.items())
    if any(one["on_tested"] for one in checkpoints):
        return f"{words}; chosen on people who are tested on"
    by_rule = all(one["checkpoint"] in ("best", "last") for one in checkpoints)
    return f"{words}; never chosen on a test set" if by_rule and all(t["split"] == "test" for t in tests) else words


def _file(file: dict[str, Any]) -> str:
    """A detector that is no run of ours: what it is."""
    kinds = {"box": "a calibrated detector", "onnx": "an ONNX file", "scores": "a table of scores from elsewhere"}
    known = "" if file["training_known"] else "; what it was trained on is not known"
    return f"{file['run']}: {kinds[file['kind']]}, {file['file']}{known}"


def _training(runs: list[dict[str, Any]]) -> str:
    words = {True: "crops made as in training", False: "crops made in another way than in training", None: NOT_KNOWN}
    counts = Counter(words[run["same"]] for run in runs)
    return "; ".join(f"{word}: {counted(number, 'run')}" for word, number in counts.items())
