"""`/api/v1`: conversations, agents' actions, dead letters and status, for programs. The roles are of `docs/api.md`."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from pydantic import Field, ValidationError, model_validator
from starlette.responses import Response
from starlette.types import Message

from adapters.http.inbound import BodyReader, Problem
from contracts.access import Caller, Role
from contracts.conversation import Conversation, TransitionRecord, TurnRecord, Utterance
from contracts.delivery import ConversationSummary, DeadLetter, FoundConversation, OutboxRow
from contracts.errors import ChangeRefusedError
from contracts.listing import ConversationQuery
from contracts.messages import MessageType, OutboundMessage, Template
from contracts.paging import thread_of
from contracts.turn import TurnReason
from contracts.values import ConversationId, Text, Value, problems_of
from flags.definitions import Flag
from flags.experiments.definitions import Experiment
from flags.experiments.exact import Approximate
from flags.experiments.store import ExperimentStore
from flags.personal import Attributes, set_attributes
from flags.store import Change, FlagEdit, FlagStore
from flags.switches import kills_of
from webhook.console.operations import json_answer, report_values
from webhook.console.rendering import First, Last
from webhook.schemas import REPORTS, answers
from webhook.settings import WebhookDependencies

MAX_BODY = 64 * 1024
MAX_TURNS = 200
MAX_LETTERS = 1_000
EPOCH = datetime.fromtimestamp(0, UTC)

Limit = Annotated[int, Field(ge=1, le=200)]
IdempotencyKey = Annotated[str, Header(min_length=1, max_length=200)]
"""Key of a request, under which its repetition does nothing more."""


class Find(ConversationQuery):
    limit: Limit = 50
    cursor: str | None = None


class Found(Value):
    conversations: tuple[FoundConversation, ...]
    next: str | None


class Detail(Value):
    """A conversation: its head, its newest turns with the why of each, its moves, and the delivery of the replies."""

    summary: FoundConversation
    conversation: Conversation
    turns: tuple[TurnRecord, ...]
    transitions: tuple[TransitionRecord, ...]
    outbox: tuple[OutboxRow, ...]


class Messages(Value):
    """Lines of the transcript, oldest first, with the agents' notes."""

    messages: tuple[Utterance, ...]
    next: str | None


class Reply(Value):
    """An agent's words; or a template of the platform, which is all that it takes when its window has closed."""

    text: Annotated[Text, Field(min_length=1, max_length=20_000)] | None = None
    template: Template | None = None

    @model_validator(mode="after")
    def _is_one_of_them(self) -> "Reply":
        if (self.text is None) == (self.template is None):
            raise ValueError("give text or template")
        return self

    @property
    def message(self) -> OutboundMessage:
        if self.template is not None:
            return OutboundMessage(type=MessageType.TEMPLATE, template=self.template)
        return OutboundMessage.of_text(self.text or "")


class Note(Value):
    text: Annotated[Text, Field(min_length=1, max_length=20_000)]


class AttributesOf(Value):
    attributes: Attributes


class DeadLetters(Value):
    dead_letters: tuple[DeadLetter, ...]
    next: str | None


class Retried(Value):
    conversation: ConversationId


class FlagInForce(Value):
    flag: Flag
    revision: int


class Flags(Value):
    flags: tuple[FlagInForce, ...]


class FlagHistory(Value):
    """Changes of a flag, oldest first."""

    changes: tuple[Change, ...]


class Experiments(Value):
    experiments: tuple[Experiment, ...]


class ProblemView(Value):
    """RFC 9457, `application/problem+json`."""

    type: str
    title: str
    status: int
    detail: str


