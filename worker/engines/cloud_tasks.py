"""The worker as Cloud Tasks and Cloud Scheduler see it: a wake-up is a request, and ends with its answer.

What an answer means to the queue: 2xx ends the task; everything else repeats it, with unlimited attempts; 429
and 503 slow the whole queue down besides. So whatever a repetition cannot repair is answered 200.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Protocol

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from adapters.google.oidc import ForbiddenCallerError, UnauthenticatedError
from adapters.http.inbound import BodyReader, Problem
from contracts.errors import MalformedMessageError, TransientError
from contracts.values import ConversationId
from observability.logs import logger
from observability.tracing import inside, remote_span
from worker.engines.health import Operation, create_app

log = logger(__name__)

# A task has at most 100 KB: what is larger does not come from the queue.
MAX_BODY_BYTES = 128 * 1024
MAX_ID_LENGTH = 1024
READ_WITHIN = timedelta(seconds=5)
RETRY_AFTER = timedelta(seconds=2)
CONVERSATION, ANALYSIS = "conversation_id", "analysis_id"


class WakeUpOutcome(StrEnum):
    """Outcome of one request of the queue or the scheduler; a closed set, for a counter's label."""

    DONE = "done"
    CUT = "cut"
    MALFORMED = "malformed"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    UNAVAILABLE = "unavailable"


class Verifier(Protocol):
    """Decides whether a bearer token is that of the queue's service account."""

    async def verify(self, token: str) -> None:
        """Return when it is.

        Raises:
            UnauthenticatedError: it is no valid token for us.
            ForbiddenCallerError: it is another account's.
            TransientError: nothing can be said about it now.
        """


async def _nothing() -> None:
    return


@dataclass(frozen=True)
class TasksDependencies:
    """Dependencies of the endpoint.

    `drain` answers what waits in a conversation, `analyse` works on one analysis, `sweep` looks once for work without a
    wake-up. `idle` returns when nothing that they have started is left running (wake-ups on their way): between two
    requests Cloud Run gives the process no CPU. `count` gets the outcome of each request. The time limits lie below the
    dispatch deadlines of the tasks.
    """

    drain: Callable[[ConversationId], Awaitable[None]]
    analyse: Callable[[str], Awaitable[None]]
    sweep: Callable[[], Awaitable[None]]
    verifier: Verifier
    count: Callable[[WakeUpOutcome], None]
    operation: Operation
    idle: Callable[[], Awaitable[None]] = _nothing
    time_limit: timedelta = timedelta(seconds=25)
    analysis_time_limit: timedelta = timedelta(seconds=110)


def create_tasks_app(deps: TasksDependencies) -> ASGIApp:
    """The app of `prosa tasks`."""
    endpoint = _Endpoint(deps)
    return create_app(
        Route("/tasks/process", endpoint.process, methods=["POST"]),
        Route("/tasks/sweep", endpoint.sweep, methods=["POST"]),
        *deps.operation.routes(),
    )


class _Endpoint:
    def __init__(self, deps: TasksDependencies) -> None:
        self._deps = deps
        self._read_body = BodyReader(MAX_BODY_BYTES, READ_WITHIN)

    async def process(self, request: Request) -> Response:
        """A task of the queue: drain the conversation or do the analysis it names, while its deadline allows."""
        if refusal := await self._refusal(request):
            return refusal
        try:
            field, name = _named(await self._read_body(request))
        except MalformedMessageError as exc:
            # A task never changes, so refusing it would bring it back without end.
            log.error("wake_up.malformed", reason=str(exc))
            return self._ended(WakeUpOutcome.MALFORMED)
        work: Callable[[], Awaitable[None]] = partial(self._deps.drain, ConversationId(name))
        time_limit = self._deps.time_limit
        if field == ANALYSIS:
            work, time_limit = partial(self._deps.analyse, name), self._deps.analysis_time_limit
        return await self._carry_out(work, time_limit, traceparent=request.headers.get("traceparent"))

    async def sweep(self, request: Request) -> Response:
        """Do a job of the scheduler: look for work without a wake-up."""
        return await self._refusal(request) or await self._carry_out(self._deps.sweep, self._deps.time_limit)

    async def _carry_out(
        self, work: Callable[[], Awaitable[None]], time_limit: timedelta, *, traceparent: str | None = None
    ) -> Response:
        """Do the work and wait for what it has started; what it could not do is due again by the inbox.

        A drain does not raise: it gives its conversation back with a time when it is due again, and one that another
        worker holds is left to it. Both are answered 200, since the sweep goes on at that time, and a 503 would slow
        the queue down for every other conversation. An outage that does come out, that of a drain which could not even
        claim its conversation or of a sweep, is answered 503: then there is nothing to slow down for the others.
        """
        try:
            async with asyncio.timeout(time_limit.total_seconds()) as limit:
                with inside(remote_span(traceparent)):
                    await work()
                await self._deps.idle()
        except TimeoutError:
            if not limit.expired():
                raise
            # Cancelled, a drain gives its lease back at once; the inbox keeps the rest and the sweep goes on with it.
            log.warning("wake_up.cut", duration_ms=time_limit / timedelta(milliseconds=1))
            return self._ended(WakeUpOutcome.CUT)
        except TransientError as exc:
            return self._unavailable(exc)
        return self._ended(WakeUpOutcome.DONE)

    async def _refusal(self, request: Request) -> Response | None:
        """The answer to a caller that is not the queue's service account, or None when it is."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            if scheme.lower() != "bearer":
                raise UnauthenticatedError("no token")
            await self._deps.verifier.verify(token.strip())
        except UnauthenticatedError as exc:
            self._deps.count(WakeUpOutcome.UNAUTHENTICATED)
            log.warning("wake_up.unauthenticated", reason=str(exc))
            detail = "Send a token of the queue's service account."
            return Problem(401, "Token needed", detail, headers={"WWW-Authenticate": "Bearer"}).response()
        except ForbiddenCallerError as exc:
            self._deps.count(WakeUpOutcome.FORBIDDEN)
            log.warning("wake_up.forbidden", reason=str(exc))
            return Problem(403, "Forbidden", "The token is of another account than the queue's.").response()
        except TransientError as exc:
            return self._unavailable(exc)
        return None

    def _ended(self, outcome: WakeUpOutcome) -> Response:
        self._deps.count(outcome)
        return Response(orjson.dumps({"outcome": outcome}), media_type="application/json")

    def _unavailable(self, error: TransientError) -> Response:
        self._deps.count(WakeUpOutcome.UNAVAILABLE)
        log.warning("wake_up.unavailable", error=type(error).__name__)
        wait = max(timedelta(seconds=1), error.retry_after or RETRY_AFTER)
        seconds = {"Retry-After": str(round(wait.total_seconds()))}
        return Problem(503, "Not available", "Try again in a moment.", headers=seconds).response()


def _named(body: bytes) -> tuple[str, str]:
    """Return the field of a task and what it names; fields that another version may have added are left alone.

    Raises:
        MalformedMessageError: it names nothing.
    """
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise MalformedMessageError("not JSON") from exc
    for field in (CONVERSATION, ANALYSIS):
        name = content.get(field) if isinstance(content, dict) else None
        if isinstance(name, str) and 0 < len(name) <= MAX_ID_LENGTH:
            return field, name
    raise MalformedMessageError("no conversation_id")
