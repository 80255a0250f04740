"""WhatsApp traffic for load tests: planned times, signed posts with retries, latencies from the plan."""

import asyncio
import itertools
import random
import ssl
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httptools

from contracts.errors import ConfigurationError
from sandbox.whatsapp_webhooks import envelope, inbound_text, signed, status, wamid

ANSWER_SECONDS = 10.0


@dataclass(frozen=True)
class Target:
    """Address of a server, and the first lines of every post to it."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    head: bytes

    @classmethod
    def of(cls, url: str) -> "Target":
        """Parse an http or https address. Raises ConfigurationError: it is none."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(f"{url} is not an http or https address")
        secure = parts.scheme == "https"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        head = f"POST {path} HTTP/1.1\r\nhost: {parts.netloc}\r\n".encode()
        tls = ssl.create_default_context() if secure else None
        return cls(parts.hostname, parts.port or (443 if secure else 80), tls, head)


class Poster:
    """Pool of up to `connections`, which take turns among the servers; each post goes over a connection of its own.

    Minimal, as a client on the server's own machine takes CPU from it, which would distort the measurement.
    """

    def __init__(self, urls: Sequence[str], *, connections: int) -> None:
        """Take the servers' addresses. Raises ConfigurationError: one of them is none."""
        self._targets = [Target.of(url) for url in urls]
        self._room = asyncio.Semaphore(connections)
        self._idle: deque[_Connection] = deque()
        self._opened = 0

    async def open(self, count: int) -> None:
        """Open so many connections before they are needed. Raises OSError: a server is not there."""
        self._idle += [await self._connected() for _ in range(count)]

    async def post(self, body: bytes, headers: dict[str, str]) -> str:
        """Return the response's status, or the name of the error that prevented it."""
        async with self._room:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    connection = self._take() or await self._connected()
                    try:
                        status = await connection.post(body, headers)
                    except BaseException:
                        connection.close()
                        raise
            except (OSError, TimeoutError, httptools.HttpParserError) as exc:
                return type(exc).__name__
            if connection.is_open:
                self._idle.append(connection)
            return str(status)

    def close(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def _take(self) -> "_Connection | None":
        while self._idle:
            # The oldest first, so that all of them are in use and none is idle until its server closes it.
            connection = self._idle.popleft()
            if connection.is_open:
                return connection
        return None

    async def _connected(self) -> "_Connection":
        target = self._targets[self._opened % len(self._targets)]
        self._opened += 1
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: _Connection(target.head), target.host, target.port, ssl=target.tls
        )
        return connection


class _Connection(asyncio.Protocol):
    """One post after the other; httptools calls `on_message_complete` and the other callbacks."""

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._transport: Any = None
        self._answer: asyncio.Future[int] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self.is_open = True

    async def post(self, body: bytes, headers: dict[str, str]) -> int:
        """Return the status of the answer.

        Raises:
            ConnectionError: the connection ended before the answer did.
            HttpParserError: it is no HTTP.
        """
        if self._transport is None or not self.is_open:
            raise ConnectionResetError("closed")
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(b"%b%bcontent-length: %d\r\n\r\n%b" % (self._head, fields.encode(), len(body), body))
        return await self._answer

    def close(self) -> None:
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as exc:
            self._end(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc if isinstance(exc, OSError) else ConnectionResetError("closed"))

    def on_message_complete(self) -> None:
        self.is_open = self.is_open and self._parser.should_keep_alive()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(self._parser.get_status_code())
        if not self.is_open:
            self.close()

    def _end(self, exc: Exception) -> None:
        self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc)


CONNECTIONS = 1_000
# A platform repeats for days; after this long without a 200 a run gives the message up and counts it.
PATIENCE_SECONDS = 90.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.02, 0.5
# A duplicate comes within this time after the first copy was accepted.
DUPLICATE_WITHIN_SECONDS = 2.0
LATE_SECONDS = 0.05
# Posts start between two rounds of the loop: a thousand in one round would all leave with the last of them.
WRITTEN_AT_ONCE = 20
# A person who goes on answering within seconds is taken for an automaton, and no longer answered.
MESSAGES_OF_A_PERSON = 8
QUESTION = "pergunta {number}: qual o horário das entregas?"

# A body and its headers.
Post = tuple[bytes, dict[str, str]]


@dataclass(frozen=True)
class Load:
    """Number of messages and people, and the rate (messages a second; None: all at once).

    `duplicates` is the share that is delivered twice, `statuses_rate` the statuses of foreign messages per second,
    `hot_rate` the rate of one additional person, who is not measured.
    """

    messages: int
    people: int
    rate: float | None
    poisson: bool = True
    duplicates: float = 0.05
    statuses_rate: float = 0.0
    hot_rate: float = 0.0
    seed: int = 0

    @property
    def seconds(self) -> float:
        """The duration of the plan."""
        return self.messages / self.rate if self.rate else 0.0


@dataclass(frozen=True)
class Planned:
    """One message: its time (seconds after the start), its person, and its number among theirs."""

    at: float
    person: int
    number: int
    doubled: bool
    measured: bool = True