def api_routes(deps: WebhookDependencies) -> APIRouter:
    read, operate = Depends(deps.access.require()), Depends(deps.access.require(Role.OPERATE))
    conversations, operators = deps.store.conversations, deps.operators

    router = _router(deps)

    @router.get("/conversations", summary="Find conversations", dependencies=[read])
    async def find(query: Annotated[Find, Query()]) -> Found:
        page = await conversations.find(query, limit=query.limit, cursor=query.cursor)
        return Found(conversations=tuple(map(FoundConversation.of, page.items)), next=page.next_cursor)

    @router.get("/conversations/{conversation_id}", summary="One, with its turns and why", dependencies=[read])
    async def conversation(conversation_id: ConversationId) -> Detail:
        head = await deps.conversation(conversation_id)
        turns, transitions, rows = await asyncio.gather(
            conversations.turns(head.id, limit=MAX_TURNS),
            conversations.transitions(head.id),
            deps.store.outbox.rows(head.id),
        )
        return Detail(
            summary=FoundConversation.of(head),
            conversation=head,
            turns=tuple(turns),
            transitions=tuple(transitions),
            outbox=tuple(rows),
        )

    @router.put(
        "/conversations/{conversation_id}/attributes",
        summary="Set a person's attributes for the segments of flags, also before the first message; null removes one",
        dependencies=[operate],
    )
    async def attributes(conversation_id: ConversationId, given: AttributesOf) -> AttributesOf:
        thread = await thread_of(conversation_id, conversations)
        try:
            head = await set_attributes(thread.id, given.attributes, conversations)
        except ChangeRefusedError as exc:
            raise Problem(409, "Not set", str(exc)) from exc
        return AttributesOf(attributes=dict(head.attributes))

    @router.get("/conversations/{conversation_id}/messages", summary="Its transcript", dependencies=[read])
    async def messages(
        conversation_id: ConversationId, limit: Limit = 50, cursor: Annotated[int, Field(ge=0)] = 0
    ) -> Messages:
        said = await conversations.transcript((await deps.conversation(conversation_id)).id)
        end = cursor + limit
        return Messages(messages=tuple(said[cursor:end]), next=str(end) if len(said) > end else None)

    @router.post("/conversations/{conversation_id}/reply", summary="Answer it, after taking it")
    async def reply(
        conversation_id: ConversationId, body: Reply, idempotency_key: IdempotencyKey, caller: Caller = operate
    ) -> ConversationSummary:
        await deps.conversation(conversation_id)
        request_id = f"{caller.name}:{idempotency_key}"
        head = await operators.reply(conversation_id, body.message, agent=caller.name, request_id=request_id)
        return ConversationSummary.of(head)

    @router.post("/conversations/{conversation_id}/notes", summary="Write a note for the team")
    async def note(
        conversation_id: ConversationId, body: Note, idempotency_key: IdempotencyKey, caller: Caller = operate
    ) -> ConversationSummary:
        await deps.conversation(conversation_id)
        request_id = f"{caller.name}:{idempotency_key}"
        head = await operators.note(conversation_id, body.text, agent=caller.name, request_id=request_id)
        return ConversationSummary.of(head)

    def action(name: str, summary: str, act: Callable[[ConversationId, str], Awaitable[Conversation]]) -> None:
        async def run(conversation_id: ConversationId, caller: Caller = operate) -> ConversationSummary:
            await deps.conversation(conversation_id)
            return ConversationSummary.of(await act(conversation_id, caller.name))

        router.post(f"/conversations/{{conversation_id}}/{name}", summary=summary, name=name)(run)

    action("take", "Own it: the assistant is silent", lambda id, agent: operators.take(id, agent=agent))
    action("hand-back", "Let the assistant answer again", lambda id, agent: operators.hand_back(id, agent=agent))
    action("close", "End it", lambda id, agent: operators.close(id, agent=agent))
    action("reopen", "Undo its end", lambda id, agent: operators.reopen(id, agent=agent))
    action(
        "escalate",
        "Call an agent",
        lambda id, agent: operators.escalate(id, agent=agent, reason=TurnReason.BY_OPERATOR),
    )

    @router.get("/dead-letters", summary="Messages that could not be processed, newest first", dependencies=[read])
    async def dead_letters(
        conversation: ConversationId | None = None,
        limit: Annotated[int, Field(ge=1, le=MAX_LETTERS)] = 100,
        cursor: Annotated[str, Field(pattern=r"^(\d{1,18}-\d{1,6})?$")] = "",
    ) -> DeadLetters:
        # The instant of the last letter, and how many of that instant there were.
        moment, _, passed = cursor.partition("-")
        skipped, until = int(passed or 0), EPOCH + timedelta(microseconds=int(moment)) if moment else None
        found = await deps.store.dead_letters.letters(
            conversation_id=conversation, until=until, limit=limit + skipped + 1
        )
        letters, is_more = found[skipped : skipped + limit], len(found) > skipped + limit
        last = (letters[-1].at - EPOCH) // timedelta(microseconds=1) if letters else 0
        same = sum(1 for one in found[: skipped + limit] if letters and one.at == letters[-1].at)
        return DeadLetters(dead_letters=tuple(letters), next=f"{last}-{same}" if is_more else None)

    @router.post("/dead-letters/{letter_id}/retry", summary="Put it back", dependencies=[operate])
    async def retry(letter_id: str) -> Retried:
        return Retried(conversation=await deps.retry(letter_id))

    @router.get("/status", summary="The first five numbers", dependencies=[read], responses=answers("StatusReport"))
    async def status() -> Response:
        return json_answer(await report_values("status", None, None, deps))

    about = "daily, weekly, cost or performance, by days"

    @router.get("/reports/{name}", summary=about, dependencies=[read], responses=answers(*REPORTS))
    async def report(name: str, first: First = None, last: Last = None) -> Response:
        return json_answer(await report_values(name, first, last, deps))

    return router


