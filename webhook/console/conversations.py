"""Conversations in the browser: the waiting list, search, one conversation with its why, and the agents' actions."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Annotated, Any
from urllib.parse import quote
from uuid import uuid4

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from adapters.channels.registry import PLATFORMS
from adapters.http.inbound import BodyReader, Problem
from contracts.access import Caller, Role
from contracts.analysis import AnalysisKind
from contracts.conversation import RESTING_STATES, Conversation, Owner, Speaker, State, TurnRecord, Utterance
from contracts.delivery import ConversationSummary, InboxEntry, OutboxRow
from contracts.errors import (
    BadCursorError,
    ConversationConflictError,
    IllegalTransitionError,
    ReplyRefusedError,
    TransientError,
)
from contracts.institution import Institution
from contracts.listing import ConversationQuery, Order
from contracts.messages import ChannelName, MessageType, OutboundMessage, Template
from contracts.notices import handoff_brief
from contracts.ports import SystemBlock
from contracts.turn import EXCHANGES, Exchange, TurnExchanges, TurnReason, key_of, system_digest
from contracts.values import ConversationId, MessageId, TurnId
from webhook.console.rendering import NOT_STORED, First, Last, OrNone, fragment, html, wants_page
from webhook.settings import WebhookDependencies

ROWS = 50
MOST_ROWS = 500
WAITING_ROWS = 200
MAX_TURNS = 200
MAX_BODY = 64 * 1024
CANNED_TEXTS = 80
LOOK_AGAIN = timedelta(seconds=2)
RENDER_EVERY = 15
# After this a conversation that waits is shown as late.
LATE_AFTER = timedelta(minutes=10)


def conversation_routes(deps: WebhookDependencies) -> APIRouter:
    read_body = BodyReader(MAX_BODY, deps.read_within)

    operate = Depends(deps.access.require(Role.OPERATE))
    router = APIRouter(prefix="/console", dependencies=[Depends(deps.access.require())], include_in_schema=False)

    @router.get("")
    async def waiting(request: Request, owner: Owner = Owner.NOBODY, was: str = "") -> Response:
        return html("waiting.html", request, deps, here="waiting", was=was, **await _waiting(owner, deps))

    @router.get("/live")
    async def live_list(request: Request, owner: Owner = Owner.NOBODY) -> Response:
        async def render() -> str:
            return fragment("_waiting.html", request, deps, was="", **await _waiting(owner, deps))

        return _stream(render)

    @router.get("/conversations")
    async def conversations(
        request: Request,
        text: str = "",
        state: Annotated[State | None, OrNone] = None,
        channel: Annotated[ChannelName | None, OrNone] = None,
        first: First = None,
        last: Last = None,
        cursor: str | None = None,
        limit: int = ROWS,
    ) -> Response:
        days = [datetime.combine(day, time.min, deps.zone) if day else None for day in (first, last)]
        query = ConversationQuery(
            text=text.strip(),
            states=frozenset({state}) if state else frozenset(),
            channel=channel,
            since=days[0],
            until=days[1] + timedelta(days=1) if days[1] else None,
        )
        try:
            page = await deps.store.conversations.find(query, limit=max(1, min(limit, MOST_ROWS)), cursor=cursor)
        except BadCursorError as exc:
            raise Problem(422, "Bad cursor", "Begin at the first page again.") from exc
        if not wants_page(request):
            found = {"conversations": [ConversationSummary.of(one).model_dump(mode="json") for one in page.items]}
            return JSONResponse(found, headers=NOT_STORED)
        given = {"text": text, "state": state, "channel": channel, "from": first, "to": last}
        return html(
            "conversations.html",
            request,
            deps,
            here="conversations",
            page=page,
            given={name: str(value) for name, value in given.items() if value},
            states=sorted(RESTING_STATES),
            channels=list(ChannelName),
        )

    @router.get("/conversations/{conversation_id}")
    async def conversation(conversation_id: str, request: Request) -> Response:
        return await _page(await deps.conversation(conversation_id), request, deps)

    @router.get(
        "/conversations/{conversation_id}/prompts", dependencies=[Depends(deps.access.require(Role.ADMINISTER))]
    )
    async def prompts(conversation_id: str, turn: str, request: Request) -> Response:
        head, found = await deps.conversation(conversation_id), None
        if turn.rpartition("/")[0] in head.threads:
            found = await deps.store.records.get(EXCHANGES, key_of(TurnId(turn)), at=deps.clock.now())
        if found is None:
            raise Problem(
                404, "Not kept", "Prompts are kept for PROSA_PROMPTS_KEPT_HOURS after a turn that asked a model."
            )
        kept = TurnExchanges.model_validate(found.body)
        if not wants_page(request):
            return Response(kept.model_dump_json(), media_type="application/json", headers=NOT_STORED)
        institution = await deps.store.institutions.get(kept.institution_version)
        shown = [(one, _system_of(one, institution, deps)) for one in kept.exchanges]
        return html("prompts.html", request, deps, here="conversations", head=head, address=_address(head), shown=shown)

    @router.get("/conversations/{conversation_id}/live")
    async def live(conversation_id: str, request: Request) -> Response:
        async def render() -> str:
            head = await deps.conversation(conversation_id)
            return fragment("_thread.html", request, deps, **await _thread(head, deps))

        async def stamp() -> object:
            head = await deps.conversation(conversation_id)
            review = await deps.analyses.newest(head.id, AnalysisKind.CONVERSATION_REVIEW)
            unsent, pending = await deps.store.outbox.unsent(head.id), await deps.inbox.pending(head.id)
            return head.version, unsent, len(pending), review and (review.id, review.status)

        return _stream(render, stamp)

    @router.post("/conversations/{conversation_id}/{action}")
    async def act(conversation_id: str, action: str, request: Request, caller: Caller = operate) -> Response:
        given = await read_body.form(request)
        head = await deps.conversation(conversation_id)
        try:
            await _act(action, head.id, given, caller.name, deps)
        except (IllegalTransitionError, ReplyRefusedError, ConversationConflictError) as exc:
            status = 503 if isinstance(exc, ConversationConflictError) else 409
            # A note stays a note: it is not for the person.
            kept = {"note": given.get("text", "")} if action == "note" else given
            head = await deps.conversation(conversation_id)
            return await _page(head, request, deps, status=status, error=exc, given=kept)
        place = "/console" if action in ("close", "hand-back") else _address(head)
        return RedirectResponse(f"{place}?was={action}", 303)

    return router


@dataclass(frozen=True)
class Names:
    """What the institution calls its lines, intents and fields; the id of one that it does not know any more."""

    institution: Institution | None

    def line(self, line_id: str | None) -> str:
        known = self.institution and self.institution.line(line_id)
        return known.name if known else line_id or ""

    def intent(self, intent_id: str | None) -> str:
        known = self.institution and self.institution.intent(intent_id)
        return known.description if known else intent_id or ""

    def field(self, field_id: str) -> str:
        known = self.institution and self.institution.field(field_id)
        return known.label if known else field_id


async def _waiting(owner: Owner, deps: WebhookDependencies) -> dict[str, Any]:
    order = Order.WAITING if owner is Owner.NOBODY else Order.UPDATED
    page = await deps.store.conversations.find(ConversationQuery(owner=owner, order=order), limit=WAITING_ROWS)
    names = Names(await deps.store.institutions.current())
    return {"page": page, "owner": owner, "late_after": LATE_AFTER, "names": names}


def _system_of(one: Exchange, institution: Institution | None, deps: WebhookDependencies) -> str | None:
    """Return the system part of a prompt, rendered again; None where it would not be the same text."""
    task = deps.template_text(one.template)
    if institution is None or task is None:
        return None
    blocks = (SystemBlock(text=institution.prompt_core), SystemBlock(text=task))
    return "\n\n".join(block.text for block in blocks) if system_digest(blocks) == one.system_digest else None


async def _thread(head: Conversation, deps: WebhookDependencies) -> dict[str, Any]:
    transcript, turns, rows, pending, review, institution = await asyncio.gather(
        deps.store.conversations.transcript(head.id),
        deps.store.conversations.turns(head.id, limit=MAX_TURNS),
        deps.store.outbox.rows(head.id),
        deps.inbox.pending(head.id),
        deps.analyses.newest(head.id, AnalysisKind.CONVERSATION_REVIEW),
        deps.store.institutions.current(),
    )
    entries = timeline(transcript, turns, rows, pending)
    return {"head": head, "entries": entries, "review": review, "names": Names(institution)}


async def _page(
    head: Conversation,
    request: Request,
    deps: WebhookDependencies,
    *,
    status: int = 200,
    error: Exception | None = None,
    given: Mapping[str, str] | None = None,
) -> Response:
    """Answer with the page of the conversation; after an error with what was `given`, so that no word is lost."""
    platform = PLATFORMS.get(head.address.channel) if head.address else None
    limits = (platform or PLATFORMS[ChannelName.WEB]).limits
    window, last = (limits.agent_window or platform.reply_window) if platform else None, head.last_inbound_at
    # The platform takes only a template now, or nothing.
    is_shut = window is not None and last is not None and deps.clock.now() > last + window
    thread = await _thread(head, deps)
    institution: Institution | None = thread["names"].institution
    passages = institution.passages if institution else ()
    ours = f"line.{head.business_line}."
    lines = [one for one in passages if one.id.startswith("line.") and one.heading]
    lines.sort(key=lambda one: not one.id.startswith(ours))
    return html(
        "conversation.html",
        request,
        deps,
        status=status,
        here="conversations",
        error=error,
        given=given or {},
        is_shut=is_shut,
        limits=limits,
        canned=[(f"{one.heading}: {one.text}", one.text) for one in lines[:CANNED_TEXTS]],
        language=(institution.language if institution else "pt-BR").replace("-", "_"),
        brief=handoff_brief(head, institution) if institution and head.handoff else None,
        templates=await deps.templates() if is_shut else (),
        request_id=uuid4().hex,
        address=_address(head),
        **thread,
    )


async def _act(
    action: str, conversation_id: ConversationId, given: Mapping[str, str], agent: str, deps: WebhookDependencies
) -> None:
    operators, request_id = deps.operators, given.get("request_id") or uuid4().hex
    moves = {"take": operators.take, "hand-back": operators.hand_back, "close": operators.close}
    moves["reopen"] = operators.reopen
    match action:
        case _ if move := moves.get(action):
            await move(conversation_id, agent=agent)
        case "reply":
            await operators.reply(conversation_id, _message(given), agent=agent, request_id=request_id)
        case "escalate":
            await operators.escalate(conversation_id, agent=agent, reason=TurnReason.BY_OPERATOR)
        case "review":
            await deps.analyses.request(conversation_id, AnalysisKind.CONVERSATION_REVIEW)
        case "note" if given.get("text", "").strip():
            await operators.note(conversation_id, given["text"].strip(), agent=agent, request_id=request_id)
        case _:
            raise Problem(
                404, "No such action", "There are take, reply, hand-back, close, reopen, escalate, review and note."
            )


def _message(given: Mapping[str, str]) -> OutboundMessage:
    """Return the agent's words, or the approved template (`name`, or `name|language`) with a parameter a line."""
    if asked := given.get("template", "").strip():
        name, _, language = asked.partition("|")
        parameters = tuple(line.strip() for line in given.get("parameters", "").splitlines() if line.strip())
        language = language or given.get("language", "").strip()
        template = Template(name=name, language=language, parameters=parameters)
        return OutboundMessage(type=MessageType.TEMPLATE, template=template)
    if not (text := given.get("text", "").strip()):
        raise Problem(422, "Nothing to send", "Write a text first.")
    return OutboundMessage.of_text(text)


