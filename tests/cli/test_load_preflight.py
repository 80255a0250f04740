"""`prosa load` at an address where no Prosa takes its posts: it says so at once, and what to do."""

import socket
from datetime import timedelta

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from adapters.http.client import HttpError
from adapters.http.listener import listen
from cli.load import Collector, require_prosa
from cli.serving import server_of
from contracts.errors import WorkerError
from tests.real_services import free_port


async def test_nothing_listens_there() -> None:
    with pytest.raises(WorkerError, match=r"no Prosa answers at http://127\.0\.0\.1:\d+ .*--target"):
        await require_prosa(f"http://127.0.0.1:{free_port()}", "secret")


async def test_a_name_that_nobody_knows() -> None:
    with pytest.raises(WorkerError, match="no Prosa answers"):
        await require_prosa("http://prosa.invalid:8000", "secret")


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "127.0.0.1:8000", "http://[::1", "http://"])
async def test_what_is_no_address(url: str) -> None:
    with pytest.raises(WorkerError, match="--target"):
        await require_prosa(url, "secret")


@pytest.mark.parametrize(
    "answer", [PlainTextResponse("<html>"), JSONResponse([]), JSONResponse({"error": "no"}), PlainTextResponse("", 204)]
)
async def test_what_answers_in_place_of_the_sandbox_is_named(answer: Response) -> None:
    async with server_of(answer).running(listen("127.0.0.1", 0)) as url:
        with pytest.raises(HttpError, match="not a sandbox's"):
            await Collector(url).skip_to_now()


async def test_a_port_that_is_taken_by_something_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.load.FIRST_ANSWER_WITHIN", timedelta(milliseconds=200))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host, port = silent.getsockname()
        with pytest.raises(WorkerError, match="no Prosa answers"):
            await require_prosa(f"http://{host}:{port}", "secret")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (PlainTextResponse("no", 401), "WHATSAPP_APP_SECRET"),
        (PlainTextResponse("no", 404), "check --target"),
        (PlainTextResponse("no", 405), "check --target"),
        (RedirectResponse("/elsewhere"), "answers 307"),
        (PlainTextResponse("no", 503), "prosa doctor"),
    ],
)
async def test_something_else_is_there(answer: Response, said: str) -> None:
    async with server_of(answer).running(listen("127.0.0.1", 0)) as url:
        with pytest.raises(WorkerError, match=said):
            await require_prosa(url, "secret")


async def test_a_prosa_that_takes_our_posts_is_let_be() -> None:
    seen: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        seen.append(await request.body())
        await PlainTextResponse("ok" if request.url.path == "/webhooks/whatsapp" else "no")(scope, receive, send)

    async with server_of(app).running(listen("127.0.0.1", 0)) as url:
        await require_prosa(f"{url}/", "secret")
    assert len(seen) == 1
