"""The pages for people: they work without script, which only makes them quicker."""

import asyncio
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from dfgame import __version__
from dfgame.report.environment import environment_of
from dfgame.report.inspection_words import VERDICT_WORDS
from dfgame.report.language import counted
from dfgame.serve.guard import COOKIE, REPORT_HEADERS, Keys
from dfgame.serve.problems import RequestError
from dfgame.serve.service import INSPECTED, Service
from dfgame.serve.store import ENDED, Job
from dfgame.serve.uploads import FIELD

LISTED = 20
"""Past results on a page."""
_LONGEST_KEY_FORM = 4_096
_PATIENCE = 10.0
"""Seconds in which a key must come."""
_TITLES = {401: "A key is needed", 404: "Not here", 413: "Too large", 503: "Too much to do"}
_YEAR = 365 * 24 * 3_600


class Pages:
    """Renders the templates."""

    def __init__(self) -> None:
        self._environment = environment_of("dfgame.serve")
        self._environment.globals |= {
            "version": __version__,
            "verdict_words": VERDICT_WORDS,
            "field": FIELD,
            "inspected": INSPECTED,
        }
        self._environment.filters |= {"moment": _moment, "megabytes": _megabytes, "status": status_words}
        self._environment.filters |= {"hours": _hours}

    def page(self, template: str, status: int = 200, headers: dict[str, str] | None = None, **values: Any) -> Response:
        """A page out of a template."""
        return HTMLResponse(self._environment.get_template(template).render(values), status, headers)

    def problem(self, problem: RequestError) -> Response:
        """The page that says what is wrong: a form where the key is missing."""
        template = "enter.html.j2" if problem.status == 401 else "problem.html.j2"
        title = _TITLES.get(problem.status, "This did not work")
        return self.page(
            template, problem.status, problem.headers, title=title, sentence=problem.sentence, wrong=False
        )


def page_routes(service: Service, pages: Pages, keys: Keys) -> APIRouter:
    """All pages of a service; none of them is in the API's documents."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    def start(request: Request) -> Response:
        first = request.query_params.get("first", "")
        first = int(first) if first.isdecimal() and len(first) < 10 else 0
        return pages.page(
            "start.html.j2",
            jobs=service.store.page(first, LISTED),
            first=first,
            listed=LISTED,
            total=service.store.count(),
            settings=service.settings,
            most_bytes=service.most_bytes,
        )

    @routes.post("/")
    async def upload(request: Request) -> Response:
        job = await service.add(request.headers, request.stream())
        return RedirectResponse(f"/jobs/{job.id}", 303)

    @routes.get("/jobs/{id}")
    def job(id: str) -> Response:
        found = service.job(id)
        place = service.store.place(id) if found.status == "queued" else 0
        ended = found.status in ENDED
        return pages.page(
            "job.html.j2",
            job=found,
            ended=ended,
            said=status_words(found, place),
            busy=reporting(found),
            has_report=service.report_of(id).is_file(),
        )

    @routes.get("/jobs/{id}/report")
    def report(id: str) -> Response:
        return HTMLResponse(service.report(id), headers=REPORT_HEADERS)

    @routes.post("/jobs/{id}/delete")
    def delete(id: str) -> Response:
        service.delete(id)
        return RedirectResponse("/", 303)

    @routes.post("/enter")
    async def enter(request: Request) -> Response:
        key = await _key_of(request)
        if not keys.needed or not keys.fits(key):
            return pages.page("enter.html.j2", 401, title=_TITLES[401], sentence="", wrong=True)
        answer = RedirectResponse("/", 303)
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, keys.cookie, max_age=_YEAR, secure=secure, httponly=True, samesite="strict")
        return answer

    @routes.get("/docs")
    def documents(request: Request) -> Response:
        paths, address = request.app.openapi()["paths"], f"{request.base_url}api/jobs"
        return pages.page("docs.html.j2", paths=paths, address=address, keyed=keys.needed)

    static = _static()

    @routes.get("/static/{name}")
    def asset(name: str) -> Response:
        if name not in static:
            raise RequestError(404, "There is no such file.")
        kind, content = static[name]
        return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})

    return routes


def status_words(job: Job, place: int = 0) -> str:
    """How far a job is, in a few words."""
    match job.status:
        case "queued":
            before = place - 1
            return f"Waiting; {counted(before, 'file')} before it." if before > 0 else "Waiting; next in the queue."
        case "running":
            return (
                "Inspected; the report is being made." if reporting(job) else f"Being inspected: {job.progress:.0%}."
            )
        case "done":
            return "Inspected."
        case "failed":
            return "Could not be inspected."
        case "cancelled":
            return "Cancelled."


def reporting(job: Job) -> bool:
    """Whether a job's report is being made, of which it is not known how long it takes."""
    return job.status == "running" and job.progress >= INSPECTED


async def _key_of(request: Request) -> str:
    body = b""
    try:
        async with asyncio.timeout(_PATIENCE):
            async for chunk in request.stream():
                body += chunk
                if len(body) > _LONGEST_KEY_FORM:
                    raise RequestError(413, "No key is as long as that.")
    except TimeoutError:
        raise RequestError(408, f"The key did not come within {_PATIENCE:.0f} seconds.") from None
    return parse_qs(body.decode("utf-8", "replace")).get("key", [""])[0]


def _static() -> dict[str, tuple[str, str]]:
    """What the pages load, by name: media type and content. Their style is that of the reports, and a little more."""
    ours, reports = files("dfgame.serve") / "static", files("dfgame.report") / "templates"
    styles = [reports / "style.css", reports / "inspection.css", ours / "serve.css"]
    return {
        "style.css": ("text/css", "\n".join(style.read_text("utf-8") for style in styles)),
        "app.js": ("text/javascript", (ours / "app.js").read_text("utf-8")),
    }


def _moment(seconds: float) -> str:
    when = datetime.fromtimestamp(seconds, UTC)
    return f"{when.day} {when:%B %Y, %H:%M} UTC"


def _megabytes(size: float) -> str:
    number, unit = (size / 1e6, "MB") if size >= 1e5 else (size / 1e3, "kB")
    return f"{number:,.0f} {unit}" if number >= 10 else f"{number:.1f} {unit}"


def _hours(hours: float) -> str:
    """`7 days`, `36 hours`, `20 minutes` or `5 seconds`: as few digits as say it well."""
    for unit, length, least in (("day", 24, 48), ("hour", 1, 1), ("minute", 1 / 60, 1 / 60)):
        if hours >= least:
            number = round(hours / length, 1)
            return f"{number:g} {unit}{'' if number == 1 else 's'}"
    return f"{hours * 3_600:.3g} seconds"
