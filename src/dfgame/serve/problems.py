"""What is wrong with a request, as a number of HTTP and a sentence; in the API as JSON, to people as a page."""

from typing import Any

from pydantic import BaseModel, Field

RETRY_SECONDS = 30
"""When to try again where the queue is full."""


class RequestError(Exception):
    """A request that is refused: its status of HTTP and a sentence for whoever sent it."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence

    @property
    def headers(self) -> dict[str, str]:
        """What the answer's headers say beside it."""
        match self.status:
            case 401:
                return {"WWW-Authenticate": "Bearer"}
            case 503:
                return {"Retry-After": str(RETRY_SECONDS)}
            case _:
                return {}


class Refusal(BaseModel):
    """Why a request was refused."""

    error: str = Field(description="A sentence.")


MEANINGS = {
    400: "The request cannot be read, or came under a name that is not this server's.",
    401: "The API key is missing or wrong.",
    403: "The request was sent by a page of another site.",
    404: "There is no such job, or it has no report.",
    405: "This is not done here.",
    408: "The file stopped coming.",
    409: "The job has not come that far, or has ended already.",
    413: "The file is too large.",
    415: "The file is neither a picture nor a video, or was not sent as multipart/form-data.",
    422: "A value is not allowed, or the video is too long, or cannot be looked at.",
    503: "The queue is full; try again later.",
}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How an operation refuses, for its documents; 400, 401 and 403 go without saying."""
    return {
        status: {"model": Refusal, "description": MEANINGS[status]} for status in sorted({400, 401, 403, *statuses})
    }


def answers_of_a_page(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The same of an operation that answers with a page, and with JSON only where it refuses."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{Refusal.__name__}"}}}
    return {
        status: {"content": content, "description": answer["description"]}
        for status, answer in answers(*statuses).items()
    }
