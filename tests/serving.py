"""A service with a small detector of its own, on a free port of 127.0.0.1, that ends with its test."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import uvicorn

from boxes import FACTS, trained_a_little
from conftest import frame_of, moving, orl_face
from dfgame.boxed import BoxedDetector, load_detector, save_box
from dfgame.config import InspectConfig, ServeConfig
from dfgame.faces.video import write_png
from dfgame.media import write_video
from dfgame.serve.app import make_app
from dfgame.serve.run import server_of
from dfgame.serve.service import Service

PATIENCE = 90.0
INSPECTING = InspectConfig(frames=3, device="cpu", workers=1)
KEY = "correct-horse-battery-staple"


def tiny_detector(folder: Path) -> BoxedDetector:
    """A detector that says something, though nothing of worth."""
    save_box(folder / "tiny.safetensors", FACTS, [trained_a_little(0)])
    return load_detector(folder / "tiny.safetensors", "cpu")


def make_media(folder: Path) -> dict[str, Path]:
    """A picture with a face, and a clip of eight frames at 4 frames a second."""
    write_png(folder / "face.png", frame_of((orl_face(4), 40, 40)))
    write_video(folder / "clip.mp4", moving(3), fps=4, crf=23)
    return {"picture": folder / "face.png", "video": folder / "clip.mp4"}


@dataclass
class Running:
    """A service that answers at `client`."""

    service: Service
    client: httpx.Client

    def send(self, path: Path, name: str = "a.png", **more: Any) -> httpx.Response:
        """Upload a file under a name."""
        return self.client.post("/api/jobs", files={"file": (name, path.read_bytes())}, **more)

    def wait(self, id: str, *wanted: str) -> dict[str, Any]:
        """The job once it has one of these statuses."""
        until = time.monotonic() + PATIENCE
        while True:
            job = self.client.get(f"/api/jobs/{id}").json()
            if job["status"] in wanted:
                return job
            assert job["status"] in ("queued", "running") and time.monotonic() < until, job
            time.sleep(0.1)


@contextmanager
def serving(folder: Path, detector: BoxedDetector, key: str = "", **settings: Any) -> Iterator[Running]:
    """Serve a folder until the end of the context."""
    config = ServeConfig(data=folder, port=0, api_key=key, **settings)
    service = Service(folder, config, detector, INSPECTING)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = server_of(make_app(service))
        thread = Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        base = f"http://127.0.0.1:{listening.getsockname()[1]}"
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            with httpx.Client(base_url=base, headers=headers, timeout=PATIENCE, trust_env=False) as client:
                _ready(server)
                yield Running(service, client)
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
            assert not thread.is_alive()


def _ready(server: uvicorn.Server) -> None:
    until = time.monotonic() + PATIENCE
    while not server.started:
        assert time.monotonic() < until
        time.sleep(0.02)
