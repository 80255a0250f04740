"""Posts over real connections: in one piece, in many, behind each other, with others in the same moment, at the end."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from webhook_bed import ANA, HOOK, SECRET, VERIFY_TOKEN, WebhookBed, webhook_bed

from adapters.http.listener import listen
from cli.serving import server_of
from contracts.delivery import Arrival
from contracts.errors import InboxUnavailableError
from contracts.messages import InboundMessage
from observability.metrics import REGISTRY
from sandbox import whatsapp_webhooks as meta
from sandbox.whatsapp_webhooks import Change, envelope, sign, to_bytes

TOGETHER = 40
ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r]+\r\n((?:[^\r]+\r\n)*)\r\n")


def person(number: int) -> str:
    return f"55119{number:08d}"


def said(text: str, *, by: str = ANA) -> Change:
    return meta.inbound_text(by, text, id=f"wamid.{by}.{text}")


def post(
    *changes: Change, head: Sequence[str] = (), secret: str = SECRET, path: str = HOOK, version: str = "1.1"
) -> bytes:
    return post_of(to_bytes(envelope(*changes)), head=head, secret=secret, path=path, version=version)


def post_of(
    body: bytes, *, head: Sequence[str] = (), secret: str = SECRET, path: str = HOOK, version: str = "1.1"
) -> bytes:
    lines = (f"POST {path} HTTP/{version}", "Host: prosa", f"X-Hub-Signature-256: {sign(body, secret)}", *head)
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def chunked(body: bytes, *, by: int) -> bytes:
    """The post without a length, in chunks of so many bytes."""
    pieces = [body[at : at + by] for at in range(0, len(body), by)]
    head = f"POST {HOOK} HTTP/1.1\r\nX-Hub-Signature-256: {sign(body, SECRET)}\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode() + b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in (*pieces, b""))


class Line:
    """One connection, and the answers that came over it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def write(self, piece: bytes) -> None:
        self._writer.write(piece)

    async def interim(self) -> bytes:
        """A head that is no answer yet."""
        return await self._reader.readuntil(b"\r\n\r\n")

    async def send(self, *pieces: bytes) -> None:
        """Each piece for itself: the other side has read one before the next one leaves."""
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()
            await asyncio.sleep(0.005)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        async with asyncio.timeout(10):
            found = ANSWER.fullmatch(await self._reader.readuntil(b"\r\n\r\n"))
            assert found is not None
            headers = dict(line.lower().split(": ", 1) for line in found[2].decode().splitlines())
            body = await self._reader.readexactly(int(headers["content-length"]))
        return int(found[1]), headers, body

    async def status(self) -> int:
        return (await self.answer())[0]

    async def is_closed(self) -> bool:
        async with asyncio.timeout(10):
            return await self._reader.read() == b""

    def leave(self) -> None:
        self._writer.transport.abort()


@dataclass
class Caller:
    """Opens lines, and closes all of them at the end of its context."""

    lines: list[Line] = field(default_factory=list)

    async def to(self, url: str) -> Line:
        host, port = url.removeprefix("http://").split(":")
        self.lines.append(Line(*await asyncio.open_connection(host, int(port))))
        return self.lines[-1]

    async def together(self, url: str, posts: Sequence[bytes]) -> list[int]:
        """The statuses of posts that leave in the same moment, over a line each."""
        lines = await asyncio.gather(*(self.to(url) for _ in posts))
        for line, each in zip(lines, posts, strict=True):
            line.write(each)
        return list(await asyncio.gather(*(line.status() for line in lines)))

    def __enter__(self) -> "Caller":
        return self

    def __exit__(self, *_: object) -> None:
        for line in self.lines:
            line.leave()


class Counting:
    """The bed's inbox; it notes how many messages were appended at once, and can be made to wait or to break."""

    def __init__(self, bed: WebhookBed) -> None:
        self._append = bed.inbox.append
        bed.inbox.append = self.append  # type: ignore[method-assign]
        self.sizes: list[int] = []
        self.breaks_on: dict[str, Exception] = {}
        self._asked, self.goes_on = asyncio.Event(), asyncio.Event()
        self.goes_on.set()

    async def append(self, messages: Sequence[InboundMessage]) -> list[Arrival]:
        self.sizes.append(len(messages))
        self._asked.set()
        await self.goes_on.wait()
        for message in messages:
            if message.text in self.breaks_on:
                raise self.breaks_on[message.text]
        return await self._append(messages)

    async def until_asked(self) -> None:
        async with asyncio.timeout(10):
            await self._asked.wait()


