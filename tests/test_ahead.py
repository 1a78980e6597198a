"""Frames that are decoded ahead of whoever takes them."""

import shutil
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import yuface

from conftest import frame_of, moving, orl_face
from dfgame.faces.detect import YuFace
from dfgame.faces.unlocked import unlocked_detect
from dfgame.media import Frame, MediaError, ahead, read_frames, write_video

PIXELS = np.zeros((2, 2, 3), np.uint8)


def counted(made: list[int], most: int = 100):
    for number in range(most):
        made.append(number)
        yield Frame(number, number / 25, PIXELS)


def until(true):
    """Wait for another thread: at most a minute."""
    end = time.monotonic() + 60
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    assert true()


def test_the_same_frames_in_the_same_order(tmp_path):
    write_video(tmp_path / "clip.mp4", moving(1, 12), 25, 23)
    plain = list(read_frames(tmp_path / "clip.mp4"))
    with ahead(read_frames(tmp_path / "clip.mp4")) as frames:
        early = list(frames)
    assert [(one.index, one.time) for one in plain] == [(one.index, one.time) for one in early]
    assert all((one.image == other.image).all() for one, other in zip(plain, early, strict=True))


def test_two_frames_are_made_ahead_and_no_more():
    made: list[int] = []
    with ahead(counted(made)) as frames:
        until(lambda: len(made) == 2)
        time.sleep(0.3)
        assert made == [0, 1]
        assert next(frames).index == 0
        until(lambda: len(made) == 3)
        time.sleep(0.3)
        assert made == [0, 1, 2]
        assert [frame.index for frame in frames] == list(range(1, 100))


def test_whoever_leaves_early_ends_the_thread():
    made: list[int] = []
    before = threading.active_count()
    with ahead(counted(made)) as frames:
        next(frames)
        assert threading.active_count() == before + 1
    assert threading.active_count() == before and len(made) <= 3


def test_an_error_comes_after_the_frames_before_it():
    def broken():
        yield from counted([], 3)
        raise MediaError("breaks off", "")

    seen: list[int] = []
    with pytest.raises(MediaError, match="breaks off"), ahead(broken()) as frames:
        seen.extend(frame.index for frame in frames)
    assert seen == [0, 1, 2]


def test_faces_are_those_of_the_package():
    unlocked = unlocked_detect_of_the_package()
    tile = np.ascontiguousarray(np.tile(orl_face(3)[::2, ::2], (4, 5, 1)))
    for image in (tile, frame_of((orl_face(2), 20, 30), (orl_face(9), 250, 5), width=480), PIXELS.repeat(40, 0)):
        theirs = yuface.detect(np.ascontiguousarray(image), 0.6)
        for ours, one in zip(unlocked(image, 0.6), theirs, strict=True):
            assert ours.dtype == one.dtype and (ours == one).all()
    assert len(unlocked(tile, 0.6)[0]) > 10


def unlocked_detect_of_the_package():
    found = unlocked_detect(Path(yuface.__file__).parent)
    if found is None:
        pytest.skip("the package holds no library of that name")
    return found


WAITS = """
#include <unistd.h>
int *_Z14facedetect_cnnPhS_iii(unsigned char *buffer, volatile unsigned char *pixels, int w, int h, int step) {
    pixels[1] = 1;
    for (int turn = 0; turn < 6000 && !pixels[0]; turn++) usleep(10000);
    ((short *) (buffer + 4))[0] = pixels[0] ? 90 : 0;
    *(int *) buffer = 1;
    return (int *) buffer;
}
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="no compiler of C")
def test_python_goes_on_while_faces_are_looked_for(tmp_path):
    """A library of the same name waits, for a minute at most, until another thread of Python has set a pixel."""
    (tmp_path / "waits.c").write_text(WAITS)
    library = tmp_path / "libfacedetection.so.v1"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, tmp_path / "waits.c"], check=True)
    detect, pixels = unlocked_detect(tmp_path), np.zeros((4, 4, 3), np.uint8)
    assert detect is not None
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.extend(detect(pixels, 0.5)[0].tolist()))
    thread.start()
    until(lambda: pixels[0, 0, 1])
    pixels[0, 0, 0] = 1
    thread.join()
    assert found == [90]


def test_without_the_library_the_package_serves(tmp_path, monkeypatch):
    frame = frame_of((orl_face(2), 20, 30))
    expected = YuFace()(frame)
    assert unlocked_detect(tmp_path) is None
    monkeypatch.setattr("dfgame.faces.detect.unlocked_detect", lambda _: None)
    assert expected and YuFace()(frame) == expected
