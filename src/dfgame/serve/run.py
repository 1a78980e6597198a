"""A service that listens until it is told to end."""

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from dfgame.boxed import BoxedDetector
from dfgame.config import InspectConfig, ServeConfig
from dfgame.records import UserError
from dfgame.serve.app import make_app
from dfgame.serve.guard import LOOPBACK
from dfgame.serve.service import Service

_GRACE = 5
"""Seconds that requests have to come to their end."""
MOST_CONNECTIONS = 400
"""Open at a time; whoever comes then is told to come again, before the system has no more files to open."""


def serve(
    settings: ServeConfig, detector: BoxedDetector, inspecting: InspectConfig, told: Callable[[str], None]
) -> None:
    """Answer requests until SIGTERM or Ctrl-C; a job that runs then goes on when the service is started again.

    Args:
        settings: of the service.
        detector: what judges.
        inspecting: how files are inspected.
        told: is told the address where it listens.

    Raises:
        UserError: the address cannot be listened on, needs a key, or the folder cannot be used.
    """
    check_host(settings)
    listening = _socket(settings)
    with listening:
        app = make_app(Service(settings.data or state_folder(), settings, detector, inspecting))
        told(address(listening))
        with suppress(KeyboardInterrupt):  # uvicorn ends first, and then raises the signal again
            server_of(app).run(sockets=[listening])


def server_of(app: FastAPI) -> uvicorn.Server:
    """A server that says nothing of itself, and logs what goes wrong only."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE,
            limit_concurrency=MOST_CONNECTIONS,
        )
    )


def with_key(settings: ServeConfig) -> ServeConfig:
    """The settings with the key out of DFGAME_API_KEY, where they have none.

    Raises:
        SettingError: that key is too short.
    """
    return settings if settings.api_key else replace(settings, api_key=os.environ.get("DFGAME_API_KEY", ""))


def check_host(settings: ServeConfig) -> None:
    """Let a service listen.

    Raises:
        UserError: others could reach it, and need no key.
    """
    if settings.host not in LOOPBACK and not settings.api_key:
        raise UserError(
            f"--host {settings.host}: others could reach this service and read what is uploaded",
            "set a key of 16 characters or more in DFGAME_API_KEY or by --api-key, or listen on 127.0.0.1",
        )


def state_folder() -> Path:
    """Where jobs are kept where nothing else is said."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "state") / "dfgame"


def address(listening: socket.socket) -> str:
    """The address of a page for a socket's."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _socket(settings: ServeConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=128)
    except (OSError, UnicodeError) as error:
        problem = getattr(error, "strerror", None) or error
        raise UserError(
            f"{settings.host}:{settings.port}: cannot be listened on ({problem})", "choose another --host or --port"
        ) from None
