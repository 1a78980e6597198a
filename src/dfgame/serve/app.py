"""The application: guard, API and pages around one service."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dfgame import __version__
from dfgame.report.plain import plain
from dfgame.serve.api import api_routes
from dfgame.serve.guard import HEADERS, LOOPBACK, Guard, Keys, Refuse
from dfgame.serve.pages import Pages, page_routes
from dfgame.serve.problems import RequestError
from dfgame.serve.service import Service
from dfgame.serve.worker import Worker

SWEEP_SECONDS = 60
"""How often what has been there for too long is looked for."""
_log = logging.getLogger(__name__)
_ABOUT = """Send a picture or a video, ask how far it is, fetch the verdict and the report. A verdict is evidence, not
proof. Errors are JSON with a sentence in `error`."""


def make_app(service: Service) -> FastAPI:
    """The application of a service, which is closed when the application ends."""
    pages, keys = Pages(), Keys(service.settings.api_key)
    app = FastAPI(
        title="dfgame",
        description=_ABOUT,
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lambda _: _life(service),
        separate_input_output_schemas=False,
    )

    def refuse(request: Request, problem: RequestError) -> Response:
        if request.url.path.startswith("/api"):
            return JSONResponse({"error": problem.sentence}, problem.status, problem.headers)
        return pages.problem(problem)

    app.include_router(api_routes(service))
    app.include_router(page_routes(service, pages, keys))
    _answer_problems(app, refuse)
    names = LOOPBACK if service.settings.host in LOOPBACK else frozenset[str]()
    app.add_middleware(Guard, keys=keys, names=names, refuse=refuse)
    if keys.needed:
        _document_key(app)
    return app


@asynccontextmanager
async def _life(service: Service) -> AsyncIterator[None]:
    worker = Worker(service)
    worker.start()
    sweeping = asyncio.create_task(_sweep(service))
    try:
        yield
    finally:
        sweeping.cancel()
        with suppress(asyncio.CancelledError):
            await sweeping
        try:
            await run_in_threadpool(worker.stop)
        finally:
            await run_in_threadpool(service.close)


async def _sweep(service: Service) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        try:
            await run_in_threadpool(service.sweep)
        except Exception:  # as of a full disk; the next time may go well
            _log.exception("what has expired was not deleted")


def _answer_problems(app: FastAPI, refuse: Refuse) -> None:
    @app.exception_handler(RequestError)
    async def _problem(request: Request, problem: RequestError) -> Response:
        return refuse(request, problem)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        return refuse(request, RequestError(422, plain(f"{where}: {first['msg']}.", 300)))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        sentences = {404: "There is nothing at this address.", 405: "This cannot be done at this address."}
        answer = refuse(
            request, RequestError(error.status_code, sentences.get(error.status_code, plain(error.detail)))
        )
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    async def _defect(request: Request, _: Exception) -> Response:
        answer = refuse(request, RequestError(500, "The program failed; its log says more."))
        answer.headers.update(HEADERS)  # this comes from outside the guard
        return answer


def _document_key(app: FastAPI) -> None:
    """Say in the API's documents that a key is needed."""
    documents = app.openapi()
    schemes = documents.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes["key"] = {"type": "http", "scheme": "bearer"}
    documents["security"] = [{"key": []}]
