"""A real server on a free port in the test's own loop, and the real SDK against it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anthropic
import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from adapters.http.listener import listen
from context.loader import load_institution
from contracts.institution import Institution
from sandbox.app import SandboxSettings, create_app

DOCUMENTS = Path(__file__).parents[2] / "context" / "documents"
Serve = Callable[[object], Awaitable[str]]


@asynccontextmanager
async def served(app: object) -> AsyncIterator[str]:
    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=1)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait on
        await asyncio.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
        listener.close()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """`await serve(app)` gives the address; everything is stopped after the test."""
    running = []

    async def start(app: object) -> str:
        context = served(app)
        running.append(context)
        return await context.__aenter__()

    yield start
    for context in reversed(running):
        await context.__aexit__(None, None, None)


@pytest.fixture(scope="session")
def pyloto() -> Institution:
    return load_institution(DOCUMENTS / "pyloto")


@pytest.fixture(scope="session")
def harbour() -> Institution:
    return load_institution(DOCUMENTS / "harbour_dental")


@pytest.fixture
def app(pyloto: Institution) -> Starlette:
    return create_app(SandboxSettings(institution=pyloto, seed=7))


@pytest.fixture
async def address(app: Starlette, serve: Serve) -> str:
    return await serve(app)


@pytest.fixture
async def sdk(address: str) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(
        api_key="test", base_url=f"{address}/anthropic", max_retries=0, timeout=10
    ) as client:
        yield client


@pytest.fixture
async def http(address: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=address, timeout=10) as client:
        yield client


@pytest.fixture
async def direct(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """The application without a server between, for the many cases that look at one answer only."""
    headers = {"authorization": "Bearer token", "anthropic-version": "2026-10-21"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox", headers=headers) as client:
        yield client
