"""WhatsApp traffic for load tests: planned times, signed posts with retries, latencies from the plan."""

import asyncio
import itertools
import random
import time
from collections import Counter
from dataclasses import dataclass, field

from cli.posting import Poster
from sandbox.whatsapp_webhooks import envelope, inbound_text, signed, status, wamid

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
