"""The webhooks that follow a send: due statuses are batched, signed, posted, and repeated until they are taken."""

import asyncio
import contextlib
import heapq
import itertools
import time
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from typing import Any

import httpx

from adapters.http.client import HttpError, ask, open_client
from sandbox.behaviour import Counters, StatusBehaviour
from sandbox.whatsapp_webhooks import envelope, signed, statuses

MAX_WAITING = 100_000
MAX_POSTS_AT_ONCE = 16
POST_WITHIN = timedelta(seconds=10)
# Shorter than a platform's: what a product missed while it was down comes within the time in which it waits for it.
LONGEST_PAUSE_SECONDS = 2.0
# Shorter than a server's usual five seconds, so that no post leaves on a connection that is being closed.
KEEP_ALIVE_SECONDS = 4.0


class WebhookSender:
    """Posts to the product's webhook until `close`; what fails `attempts` times is given up and counted."""

    def __init__(self, url: str | None, app_secret: str, counters: Counters) -> None:
        self.url = url
        self._app_secret = app_secret
        self._counters = counters
        self._due: list[tuple[float, int, dict[str, Any], str]] = []
        self._order = itertools.count()
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._posting: set[asyncio.Task[bool]] = set()
        self._free = asyncio.Semaphore(MAX_POSTS_AT_ONCE)
        self._client: httpx.AsyncClient | None = None
        self.behaviour = StatusBehaviour()

    def schedule(self, element: dict[str, Any], after_ms: float, phone_number_id: str) -> None:
        """Post this status in `after_ms`; without a URL it is dropped."""
        if self.url is None:
            return
        if len(self._due) >= MAX_WAITING:
            self._counters.add("statuses_dropped")
            return
        heapq.heappush(self._due, (time.monotonic() + after_ms / 1000, next(self._order), element, phone_number_id))
        self._changed.set()
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._run())

    async def post_now(self, element: dict[str, Any], phone_number_id: str) -> None:
        """Post one status before anything else happens; a webhook that hangs is not waited for."""
        content = envelope(statuses(element, phone_number_id=phone_number_id))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.post(content), POST_WITHIN.total_seconds())

    def post_soon(self, content: dict[str, Any]) -> None:
        self._begin(self.post(content))

    async def post(self, content: dict[str, Any]) -> bool:
        """Post one envelope until it is taken with 200, with growing pauses; False when it was given up."""
        if self.url is None:
            return False
        body, headers = signed(content, self._app_secret)
        client = self._client = self._client or _client()
        pause = self.behaviour.backoff_ms / 1000
        for attempt in range(self.behaviour.attempts):
            if attempt:
                self._counters.add("webhooks_repeated")
                await asyncio.sleep(min(pause * 2 ** (attempt - 1), LONGEST_PAUSE_SECONDS))
            try:
                answer = await ask(client, "POST", self.url, within=POST_WITHIN, content=body, headers=headers)
            except HttpError:
                continue
            if answer.status == 200:
                self._counters.add("webhooks_taken")
                return True
        self._counters.add("webhooks_given_up")
        return False

    async def settle(self) -> None:
        """Wait until nothing is due and nothing is being posted."""
        while self._due or self._posting:
            self._idle.clear()
            await self._idle.wait()

    def forget(self) -> None:
        """Drop what is waiting."""
        self._due.clear()
        self._idle.set()

    async def close(self) -> None:
        running = [task for task in (self._pump, *self._posting) if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            if not self._due:
                await self._changed.wait()
                continue
            wait = self._due[0][0] + self.behaviour.batch_ms / 1000 - time.monotonic()
            if wait > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), wait)
                continue
            now = time.monotonic()
            due: list[tuple[dict[str, Any], str]] = []
            while self._due and self._due[0][0] <= now:
                _, _, element, phone_number_id = heapq.heappop(self._due)
                due.append((element, phone_number_id))
            size = self.behaviour.batch_size if self.behaviour.batch_ms else 1
            for start in range(0, len(due), size):
                self._begin(self._post_statuses(due[start : start + size]))

    def _begin(self, work: Coroutine[Any, Any, bool]) -> None:
        def posted(task: asyncio.Task[bool]) -> None:
            self._posting.discard(task)
            self._idle.set()

        task = asyncio.create_task(work)
        self._posting.add(task)
        task.add_done_callback(posted)

    async def _post_statuses(self, batch: Sequence[tuple[dict[str, Any], str]]) -> bool:
        by_number: dict[str, list[dict[str, Any]]] = {}
        for element, phone_number_id in batch:
            by_number.setdefault(phone_number_id, []).append(element)
        changes = [statuses(*elements, phone_number_id=number) for number, elements in by_number.items()]
        async with self._free:
            self._counters.add("statuses_posted", len(batch))
            return await self.post(envelope(*changes))


def _client() -> httpx.AsyncClient:
    return open_client(
        within=POST_WITHIN, connections=1_000, keep_alive_seconds=KEEP_ALIVE_SECONDS, is_hot=True, is_direct=True
    )
