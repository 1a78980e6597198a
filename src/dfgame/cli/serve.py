"""dfgame serve."""

from dataclasses import replace
from typing import Annotated

from cyclopts import Parameter

from dfgame.config import InspectConfig, ServeConfig
from dfgame.records import UserError

_WEB = ("fastapi", "pydantic", "python_multipart", "starlette", "uvicorn")
"""What the extra brings along."""


def serve(
    *,
    settings: Annotated[ServeConfig, Parameter(name="*")] = ServeConfig(),
    inspecting: Annotated[InspectConfig, Parameter(name="*")] = InspectConfig(),
) -> int:
    """Serve a page and an HTTP API: drop a picture or a video, and get the verdict and the report.

    For example:

        dfgame serve

        DFGAME_API_KEY=$(openssl rand -hex 16) dfgame serve --host 0.0.0.0 --data /srv/dfgame --expire 24

    Parameters
    ----------
    settings: ServeConfig
        Settings of the service.
    inspecting: InspectConfig
        How files are inspected, as by `dfgame inspect`; one after the other, so that --workers is refused.
    """
    try:
        from dfgame.serve.run import check_host, with_key
        from dfgame.serve.run import serve as run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _WEB:
            raise
        raise UserError(f"{error.name}: this package is missing", "pip install '.[web]' in the clone") from None
    from dfgame.boxed import load_detector
    from dfgame.inspection.pipeline import with_threshold

    if inspecting.workers:
        raise UserError("--workers: changes nothing here, files are inspected one after the other", "leave it out")
    inspecting = replace(inspecting, timeout=0.0)  # a job has a timeout of its own
    settings = with_key(settings)
    check_host(settings)
    detector = with_threshold(load_detector(inspecting.detector, inspecting.device), inspecting.threshold)
    run(settings, detector, inspecting, lambda address: print(f"listening on {address}", flush=True))
    return 0
