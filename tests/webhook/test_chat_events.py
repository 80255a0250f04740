"""The stream of a conversation: every reply exactly once, whatever gets lost or cut on the way."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from webhook_bed import WebhookBed, assert_problem, webhook_bed

from contracts.ports import LiveEvent
from tests.builders import conversation_id

NAME = conversation_id("c-1")


class Watcher:
    """A client of the stream, as a browser's `EventSource` reads it."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = self._read_lines()

    async def next(self) -> dict[str, Any]:
        """The next event; comments have the name `:`."""
        event: dict[str, Any] = {}
        async with asyncio.timeout(5):
            async for line in self._lines:
                if not line:
                    return event
                name, _, value = line.partition(":")
                event |= {name or ":": json.loads(value) if name == "data" else value.strip()}
        return event | {"ended": True}

    async def _read_lines(self) -> AsyncIterator[str]:
        """Only a line feed ends a line of ours; `aiter_lines` would also break at U+2028, which the format does not."""
        rest = ""
        async for text in self.response.aiter_text():
            *lines, rest = (rest + text).split("\n")
            for line in lines:
                yield line

    async def replies(self, number: int) -> list[tuple[int, str]]:
        """The next so many replies; whatever else comes is passed over."""
        found: list[tuple[int, str]] = []
        while len(found) < number:
            event = await self.next()
            assert "ended" not in event
            if event.get("event") == "reply":
                found.append((int(event["id"]), event["data"]["reply"]["text"]))
        return found


@asynccontextmanager
async def watching(url: str, *, last: str | None = None, query: str = "") -> AsyncIterator[Watcher]:
    headers = {} if last is None else {"last-event-id": last}
    async with (
        httpx.AsyncClient(base_url=url, timeout=10) as http,
        http.stream("GET", f"/chat/c-1/events{query}", headers=headers) as response,
    ):
        yield Watcher(response)


async def say(bed: WebhookBed, *texts: str, **told: Any) -> None:
    for text in texts:
        await bed.reply(text, **told)


async def test_replies_come_with_their_numbers(durable_bed: WebhookBed) -> None:
    async with durable_bed.served() as url, watching(url) as watcher:
        assert watcher.response.status_code == 200
        assert watcher.response.headers["content-type"].startswith("text/event-stream")
        assert watcher.response.headers["cache-control"] == "no-store"
        assert await watcher.next() == {":": "connected"}
        await say(durable_bed, "um", "dois")
        assert await watcher.replies(2) == [(1, "um"), (2, "dois")]


@pytest.mark.parametrize("last", [0, 1, 3, 5])
async def test_who_comes_back_gets_exactly_what_was_missed(durable_bed: WebhookBed, last: int) -> None:
    await say(durable_bed, *(f"r{number}" for number in range(1, 6)))
    async with durable_bed.served() as url, watching(url, last=str(last)) as watcher:
        missed = [(number, f"r{number}") for number in range(last + 1, 6)]
        assert await watcher.replies(len(missed)) == missed
        assert await watcher.next() == {":": "connected"}
        await say(durable_bed, "novo")
        assert await watcher.replies(1) == [(6, "novo")]


async def test_the_number_can_stand_in_the_address(bed: WebhookBed) -> None:
    """A page that was loaded anew has no header to give."""
    await say(bed, "um", "dois", "três")
    async with bed.served() as url, watching(url, query="?after=2") as watcher:
        assert await watcher.replies(1) == [(3, "três")]


async def test_who_missed_very_much_gets_all_of_it_and_a_newcomer_the_newest(bed: WebhookBed) -> None:
    await say(bed, *(str(number) for number in range(1, 151)))
    async with bed.served() as url:
        async with watching(url, last="10") as watcher:
            assert [number for number, _ in await watcher.replies(140)] == list(range(11, 151))
        async with watching(url) as watcher:
            assert [number for number, _ in await watcher.replies(100)] == list(range(51, 151))


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "²", "1" * 19, "9" * 5000, "1 2", "\u0663"])
async def test_a_number_that_is_none_is_refused(bed: WebhookBed, last: str) -> None:
    assert_problem(await bed.http.get("/chat/c-1/events", params={"after": last}), 400)
    if last.isascii() or last == "²":
        headers = {b"last-event-id": last.encode("latin-1")}
        assert_problem(await bed.http.get("/chat/c-1/events", headers=headers), 400)  # type: ignore[arg-type]


