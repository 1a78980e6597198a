"""Boxes of detectors, and pictures and videos that are inspected with them."""

import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import dfgame
from conftest import frame_of, moving, orl_face
from dfgame.boxed import (
    BoxedDetector,
    Calibration,
    Ensemble,
    Facts,
    Thresholds,
    architecture,
    boxed_weights,
    load_detector,
    save_box,
)
from dfgame.checkpoint import new_detector
from dfgame.cli import main
from dfgame.config import DetectorConfig, InspectConfig
from dfgame.faces.sample import Sample
from dfgame.faces.video import FoundFace, write_png
from dfgame.media import write_video
from dfgame.models import probabilities
from dfgame.records import CropRule, Face, Failure, FileVerdict, Kind, UserError
from dfgame.score import files_below, inspect_files

TINY = DetectorConfig(backbone="test_efficientnet", pretrained=False)
FACTS = Facts(
    name="tiny",
    version="3",
    detector=TINY,
    image_size=64,
    crop=CropRule(margin=1.3, alignment="none", size=64, min_score=0.6),
    calibration=Calibration(slope=1.0, intercept=0.0),
    thresholds=Thresholds(fake=0.75, real=0.25),
    made={"seeds": [0, 1]},
)
IMAGES = torch.rand((3, 3, 64, 64), generator=torch.Generator().manual_seed(0))


def trained_a_little(seed, config=TINY):
    """A detector whose BatchNorm statistics are not those it began with."""
    torch.manual_seed(seed)
    detector = new_detector(config)
    with torch.no_grad():
        detector.train()(torch.rand(8, 3, 64, 64))
    return detector.eval()


@pytest.fixture(scope="module")
def members():
    return [trained_a_little(seed) for seed in (0, 1)]


@pytest.fixture(scope="module")
def box(members, tmp_path_factory):
    path = tmp_path_factory.mktemp("box") / "tiny.safetensors"
    save_box(path, FACTS, members)
    return path


def test_a_box_comes_back_as_it_was(box, members):
    found = load_detector(box, "cpu")
    assert found.facts == FACTS
    assert (found.model.name, found.model.version, len(found.model.sha256)) == ("tiny", "3", 64)
    for back, member in zip(found.ensemble.members, members, strict=True):
        for (name, value), other in zip(back.state_dict().items(), member.state_dict().values(), strict=True):
            assert value.dtype == other.dtype, name
            assert torch.allclose(value, other, rtol=1e-3, atol=1e-6), name
    assert {value.dtype for value in load_file(box).values()} == {torch.float16, torch.int64}


def test_an_ensemble_is_the_mean_of_its_members(box):
    found = load_detector(str(box), "cpu")
    with torch.inference_mode():
        each = [probabilities(member(IMAGES))[:, 1] for member in found.ensemble.members]
    assert torch.allclose(found.probabilities(IMAGES), (each[0] + each[1]) / 2, atol=1e-6)
    assert not torch.allclose(each[0], each[1])


def test_statistics_of_adversarial_images_stay_out_of_the_box(tmp_path):
    config = replace(TINY, bn2=True)
    detector = trained_a_little(0, config)
    save_box(tmp_path / "a.safetensors", replace(FACTS, detector=architecture(config)), [detector])
    found = load_detector(tmp_path / "a.safetensors", "cpu")
    with torch.inference_mode():
        expected = probabilities(detector(IMAGES))[:, 1]
    assert torch.allclose(found.probabilities(IMAGES), expected, atol=2e-3)


def test_what_float16_cannot_hold_stays_float32():
    detector = trained_a_little(0)
    with torch.no_grad():
        detector.head.get_parameter("conv.bias").fill_(1e6)
    kept = boxed_weights(detector)
    assert (kept["head.conv.bias"] == 1e6).all() and kept["head.conv.bias"].dtype == torch.float32
    assert kept["head.conv.weight"].dtype == torch.float16


def test_calibration_and_verdicts(box):
    found = load_detector(box, "cpu")
    assert found.calibrated(0.3) == pytest.approx(0.3)
    # logit(0.9) = ln 9; twice that and ln 3 less is ln 27: odds of 27 to 1.
    assert Calibration(2.0, -np.log(3))(0.9) == pytest.approx(27 / 28)
    assert np.isfinite(Calibration(1.0, 0.0)([0.0, 1.0])).all()
    verdicts = [found.verdict(p) for p in (0.0, 0.25, 0.26, 0.74, 0.75, 1.0)]
    assert verdicts == ["real", "real", "inconclusive", "inconclusive", "fake", "fake"]