@pytest.fixture
def caller() -> Iterator[Caller]:
    with Caller() as caller:
        yield caller


@pytest.fixture
async def url(bed: WebhookBed) -> AsyncIterator[str]:
    async with bed.served() as url:
        yield url


async def test_a_connection_takes_one_post_after_the_other(bed: WebhookBed, url: str, caller: Caller) -> None:
    line = await caller.to(url)
    for text in ("um", "dois", "três"):
        await line.send(post(said(text)))
        status, headers, body = await line.answer()
        assert (status, body) == (200, b"ok")
        assert "connection" not in headers
    assert [message.text for message in bed.kept] == ["um", "dois", "três"]


async def test_between_posts_a_connection_serves_everything_else(bed: WebhookBed, url: str, caller: Caller) -> None:
    line = await caller.to(url)
    await line.send(post(said("um")))
    assert await line.status() == 200
    await line.send(
        f"GET {HOOK}?hub.mode=subscribe&hub.verify_token={VERIFY_TOKEN}&hub.challenge=7 HTTP/1.1\r\n".encode()
    )
    await line.send(b"Host: prosa\r\n\r\n")
    assert (await line.answer())[2] == b"7"
    await line.send(post(said("dois")))
    assert await line.status() == 200
    assert len(bed.kept) == 2


@pytest.mark.parametrize("at", [10, 60, -200, -1])
async def test_a_post_in_pieces_is_put_together(bed: WebhookBed, url: str, caller: Caller, at: int) -> None:
    whole, line = post(said("um")), await caller.to(url)
    await line.send(whole[:at], whole[at:])
    assert await line.status() == 200
    await line.send(post(said("dois")))
    assert await line.status() == 200
    assert [message.text for message in bed.kept] == ["um", "dois"]


@given(cuts=st.lists(st.integers(min_value=1, max_value=2_999), max_size=6))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_wherever_a_stream_is_cut_each_post_is_answered_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    with Caller() as caller:
        async with webhook_bed("memory", tmp_path_factory.mktemp("cuts")) as bed, bed.served() as url:
            forged = post(said("forjada"), secret="outro")
            stream = (
                post(said("um"))
                + forged
                + chunked(to_bytes(envelope(said("dois"))), by=200)
                + post(said("três"), head=["X-Filler: " + "x" * 400])
            )
            edges = [0, *sorted({cut for cut in cuts if cut < len(stream)}), len(stream)]
            line = await caller.to(url)
            await line.send(*(stream[start:end] for start, end in itertools.pairwise(edges)))
            assert [await line.status() for _ in range(4)] == [200, 401, 200, 200]
            assert [message.text for message in bed.kept] == ["um", "dois", "três"]


async def test_requests_behind_each_other_are_answered_in_order(bed: WebhookBed, url: str, caller: Caller) -> None:
    line = await caller.to(url)
    await line.send(
        post(said("um")) + b"GET /healthz HTTP/1.1\r\nHost: prosa\r\n\r\n" + post(said("dois"), secret="outro")
    )
    assert [await line.status() for _ in range(3)] == [200, 200, 401]


@pytest.mark.parametrize("by", [7, 1_000, 200_000])
async def test_a_large_post_in_chunks_ends_where_the_next_request_begins(
    bed: WebhookBed, url: str, caller: Caller, by: int
) -> None:
    """Blank lines in a body are not its end."""
    body = to_bytes(envelope(said("um"))) + b"\r\n\r\n" * (1_000 if by == 7 else 75_000)
    line = await caller.to(url)
    line.write(chunked(body, by=by) + post(said("dois")))
    assert [await line.status() for _ in range(2)] == [200, 200]
    assert [message.text for message in bed.kept] == ["um", "dois"]


