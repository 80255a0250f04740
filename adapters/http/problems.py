"""Errors as `application/problem+json` (RFC 9457): the error and the next step."""

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from contracts.errors import BadCursorError, IllegalTransitionError, ReplyWindowClosedError, TransientError, WorkerError
from observability.exceptions import places
from observability.logs import logger

log = logger(__name__)


class Problem(WorkerError):
    """Answer that is not a success; the text is for the caller and repeats nothing of the request."""

    def __init__(self, status: int, title: str, detail: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.detail = detail
        self.headers = headers or {}

    def response(self) -> Response:
        body = {"type": "about:blank", "title": self.title, "status": self.status, "detail": self.detail}
        return Response(orjson.dumps(body), self.status, headers=self.headers, media_type="application/problem+json")


def status_of(error: Exception) -> int:
    """Return the status that the error is answered with."""
    if isinstance(error, Problem):
        return error.status
    return 503 if isinstance(error, TransientError) else 500


def answer_to(error: Exception) -> Response:
    """Return the answer to the caller; an error that is not the caller's is logged."""
    if isinstance(error, Problem):
        return error.response()
    if isinstance(error, TransientError):
        log.warning("request.unavailable", error=type(error).__name__)
        return Problem(503, "Not available", "Try again in a moment.", headers={"Retry-After": "1"}).response()
    if isinstance(error, IllegalTransitionError | ReplyWindowClosedError):
        return Problem(409, "Not possible now", str(error)).response()
    if isinstance(error, BadCursorError):
        return Problem(422, "Bad cursor", f"Not a cursor: {error}.").response()
    log.error("request.defect", error=type(error).__name__, exception=list(places(error)))
    return Problem(500, "Internal error", "This is our mistake; it has been logged.").response()


async def on_error(_: Request, exc: Exception) -> Response:
    """Handle every error that a route of an app raises."""
    return answer_to(exc)


async def on_refusal(_: Request, exc: Exception) -> Response:
    """Handle refusals of the framework: an unknown path or method."""
    assert isinstance(exc, HTTPException)  # noqa: S101 - registered for it
    titles = {404: "Not found", 405: "Method not allowed"}
    title = titles.get(exc.status_code, "Refused")
    detail = "There is nothing here for that request; /docs lists what there is."
    return Problem(exc.status_code, title, detail, headers=dict(exc.headers or {})).response()
