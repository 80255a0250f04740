"""Platforms' posts: those that come in the same moment are taken together, so that they share one write."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import PlainTextResponse

from adapters.http.inbound import BodyReader
from adapters.http.problems import Problem, status_of
from contracts.errors import TransientError
from contracts.messages import ChannelName
from observability.metrics import expect_acknowledgements, note_acknowledgement

# A write of so many messages keeps Redis for some two milliseconds, in which nobody else is served.
TAKEN_TOGETHER = 64
TAKEN = PlainTextResponse("ok")


@dataclass(frozen=True, slots=True)
class Post:
    """One post, whole. Names of headers are in lower case; `came_at` is a moment of `time.perf_counter`."""

    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    came_at: float

    def header(self, name: bytes) -> str | None:
        """The first header of that name."""
        for each, value in self.headers:
            if each == name:
                return value.decode("latin-1")
        return None


# What came of each post, in their order: None where it was taken, else what its sender is told.
Outcomes: TypeAlias = Sequence[Problem | None]
Receiver: TypeAlias = Callable[[Sequence[Post]], Awaitable[Outcomes]]
# Called once, with what kept the post from being taken. Something that is no `Exception` ends the process: no answer.
Settled: TypeAlias = Callable[[BaseException | None], None]


class Intake:
    """Gives a channel's posts to its receiver, and measures how long their senders wait.

    The receiver may raise `Problem` and `TransientError`, which then hold for all posts it was given. What else it
    raises is a defect: the posts are then given to it one by one, so that none costs its neighbours their answers. So
    a receiver must bear to be given a post again.
    """

    def __init__(self, channel: ChannelName, receiver: Receiver) -> None:
        self._channel = channel.value
        self._receiver = receiver
        self._waiting: list[tuple[Post, Settled]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        expect_acknowledgements(self._channel)

    def take(self, post: Post, settled: Settled) -> None:
        """Take it together with what else comes in this round of the event loop."""
        self._waiting.append((post, settled))
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._begin)

    async def take_request(self, request: Request, read_body: BodyReader) -> None:
        """Read a request's body and take it as a post.

        Raises:
            Problem, TransientError: it was not taken.
        """
        came_at = time.perf_counter()
        try:
            body = await read_body(request)
        except Problem as exc:
            self._note(came_at, exc)
            raise
        outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def settle(error: BaseException | None) -> None:
            if outcome.done():
                return
            if error is None:
                outcome.set_result(None)
            else:
                outcome.set_exception(error)

        self.take(Post(request.scope["headers"], body, came_at), settle)
        await outcome

    def _begin(self) -> None:
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), TAKEN_TOGETHER):
            task = asyncio.create_task(self._take(waiting[start : start + TAKEN_TOGETHER]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _take(self, given: Sequence[tuple[Post, Settled]]) -> None:
        outcomes: Sequence[Exception | None]
        try:
            outcomes = await self._receiver([post for post, _ in given])
        except (Problem, TransientError) as exc:
            outcomes = [exc] * len(given)
        except Exception as exc:  # noqa: BLE001 - whoever waits for an answer gets it as one
            if len(given) > 1:
                await asyncio.gather(*(self._take([one]) for one in given))
                return
            outcomes = [exc]
        except BaseException as exc:
            for _, settled in given:
                settled(exc)
            raise
        for (post, settled), outcome in zip(given, outcomes, strict=True):
            self._note(post.came_at, outcome)
            settled(outcome)

    def _note(self, came_at: float, outcome: Exception | None) -> None:
        status = 200 if outcome is None else status_of(outcome)
        note_acknowledgement(self._channel, status, time.perf_counter() - came_at)