async def test_a_number_from_the_future_waits_for_what_comes_after_it(bed: WebhookBed) -> None:
    await say(bed, "um")
    async with bed.served() as url, watching(url, last="2") as watcher:
        assert await watcher.next() == {":": "connected"}
        await say(bed, "dois", "três")
        assert await watcher.replies(1) == [(3, "três")]


async def test_states_are_told_and_have_no_number(bed: WebhookBed) -> None:
    async with bed.served() as url, watching(url) as watcher:
        await watcher.next()
        await bed.events.publish(NAME, LiveEvent(name="state", data={"state": "PROCESSING"}))
        assert await watcher.next() == {"event": "state", "data": {"state": "PROCESSING"}}


async def test_two_watchers_see_the_same(durable_bed: WebhookBed) -> None:
    async with durable_bed.served() as url, watching(url) as first, watching(url) as second:
        await durable_bed.events.until_watching(2)
        await say(durable_bed, "um", "dois")
        assert await first.replies(2) == await second.replies(2) == [(1, "um"), (2, "dois")]


async def test_other_conversations_are_not_heard(bed: WebhookBed) -> None:
    async with bed.served() as url, watching(url) as watcher:
        await watcher.next()
        await bed.reply("para outra pessoa", conversation="c-2")
        await say(bed, "para mim")
        assert await watcher.replies(1) == [(1, "para mim")]


async def test_news_that_got_lost_is_fetched_from_the_store(durable_bed: WebhookBed) -> None:
    async with durable_bed.served() as url, watching(url) as watcher:
        await watcher.next()
        await say(durable_bed, "um")
        await say(durable_bed, "dois", "três", told=False)
        await say(durable_bed, "quatro")
        assert await watcher.replies(4) == [(1, "um"), (2, "dois"), (3, "três"), (4, "quatro")]


async def test_news_that_comes_twice_or_late_is_told_once(bed: WebhookBed) -> None:
    async with bed.served() as url, watching(url) as watcher:
        await watcher.next()
        await say(bed, "um", "dois")
        again = LiveEvent(name="reply", data={"reply": {"text": "um"}}, number=1)
        await bed.events.publish(NAME, again)
        await say(bed, "três")
        assert await watcher.replies(3) == [(1, "um"), (2, "dois"), (3, "três")]


async def test_who_goes_away_is_forgotten(bed: WebhookBed) -> None:
    async with bed.served() as url:
        for _ in range(3):
            async with watching(url) as first, watching(url) as second:
                await first.next()
                await second.next()
                assert bed.events.watching == 2
            await bed.events.until_watching(0)


async def test_silence_is_filled_so_that_proxies_keep_the_line(tmp_path: Path) -> None:
    async with (
        webhook_bed("memory", tmp_path, look_again=timedelta(milliseconds=10)) as bed,
        bed.served() as url,
        watching(url) as watcher,
    ):
        await watcher.next()
        assert await watcher.next() == {":": "still here"}
        await say(bed, "um")
        assert await watcher.replies(1) == [(1, "um")]


async def test_a_reply_whose_news_never_comes_is_found_in_the_store(tmp_path: Path) -> None:
    """Workers in other processes, and nothing between them that carries news."""
    async with (
        webhook_bed("memory", tmp_path, look_again=timedelta(milliseconds=10)) as bed,
        bed.served() as url,
        watching(url) as watcher,
    ):
        await watcher.next()
        await say(bed, "um", "dois", told=False)
        assert await watcher.replies(2) == [(1, "um"), (2, "dois")]


async def test_without_the_store_the_stream_says_so_and_ends(bed: WebhookBed) -> None:
    """The browser comes again by itself, with the last number it saw."""
    bed.store.is_down = True
    async with bed.served() as url:
        async with watching(url) as watcher:
            assert await watcher.next() == {"event": "error", "data": {"title": "Not available"}}
            assert await watcher.next() == {"ended": True}
        await bed.events.until_watching(0)
        bed.store.is_down = False
        async with watching(url) as watcher:
            assert await watcher.next() == {":": "connected"}


async def test_text_cannot_break_out_of_its_event(bed: WebhookBed) -> None:
    text = "um\n\nid: 99\nevent: reply\ndata: {}\n\n\r\x85\u2028dois"
    async with bed.served() as url, watching(url) as watcher:
        await watcher.next()
        await say(bed, text)
        event = await watcher.next()
        assert (event["id"], event["data"]["reply"]["text"]) == ("1", text)
