"""Slack's incoming webhooks, as far as a sender meets them: `POST /services/T.../B.../...`.

Source: Slack, Sending messages using incoming webhooks, and its rate limits (one message a second for each webhook,
with short bursts): 200 `ok`; 400 `invalid_payload` for a body that is no message; 404 `no_service` for an address that
is not one, or no more; 429 with `Retry-After`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sandbox.transport import parsed

# Longer texts are refused.
MAX_TEXT = 40_000
BURST = 4
RETRY_AFTER_SECONDS = 1


@dataclass
class SlackWebhooks:
    """Webhooks by their path below `/services/`; `posted` has what each of them took, oldest first."""

    paths: set[str]
    monotonic: Callable[[], float] = time.monotonic
    posted: dict[str, list[str]] = field(default_factory=dict)
    _times: dict[str, list[float]] = field(default_factory=dict)

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/services/{path:path}", self._post, methods=["POST"])])

    async def _post(self, request: Request) -> Response:
        path = request.path_params["path"]
        if path not in self.paths:
            return PlainTextResponse("no_service", 404)
        text = (parsed(await request.body()) or {}).get("text")
        if not isinstance(text, str) or not 0 < len(text) <= MAX_TEXT:
            return PlainTextResponse("invalid_payload", 400)
        now = self.monotonic()
        recent = [at for at in self._times.get(path, []) if at > now - 1]
        self._times[path] = recent if len(recent) >= BURST else [*recent, now]
        if len(recent) >= BURST:
            return PlainTextResponse("rate_limited", 429, {"Retry-After": str(RETRY_AFTER_SECONDS)})
        self.posted.setdefault(path, []).append(text)
        return PlainTextResponse("ok")
