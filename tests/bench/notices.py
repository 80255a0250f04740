"""Time until the team hears of a hand-off: `python -m tests.bench.notices`.

500 people ask for a person, five a second; the whole of `prosa run` with its sandbox, SQLite, and receivers over HTTP:
a signed webhook and Slack's, without its limit of one a second for each address. Target: p99 below 5 s, from the post
to the receiver.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from adapters.http.listener import listen
from cli.serving import server_of
from sandbox.whatsapp_webhooks import envelope, inbound_text, signed
from tests.bench.engine import console, percentile
from tests.load.installation import PHONE_NUMBER_ID, SECRET, installed

HAND_OFFS, A_SECOND = 500, 5
PATIENCE_SECONDS = 60.0


@asynccontextmanager
async def receiver(heard: list[tuple[str, float]]) -> AsyncIterator[str]:
    """A server that notes which person a notice names, and when it came."""

    async def take(request: Request) -> Response:
        content, at = orjson.loads(await request.body()), time.perf_counter()
        heard.append((str(content.get("person") or content.get("text", "")), at))
        return PlainTextResponse("ok")

    app = Starlette(routes=[Route("/{path:path}", take, methods=["POST"])])
    async with server_of(app).running(listen("127.0.0.1", 0)) as url:
        yield url


async def measure(folder: Path) -> dict[str, list[float]]:
    """Return the seconds from each post to its notice, by receiver."""
    slack, webhook = list[tuple[str, float]](), list[tuple[str, float]]()
    async with receiver(slack) as slack_url, receiver(webhook) as webhook_url:
        environment = {
            "PROSA_NOTIFY_SLACK_URL": f"{slack_url}/services/T/B/x",
            "PROSA_NOTIFY_URL": f"{webhook_url}/notices",
            "PROSA_NOTIFY_SECRET": "whsec_" + "c2VjcmV0IG9mIHRoZSBiZW5jaG1hcms=",
        }
        async with installed("embedded", folder, environment=environment) as one, httpx.AsyncClient(timeout=30) as http:
            sent: dict[str, float] = {}
            begin = time.perf_counter()
            for number in range(HAND_OFFS):
                await asyncio.sleep(max(0.0, begin + number / A_SECOND - time.perf_counter()))
                name = f"Pessoa{number:04d}x"
                change = inbound_text(
                    f"5511800{number:05d}", "quero falar com uma pessoa", phone_number_id=PHONE_NUMBER_ID, name=name
                )
                body, headers = signed(envelope(change), SECRET)
                sent[name] = time.perf_counter()
                (await http.post(f"{one.url}/webhooks/whatsapp", content=body, headers=headers)).raise_for_status()
            until = time.perf_counter() + PATIENCE_SECONDS
            while min(len(slack), len(webhook)) < HAND_OFFS and time.perf_counter() < until:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    return {
        name: [at - began for person, began in sent.items() for text, at in heard if person in text]
        for name, heard in (("webhook", webhook), ("slack", slack))
    }


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="prosa-bench-") as folder:
        found = asyncio.run(measure(Path(folder)))
    for name, seconds in found.items():
        console.print(
            f"{name}: {len(seconds)} of {HAND_OFFS} heard, p50 {percentile(seconds, 0.5):.2f} s, "
            f"p99 {percentile(seconds, 0.99):.2f} s, slowest {max(seconds):.2f} s"
        )


if __name__ == "__main__":
    main()
