"""Durable reception: append, wake the worker, apply statuses; the only work between a platform's POST and its 200.

`/webhooks/{channel}` takes handshakes and posts of platforms; posts of the same moment share one write.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.channels.registry import PLATFORMS
from adapters.http.inbound import BodyReader, Problem, answer_to, status_of
from contracts.channels import OriginRefusedError, Post, Received, Unreadable
from contracts.delivery import Arrival, DeadLetter, OutboxRow
from contracts.errors import IllegalTransitionError, InboxUnavailableError, StoreUnavailableError, TransientError
from contracts.messages import OTHER_ACCOUNT, ChannelName, DeliveryState, InboundMessage, StatusUpdate, digest
from contracts.ports import ChannelInbound
from contracts.values import ConversationId
from observability import attributes as names
from observability.logs import logger
from observability.metrics import (
    DEAD_LETTERS,
    INBOUND,
    OTHER_ACCOUNTS,
    REFUSED,
    STATUSES,
    expect_acknowledgements,
    note_acknowledgement,
)
from observability.tracing import NO_PARENT, UNRECORDED, Kind, Span, ended, inside, is_tracing, remote_span, span
from webhook.settings import WebhookDependencies

log = logger(__name__)

T = TypeVar("T")


async def make_durable(messages: Sequence[InboundMessage], deps: WebhookDependencies) -> None:
    """Append all messages, then wake the conversations that hold them; durable on return.

    Raises:
        Problem: 503 when one of them could not be made durable; the sender tries all of them again.
    """
    if not messages:
        return
    await deps.faults.reach("ingest.before_append")
    with receiving(messages) as reception:
        try:
            # An append that ends after the time-out makes a duplicate of the sender's next attempt.
            async with asyncio.timeout(deps.durable_within.total_seconds()):
                with reception.appending():
                    appended = await deps.inbox.append(reception.messages)
        except (InboxUnavailableError, TimeoutError) as exc:
            raise _unavailable() from exc
        await deps.faults.reach("ingest.appended")
        first: dict[ConversationId, int] = {}
        for number, (message, one) in enumerate(zip(messages, appended, strict=True)):
            first.setdefault(one.conversation_id, number)
            with reception.noting(number, one.arrival):
                INBOUND.labels(message.address.channel, one.arrival).inc()
                if OTHER_ACCOUNT in message.data:
                    OTHER_ACCOUNTS.labels(channel=message.address.channel.value).inc()
                log.info(
                    "message.received",
                    correlation_id=message.id,
                    conversation_id=one.conversation_id,
                    channel=message.address.channel.value,
                    kind=message.kind.value,
                    outcome=one.arrival.value,
                )
        for conversation_id, number in first.items():
            with reception.waking(number):
                await deps.queue.wake(conversation_id)


async def apply_statuses(updates: Sequence[StatusUpdate], deps: WebhookDependencies) -> None:
    """Move the outbox rows forward. Statuses never reach the state machine.

    There are three for each reply and nearly none has a consequence; the sweep finds a reply that waited for one. Only
    what is to go again, in words, and what the next bubble of its reply waits for wake a worker.

    Raises:
        Problem: 503 when one could not be kept; the platform sends them again, which changes nothing.
    """
    began = time.time_ns()
    try:
        # A store writes those that come together at once; they begin in the order they came in.
        rows = await side_by_side([deps.store.outbox.apply_status(update) for update in updates])
    except StoreUnavailableError as exc:
        raise _unavailable() from exc
    for update, row in zip(updates, rows, strict=True):
        STATUSES.labels(update.channel, update.state).inc()
        if row is not None:
            with status_span(row, update, start_ns=began):
                log.info(
                    "status.applied",
                    correlation_id=row.correlation_id,
                    conversation_id=row.conversation_id,
                    outbox_id=row.id,
                    state=update.state.value,
                    code=update.error_code,
                )
            is_to_repeat = update.state is DeliveryState.FAILED and row.state is DeliveryState.PENDING
            is_awaited = row.deadline is not None and deps.clock.now() < row.deadline and not row.is_unsent
            if is_to_repeat or is_awaited:
                await deps.queue.wake(row.conversation_id)


async def side_by_side(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Return the results, in order. Mostly there is one or none, for which a task would cost more than it saves."""
    if len(work) <= 1:
        return [await one for one in work]
    return await asyncio.gather(*work)