async def test_a_body_that_the_app_leaves_unread_is_passed_over(bed: WebhookBed, url: str, caller: Caller) -> None:
    line = await caller.to(url)
    line.write(post_of(b"\r\n\r\n" * 200_000, path="/nowhere") + post(said("um")))
    assert [await line.status() for _ in range(2)] == [404, 200]


@pytest.mark.parametrize(("head", "version"), [(["Connection: close"], "1.1"), ([], "1.0")])
async def test_a_connection_that_is_to_end_ends(
    bed: WebhookBed, url: str, caller: Caller, head: list[str], version: str
) -> None:
    line = await caller.to(url)
    await line.send(post(said("um"), head=head, version=version))
    status, headers, _ = await line.answer()
    assert (status, headers["connection"]) == (200, "close")
    assert await line.is_closed()


async def test_who_asks_first_is_told_to_go_on(bed: WebhookBed, url: str, caller: Caller) -> None:
    whole = post(said("um"), head=["Expect: 100-continue"])
    head, _, body = whole.partition(b"\r\n\r\n")
    line = await caller.to(url)
    await line.send(head + b"\r\n\r\n")
    assert await line.interim() == b"HTTP/1.1 100 Continue\r\n\r\n"
    await line.send(body)
    assert await line.status() == 200


async def test_a_path_with_a_query_is_the_same_path(bed: WebhookBed, url: str, caller: Caller) -> None:
    line = await caller.to(url)
    await line.send(post(said("um"), path=f"{HOOK}?de=meta"))
    assert await line.status() == 200


async def test_what_breaks_off_is_refused_and_not_kept(bed: WebhookBed, url: str, caller: Caller) -> None:
    line = await caller.to(url)
    head = f"POST {HOOK} HTTP/1.1\r\nHost: prosa\r\nTransfer-Encoding: chunked\r\n\r\n"
    await line.send(head.encode() + b"4\r\nabcd\r\nxyz\r\n")
    assert await line.status() == 400
    assert not bed.kept


async def test_posts_of_one_moment_share_a_write(bed: WebhookBed, url: str, caller: Caller) -> None:
    inbox = Counting(bed)
    statuses = await caller.together(url, [post(said("oi", by=person(number))) for number in range(TOGETHER)])
    assert statuses == [200] * TOGETHER
    assert {message.address.person for message in bed.kept} >= {person(number) for number in range(TOGETHER)}
    assert sum(inbox.sizes) == TOGETHER
    assert len(inbox.sizes) < TOGETHER / 2
    assert len(set(bed.queue.woken)) == TOGETHER


