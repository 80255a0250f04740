"""The callback against a real receiver: what it is sent, how it verifies that, and what counts as an answer."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from adapters.http import callbacks
from adapters.http.callbacks import HttpCallback
from adapters.http.listener import listen
from cli.serving import server_of
from contracts.analysis import AnalysisKind, AnalysisStatus, CallbackState
from contracts.errors import CallbackRefusedError, ConfigurationError
from tests.builders import ROOT, START, conversation_id, engine_bed, inbound, open_backend
from tests.real_services import free_port
from worker.analyses.processing import CALLBACK_ATTEMPTS, analyse, desk_of
from worker.drain import drain

SECRET = "segredo-ção"
SECRETS = (SECRET, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2VncmVkbw==", "whsec_c2VncmVkbw")
CONTENT = {"id": "a", "status": "done"}


def documented() -> Callable[..., bool]:
    """The receiver's check as docs/analyses.md gives it."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "analyses.md").read_text(encoding="utf-8"), re.S)
    names: dict[str, Any] = {}
    exec(code, names)
    check: Callable[..., bool] = names["is_from_prosa"]
    return check


@dataclass
class Receiver:
    """Somebody's server: it keeps what came, and answers what it is told to."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    redirected: int = 0

    async def take(self, request: Request) -> Response:
        self.got.append((dict(request.headers), await request.body()))
        status = self.answers.pop(0) if self.answers else 204
        return (
            RedirectResponse("/elsewhere", status)
            if 300 <= status <= 399
            else Response(status_code=status, headers={"retry-after": "90"} if status == 429 else None)
        )

    async def elsewhere(self, _: Request) -> Response:
        self.redirected += 1
        return Response()

    async def endless(self, _: Request) -> Response:
        async def drip() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 1_000
                await asyncio.sleep(0.001)

        return StreamingResponse(drip())

    async def silent(self, _: Request) -> Response:
        await asyncio.sleep(60)
        return Response()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = Starlette(
        routes=[
            Route("/told", receiver.take, methods=["POST"]),
            Route("/elsewhere", receiver.elsewhere, methods=["GET", "POST"]),
            Route("/endless", receiver.endless, methods=["POST"]),
            Route("/silent", receiver.silent, methods=["POST"]),
        ]
    )
    async with server_of(app).running(listen("127.0.0.1", 0)) as url:
        receiver.url = url
        yield receiver


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened


@asynccontextmanager
async def calling(url: str, secret: str = SECRET) -> AsyncIterator[HttpCallback]:
    callback = HttpCallback(url, secret=secret)
    try:
        yield callback
    finally:
        await callback.close()


async def test_the_documented_check_believes_what_is_sent_and_nothing_else(receiver: Receiver) -> None:
    """The check is that of Standard Webhooks' own library, which asks the machine for the time."""
    check, now = documented(), datetime.now(UTC)
    for secret in SECRETS:
        receiver.got.clear()
        async with calling(f"{receiver.url}/told", secret) as callback:
            await callback.send(CONTENT, delivery_id="d-1", at=now)
            await callback.send(CONTENT, delivery_id="d-1", at=now - timedelta(seconds=301))
            await callback.send(CONTENT, delivery_id="d-1", at=now + timedelta(seconds=330))
        (headers, body), early, late = receiver.got
        assert orjson.loads(body) == CONTENT
        assert (headers["content-type"], headers["webhook-id"]) == ("application/json", "d-1")
        assert check(headers, body, secret)
        assert not check(*early, secret)
        assert not check(*late, secret)
        assert not check(headers, body + b" ", secret)
        assert not check(headers, body, "another")
        for changed in (
            {"webhook-id": "d-2"},
            {"webhook-timestamp": str(int(now.timestamp()) + 1)},
            {"webhook-timestamp": "x"},
            {"webhook-timestamp": ""},
            {"webhook-signature": ""},
            {"webhook-signature": headers["webhook-signature"].removeprefix("v1,")},
            {"webhook-signature": "v1,ção"},
        ):
            assert not check(headers | changed, body, secret), changed


@pytest.mark.parametrize("secret", ["whsec_", "whsec_a", "whsec_ção", "whsec_a b="])
def test_a_secret_that_only_looks_like_one_stops_the_start(secret: str) -> None:
    with pytest.raises(ConfigurationError, match="base64"):
        HttpCallback("http://127.0.0.1", secret=secret)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 404, 410, 429, 500, 503])