def test_damaged_and_foreign_files_are_one_line(box, tmp_path):
    whole = box.read_bytes()
    weights = load_file(box)
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.safetensors").write_text("a detector")
    save_file(weights, tmp_path / "bare.safetensors")
    save_file(weights, tmp_path / "newer.safetensors", metadata={"dfgame": json.dumps({"format": 99})})
    save_file(weights, tmp_path / "empty.safetensors", metadata={"dfgame": "{}"})
    with safe_open(box, "pt") as file:
        facts = file.metadata()
    save_file(weights, tmp_path / "list.safetensors", metadata={"dfgame": "[]"})
    numberless = {name: value * torch.nan if "head" in name else value for name, value in weights.items()}
    save_file(numberless, tmp_path / "nan.safetensors", metadata=facts)
    some = {name: value for name, value in weights.items() if "head" not in name}
    save_file(some, tmp_path / "lacking.safetensors", metadata=facts)
    save_file({}, tmp_path / "without.safetensors", metadata=facts)
    other = {"dfgame": facts["dfgame"].replace("test_efficientnet", "tf_efficientnet_b0")}
    save_file(weights, tmp_path / "other.safetensors", metadata=other)
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(UserError, match="not a detector's box, or damaged") as error:
            load_detector(path)
        assert str(path) in error.value.problem and len(error.value.problem.splitlines()) == 1


def test_a_box_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"none\.safetensors: no such file"):
        dfgame.load_detector(tmp_path / "none.safetensors")


def test_the_packaged_detector_may_be_missing(monkeypatch):
    monkeypatch.setattr("dfgame.boxed.PACKAGED", "weights/none.safetensors")
    with pytest.raises(UserError, match="no trained detector is packaged"):
        dfgame.load_detector()


def test_importing_dfgame_imports_no_torch():
    script = "import sys, dfgame; dfgame.load_detector; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


class Brightness(Ensemble):
    """Says that bright crops are fake."""

    def __init__(self):
        super().__init__([])

    def forward(self, images):
        return images.mean(dim=(1, 2, 3))


BRIGHTNESS = BoxedDetector(FACTS, "0" * 64, Brightness())


def verdict_of(path, detector=BRIGHTNESS, **settings) -> FileVerdict:
    (said,) = inspect_files([path], detector, InspectConfig(**settings))
    assert isinstance(said, FileVerdict), said
    return said


def made_up_sample(folder, looked_at, tracks, main=(), kind: Kind = "video"):
    """Tracks of grey crops of these brightnesses."""
    found = {}
    for number, greys in enumerate(tracks):
        for frame, grey in enumerate(greys):
            file = folder / f"{number}_{frame}.png"
            write_png(file, np.full((64, 64, 3), round(255 * grey), np.uint8))
            face = Face((1.0, 2.0, 3.0, 4.0), (), 0.9)
            found.setdefault(number, []).append(FoundFace(frame, frame / 2, face, file))
    return Sample("0" * 64, kind, looked_at, found, tuple(main), None)


@pytest.mark.parametrize(
    ("looked_at", "tracks", "main", "kind", "verdict", "p_fake"),
    [
        (24, [[0.9, 0.9], [0.2, 0.2, 0.2]], [1], "video", "real", 0.2),  # the brighter one is seen too briefly
        (24, [[0.8] * 3, [0.2] * 9], [1], "video", "fake", 0.8),
        (4, [[0.8], [0.2] * 3], [1], "video", "fake", 0.8),  # one of four is a quarter
        (24, [[0.9], [0.8], [0.7], [0.1]], [0, 1, 2], "video", "fake", 0.8),  # short shots of one face
        (24, [[0.9], [0.9]], [0, 1], "video", "inconclusive", 0.9),
        (1, [[0.4], [0.6]], [1], "picture", "inconclusive", 0.6),
        (24, [], [], "video", "no face", None),
    ],
)
def test_which_face_decides(looked_at, tracks, main, kind, verdict, p_fake, tmp_path, monkeypatch):
    sample = made_up_sample(tmp_path, looked_at, tracks, main, kind)
    monkeypatch.setattr("dfgame.score.sample_faces", lambda job: sample)
    said = verdict_of(tmp_path / "any")
    assert (said.verdict, said.p_fake) == (verdict, p_fake and pytest.approx(p_fake, abs=3e-3))
    for track, greys in zip(said.tracks, tracks, strict=True):
        assert track.p_fake == pytest.approx(np.mean(greys), abs=3e-3)
        assert [face.p_fake for face in track.frames] == pytest.approx(greys, abs=3e-3)
        assert (track.first_time, track.last_time) == (0.0, (len(greys) - 1) / 2)


