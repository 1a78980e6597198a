"""How much memory a round takes: counted without taking it, against what it does take."""

import platform
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch

from dfgame.config import AdversaryConfig, DetectorConfig, TrainConfig
from dfgame.memory import cgroup_room, free_bytes, parts_that_fit, round_bytes
from dfgame.models import Detector


def config(game: Any = "gradient", **others: Any) -> TrainConfig:
    adversary = AdversaryConfig(filters=8) if game == "generator" else AdversaryConfig()
    detector = DetectorConfig(backbone="tf_efficientnet_lite0", pretrained=False)
    return TrainConfig(game=game, detector=detector, adversary=adversary, image_size=64, batch_size=8, **others)


def test_what_is_counted_is_what_autograd_keeps():
    detector = Detector(config().detector).train()
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = detector(torch.rand((8, 3, 64, 64)))
    weights = {weight.untyped_storage().data_ptr() for weight in detector.parameters()}
    measured = sum(size for place, size in kept.items() if place not in weights)
    assert logits.shape[0] == 8
    assert round_bytes(config("none")) == pytest.approx(1.25 * measured, rel=0.15)


def test_more_images_larger_images_and_an_adversary_take_more():
    plain = round_bytes(config("none"))
    assert round_bytes(config("gradient")) == pytest.approx(2 * plain, rel=0.01)
    some = replace(config("gradient"), adversary=AdversaryConfig(share=0.5))
    assert round_bytes(some) == pytest.approx(1.5 * plain, rel=0.01)
    assert round_bytes(replace(config("none"), batch_size=16)) == pytest.approx(2 * plain, rel=0.01)
    assert round_bytes(replace(config("none"), image_size=128)) > 3 * plain
    assert round_bytes(config("generator")) >= round_bytes(config("gradient"))


def test_the_parts_are_the_fewest_that_fit():
    needed = round_bytes(config())
    assert [parts_that_fit(config(), int(needed * room)) for room in (2, 1, 0.5, 0.01)] == [1, 2, 4, 4]


def test_a_container_has_what_its_limit_leaves(tmp_path):
    assert cgroup_room(tmp_path) > 2**60
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert cgroup_room(tmp_path) > 2**60
    (tmp_path / "memory.max").write_text("1000\n")
    assert cgroup_room(tmp_path) == 300
    (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 150\nactive_file 50\n")
    assert cgroup_room(tmp_path) == 450


def test_there_is_memory():
    assert free_bytes(torch.device("cpu")) > 2**20


HEAP = """
import torch
from dfgame.memory import keep_freed_memory

def heap():
    found, inside = [], False
    for line in open("/proc/self/smaps"):
        if "-" in line.split()[0]:
            inside = line.rstrip().endswith("[heap]")
            start, end = (int(part, 16) for part in line.split()[0].split("-")) if inside else (0, 0)
        elif inside and line.startswith("Rss:"):
            resident = int(line.split()[1])
        elif inside and line.startswith("VmFlags:"):
            found.append((start, end, resident, "hg" in line.split()))
    return found

assert keep_freed_memory()
tensor = torch.ones(2**26)
place = tensor.data_ptr()
large = [area for area in heap() if area[0] <= place + 2**27 < area[1]]
before = sum(area[2] for area in heap())
del tensor
after = sum(area[2] for area in heap())
print(bool(large and large[0][3]), before > 2**18 and before - after < 2**10)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own account of a process")
def test_freed_memory_stays_in_large_pages():
    if "glibc" not in platform.libc_ver()[0]:
        pytest.skip("another C library")
    said = subprocess.run([sys.executable, "-c", HEAP], check=True, capture_output=True, text=True).stdout
    assert said.split() == ["True", "True"], "it is in large pages, which stay when it is freed"