def change_api(deps: WebhookDependencies) -> APIRouter:
    """Flags and experiments. Flags are read from the store at each request, as changed ones are."""
    read, administer = Depends(deps.access.require()), Depends(deps.access.require(Role.ADMINISTER))
    flags = FlagStore(deps.store.records, deps.events, deps.clock)
    experiments = ExperimentStore(deps.store.records, deps.events, deps.clock, kills=kills_of(deps.switches))
    router = _router(deps)

    async def known(key: str) -> list[Change]:
        changes = await flags.history(key)
        if not changes:
            raise Problem(404, "No such flag", "The list of flags shows those that there are.")
        return changes

    @router.get("/flags", summary="Flags, each with its revision", dependencies=[read])
    async def listed() -> Flags:
        return Flags(
            flags=tuple(FlagInForce(flag=one.flag, revision=one.revision) for one in (await flags.load()).values())
        )

    @router.get("/flags/{key}", summary="Its changes", dependencies=[read])
    async def history(key: str) -> FlagHistory:
        return FlagHistory(changes=tuple(await known(key)))

    @router.put("/flags/{key}", summary="Change status and share, or restore a revision")
    async def change(key: str, edit: FlagEdit, caller: Caller = administer) -> Change:
        await known(key)
        try:
            return await flags.edit(key, edit, author=caller.name)
        except (ChangeRefusedError, ValidationError) as exc:
            raise Problem(409, "Not changed", problems_of(exc)) from exc

    @router.get("/experiments", summary="Experiments and their plans", dependencies=[read])
    async def experiments_listed() -> Experiments:
        return Experiments(experiments=tuple(await experiments.all()))

    @router.get("/experiments/{key}", summary="Its report", dependencies=[read], responses=answers("ExperimentReport"))
    async def experiment(key: str) -> Response:
        try:
            return json_answer(await experiments.report(key, Approximate()))
        except ChangeRefusedError as exc:
            raise Problem(404, "No result", str(exc)) from exc

    return router


def _router(deps: WebhookDependencies) -> APIRouter:
    return APIRouter(
        prefix="/api/v1",
        tags=["API"],
        route_class=_limited(BodyReader(MAX_BODY, deps.read_within)),
        dependencies=[Security(HTTPBearer(auto_error=False, description="A key of PROSA_CONSOLE_TOKENS"))],
    )


def _limited(read_body: BodyReader) -> type[APIRoute]:
    """Make the class of routes whose bodies are read within a size and a time, before anything is made of them."""

    class LimitedRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
            handle = super().get_route_handler()

            async def limited(request: Request) -> Response:
                body = await read_body(request)

                async def receive() -> Message:
                    return {"type": "http.request", "body": body, "more_body": False}

                return await handle(Request(request.scope, receive))

            return limited

    return LimitedRoute