def test_the_mean_is_taken_before_the_calibration(tmp_path, monkeypatch):
    sample = made_up_sample(tmp_path, 4, [[0.1, 0.9, 0.8]], [0])
    monkeypatch.setattr("dfgame.score.sample_faces", lambda job: sample)
    steep = replace(BRIGHTNESS, facts=replace(FACTS, calibration=Calibration(2.0, 0.0)))
    # Raw mean 0.6: odds of 1.5, squared 2.25, a probability of 2.25 / 3.25. The mean of calibrated frames is 0.647.
    assert verdict_of(tmp_path / "any", steep).p_fake == pytest.approx(2.25 / 3.25, abs=5e-3)


def test_two_people_in_a_video(tmp_path):
    dark, bright = (orl_face(2) * 0.5).astype(np.uint8), orl_face(9)
    clip = (frame_of((dark, 20 + k, 40), (bright, 260 - k, 30), width=480) for k in range(12))
    write_video(tmp_path / "two.mp4", clip, fps=25, crf=18)
    said = verdict_of(tmp_path / "two.mp4", frames=6)
    assert said.kind == "video" and len(said.tracks) == 2
    left, right = sorted(said.tracks, key=lambda track: track.frames[0].box[0])
    assert right.p_fake > left.p_fake and said.p_fake == right.p_fake
    assert [len(track.frames) for track in said.tracks] == [6, 6]
    assert (left.first_time, left.last_time) == (0.0, 0.44)
    assert left.frames[0].box[0] < left.frames[-1].box[0]


def test_numbers_are_those_of_the_crops_that_extraction_makes(mini_ff, manifest, box):
    """The same frames of the same video, cut out by `extract` and by `inspect`: the same scores."""
    from dfgame.manifest import read_manifest
    from dfgame.score import raw_scores

    name = "original_sequences/youtube/c23/videos/004.mp4"
    rows = [row for row in read_manifest(manifest).to_pylist() if row["video"].endswith(name)]
    detector = load_detector(box, "cpu")
    paths = [manifest.parent / row["path"] for row in rows]
    expected = np.concatenate(list(raw_scores(detector.probabilities, paths, 64, 4)))
    (track,) = verdict_of(mini_ff / name, detector, frames=len(rows)).tracks
    assert [face.p_fake for face in track.frames] == pytest.approx(expected, abs=0.02)
    assert track.p_fake == pytest.approx(expected.mean(), abs=0.01)


