"""Errors as `application/problem+json` (RFC 9457): what is wrong, and what to do about it."""

import orjson
from starlette.responses import Response

from contracts.errors import WorkerError


class Problem(WorkerError):
    """An answer that is not a success; the text is for the caller and repeats nothing of the request."""

    def __init__(self, status: int, title: str, detail: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.detail = detail
        self.headers = headers or {}

    def response(self) -> Response:
        body = {"type": "about:blank", "title": self.title, "status": self.status, "detail": self.detail}
        return Response(orjson.dumps(body), self.status, headers=self.headers, media_type="application/problem+json")