def _address(head: Conversation) -> str:
    return f"/console/conversations/{quote(head.id, safe='')}"


def _stream(render: Callable[[], Awaitable[str]], stamp: Callable[[], Awaitable[object]] | None = None) -> Response:
    """Answer with Server-Sent Events: the rendered part whenever it has changed.

    Where it costs many reads it is rendered when its `stamp` is another, and now and then.
    """

    async def events() -> AsyncIterator[str]:
        sent, known = "", None
        for count in itertools.count():
            try:
                found = await stamp() if stamp else None
                is_due = stamp is None or found != known or count % RENDER_EVERY == 0
                text, known = await render() if is_due else sent, found
            except TransientError:
                # What is shown stays until the store answers again.
                text = sent
            yield "".join(f"data: {line}\n" for line in text.splitlines()) + "\n" if text != sent else ": alive\n\n"
            sent = text
            await asyncio.sleep(LOOK_AGAIN.total_seconds())

    return StreamingResponse(events(), media_type="text/event-stream", headers=NOT_STORED)


NO_MESSAGE = MessageId("")


@dataclass(frozen=True)
class Entry:
    """One line, or a move without words. `turn` is shown below the last line that belongs to it."""

    at: datetime
    said: Utterance | None = None
    row: OutboxRow | None = None
    turn: TurnRecord | None = None

    @property
    def kind(self) -> str:
        return self.said.speaker.value if self.said else "event"