async def test_anything_but_2xx_is_a_refusal_and_no_redirect_is_followed(receiver: Receiver, status: int) -> None:
    receiver.answers = [status]
    async with calling(f"{receiver.url}/told") as callback:
        with pytest.raises(CallbackRefusedError, match=str(status)) as refused:
            await callback.send(CONTENT, delivery_id="d", at=START)
        assert refused.value.retry_after == (timedelta(seconds=90) if status == 429 else None)
        await callback.send(CONTENT, delivery_id="d", at=START)
    assert receiver.redirected == 0
    assert len(receiver.got) == 2


async def test_a_receiver_that_never_ends_its_answer_is_believed_by_its_status(receiver: Receiver) -> None:
    async with calling(f"{receiver.url}/endless") as callback:
        await callback.send(CONTENT, delivery_id="d", at=START)


async def test_a_receiver_that_does_not_answer_is_not_waited_for(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks, "TIMEOUT", timedelta(milliseconds=50))
    async with calling(f"{receiver.url}/silent") as callback:
        with pytest.raises(CallbackRefusedError):
            await callback.send(CONTENT, delivery_id="d", at=START)


@pytest.mark.parametrize("address", ["http://127.0.0.1:{port}/told", "http://[", "http://"])
async def test_nobody_there_is_a_refusal(address: str) -> None:
    async with calling(address.format(port=free_port())) as callback:
        with pytest.raises(CallbackRefusedError):
            await callback.send(CONTENT, delivery_id="d", at=START)


async def test_a_refused_callback_comes_again_with_the_same_id_until_it_is_accepted(
    receiver: Receiver, tmp_path: Path
) -> None:
    receiver.answers = [500, 302, 200]
    async with (
        calling(f"{receiver.url}/told") as callback,
        open_backend("sqlite", tmp_path) as (inbox, store),
    ):
        bed = engine_bed(inbox, store, callback=callback)
        await inbox.append([inbound("Oi")])
        await drain(conversation_id(), bed.engine.drain)
        asked = await desk_of(bed.engine.analyses).request(conversation_id(), AnalysisKind.HANDOFF_SUMMARY)
        assert asked is not None
        pauses = [10, 40, 160]
        for tries, pause in enumerate(pauses, start=1):
            await analyse(asked.id, bed.engine.analyses)
            assert len(receiver.got) == tries
            bed.clock.move(timedelta(seconds=pause - 0.001))
            await analyse(asked.id, bed.engine.analyses)
            assert len(receiver.got) == tries, "too early"
            bed.clock.move(timedelta(seconds=pause / 2))
        await analyse(asked.id, bed.engine.analyses)
        told = await desk_of(bed.engine.analyses).find(asked.id)
    assert told is not None
    assert (told.status, told.callback, told.attempts) == (AnalysisStatus.DONE, CallbackState.ACCEPTED, 1)
    assert len(receiver.got) == 3
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert len({headers["webhook-timestamp"] for headers, _ in receiver.got}) == 3, "each is signed anew"
    bodies = {body for _, body in receiver.got}
    assert len(bodies) == 1
    content = orjson.loads(bodies.pop())
    assert set(content) == {"id", "kind", "conversation", "status", "at"}
    assert (content["id"], content["status"]) == (asked.id, "done")


async def test_after_five_refusals_it_is_given_up(receiver: Receiver, tmp_path: Path) -> None:
    receiver.answers = [500] * 9
    async with (
        calling(f"{receiver.url}/told") as callback,
        open_backend("sqlite", tmp_path) as (inbox, store),
    ):
        bed = engine_bed(inbox, store, callback=callback)
        await inbox.append([inbound("Oi")])
        await drain(conversation_id(), bed.engine.drain)
        asked = await desk_of(bed.engine.analyses).request(conversation_id(), AnalysisKind.CONVERSATION_REVIEW)
        assert asked is not None
        for _ in range(8):
            await analyse(asked.id, bed.engine.analyses)
            bed.clock.move(timedelta(hours=1))
        told = await desk_of(bed.engine.analyses).find(asked.id)
    assert told is not None
    assert (told.callback, told.callback_attempts) == (CallbackState.GIVEN_UP, CALLBACK_ATTEMPTS)
    assert len(receiver.got) == CALLBACK_ATTEMPTS
    assert told.result is not None