async def keep_unreadable(channel: ChannelName, pieces: Sequence[Unreadable], deps: WebhookDependencies) -> None:
    """Keep unreadable pieces as dead letters: a refusal would make the platform repeat them for days.

    Raises:
        Problem: 503 when it could not be kept.
    """
    try:
        for piece in pieces:
            await deps.store.dead_letters.add(
                DeadLetter(
                    id=digest(channel, piece.raw),
                    conversation_id=None,
                    message_id=None,
                    channel=channel,
                    reason=piece.reason,
                    attempts=0,
                    raw=piece.raw,
                    addresses=piece.addresses,
                    at=deps.clock.now(),
                )
            )
            DEAD_LETTERS.labels(reason="unreadable").inc()
            log.error("message.unreadable", channel=channel.value)
    except StoreUnavailableError as exc:
        raise _unavailable() from exc


async def hand_back(returned: Sequence[ConversationId], channel: ChannelName, deps: WebhookDependencies) -> None:
    """Let the assistant answer again where the platform's help desk is done; elsewhere nothing changes.

    Raises:
        Problem: 503 when one could not be kept.
    """
    for conversation_id in returned:
        try:
            await deps.operators.hand_back(conversation_id, agent=channel.value)
        except IllegalTransitionError:
            log.info("event.ignored", channel=channel.value, kind="returned", count=1)
        except TransientError as exc:
            raise _unavailable() from exc


def count_ignored(channel: ChannelName, ignored: Sequence[str]) -> None:
    for name, count in Counter(ignored).items():
        log.info("event.ignored", channel=channel.value, kind=name, count=count)


def _unavailable() -> Problem:
    return Problem(503, "Not durable", "The message could not be stored; send it again.", headers={"Retry-After": "1"})


# Where nothing is recorded a reception pays for no span.
NOTHING = nullcontext()


@dataclass(frozen=True)
class Reception:
    """Messages of one request, each with a trace of its own: one request may carry those of many people.

    `messages` name their spans, so that the worker continues the trace. Without spans nothing is recorded.
    """

    messages: Sequence[InboundMessage]
    spans: Sequence[Span] = ()

    def appending(self) -> AbstractContextManager[None]:
        """Record the one write of all messages in each of the traces."""
        if not self.spans:
            return NOTHING
        return ended([span("inbox.append", kind=Kind.CLIENT, parent=received.context) for received in self.spans])

    def noting(self, number: int, arrival: Arrival) -> AbstractContextManager[None]:
        """Record the outcome of one message in its trace."""
        if not self.spans:
            return NOTHING
        received = self.spans[number]
        received.set(names.OUTCOME, arrival.value)
        return inside(received.context)

    def waking(self, first: int) -> AbstractContextManager[object]:
        """Record the wake-up of a conversation in the trace of its first message here, by its number."""
        if not self.spans:
            return NOTHING
        received = self.spans[first]
        if not received.sampled:
            return inside(received.context)
        return span("queue.wake", kind=Kind.PRODUCER, parent=received.context)


@contextmanager
def receiving(messages: Sequence[InboundMessage]) -> Iterator[Reception]:
    """Open a span for each message, until all are durable and their conversations are woken."""
    if not is_tracing():
        yield Reception(messages)
        return
    named, spans = [], []
    for message in messages:
        described = {names.CHANNEL: message.address.channel.value, names.KIND: message.kind.value}
        of_message = {names.CONVERSATION: message.conversation_id, names.CORRELATION: message.id}
        spans.append(span("webhook.receive", described, kind=Kind.SERVER, parent=NO_PARENT, inherited=of_message))
        named.append(message.model_copy(update={"traceparent": spans[-1].traceparent}))
    with ended(spans):
        yield Reception(named, spans)