def plan(load: Load) -> list[Planned]:
    """Return the deterministic plan of a load. People take turns, so that all write at the same rate."""
    chance = random.Random(load.seed)
    at, messages = 0.0, list[Planned]()
    for index in range(load.messages):
        messages.append(Planned(at, index % load.people, index // load.people + 1, chance.random() < load.duplicates))
        if load.rate:
            at += chance.expovariate(load.rate) if load.poisson else 1 / load.rate
    hot = int(load.hot_rate * load.seconds)
    messages += [Planned(n / load.hot_rate, load.people, n + 1, doubled=False, measured=False) for n in range(hot)]
    return sorted(messages, key=lambda message: message.at)


@dataclass(frozen=True)
class Sent:
    """Outcome of a planned message; times are seconds of the wall clock.

    `intended_at` is the planned time, `left_at` the actual one, `taken_at` that of the 200, None without one.
    """

    planned: Planned
    person: str
    intended_at: float
    left_at: float
    taken_at: float | None
    refusals: int


@dataclass
class Progress:
    """Progress of a run, for display."""

    planned: int = 0
    left: int = 0
    taken: int = 0
    refused: Counter[str] = field(default_factory=Counter)


class Traffic:
    """Sender of a plan to one or more webhooks. The numbers of its people are its own, so that runs do not meet."""

    def __init__(self, *urls: str, secret: str, phone_number_id: str, run: str) -> None:
        """Take whole addresses; `run` (digits) goes into each person's number and each message's id.

        Several webhooks get the posts in turn, as behind a load balancer.
        """
        self.urls = urls
        self.secret = secret
        self._phone_number_id = phone_number_id
        self._run = run
        self._turns: dict[int, asyncio.Lock] = {}
        self.progress = Progress()
        self.status_seconds: list[float] = []

    def person(self, number: int) -> str:
        return f"55{self._run[-4:]:0>4}{number:07d}"

    async def drive(self, load: Load) -> list[Sent]:
        """Send the plan, wait until everything was accepted or given up, and return the outcomes, in the plan's order.

        Raises:
            OSError: the webhook is not there when messages are to leave all at once.
        """
        messages = plan(load)
        posts = [self.post_of(self._writer(message, load), message) for message in messages]
        self.progress.planned = len(messages)
        poster = Poster(self.urls, connections=CONNECTIONS)
        if load.rate is None:
            # A platform keeps its connections; opening them is not measured.
            await poster.open(min(len(messages), CONNECTIONS))
        chance = random.Random(load.seed)
        begin, wall = time.perf_counter(), time.time()
        try:
            statuses = asyncio.create_task(self._report_statuses(poster, load, begin))
            running = []
            for number, (message, post) in enumerate(zip(messages, posts, strict=True)):
                if (wait := begin + message.at - time.perf_counter()) > 0:
                    await asyncio.sleep(wait)
                elif number % WRITTEN_AT_ONCE == 0:
                    await asyncio.sleep(0)
                write = self._write(poster, message, post, wall + message.at, chance.random(), load)
                running.append(asyncio.create_task(write))
            sent = list(await asyncio.gather(*running))
            await statuses
            return sent
        finally:
            poster.close()

    async def _write(
        self, poster: Poster, message: Planned, post: Post, intended: float, later: float, load: Load
    ) -> Sent:
        """Send after the person's previous message was accepted: a platform keeps their order."""
        async with self._turns.setdefault(message.person, asyncio.Lock()):
            left = time.time()
            self.progress.left += 1
            refusals = await self._post_until_taken(poster, post)
            taken = time.time() if refusals is not None else None
        self.progress.taken += taken is not None
        if message.doubled:
            await asyncio.sleep(later * DUPLICATE_WITHIN_SECONDS)
            await self._post_until_taken(poster, post)
        return Sent(message, self._writer(message, load), intended, left, taken, refusals or 0)

    def _writer(self, message: Planned, load: Load) -> str:
        """Return the number that writes a message: a new one in the place of each that has written enough."""
        generation = (message.number - 1) // MESSAGES_OF_A_PERSON if message.measured else 0
        return self.person(message.person + generation * (load.people + 1))

    def post_of(self, person: str, message: Planned) -> Post:
        change = inbound_text(
            person,
            QUESTION.format(number=message.number),
            id=f"wamid.{self._run}.{message.person}.{message.number}",
            phone_number_id=self._phone_number_id,
        )
        return signed(envelope(change), self.secret)

    async def post(self, poster: Poster, post: Post) -> str:
        """Return the status of the answer, or the name of the error that prevented it."""
        return await poster.post(*post)

    async def _post_until_taken(self, poster: Poster, post: Post) -> int | None:
        """Return the number of refusals before it was accepted; None when it was given up."""
        ends, pause = time.monotonic() + PATIENCE_SECONDS, FIRST_PAUSE_SECONDS
        for refusals in itertools.count():
            if (answer := await self.post(poster, post)) == "200":
                return refusals
            self.progress.refused[answer] += 1
            if time.monotonic() > ends:
                return None
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        return None

    async def _report_statuses(self, poster: Poster, load: Load, begin: float) -> None:
        """Send statuses of foreign messages: they are read, parked and never touch a conversation."""

        async def report(at: float) -> None:
            change = status(wamid(), "delivered", self.person(9_999_999), phone_number_id=self._phone_number_id)
            await self._post_until_taken(poster, signed(envelope(change), self.secret))
            self.status_seconds.append(time.perf_counter() - at)

        posts = []
        for number in range(int(load.statuses_rate * load.seconds)):
            at = begin + number / load.statuses_rate
            if (wait := at - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            posts.append(asyncio.create_task(report(at)))
        await asyncio.gather(*posts)
