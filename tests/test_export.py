"""Boxes as ONNX files: they score as PyTorch does, say what they are, and the example in docs/ needs nothing else."""

import ast
import hashlib
import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch

import dfgame
import dfgame.export
from conftest import moving, orl_face
from dfgame.batches import fitted, to_unit
from dfgame.boxed import Calibration, save_box
from dfgame.cli import main
from dfgame.export import Resize, made_crops
from dfgame.faces.crop import crop_face
from dfgame.faces.detect import default_detector
from dfgame.media import write_video
from dfgame.records import CropRule, Face
from test_inspect import FACTS, trained_a_little

EXAMPLE = Path(__file__).parents[1] / "docs" / "onnx_example.py"
TOLERANCE = 1e-4


def facts_of(crop_size):
    rule = CropRule(margin=1.3, alignment="none", size=crop_size, min_score=0.6)
    return replace(FACTS, crop=rule, calibration=Calibration(1.7, -0.4))


def tiny_members():
    """Two detectors that tell one face from another: their heads' weights are 50 times those they begin with."""
    members = [trained_a_little(seed) for seed in (0, 1)]
    with torch.no_grad():
        for member in members:
            member.head.get_parameter("conv.weight").mul_(50)
    return members


def exported(*arguments):
    with pytest.raises(SystemExit) as exit_:
        main(["export", *map(str, arguments)])
    return exit_.value.code


def scores_of(path, crops):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return [np.asarray(value) for value in session.run(["raw", "p_fake"], {"crops": crops})]


def expected_of(detector, crops):
    images = torch.stack([fitted(crop, detector.facts.image_size) for crop in crops])
    raw = detector.probabilities(to_unit(images)).double().numpy()
    facts = detector.facts.calibration
    return raw, 1 / (1 + np.exp(-(facts.slope * np.log(raw / (1 - raw)) + facts.intercept)))


def orl_crops(size, margin=1.3, people=5):
    """Faces of real photographs, cut out and coloured a little, so that the order of the channels counts."""
    crops = []
    for person in range(1, people + 1):
        photograph = orl_face(person, scale=3)
        (face, *_) = default_detector(0.6)(photograph)
        crops.append(crop_face((photograph * np.array([1, 0.8, 0.6])).astype(np.uint8), face, margin, size))
    return np.stack(crops)


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    path = tmp_path_factory.mktemp("box") / "tiny.safetensors"
    save_box(path, facts_of(96), tiny_members())
    return path


@pytest.fixture(scope="module")
def packaged(tmp_path_factory):
    path = tmp_path_factory.mktemp("packaged") / "detector.onnx"
    assert exported(path) == 0
    return path


@pytest.mark.parametrize(
    ("side", "to"), [(96, 64), (128, 64), (192, 64), (256, 160), (65, 64), (48, 64), (64, 160), (80, 160)]
)
def test_images_are_resized_as_opencv_does(side, to):
    resize = Resize(side, to)
    for crop in made_crops(side):
        said = resize(torch.from_numpy(crop).permute(2, 0, 1)[None].float())[0].numpy()
        off = np.abs(said - fitted(crop, to).numpy())
        assert off.max() <= (0 if to < side else 1)
        assert (off > 0).mean() < 0.1  # enlarging, some builds of OpenCV round their weights to 2048ths


@pytest.mark.parametrize("crop_size", [64, 96, 128, 48])
def test_it_scores_real_faces_as_pytorch_does(crop_size, tmp_path, capsys):
    save_box(tmp_path / "a.safetensors", facts_of(crop_size), tiny_members())
    assert exported(tmp_path / "a.safetensors", tmp_path / "a.onnx") == 0
    assert "largest difference" in capsys.readouterr().out
    detector = dfgame.load_detector(tmp_path / "a.safetensors", "cpu")
    crops = orl_crops(crop_size)
    for count in (1, 2, 5):
        said, expected = scores_of(tmp_path / "a.onnx", crops[:count]), expected_of(detector, crops[:count])
        assert [value.shape for value in said] == [(count,), (count,)]
        assert np.abs(np.stack(said) - np.stack(expected)).max() <= TOLERANCE
    assert np.ptp(expected[0]) > 10 * TOLERANCE  # else any constant would do
    upside_down = scores_of(tmp_path / "a.onnx", crops[:, ::-1, :, ::-1].copy())[0]
    assert np.abs(upside_down - expected[0]).max() > TOLERANCE


def test_the_packaged_detector_scores_real_faces_as_pytorch_does(packaged):
    detector = dfgame.load_detector(device="cpu")
    crops = orl_crops(detector.facts.crop.size, detector.facts.crop.margin)
    said, expected = scores_of(packaged, crops), expected_of(detector, crops)
    assert np.abs(np.stack(said) - np.stack(expected)).max() <= TOLERANCE
    assert np.ptp(expected[0]) > 10 * TOLERANCE


def test_scores_at_the_very_ends_stay_finite(tmp_path):
    sure = trained_a_little(0)
    with torch.no_grad():
        sure.head.get_parameter("conv.bias").copy_(torch.tensor([-60.0, 60.0]))
    save_box(tmp_path / "a.safetensors", facts_of(64), [sure])
    assert exported(tmp_path / "a.safetensors", tmp_path / "a.onnx") == 0
    raw, p_fake = scores_of(tmp_path / "a.onnx", made_crops(64))
    assert (raw == 1).all() and np.isfinite(p_fake).all() and (p_fake > 0.999).all()