def status_span(row: OutboxRow, update: StatusUpdate, *, start_ns: int) -> AbstractContextManager[object]:
    """Open a span in the trace of the turn that wrote the reply."""
    turn = remote_span(row.traceparent)
    if turn is None:
        return UNRECORDED
    described = {names.OUTBOX: row.id, names.STATE: update.state.value, names.CONVERSATION: row.conversation_id}
    applied = span("status.apply", described, kind=Kind.SERVER, parent=turn, start_ns=start_ns)
    applied.set(names.CODE, update.error_code)
    return applied


# A write of so many messages keeps Redis for some two milliseconds, in which it serves no other client.
TAKEN_TOGETHER = 64
TAKEN = PlainTextResponse("ok")
# A platform that is not set up is refused, whatever it posts.
MAX_BODY_OF_REFUSED = 4 * 1024 * 1024

Outcome: TypeAlias = str | Exception
"""The body of the 200 to one post, or the error that its sender is answered with."""
Receiver: TypeAlias = Callable[[Sequence[Post]], Awaitable[Sequence[Outcome]]]


def platform_addresses() -> dict[str, ChannelName]:
    """Return the channels whose platforms post, by the address that they post to."""
    return {f"/webhooks/{name}": name for name, platform in PLATFORMS.items() if platform.settings is not None}


def platform_routes(deps: WebhookDependencies) -> APIRouter:
    """Make the routes of the handshakes; posts go to the intakes."""
    router = APIRouter(tags=["platform webhooks"])
    for path, name in platform_addresses().items():
        router.add_api_route(path, _handshake_of(name, deps), methods=["GET"], summary="Handshake of the platform")
    return router


def platform_intakes(deps: WebhookDependencies) -> dict[str, "Intake"]:
    """Make the intake of each platform, by its address."""
    intakes = {}
    for path, name in platform_addresses().items():
        largest = deps.inbound[name].max_body if name in deps.inbound else MAX_BODY_OF_REFUSED
        read_body = BodyReader(largest, deps.read_within)
        intakes[path] = Intake(name, PlatformReceiver(name, deps), read_body)
    return intakes


def _handshake_of(name: ChannelName, deps: WebhookDependencies) -> Callable[[Request], Awaitable[Response]]:
    async def handshake(request: Request) -> Response:
        try:
            return PlainTextResponse(_inbound_of(name, deps).handshake(request.query_params))
        except OriginRefusedError as exc:
            REFUSED.labels(channel=name.value, reason="handshake").inc()
            raise Problem(403, "Handshake refused", str(exc)) from exc

    return handshake


def _inbound_of(name: ChannelName, deps: WebhookDependencies) -> ChannelInbound:
    """Return the receiving side of a platform. Raises Problem: 404 when the platform is not set up."""
    if name in deps.inbound:
        return deps.inbound[name]
    settings = PLATFORMS[name].settings
    title = settings.title if settings is not None else name.value
    raise Problem(404, f"No {title} here", f"Set the {name.upper()}_* variables and start again.")


