"""Memory does not grow with a video's length."""

import subprocess
import sys
from pathlib import Path

import av
import pytest

from boxes import FACTS, trained_a_little
from conftest import moving
from dfgame.boxed import save_box
from dfgame.media import write_video

FPS, SECONDS = 4, 10
LOOK = """
import sys
from pathlib import Path
from dfgame.boxed import load_detector
from dfgame.config import InspectConfig
from dfgame.inspection import readers
from dfgame.inspection.pipeline import inspect_files

def peak(process):
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith("VmHWM"))

film, box = map(Path, sys.argv[1:])
config = InspectConfig(every=1, max_frames=100_000, workers=1)
(said,) = inspect_files([film], load_detector(box, "cpu"), config, shown=False)
print(said.frames, sum(len(track.frames) for track in said.tracks), peak("self"), peak(readers._idle[0].pid))
"""


def film(path: Path, minutes: float) -> Path:
    """A face that drifts forth and back, the same ten seconds again and again, copied without encoding it again."""
    short = path.with_suffix(".short.mp4")
    forth = list(moving(3, FPS * SECONDS // 2))
    write_video(short, [*forth, *forth[::-1]], FPS, 28)
    with av.open(str(short)) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        assert stream.time_base is not None
        ticks = round(SECONDS / stream.time_base)
        for turn in range(round(minutes * 60 / SECONDS)):
            source.seek(0)
            for packet in source.demux(stream):
                if packet.pts is None or packet.dts is None:
                    continue
                packet.pts, packet.dts = packet.pts + turn * ticks, packet.dts + turn * ticks
                packet.stream = copy
                target.mux(packet)
    return path


def looked_at(film: Path, box: Path) -> tuple[int, ...]:
    """Frames, faces, and the greatest memory in kilobytes of this side and of the reader."""
    command = [sys.executable, "-c", LOOK, str(film), str(box)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return tuple(int(word) for word in said.split())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own account of a process")
def test_an_hour_takes_hardly_more_memory_than_five_minutes(tmp_path):
    save_box(tmp_path / "tiny.safetensors", FACTS, [trained_a_little(0)])
    short = looked_at(film(tmp_path / "short.mp4", 5), tmp_path / "tiny.safetensors")
    long = looked_at(film(tmp_path / "long.mp4", 60), tmp_path / "tiny.safetensors")
    print("frames, faces, kilobytes here and in the reader:", short, long)
    assert 295 <= short[0] <= 300 and 3590 <= long[0] <= 3600, "a frame a second"
    assert long[1] > 3000, "of nearly each of which a score is kept"
    assert max(long[2] - short[2], long[3] - short[3]) < 40_000, "not one frame in fifty is kept"
