"""The HTTP API below /api."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from dfgame import __version__
from dfgame.serve.guard import REPORT_HEADERS
from dfgame.serve.problems import answers, answers_of_a_page
from dfgame.serve.service import Service
from dfgame.serve.store import Job, Status
from dfgame.serve.uploads import FIELD

Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="The id of a job.")]
_UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {
                        FIELD: {"type": "string", "format": "binary", "description": "A picture or video."}
                    },
                }
            }
        },
    }
}


class JobSummary(BaseModel):
    """A file and how far its inspection is."""

    id: str
    name: str = Field(description="What the sender called the file.")
    size: int = Field(description="Bytes of the file.")
    status: Status
    progress: float = Field(ge=0, le=1)
    place: int = Field(ge=0, description="Its place in the queue; 1 is next, 0 is not in it.")
    created: datetime
    ended: datetime | None
    words: list[str] = Field(description="What was found, in sentences; the first is the verdict.")
    problem: str | None = Field(description="Why the file could not be inspected.")
    verdict: str | None = Field(description="fake, real, inconclusive or no face.")


class JobDetail(JobSummary):
    """The same, and the result of a job that is done."""

    result: dict[str, Any] | None = Field(description="What `dfgame inspect --json` prints of a file.")


class JobPage(BaseModel):
    """Some jobs, newest first, and how many there are."""

    total: int
    jobs: list[JobSummary]


class ModelName(BaseModel):
    """The detector that judges."""

    name: str
    version: str
    sha256: str


class Health(BaseModel):
    """What answers here, and how much it has to do."""

    version: str
    model: ModelName
    queued: int
    running: int
    queue: int = Field(description="Files that may wait.")
    works: bool = Field(description="Whether files are inspected; if not, the server's log says why.")


def api_routes(service: Service) -> APIRouter:
    """The API of a service."""
    routes = APIRouter(prefix="/api")

    @routes.post(
        "/jobs",
        status_code=202,
        responses=answers(408, 413, 415, 422, 503),
        openapi_extra=_UPLOAD,
        summary="Upload",
        response_description="The job.",
    )
    async def upload(request: Request, response: Response) -> JobDetail:
        """Send a picture or a video, and have it inspected when it is its turn."""
        job = await service.add(request.headers, request.stream())
        response.headers["Location"] = f"/api/jobs/{job.id}"
        return detail(service, job)

    @routes.get("/jobs", responses=answers(422), summary="All jobs", response_description="Some jobs.")
    def jobs(
        first: Annotated[int, Query(ge=0, le=1_000_000_000, description="How many of the newest to skip.")] = 0,
        most: Annotated[int, Query(ge=1, le=100, description="How many to list.")] = 20,
    ) -> JobPage:
        """Files that were sent, newest first."""
        found = [JobSummary(**_values(service, job)) for job in service.store.page(first, most)]
        return JobPage(total=service.store.count(), jobs=found)

    @routes.get("/jobs/{id}", responses=answers(404, 422), summary="A job", response_description="The job.")
    def job(id: Id) -> JobDetail:
        """How far a job is, and what came of it."""
        return detail(service, service.job(id))

    @routes.get(
        "/jobs/{id}/report",
        responses=answers_of_a_page(404, 409, 422),
        response_class=HTMLResponse,
        summary="A job's report",
        response_description="The report.",
    )
    def report(id: Id) -> HTMLResponse:
        """The report, one HTML file that needs nothing else."""
        return HTMLResponse(service.report(id), headers=REPORT_HEADERS)

    @routes.post(
        "/jobs/{id}/cancel", responses=answers(404, 409, 422), summary="Cancel", response_description="The job."
    )
    def cancel(id: Id) -> JobDetail:
        """End a job that waits or runs; what is known of it stays."""
        return detail(service, service.cancel(id))

    @routes.delete(
        "/jobs/{id}",
        status_code=204,
        responses=answers(404, 422),
        summary="Delete",
        response_description="It is gone.",
    )
    def delete(id: Id) -> None:
        """Delete the file, its result and its report, and end the job if it waits or runs."""
        service.delete(id)

    unwell: dict[int | str, dict[str, Any]] = {503: {"model": Health, "description": "Files are not inspected."}}

    @routes.get("/health", responses=answers() | unwell, summary="Health", response_description="It is well.")
    def health(response: Response) -> Health:
        """Whether the server is well, and how much it has to do."""
        model, works = service.detector.model, service.works()
        response.status_code = 200 if works else 503
        return Health(
            version=__version__,
            model=ModelName(name=model.name, version=model.version, sha256=model.sha256),
            queued=service.store.count("queued"),
            running=service.store.count("running"),
            queue=service.settings.queue,
            works=works,
        )

    return routes


def detail(service: Service, job: Job) -> JobDetail:
    """A job as the API shows it."""
    return JobDetail(**_values(service, job), result=job.result)


def _values(service: Service, job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "name": job.name,
        "size": job.size,
        "status": job.status,
        "progress": min(max(job.progress, 0.0), 1.0),
        "place": max(service.store.place(job.id), 1) if job.status == "queued" else 0,  # it may have begun since
        "created": datetime.fromtimestamp(job.created, UTC),
        "ended": datetime.fromtimestamp(job.ended, UTC) if job.ended is not None else None,
        "words": list(job.words),
        "problem": job.problem,
        "verdict": job.verdict,
    }