class PlatformReceiver:
    """Receiver of one platform's posts: verify, parse, make durable. A post that is not durable is not taken."""

    def __init__(self, name: ChannelName, deps: WebhookDependencies) -> None:
        self._name = name
        self._deps = deps

    async def __call__(self, posts: Sequence[Post]) -> list[Outcome]:
        """Settle each post; one that is forged or unreadable costs its neighbours nothing.

        Raises:
            Problem: 404 when the platform is not set up.
        """
        inbound = _inbound_of(self._name, self._deps)
        read, at = list[Received | Problem](), self._deps.clock.now()
        for post in posts:
            try:
                inbound.verify(post, at=at)
                read.append(inbound.parse(post, at=at))
            except OriginRefusedError as exc:
                REFUSED.labels(channel=self._name.value, reason="signature").inc()
                read.append(Problem(401, "Bad signature", str(exc)))
        unavailable: Problem | None = None
        try:
            await make_durable(
                [one for each in read if isinstance(each, Received) for one in each.messages], self._deps
            )
        except Problem as exc:
            unavailable = exc
        outcomes: list[Outcome] = [
            one if isinstance(one, Problem) else unavailable if unavailable and one.messages else one.answer
            for one in read
        ]
        more = {
            number: self._keep_more(one)
            for number, one in enumerate(read)
            if isinstance(one, Received) and one.has_more and isinstance(outcomes[number], str)
        }
        for number, problem in zip(more, await side_by_side(list(more.values())), strict=True):
            outcomes[number] = problem or outcomes[number]
        await self._deps.faults.reach("ingest.before_answer")
        return outcomes

    async def _keep_more(self, received: Received) -> Problem | None:
        """Keep what of a post is no message."""
        try:
            await apply_statuses(received.statuses, self._deps)
            await keep_unreadable(self._name, received.unreadable, self._deps)
            await hand_back(received.returned, self._name, self._deps)
        except Problem as exc:
            return exc
        count_ignored(self._name, received.ignored)
        return None


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A post that waits for its outcome; `came_at` is a moment of `time.perf_counter`."""

    post: Post
    came_at: float
    outcome: "asyncio.Future[Outcome]"


class Intake:
    """Intake of a channel's posts: groups those of one round of the event loop, and measures how long senders wait.

    An ASGI app of its own, which answers each post when the receiver has settled it. `read_body` bounds size and time.

    The receiver may raise `Problem` and `TransientError`, which then hold for all posts it was given. Anything else it
    raises is a defect: the posts are then given to it one by one, so that none costs its neighbours their answers. So
    a receiver must bear to be given a post again.
    """

    def __init__(self, channel: ChannelName, receiver: Receiver, read_body: BodyReader) -> None:
        self._channel = channel.value
        self._receiver = receiver
        self._read_body = read_body
        self._waiting: list[_Waiting] = []
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
        post = Post(body, scope["headers"], scope["query_string"])
        waiting = _Waiting(post, came_at, asyncio.get_running_loop().create_future())
        # Taken together with what else comes in this round of the event loop.
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._begin)
        outcome = await waiting.outcome
        if isinstance(outcome, str):
            kind = "application/json" if outcome.startswith("{") else "text/plain"
            answer = TAKEN if outcome == "ok" else Response(outcome, media_type=kind)
        else:
            answer = answer_to(outcome)
        await answer(scope, receive, send)

    def _begin(self) -> None:
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), TAKEN_TOGETHER):
            task = asyncio.create_task(self._receive(waiting[start : start + TAKEN_TOGETHER]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _receive(self, given: Sequence[_Waiting]) -> None:
        """Give the posts to the receiver and settle each."""
        outcomes: Sequence[Outcome]
        try:
            outcomes = await self._receiver([one.post for one in given])
        except (Problem, TransientError) as exc:
            outcomes = [exc] * len(given)
        except Exception as exc:  # noqa: BLE001 - the sender of the post is answered with it
            if len(given) > 1:
                await asyncio.gather(*(self._receive([one]) for one in given))
                return
            outcomes = [exc]
        except BaseException as exc:
            # The process ends: no post is answered as taken, and its sender repeats it.
            for one in given:
                one.outcome.set_exception(exc)
            raise
        for one, outcome in zip(given, outcomes, strict=True):
            self._note(one.came_at, outcome)
            if not one.outcome.done():
                one.outcome.set_result(outcome)

    def _note(self, came_at: float, outcome: Outcome) -> None:
        status = 200 if isinstance(outcome, str) else status_of(outcome)
        note_acknowledgement(self._channel, status, time.perf_counter() - came_at)


class PlatformFront:
    """ASGI app in front of the framework: platforms' posts go to their intakes, everything else to `app`.

    A post costs a third of what a route of the framework would add to it.
    """

    def __init__(self, app: ASGIApp, intakes: Mapping[str, Intake]) -> None:
        self._app = app
        self._intakes = intakes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        intake = self._intakes.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        await (intake or self._app)(scope, receive, send)