def call(capsys, *words):
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return end.value.code, capsys.readouterr()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A video, a damaged one, pictures with and without a face, and a file that is neither."""
    place = tmp_path_factory.mktemp("media")
    write_video(place / "b" / "clip.mp4", moving(3), fps=25, crf=23)
    (place / "a.mp4").write_bytes(b"no video")
    write_png(place / "c.png", frame_of((orl_face(4), 40, 40)))
    write_png(place / "d.PNG", frame_of())
    (place / "notes.txt").write_text("not media")
    (place / "._clip.mp4").write_bytes(b"left by another system")
    return place


def test_a_folder_stands_for_its_pictures_and_videos(folder, tmp_path):
    named = [path.relative_to(folder).as_posix() for path in files_below([folder])]
    assert named == ["a.mp4", "b/clip.mp4", "c.png", "d.PNG"]
    with pytest.raises(UserError, match="no picture or video"):
        files_below([tmp_path])


@pytest.mark.parametrize("workers", [1, 2])
def test_json_and_a_bad_file_among_good_ones(folder, box, workers, capsys):
    words = ("--detector", box, "--json", "--frames", 4, "--workers", workers, "--device", "cpu")
    code, shown = call(capsys, "inspect", folder, folder / "none.mp4", *words)
    assert code == 1
    bad, clip, face, empty, missing = json.loads(shown.out)
    assert bad == {"file": str(folder / "a.mp4"), "verdict": None, "error": bad["error"]}
    assert "not a video" in bad["error"] and missing["error"] == "no such file"
    keys = {"file", "sha256", "kind", "verdict", "p_fake", "tracks", "model"}
    assert all(set(said) == keys for said in (clip, face, empty))
    assert (clip["kind"], face["kind"], empty["kind"]) == ("video", "picture", "picture")
    assert (empty["verdict"], empty["p_fake"], empty["tracks"]) == ("no face", None, [])
    (track,) = clip["tracks"]
    assert set(track) == {"id", "p_fake", "first_time", "last_time", "frames"}
    assert len(track["frames"]) == 4
    assert all(set(frame) == {"time", "p_fake", "box"} and len(frame["box"]) == 4 for frame in track["frames"])
    assert set(clip["model"]) == {"name", "version", "sha256"} and clip["model"]["name"] == "tiny"
    assert clip["p_fake"] == track["p_fake"] and 0 < clip["p_fake"] < 1


def test_text_is_a_line_a_file_and_a_line_a_face(folder, box, capsys):
    words = ("--detector", box, "--workers", 1, "--device", "cpu")
    code, shown = call(capsys, "inspect", folder / "b", folder / "c.png", folder / "d.PNG", *words)
    lines = shown.out.splitlines()
    assert code == 0 and len(lines) == 6
    assert lines[0].startswith(f"{folder / 'b' / 'clip.mp4'}: ") and "p_fake 0." in lines[0]
    assert "8 frames" in lines[1] and re.search(r"face 0: .*, at \d+, \d+ to \d+, \d+$", lines[3])
    assert lines[4] == f"{folder / 'd.PNG'}: no face"
    assert "evidence, not proof" in lines[5]


def test_a_video_that_breaks_off_is_judged_by_what_is_there_and_said_so(box, tmp_path, capsys):
    path = tmp_path / "cut.mp4"
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 288, 288, "yuv420p"
        for image in moving(3, frames=30):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 7 // 10])
    code, shown = call(capsys, "inspect", tmp_path, "--detector", box, "--json", "--frames", 12)
    (said,) = json.loads(shown.out)
    assert code == 1 and "breaks off" in said["error"]
    assert said["verdict"] in ("real", "fake", "inconclusive") and said["tracks"]


def test_lines_reach_a_pipe_while_a_bar_is_drawn_on_a_terminal(folder, box):
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "dfgame", "inspect", folder, "--detector", box, "--workers", "2"]
    environment = os.environ | {"TERM": "xterm"}
    done = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=environment, text=True)
    os.close(theirs)
    drawn = b""
    with suppress(OSError):
        while part := os.read(ours, 4096):
            drawn += part
    os.close(ours)
    lines = done.communicate(timeout=60)[0].splitlines()
    assert b"inspecting" in drawn and b"p_fake" not in drawn
    assert [line.partition(": ")[0] for line in lines if line.startswith(str(folder))] == [
        str(folder / name) for name in ("a.mp4", "b/clip.mp4", "c.png", "d.PNG")
    ]


def test_wrong_use_is_told(box, capsys):
    code, shown = call(capsys, "inspect", "--detector", box)
    assert code == 2 and "no FILE" in shown.err
    code, shown = call(capsys, "inspect", "a.mp4", "--detector", "none.safetensors")
    assert code == 2 and "none.safetensors: no such file" in shown.err
    code, shown = call(capsys, "inspect", "a.mp4", "--frames", "0")
    assert code == 2 and "--frames" in shown.err


def test_a_failure_has_no_verdict(tmp_path):
    (said,) = inspect_files([tmp_path], BRIGHTNESS, InspectConfig())
    assert said == Failure(str(tmp_path), "not a file")
    assert list(inspect_files([], BRIGHTNESS, InspectConfig())) == []
    assert not list(Path(tmp_path).iterdir())
