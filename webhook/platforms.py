"""Platforms' posts: those that come in the same moment are taken together, so that they share one write."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.http.inbound import BodyReader
from adapters.http.problems import Problem, answer_to, status_of
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
# What kept one post from being taken; None when it was.
Outcome: TypeAlias = "asyncio.Future[Exception | None]"


class Intake:
    """Gives a channel's posts to its receiver, and measures how long their senders wait.

    An ASGI app of its own, which answers each post when the receiver has settled it. `read_body` bounds size and time.

    The receiver may raise `Problem` and `TransientError`, which then hold for all posts it was given. What else it
    raises is a defect: the posts are then given to it one by one, so that none costs its neighbours their answers. So
    a receiver must bear to be given a post again.
    """

    def __init__(self, channel: ChannelName, receiver: Receiver, read_body: BodyReader) -> None:
        self._channel = channel.value
        self._receiver = receiver
        self._read_body = read_body
        self._waiting: list[tuple[Post, Outcome]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        expect_acknowledgements(self._channel)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        came_at = time.perf_counter()
        try:
            body = await self._read_body(Request(scope, receive))
        except Problem as exc:
            self._note(came_at, exc)
            await exc.response()(scope, receive, send)
            return
        outcome: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._take(Post(scope["headers"], body, came_at), outcome)
        error = await outcome
        await (TAKEN if error is None else answer_to(error))(scope, receive, send)

    def _take(self, post: Post, outcome: "Outcome") -> None:
        """Take it together with what else comes in this round of the event loop."""
        self._waiting.append((post, outcome))
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), TAKEN_TOGETHER):
            task = asyncio.create_task(self._receive(waiting[start : start + TAKEN_TOGETHER]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _receive(self, given: Sequence[tuple[Post, "Outcome"]]) -> None:
        """Give the posts to the receiver and settle each."""
        outcomes: Sequence[Exception | None]
        try:
            outcomes = await self._receiver([post for post, _ in given])
        except (Problem, TransientError) as exc:
            outcomes = [exc] * len(given)
        except Exception as exc:  # noqa: BLE001 - the sender of the post is answered with it
            if len(given) > 1:
                await asyncio.gather(*(self._receive([one]) for one in given))
                return
            outcomes = [exc]
        except BaseException as exc:
            # The process ends: no post is answered as taken, and its sender repeats it.
            for _, outcome in given:
                outcome.set_exception(exc)
            raise
        for (post, outcome), error in zip(given, outcomes, strict=True):
            self._note(post.came_at, error)
            if not outcome.done():
                outcome.set_result(error)

    def _note(self, came_at: float, outcome: Exception | None) -> None:
        status = 200 if outcome is None else status_of(outcome)
        note_acknowledgement(self._channel, status, time.perf_counter() - came_at)


class PlatformFront:
    """The ASGI app in front of the framework: platforms' posts go to their intakes, everything else to `app`.

    A post costs a third of what a route of the framework would add to it.
    """

    def __init__(self, app: ASGIApp, intakes: Mapping[str, Intake]) -> None:
        self._app = app
        self._intakes = intakes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        intake = self._intakes.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        await (intake or self._app)(scope, receive, send)
