"""Every layout in small, with real clips and something broken: doctor, extract, a training of one round, evaluate."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import PAIRS
from dfgame.config import DetectorConfig, DoctorConfig, EvaluateConfig, ExtractConfig, TrainConfig
from dfgame.datasets import find_data
from dfgame.doctor import examine
from dfgame.evaluate import evaluate_runs
from dfgame.extract import extract_faces
from dfgame.manifest import check_leaks
from dfgame.train import train_run

REAL, FAKE = "original_sequences/youtube/{}/videos/{}.mp4", "manipulated_sequences/{}/{}/videos/{}_{}.mp4"
CROPS = ExtractConfig(size=48, frames=4, workers=2, compressions=("c23",))
PEOPLE = [(split, person) for split, pair in PAIRS.items() for person in pair]
OTHER = {one: two for a, b in PAIRS.values() for one, two in ((a, b), (b, a))}


def copied(start: Path, end: Path) -> None:
    end.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(start, end)


def clips(mini: Path, place: Callable[[str, str, bool], str], root: Path) -> None:
    """Copy each person's real clip, and a forged one, to where `place(split, person, is_fake)` says."""
    for split, person in PEOPLE:
        copied(mini / REAL.format("c23", person), root / place(split, person, False))
        copied(mini / FAKE.format("FaceSwap", "c23", person, OTHER[person]), root / place(split, person, True))


def faceforensics(mini: Path, crops: Path, root: Path) -> Path:
    shutil.copytree(mini, root)
    return root / FAKE.format("FaceSwap", "c23", "000", "001")


def deep_fake_detection(mini: Path, crops: Path, root: Path) -> Path:
    for person in ("01", "02"):
        clip = mini / REAL.format("c40", f"0{person}")
        copied(clip, root / f"original_sequences/actors/c23/videos/{person}__talking.mp4")
    fakes = root / "manipulated_sequences" / "DeepFakeDetection" / "c23" / "videos"
    for number, name in enumerate(
        ("01_02__talking__ABCDEFGH", "02_01__talking__IJKLMNOP", "02_01__talking__QRSTUVWX")
    ):
        copied(mini / FAKE.format("FaceSwap", "c40", f"00{number}", OTHER[f"00{number}"]), fakes / f"{name}.mp4")
    return fakes / "02_01__talking__QRSTUVWX.mp4"


def celebdf(mini: Path, crops: Path, root: Path) -> Path:
    listed = []
    for number, (split, person) in enumerate(PEOPLE):
        real = f"Celeb-real/id{number}_0000.mp4"
        fake = f"Celeb-synthesis/id{number}_id{number ^ 1}_0000.mp4"
        copied(mini / REAL.format("c40", person), root / real)
        copied(mini / FAKE.format("Deepfakes", "c40", person, OTHER[person]), root / fake)
        listed += [f"1 {real}", f"0 {fake}"] if split == "test" else []
    (root / "YouTube-real").mkdir()
    (root / "List_of_testing_videos.txt").write_text("\n".join(listed))
    return root / "Celeb-synthesis" / "id0_id1_0000.mp4"


def dfdc(mini: Path, crops: Path, root: Path) -> Path:
    folders = {"train": "dfdc_train_part_0", "val": "validation", "test": "test"}
    clips(mini, lambda split, person, fake: f"{folders[split]}/{'f' if fake else 'r'}{person}.mp4", root)
    facts = {}
    for person in PAIRS["train"]:
        facts[f"r{person}.mp4"] = {"label": "REAL", "split": "train"}
        facts[f"f{person}.mp4"] = {"label": "FAKE", "split": "train", "original": f"r{person}.mp4"}
    (root / folders["train"] / "metadata.json").write_text(json.dumps(facts))
    for split in ("val", "test"):
        lines = [f"{'rf'[label]}{person}.mp4,{label}" for person in PAIRS[split] for label in (0, 1)]
        (root / folders[split] / "labels.csv").write_text("\n".join(["filename,label", *lines]))
    return root / folders["train"] / "f000.mp4"


def plain_folder(mini: Path, crops: Path, root: Path) -> Path:
    clips(mini, lambda split, person, fake: f"{split}/{'fake' if fake else 'real'}/{person}.mp4", root)
    return root / "train" / "fake" / "000.mp4"