def test_it_says_what_it_is(box, packaged, tmp_path):
    assert exported(box, tmp_path / "a.onnx", "--licence", "CC-BY-4.0") == 0
    assert exported(box, tmp_path / "b.onnx") == 0
    said = [said_by(path) for path in (tmp_path / "a.onnx", tmp_path / "b.onnx", packaged)]
    assert [values["licence"] for values in said] == ["CC-BY-4.0", None, "Apache-2.0"]
    assert said[0]["sha256"] == hashlib.sha256(box.read_bytes()).hexdigest()
    assert said[0]["crop"] == asdict(facts_of(96).crop) and said[0]["calibration"] == {"slope": 1.7, "intercept": -0.4}
    assert said[0]["thresholds"] == {"fake": 0.75, "real": 0.25}
    assert (said[0]["name"], said[0]["version"], said[0]["made"]) == ("tiny", "3", {"seeds": [0, 1]})
    assert said[2]["name"] == dfgame.load_detector(device="cpu").facts.name
    assert b"site-packages" not in packaged.read_bytes()


def said_by(path):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return json.loads(session.get_modelmeta().custom_metadata_map["dfgame"])


def test_a_file_that_is_there_is_replaced_only_when_told(box, tmp_path, capsys):
    out = tmp_path / "a.onnx"
    out.write_bytes(b"mine")
    assert exported(box, out) == 2
    assert out.read_bytes() == b"mine" and f"{out}: exists" in capsys.readouterr().err
    assert exported(box, out, "--overwrite") == 0
    assert len(scores_of(out, made_crops(96))) == 2


def test_what_scores_otherwise_is_not_written(box, tmp_path, monkeypatch, capsys):
    class Wrong(dfgame.export.Exported):
        def forward(self, crops):
            raw, p_fake = super().forward(crops)
            return raw + 2e-4, p_fake

    monkeypatch.setattr(dfgame.export, "Exported", Wrong)
    out = tmp_path / "a.onnx"
    out.write_bytes(b"mine")
    assert exported(box, out, "--overwrite") == 2
    assert "differ from PyTorch's by up to 2.0e-04" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"] and out.read_bytes() == b"mine"


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_one_line_that_names_the_extra(package, box, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, package, None)
    assert exported(box, tmp_path / "a.onnx") == 2
    said = capsys.readouterr().err
    assert package in said and ".[onnx]" in said and len(said.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "OUT alone"),
        (["a.safetensors", "b.onnx", "c.onnx"], "OUT alone"),
        (["detector.pt"], "name it with .onnx"),
        (["missing.safetensors", "a.onnx"], "missing.safetensors: no such file"),
    ],
)
def test_wrong_use(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert exported(*arguments) == 2
    assert said in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_what_onnx_has_no_word_for_is_said_so(box, tmp_path, monkeypatch, capsys):
    def fails(*_, **__):
        raise torch.onnx.OnnxExporterError("no such operator: aten::odd")

    monkeypatch.setattr(torch.onnx, "export", fails)
    assert exported(box, tmp_path / "a.onnx") == 2
    assert "aten::odd" in capsys.readouterr().err and not list(tmp_path.iterdir())


def example(detector, picture, face_box):
    command = [sys.executable, EXAMPLE, detector, picture, *face_box]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    raw, p_fake = (float(part.split()[1]) for part in done.stdout.split(" (")[0].split(", "))
    return raw, p_fake


def dfgame_says(image, face_box):
    detector = dfgame.load_detector(device="cpu")
    rule = detector.facts.crop
    crop = crop_face(image, Face(face_box, (), 1.0), rule.margin, rule.size)
    raw = float(detector.probabilities(to_unit(fitted(crop, detector.facts.image_size)[None]))[0])
    return raw, detector.calibrated(raw)


@pytest.mark.parametrize("face_box", [None, (-10.5, 5, 130.5, 170), (100, 200, 101, 201), (0, 0, 276, 336)])
def test_the_example_says_of_a_picture_what_dfgame_says(face_box, packaged, tmp_path):
    image = (orl_face(3, scale=3) * np.array([1, 0.8, 0.6])).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image[:, :, ::-1])
    box = face_box or default_detector(0.6)(image)[0].box
    assert example(packaged, tmp_path / "a.png", box) == pytest.approx(dfgame_says(image, box), abs=TOLERANCE)


def test_the_example_reads_a_videos_first_frame(packaged, tmp_path):
    write_video(tmp_path / "a.mp4", list(moving(2, frames=4)), fps=25, crf=0)
    frame = cv2.VideoCapture(str(tmp_path / "a.mp4")).read()[1]
    box = (40, 40, 200, 240)
    assert example(packaged, tmp_path / "a.mp4", box) == pytest.approx(
        dfgame_says(np.ascontiguousarray(frame[:, :, ::-1]), box), abs=TOLERANCE
    )


def test_the_example_needs_onnxruntime_and_opencv_only():
    nodes = list(ast.walk(ast.parse(EXAMPLE.read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    assert names == {"json", "sys", "cv2", "numpy", "onnxruntime"}
    assert not any(isinstance(node, ast.ImportFrom) for node in nodes)
