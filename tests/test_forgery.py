"""The forged tree against the official layout, and the families against what each may and may not change."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from conftest import orl_face
from dfgame.config import ForgeConfig
from dfgame.datasets import find_data
from dfgame.datasets.photographs import find_photographs
from dfgame.faces.detect import default_detector
from dfgame.files import held_folder
from dfgame.forgery import align, neuraltextures
from dfgame.forgery.build import build_tree
from dfgame.forgery.cameras import Camera, camera_of, filmed
from dfgame.forgery.clip import NOISE, _with_noise, render
from dfgame.forgery.expression import reposed
from dfgame.forgery.face2face import Face2Face
from dfgame.forgery.faceswap import FaceSwap
from dfgame.forgery.photographs import Person, Photograph, find_face, split_pairs
from dfgame.media import read_frames
from dfgame.records import COMPRESSIONS, METHODS, SPLITS, UserError

PEOPLE = 5
SETTINGS = ForgeConfig(frames=4, size=160, effort=0.02, workers=2)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photographs each of five people, in a folder each."""
    folder = tmp_path_factory.mktemp("faces")
    for person in range(1, PEOPLE + 1):
        (folder / f"s{person}").mkdir()
        for number in (1, 2):
            Image.fromarray(orl_face(person, number, scale=1)).save(folder / f"s{person}" / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def tree(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree forged from them; tests must not change it."""
    out = tmp_path_factory.mktemp("forged") / "tree"
    assert build_tree(faces, out, SETTINGS) == []
    return out


def pictures(path: Path) -> np.ndarray:
    return np.stack([frame.image for frame in read_frames(path)])


def files_of(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def pairs_of(root: Path) -> dict[str, list[list[str]]]:
    return {split: json.loads((root / "splits" / f"{split}.json").read_text()) for split in SPLITS}


def test_the_tree_is_the_official_one(tree):
    paired = [pair for pairs in pairs_of(tree).values() for pair in pairs]
    targets = sorted(person for pair in paired for person in pair)
    fakes = sorted(name for a, b in paired for name in (f"{a}_{b}", f"{b}_{a}"))
    assert len(targets) == PEOPLE - 1
    expected = {f"original_sequences/youtube/{c}/videos/{t}.mp4" for c in COMPRESSIONS for t in targets}
    expected |= {
        f"manipulated_sequences/{method}/{kind}/videos/{fake}.mp4"
        for method in METHODS
        for kind in (*COMPRESSIONS, "masks")
        for fake in fakes
    }
    assert {p.relative_to(tree).as_posix() for p in tree.rglob("*.mp4")} == expected
    assert all(pictures(tree / name).shape == (4, 160, 132, 3) for name in expected)


def test_our_own_reader_of_faceforensics_agrees(tree):
    videos = find_data(tree).videos
    split_of = {person: split for split, pairs in pairs_of(tree).items() for pair in pairs for person in pair}
    assert len(videos) == (PEOPLE - 1) * len(COMPRESSIONS) * (1 + len(METHODS))
    for video in videos:
        assert video.split == split_of[video.identity]
        assert video.source is None or split_of[video.source] == video.split
        assert video.mask is not None and Path(video.mask).stem.startswith(video.identity)


def test_people_json_says_who_is_who(tree, faces):
    people = json.loads((tree / "people.json").read_text())["people"]
    assert [(p["id"], p["name"]) for p in people] == [(f"{n:03}", f"s{n + 1}") for n in range(PEOPLE)]
    assert [p["split"] for p in people].count(None) == 1
    assert all((faces / name).is_file() for p in people for name in p["photographs"])


@pytest.mark.parametrize("method", METHODS)
def test_a_mask_covers_what_was_changed_and_little_else(tree, method):
    folder = tree / "manipulated_sequences" / method
    for path in (folder / "raw" / "videos").glob("*.mp4"):
        real = pictures(tree / "original_sequences/youtube/raw/videos" / f"{path.stem[:3]}.mp4")
        changed = (pictures(path) != real).any(-1)
        mask = pictures(folder / "masks" / "videos" / path.name)
        assert set(np.unique(mask)) == {0, 255}
        inside = mask[..., 0] == 255
        assert not (changed & ~inside).any()
        assert changed[inside].mean() > 0.6
        assert 0.02 < inside.mean() < 0.7


def test_neural_textures_changes_the_lower_face_only(tree):
    folder = tree / "manipulated_sequences"
    for path in (folder / "NeuralTextures/masks/videos").glob("*.mp4"):
        mouth = pictures(path)[..., 0] > 0
        face = pictures(folder / "Deepfakes/masks/videos" / path.name)[..., 0] > 0
        assert mouth.sum() < 0.5 * face.sum()
        rows = np.mgrid[: face.shape[1]]
        for mouth_frame, face_frame in zip(mouth, face, strict=True):
            middle = np.average(rows, weights=face_frame.sum(1))
            assert (mouth_frame.sum(1) * (rows > middle)).sum() > 0.9 * mouth_frame.sum()


def test_the_qualities_are_what_they_say(tree):
    sizes = {c: sum(p.stat().st_size for p in tree.rglob(f"{c}/videos/*.mp4")) for c in COMPRESSIONS}
    assert sizes["raw"] > 3 * sizes["c23"] > 3 * sizes["c40"]


def test_the_number_of_workers_changes_nothing(tree, faces, tmp_path):
    build_tree(faces, tmp_path, ForgeConfig(frames=4, size=160, effort=0.02, workers=1))
    assert files_of(tmp_path) == files_of(tree)


def test_another_seed_gives_other_pixels(faces, tree, tmp_path):
    settings = ForgeConfig(
        frames=4, size=160, people=2, methods=("FaceSwap",), compressions=("raw",), seed=1, workers=1
    )
    build_tree(faces, tmp_path, settings)
    name = "original_sequences/youtube/raw/videos/000.mp4"
    assert (tmp_path / name).read_bytes() != (tree / name).read_bytes()


def test_everybody_has_a_camera_of_their_own_and_a_fake_that_of_its_target(faces, tree, tmp_path):
    settings = replace(SETTINGS, cameras="many", methods=("FaceSwap",), compressions=("raw",))
    tree_of_many = tmp_path / "many"
    build_tree(faces, tree_of_many, settings)
    real = {p.stem: pictures(p).astype(int) for p in tree_of_many.glob("original_sequences/youtube/raw/videos/*.mp4")}
    before = {name: pictures(tree / "original_sequences/youtube/raw/videos" / f"{name}.mp4") for name in real}
    assert all((abs(real[name] - before[name]) > 8).mean() > 0.01 for name in real)
    [*fakes] = tree_of_many.glob("manipulated_sequences/FaceSwap/raw/videos/*.mp4")
    for fake in fakes:
        mask = pictures(fake.parents[2] / "masks" / "videos" / fake.name)[..., 0]
        difference = abs(pictures(fake).astype(int) - real[fake.stem.split("_")[0]]).max(axis=3)
        assert difference[mask == 0].max() <= 3 < difference[mask > 0].max()
    build_tree(faces, tmp_path / "again", settings)
    assert files_of(tmp_path / "again") == files_of(tree_of_many)


def test_cameras_differ_between_people_and_not_between_calls(clips):
    people = [Person(f"{number:03d}", "", ()) for number in range(40)]
    cameras = [camera_of(person, 0) for person in people]
    for differs in ("blur", "sharpening", "noise", "upload"):
        assert len({getattr(camera, differs) for camera in cameras}) > 8
    assert 8 < sum(camera.curves is not None for camera in cameras) < 32
    assert any(camera.curves is None and not camera.blur and not camera.sharpening for camera in cameras)
    assert not any(camera.blur and camera.sharpening for camera in cameras)
    plain = Camera(None, 0.0, 0.0, 0.0, None)
    assert np.array_equal(filmed(clips[0], plain, (0,)).frames, clips[0].frames)
    assert np.array_equal(filmed(clips[0], cameras[0], (0,)).frames, filmed(clips[0], cameras[0], (0,)).frames)
    soft = filmed(clips[0], replace(plain, blur=1.5), (0,)).frames
    hard = filmed(clips[0], replace(plain, sharpening=1.0), (0,)).frames
    spread = [np.abs(np.diff(frames.astype(int), axis=2)).mean() for frames in (soft, clips[0].frames, hard)]
    assert spread == sorted(spread) and spread[0] < 0.8 * spread[1] < spread[1] < 0.8 * spread[2]


def test_a_tree_of_before_there_were_cameras_goes_on(tree, faces, tmp_path):
    shutil.copytree(tree, tmp_path / "tree")
    path = tmp_path / "tree" / "people.json"
    record = json.loads(path.read_text())
    del record["settings"]["cameras"]
    path.write_text(json.dumps(record))
    assert build_tree(faces, tmp_path / "tree", SETTINGS) == []


def test_a_call_goes_on_and_does_only_what_is_missing(tree, faces, tmp_path):
    out = tmp_path / "tree"
    shutil.copytree(tree, out)
    before = files_of(out)
    videos = sorted(out.rglob("*.mp4"))
    gone = [
        next(p for p in videos if part in p.as_posix()) for part in ("youtube/c23", "FaceSwap/masks", "Deepfakes/c40")
    ]
    for path in gone:
        path.unlink()
    leftover = gone[0].with_name(".000.99999.tmp.mp4")
    leftover.write_bytes(b"half")
    old = 1_000_000_000
    kept = [p for p in videos if p not in gone] + sorted((out / ".forge").iterdir())
    for path in kept:
        os.utime(path, (old, old))
    assert build_tree(faces, out, SETTINGS) == []
    assert files_of(out) == before
    assert all(path.stat().st_mtime == old for path in kept)


def test_methods_and_qualities_may_be_added_but_settings_not_changed(tmp_path, faces):
    few = ForgeConfig(frames=2, size=96, people=2, workers=1)
    build_tree(faces, tmp_path, replace(few, methods=("FaceSwap",), compressions=("c40",)))
    build_tree(faces, tmp_path, replace(few, methods=("Face2Face",), compressions=("c23",)))
    names = {"/".join(p.parts[-4:-2]) for p in tmp_path.rglob("*.mp4")}
    assert names == {
        "youtube/c40",
        "youtube/c23",
        "FaceSwap/c40",
        "FaceSwap/masks",
        "Face2Face/c23",
        "Face2Face/masks",
    }

    changed = replace(few, frames=3, methods=("FaceSwap",), compressions=("c40",))
    with pytest.raises(UserError, match="frames was 2"):
        build_tree(faces, tmp_path, changed)
    assert len(list(tmp_path.rglob("*.mp4"))) == 2 * len(names)

    (tmp_path / "notes.txt").write_text("mine")
    overwriting = replace(few, frames=3, methods=("FaceSwap",), compressions=("c40",), overwrite=True)
    build_tree(faces, tmp_path, overwriting)
    assert {"/".join(p.parts[-4:-2]) for p in tmp_path.rglob("*.mp4")} == {
        "youtube/c40",
        "FaceSwap/c40",
        "FaceSwap/masks",
    }
    assert all(len(pictures(p)) == 3 for p in tmp_path.rglob("*.mp4"))
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_folder_with_something_else_is_refused(tmp_path, faces):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="not made by"):
        build_tree(faces, tmp_path, ForgeConfig(overwrite=True))
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_tree_that_is_being_written_is_left_alone(tmp_path, faces):
    half = tmp_path / ".000.1.tmp.mp4"
    with held_folder(tmp_path):
        (tmp_path / "people.json").write_text("{}")
        half.write_bytes(b"half a clip")
        with pytest.raises(UserError, match="another process is writing there"):
            build_tree(faces, tmp_path, ForgeConfig())
    assert half.exists()


def test_photographs_of_every_kind(tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    faces = [Image.fromarray(orl_face(person)) for person in range(1, 5)]
    exif = Image.Exif()
    exif[0x0112] = 6
    faces[0].convert("L").save(source / "grey_1.png")
    faces[1].convert("CMYK").save(source / "cmyk_1.jpg")
    Image.fromarray(np.asarray(faces[2].convert("L")).astype(np.uint16) * 257).save(source / "deep_1.png")
    faces[3].rotate(90, expand=True).save(source / "phone_1.jpg", exif=exif)
    Image.new("RGB", (64, 64)).save(source / "wall_1.png")
    (source / "letter_1.jpg").write_text("dear all")
    (source / "readme.md").write_text("not a picture, and does not say so")
    settings = ForgeConfig(frames=2, size=160, methods=("FaceSwap",), compressions=("c23",), workers=1)
    failures = build_tree(source, out, settings)
    assert [(Path(f.path).name, f.reason) for f in failures] == [
        ("letter_1.jpg", "not a picture"),
        ("wall_1.png", "no face was found"),
    ]
    assert [f["path"] for f in json.loads((out / "failures.json").read_text())] == [f.path for f in failures]
    names = [person["name"] for person in json.loads((out / "people.json").read_text())["people"]]
    assert names == ["cmyk", "deep", "grey", "phone"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "no pictures"),
        (("text.txt",), "no pictures"),
        (("text.jpg",), "not a picture"),
        (("1_a.png",), "only one"),
    ],
)
def test_too_few_people(tmp_path, names, message):
    source = tmp_path / "in"
    source.mkdir()
    for name in names:
        if name.endswith(".png"):
            Image.fromarray(orl_face(1)).save(source / name)
        else:
            (source / name).write_text("text")
    with pytest.raises(UserError, match=message):
        build_tree(source, tmp_path / "out", ForgeConfig(workers=1))
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]


def test_who_is_who_by_folder_or_by_name(tmp_path):
    shown = ("b/2.png", "b/10.png", "a/x.jpg", "a/2019/y.jpg", "a/2020/z.jpg", "c_1.png", "c_2.png", "d.png")
    for name in (*shown, ".hidden.png", "a/.thumbnails/x.png", ".trash/f/1.png", "e.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    found = {person: [p.name for p in paths] for person, paths in find_photographs(tmp_path).items()}
    assert found == {
        "a": ["y.jpg", "z.jpg", "x.jpg"],
        "b": ["2.png", "10.png"],
        "c": ["c_1.png", "c_2.png"],
        "d": ["d.png"],
    }, "one person is one, however deep; or somebody would be swapped with themselves, and be in two splits"


@given(
    count=st.integers(2, 200),
    shares=st.tuples(*[st.integers(0, 10)] * 3).filter(lambda s: sum(s) > 0),
    seed=st.integers(0, 5),
)
def test_nobody_is_in_two_splits(count, shares, seed):
    people = [f"{number:03}" for number in range(count)]
    a, b, c = (share / sum(shares) for share in shares)
    splits = split_pairs(people, (a, b, c), seed)
    assert splits == split_pairs(people, (a, b, c), seed)
    everybody = [person for pairs in splits.values() for pair in pairs for person in pair]
    assert len(set(everybody)) == len(everybody) == count - count % 2
    assert all(len(pair) == 2 for pairs in splits.values() for pair in pairs)
    assert splits["train"]
    if count >= 6:
        assert (len(splits["val"]) > 0) == (b > 0)
        assert (len(splits["test"]) > 0) == (c > 0)
    if count >= 100 and min(shares) > 0:
        assert [len(splits[s]) for s in SPLITS] == pytest.approx([x * (count // 2) for x in (a, b, c)], abs=1.6)


@given(
    angle=st.floats(-3, 3),
    scale=st.floats(0.1, 10),
    dx=st.floats(-100, 100),
    dy=st.floats(-100, 100),
)
def test_a_similarity_is_found_again(angle, scale, dx, dy):
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.column_stack([turn, [dx, dy]])
    points = align.TEMPLATE * 100
    assert np.allclose(align.similarity(points, align.moved(points, matrix)), matrix)


@pytest.mark.parametrize("times", [2, 3, 4])
def test_a_face_that_shrinks_is_the_mean_of_what_its_pixels_cover(times):
    frame = np.random.default_rng(times).integers(0, 256, (96, 96, 3), np.uint8)
    matrix = np.array([[1 / times, 0, 0.5 / times - 0.5], [0, 1 / times, 0.5 / times - 0.5]])
    size = 96 // times
    means = frame.reshape(size, times, size, times, 3).astype(np.float64).mean((1, 3))
    assert np.abs(align.cut(frame, matrix, size) - means).max() <= 0.5


def test_stripes_too_fine_for_a_shrunk_face_are_faint():
    frame = np.tile(np.array([0, 255], np.uint8)[None, :, None], (120, 60, 3))
    turn = 0.4 * np.array([[np.cos(0.2), -np.sin(0.2)], [np.sin(0.2), np.cos(0.2)]])
    face = align.cut(frame, np.column_stack([turn, [8, -8]]), 40)
    plain = cv2.warpAffine(frame, np.column_stack([turn, [8, -8]]), (40, 40), borderMode=cv2.BORDER_REFLECT_101)
    assert face.std() < 0.5 * plain.std()


def test_a_warp_brings_a_dot_to_its_goal():
    face = np.zeros((64, 64, 3), np.float32)
    cv2.circle(face, (30, 40), 3, (255, 255, 255), -1)
    still = [[5, 5], [58, 5], [5, 58], [58, 58]]
    warped = align.warp_to_points(face, np.array([[30, 40], *still], float), np.array([[36, 34], *still], float), 0.15)
    y, x = np.mgrid[:64, :64]
    weight = warped[:, :, 0]
    assert ((weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()) == pytest.approx((36, 34), abs=0.5)


def test_the_points_move_with_the_camera(tmp_path):
    """Five dots on black are found where the clip says that its points are."""
    dots = ((60, 70), (100, 70), (80, 95), (65, 120), (95, 120))
    picture = np.zeros((200, 160, 3), np.uint8)
    for dot in dots:
        cv2.circle(picture, dot, 3, (255, 255, 255), -1)
    Image.fromarray(picture).save(tmp_path / "dots.png")
    person = Person("000", "dots", (Photograph(tmp_path / "dots.png", dots),))
    clip = render(person, 200, 12, seed=3)
    assert clip.frames.shape == (12, 200, 160, 3)
    for frame, points in zip(clip.frames, clip.points, strict=True):
        _, _, _, centres = cv2.connectedComponentsWithStats((frame[:, :, 0] > 100).astype(np.uint8))
        found = centres[1:]
        assert len(found) == 5
        nearest = np.linalg.norm(found[None] - points[:, None], axis=2).min(1)
        assert nearest.max() < 0.6
    steps = np.linalg.norm(np.diff(clip.points, axis=0), axis=2)
    assert 0 < steps.max() < 8


@pytest.mark.parametrize("wide_first", [True, False])
def test_the_face_stays_in_the_frame_of_another_shape(tmp_path, wide_first):
    """Of a tall photograph in a wide clip a part is cut off: not the one with the face, here near the top."""
    shapes = {"wide": (100, 200), "tall": (200, 100)}
    points = {"wide": (90.0, 40.0), "tall": (40.0, 25.0)}
    photographs = {}
    for name, (height, width) in shapes.items():
        Image.fromarray(np.full((height, width, 3), 90, np.uint8)).save(tmp_path / f"{name}.png")
        x, y = points[name]
        five = ((x, y), (x + 20, y), (x + 10, y + 10), (x + 2, y + 20), (x + 18, y + 20))
        photographs[name] = Photograph(tmp_path / f"{name}.png", five)
    order = ("wide", "tall") if wide_first else ("tall", "wide")
    for seed in range(5):
        clip = render(Person("000", "a", tuple(photographs[name] for name in order)), 200, 8, seed)
        height, width = clip.frames.shape[1:3]
        assert (clip.points >= 5).all() and (clip.points <= np.array((width, height)) - 5).all()


def test_noise_is_put_on_frame_by_frame_as_on_all_at_once():
    frames = np.random.default_rng(0).integers(0, 256, (5, 8, 9, 3)).astype(np.uint8)
    rng = np.random.default_rng(1)
    strength = np.float32(rng.uniform(*NOISE))
    noise = rng.standard_normal(frames.shape, dtype=np.float32) * strength
    expected = np.clip(np.rint(frames + noise), 0, 255).astype(np.uint8)
    assert np.array_equal(_with_noise(frames, np.random.default_rng(1)), expected)


def test_no_two_rendered_mouths_have_the_same_noise(clips, monkeypatch):
    """It would be a mark by which all fakes of the family, of the training and of the test, are known."""
    drawn, plain = [], neuraltextures.condition

    def condition(mouths, corners, rng):
        drawn.append(rng.standard_normal(100))
        return plain(mouths, corners, rng)

    monkeypatch.setattr(neuraltextures, "condition", condition)
    forge = neuraltextures.NeuralTextures(neuraltextures.MouthRenderer(), 0)
    target, source = clips
    for pair in ((target, source), (source, target), (target, source)):
        forge(*pair)
    assert np.array_equal(drawn[0], drawn[2]) and abs(np.corrcoef(drawn[0], drawn[1])[0, 1]) < 0.4


def test_all_photographs_are_shown(faces):
    photographs = tuple(find_face((faces / "s1" / f"{number}.png", 160)) for number in (1, 2))
    clip = render(Person("000", "s1", photographs), 160, 8, seed=0)
    change = np.abs(np.diff(clip.frames.astype(int), axis=0)).mean((1, 2, 3))
    assert change.argmax() == 3


@pytest.fixture(scope="module")
def clips(faces):
    people = [Person(f"00{n}", f"s{n}", (find_face((faces / f"s{n}" / "1.png", 160)),)) for n in (2, 5)]
    return [render(person, 160, 4, seed=0) for person in people]


def test_face2face_keeps_the_eyes_and_moves_the_mouth_towards_the_source(clips):
    target, source = clips
    size = 192
    faces = [align.cut(f, align.alignment(p, size), size) for f, p in zip(target.frames, target.points, strict=True)]
    for (_, after), before, goal in zip(
        reposed(faces, target.points, source.points), target.points, source.points, strict=True
    ):
        own, wanted = (align.moved(p, align.alignment(p, size)) for p in (before, goal))
        assert np.allclose(after[:3], own[:3])
        assert (np.abs(after[3:] - wanted[3:]) < np.abs(own[3:] - wanted[3:])).all()
    forged = Face2Face()(target, source)
    detect = default_detector(0.6)
    assert all(detect(frame) for frame in forged.frames)


def test_who_is_seen(tree):
    """A swapped face is more like its source than the target is; a re-posed or re-rendered one stays the target's."""
    real = {p.stem: _standardised(pictures(p)) for p in (tree / "original_sequences/youtube/raw/videos").glob("*.mp4")}
    for method in METHODS:
        gains, kept = [], []
        for path in sorted((tree / "manipulated_sequences" / method / "raw/videos").glob("*.mp4")):
            target, source = (real[person] for person in path.stem.split("_"))
            forged = _standardised(pictures(path))
            gains.append((forged * source).mean() - (target * source).mean())
            kept.append((forged * target).mean())
        if method in ("Deepfakes", "FaceSwap"):
            assert np.mean(gains) > 0.05, method
            assert np.mean(kept) < 0.75, method
        else:
            assert np.mean(gains) < 0.05, method
            assert np.mean(kept) > 0.8, method


def _standardised(frames: np.ndarray) -> np.ndarray:
    """The inner faces of a clip, found again by the detector, each with mean 0 and spread 1."""
    detect = default_detector(0.3)
    faces = []
    for frame in frames:
        matrix = align.alignment(np.array(detect(frame)[0].points), 64)
        face = align.cut(frame, matrix, 64)[16:52, 16:48].mean(-1)
        faces.append((face - face.mean()) / face.std())
    return np.stack(faces)


def test_faceswap_of_oneself_changes_next_to_nothing(clips):
    target, _ = clips
    forged = FaceSwap()(target, target)
    assert np.abs(forged.frames.astype(int) - target.frames).mean() < 1.5
    assert (forged.frames[forged.masks == 0] == target.frames[forged.masks == 0]).all()