def table(mini: Path, crops: Path, root: Path) -> Path:
    clips(mini, lambda _, person, fake: f"videos/{person}{'f' if fake else 'r'}.mp4", root)
    with (root / "data.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "identity", "split"])
        for split, person in PEOPLE:
            writer.writerows(
                [[f"videos/{person}r.mp4", "real", person, split], [f"videos/{person}f.mp4", 1, person, split]]
            )
    return root / "videos" / "000f.mp4"


def frames(mini: Path, crops: Path, root: Path) -> Path:
    for folder in ("original_c23", "FaceSwap_c23"):
        shutil.copytree(crops / folder, root / folder)
    shutil.copytree(mini / "splits", root / "splits")
    return sorted((root / "FaceSwap_c23" / "000_001").iterdir())[0]


def lists(mini: Path, crops: Path, root: Path) -> Path:
    broken = frames(mini, crops, root)
    shutil.rmtree(root / "splits")
    for split, pair in PAIRS.items():
        lines = [f"original_c23/{person} REAL" for person in pair] + [
            f"FaceSwap_c23/{a}_{OTHER[a]} FAKE" for a in pair
        ]
        (root / "benchmark").mkdir(exist_ok=True)
        (root / "benchmark" / f"ff_{split}_c23.lst").write_text("\n".join(lines))
    return broken


def deepfakebench(mini: Path, crops: Path, root: Path) -> Path:
    told: dict[str, dict[str, dict[str, dict[str, object]]]] = {"FF-real": {}, "FF-FS": {}}
    for split, person in PEOPLE:
        for label, folder, video, source in (
            ("FF-real", "original_sequences/youtube", person, f"original_c23/{person}"),
            (
                "FF-FS",
                "manipulated_sequences/FaceSwap",
                f"{person}_{OTHER[person]}",
                f"FaceSwap_c23/{person}_{OTHER[person]}",
            ),
        ):
            place = f"FaceForensics++/{folder}/c23/frames/{video}"
            names = []
            for number, picture in enumerate(sorted((crops / source).iterdir())):
                copied(picture, root / "rgb" / place / f"{number:03d}.png")
                names.append(f"{place}/{number:03d}.png")
            told[label].setdefault(split, {}).setdefault("c23", {})[video] = {"label": label, "frames": names}
    (root / "dataset_json").mkdir()
    (root / "dataset_json" / "FaceForensics++.json").write_text(json.dumps({"FaceForensics++": told}))
    return root / "rgb/FaceForensics++/manipulated_sequences/FaceSwap/c23/frames/000_001/000.png"


BUILT = {
    "faceforensics": (faceforensics, "faceforensics"),
    "DeepFakeDetection": (deep_fake_detection, "faceforensics"),
    "Celeb-DF": (celebdf, "celebdf"),
    "DFDC": (dfdc, "dfdc"),
    "folder": (plain_folder, "folder"),
    "table": (table, "table"),
    "frames": (frames, "frames"),
    "lists": (lists, "lists"),
    "DeepfakeBench": (deepfakebench, "deepfakebench"),
}
WITHOUT_TRAINING = {"DeepFakeDetection", "Celeb-DF"}
"""Test sets, which are joined to the table of another data set that is trained on."""


@pytest.mark.parametrize("name", BUILT)
def test_from_a_broken_tree_to_figures(name, mini_ff, manifest, tmp_path):
    build, layout = BUILT[name]
    root = tmp_path / "data"
    broken = build(mini_ff, manifest.parent, root)
    broken.write_bytes(b"")
    place = root / "data.csv" if name == "table" else root

    data = find_data(place)
    assert data.layout == layout
    report = examine(place, DoctorConfig(workers=2))
    assert report.is_wrong
    told = [finding for finding in report.to_dict()["findings"] if finding["severity"] == "error"]
    assert any(broken.name in json.dumps(finding) or broken.parent.name in json.dumps(finding) for finding in told)

    out = tmp_path / "crops"
    config = ExtractConfig(size=48, frames=4, workers=2)
    if name in WITHOUT_TRAINING:
        extract_faces(mini_ff, out, CROPS)
    done = extract_faces(place, out, config)
    assert any(broken.name in str(failure) or broken.parent.name in str(failure) for failure in done.failures)
    check_leaks(done.table)

    trained_on = ("FaceForensics++",) if name in WITHOUT_TRAINING else ()
    settings = TrainConfig(
        game="none",
        epochs=1,
        epoch_pairs=4,
        batch_size=8,
        image_size=48,
        datasets=trained_on,
        workers=0,
        device="cpu",
        detector=DetectorConfig(backbone="test_efficientnet", pretrained=False),
    )
    record = train_run(done.manifest, tmp_path / "run", settings)
    assert len(record["history"]) == 1
    asked = EvaluateConfig(datasets=data.names[:1], replicates=100, workers=0, device="cpu")
    found = evaluate_runs([tmp_path / "run"], done.manifest, tmp_path / "evaluation", asked)
    assert found.results and found.settings["datasets"] == [data.names[0]]