def timeline(
    transcript: Iterable[Utterance],
    turns: Sequence[TurnRecord],
    rows: Sequence[OutboxRow],
    pending: Iterable[InboxEntry] = (),
) -> list[Entry]:
    """Return the entries, oldest first; a line that waits for its turn comes last."""
    by_message = {message_id: turn for turn in turns for message_id in turn.message_ids}
    by_id, by_time = {turn.id: turn for turn in turns}, {turn.at: turn for turn in turns}
    sent: dict[datetime, list[OutboxRow]] = {}
    for row in sorted(rows, key=lambda row: row.number):
        sent.setdefault(row.created_at, []).append(row)
    entries = []
    for said in transcript:
        if said.speaker in (Speaker.ASSISTANT, Speaker.OPERATOR):
            # A line and its row are written in one step, at one time.
            same = sent.get(said.at)
            reply = same.pop(0) if same else None
            turn = by_id.get(reply.turn_id) if reply else by_time.get(said.at)
            entries.append(Entry(said.at, said, reply, turn))
        else:
            entries.append(Entry(said.at, said, turn=by_message.get(said.message_id or NO_MESSAGE)))
    shown = {entry.turn.id for entry in entries if entry.turn}
    entries += [Entry(turn.at, turn=turn) for turn in turns if turn.id not in shown]
    for entry in pending:
        said = Utterance(speaker=Speaker.PERSON, text=entry.message.text, at=entry.message.received_at)
        entries.append(Entry(said.at, said))
    # Each turn at its last line only.
    seen: set[TurnId] = set()
    found = list[Entry]()
    entries.sort(key=lambda one: one.at)
    for one in reversed(entries):
        turn = one.turn if one.turn and one.turn.id not in seen else None
        if turn:
            seen.add(turn.id)
        found.append(replace(one, turn=turn))
    return found[::-1]