async def test_each_of_one_moment_has_its_own_answer(bed: WebhookBed, url: str, caller: Caller) -> None:
    """The forged, the unreadable and the one with a status alone cost their neighbours nothing."""
    odd = [
        post(said("falsa", by=person(900)), secret="outro"),
        post_of(b"isto nao e json"),
        post(meta.status("wamid.OUT", "sent", ANA)),
    ]
    good = [post(said("oi", by=person(number))) for number in range(TOGETHER)]
    statuses = await caller.together(url, good[: TOGETHER // 2] + odd + good[TOGETHER // 2 :])
    assert statuses == [200] * (TOGETHER // 2) + [401, 200, 200] + [200] * (TOGETHER // 2)
    assert len(bed.kept) == TOGETHER
    assert await bed.raw_letters() == ["isto nao e json"]
    assert len(bed.store.updates) == 1


async def test_without_the_inbox_only_messages_are_refused(bed: WebhookBed, url: str, caller: Caller) -> None:
    bed.inbox.is_down = True
    status_alone = post(meta.status("wamid.OUT", "sent", ANA))
    refused, taken = post(said("oi")), post_of(b"isto nao e json")
    assert await caller.together(url, [refused, status_alone, refused, taken]) == [503, 200, 503, 200]
    line = await caller.to(url)
    await line.send(refused)
    status, headers, body = await line.answer()
    assert (status, headers["retry-after"], headers["content-type"]) == (503, "1", "application/problem+json")
    assert b'"status":503' in body
    bed.inbox.is_down = False
    await line.send(refused)
    assert await line.status() == 200


@pytest.mark.parametrize(
    ("error", "guilty", "others"), [(RuntimeError("defect"), 500, 200), (InboxUnavailableError("away"), 503, 503)]
)
async def test_a_post_that_breaks_us_costs_its_neighbours_nothing(
    bed: WebhookBed, url: str, caller: Caller, error: Exception, guilty: int, others: int
) -> None:
    """What nobody expected comes from one of them; an inbox that is away is away for all."""
    inbox = Counting(bed)
    inbox.breaks_on["veneno"] = error
    inbox.goes_on.clear()
    first = asyncio.create_task(caller.together(url, [post(said("antes"))]))
    await inbox.until_asked()
    inbox.goes_on.set()
    assert await first == [200]
    texts = ["um", "dois", "veneno", "três"]
    line = await caller.to(url)
    answers = await caller.together(url, [post(said(text, by=person(number))) for number, text in enumerate(texts)])
    assert answers[2] == guilty
    assert set(answers[:2] + answers[3:]) <= {others, 200}
    if guilty == 500:
        assert sorted(message.text for message in bed.kept) == sorted(["antes", "um", "dois", "três"])
    await line.send(post(said("depois")))
    assert await line.status() == 200


async def test_who_goes_away_before_the_answer_disturbs_nobody(bed: WebhookBed, url: str, caller: Caller) -> None:
    inbox = Counting(bed)
    inbox.goes_on.clear()
    line, other = await caller.to(url), await caller.to(url)
    await line.send(post(said("um")))
    await inbox.until_asked()
    line.leave()
    await other.send(post(said("dois", by=person(1))))
    inbox.goes_on.set()
    assert await other.status() == 200
    assert sorted(message.text for message in bed.kept) == ["dois", "um"]


async def test_a_server_that_stops_answers_what_it_has_taken(bed: WebhookBed, caller: Caller) -> None:
    inbox = Counting(bed)
    inbox.goes_on.clear()
    async with bed.served() as url:
        line, idle = await caller.to(url), await caller.to(url)
        await line.send(post(said("um")))
        await inbox.until_asked()
        asyncio.get_running_loop().call_later(0.3, inbox.goes_on.set)
    status, headers, _ = await line.answer()
    assert (status, headers["connection"]) == (200, "close")
    assert await line.is_closed()
    assert await idle.is_closed()


async def test_more_posts_than_there_is_room_for_are_told_so(bed: WebhookBed, caller: Caller) -> None:
    server, inbox = server_of(bed.app, room=2), Counting(bed)
    async with server.running(listen("127.0.0.1", 0)) as url:
        line = await caller.to(url)
        inbox.goes_on.clear()
        await line.send(post(said("um")))
        await inbox.until_asked()
        over = await caller.to(url)
        await over.send(post(said("dois")))
        assert await over.status() == 503
        inbox.goes_on.set()
        assert await line.status() == 200
    assert [message.text for message in bed.kept] == ["um"]


@pytest.mark.parametrize("in_pieces", [False, True])
async def test_every_post_is_timed_once(bed: WebhookBed, url: str, caller: Caller, in_pieces: bool) -> None:
    def counted() -> float:
        labels = {"channel": "whatsapp", "answer": "2xx"}
        return REGISTRY.get_sample_value("webhook_ack_seconds_count", labels) or 0

    before, line, whole = counted(), await caller.to(url), post(said("um"))
    await line.send(*((whole[:-9], whole[-9:]) if in_pieces else (whole,)))
    assert await line.status() == 200
    assert counted() - before == 1


async def test_a_client_of_today_is_understood(bed: WebhookBed, url: str, caller: Caller) -> None:
    body = to_bytes(envelope(said("um")))
    async with httpx.AsyncClient() as http:
        answer = await http.post(url + HOOK, content=body, headers={"x-hub-signature-256": sign(body, SECRET)})
    assert (answer.status_code, answer.text) == (200, "ok")


async def test_the_same_message_twice_in_one_moment_is_kept_once(durable_bed: WebhookBed, caller: Caller) -> None:
    async with durable_bed.served() as url:
        assert await caller.together(url, [post(said("um"))] * 6 + [post(said("dois"))] * 6) == [200] * 12
    assert sorted(message.text for message in durable_bed.kept) == ["dois", "um"]
    assert await durable_bed.inbox.depth() == 2
