"""Double of Carrier: takes replies, refuses on demand, and signs posts as the platform does."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.transport import Cut, SandboxMark
from tests.extension.sample_platform.inbound import signature

SECRET, TOKEN = "pombo", "token"
MAX_TEXT = 300


class Fault(StrEnum):
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    CUT = "cut"


class CarrierDouble:
    """The platform: `accepted` are the bodies it took; `fault` is what the next sends meet."""

    def __init__(self) -> None:
        self.accepted: list[dict[str, Any]] = []
        self.fault: Fault | None = None
        self.app = SandboxMark(Starlette(routes=[Route("/v1/messages", self._take, methods=["POST"])]))

    async def _take(self, request: Request) -> Response:
        body = orjson.loads(await request.body())
        match self.fault:
            case Fault.CUT:
                return Cut()
            case Fault.UNAVAILABLE:
                return Response(status_code=503)
        if self.fault is Fault.REFUSED or not 0 < len(body["text"]) <= MAX_TEXT:
            return Response(status_code=422)
        if request.headers["authorization"] != f"Bearer {TOKEN}":
            return Response(status_code=401)
        self.accepted.append(body)
        return JSONResponse({"id": f"carrier.{len(self.accepted)}"})


def signed(content: Mapping[str, Any], at: datetime, secret: str = SECRET) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of one post."""
    body, timestamp = orjson.dumps(content), str(int(at.timestamp()))
    return body, {"x-carrier-timestamp": timestamp, "x-carrier-signature": signature(secret, timestamp, body)}


def message(id: str, person: str, text: str) -> dict[str, str]:
    return {"kind": "message", "id": id, "from": person, "text": text}
