"""`prosa conversations`: list, find, show, trace, hand over, join, export or erase them."""

import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Annotated

import typer
import yaml
from pydantic import TypeAdapter, ValidationError

from adapters.clock import SystemClock
from cli.analyses import analyse, candidates, print_analysis
from cli.output import AsJson, clock_time, console, fail, group, print_json, print_rows, print_table
from cli.settings import read_settings
from cli.trace import trace as trace_events
from contracts.analysis import AnalysisKind
from contracts.conversation import Conversation, Owner, Speaker, State
from contracts.delivery import ConversationSummary, FoundConversation, TurnCommit
from contracts.errors import BadCursorError, ConversationConflictError, IllegalTransitionError, ReplyRefusedError
from contracts.listing import ConversationQuery, Order
from contracts.media import ContentKind
from contracts.messages import MessageType, OutboundMessage, Template
from contracts.paging import all_conversations, thread_of
from contracts.ports import Operators
from contracts.turn import TurnReason
from contracts.values import ConversationId, MessageId, Scalar
from contracts.views import analysis_view
from flags.personal import Attributes, set_attributes
from worker.analyses.requests import analyses_of
from worker.backends import Backend, open_backend
from worker.bootstrap import open_operations
from worker.dependencies import OperatorDependencies
from worker.people import privacy

app = group("Look at conversations and act on them.")
app.command()(analyse)

Agent = Annotated[str, typer.Option("--agent", help="The agent's name, as the history keeps it.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="A conversation's id; web:NAME may be written NAME.")]
SomeId = Annotated[
    str | None, typer.Argument(metavar="[ID]", help="A conversation's id; web:NAME may be written NAME.")
]
Person = Annotated[
    str | None, typer.Option(help="All of a person instead, by phone number (in any format) or id on the platform.")
]


@app.command("list")
async def list_(
    state: Annotated[State | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    as_json: AsJson = False,
) -> None:
    """List conversations, the newest first; nothing in the list was written by a person."""
    query = ConversationQuery(states=frozenset({state}) if state else frozenset())
    async with open_backend(read_settings()) as backend:
        page = await backend.store.conversations.find(query, limit=limit)
    found = [ConversationSummary.of(head) for head in page.items]
    view = [one.model_dump(mode="json") for one in found]
    columns = ("id", "state", "owner", "turns", "line", "intent", "updated")
    rows = [
        (
            *(one.id, one.state, one.agent or one.owner, one.turns, one.business_line, one.intent),
            clock_time(one.updated_at)[:16],
        )
        for one in found
    ]
    print_rows(as_json, view, columns, rows, empty="No conversations yet. Start one: prosa chat")


@app.command()
async def find(
    text: Annotated[str, typer.Argument(help="Words of a name, number, id or message, in any order.")] = "",
    person: Person = None,
    state: Annotated[list[State] | None, typer.Option(help="Only in this state; several may be given.")] = None,
    owner: Annotated[Owner | None, typer.Option(help="Only those of the assistant, an agent, nobody.")] = None,
    agent: Annotated[str | None, typer.Option(help="Only those of the agent of this name.")] = None,
    channel: Annotated[str | None, typer.Option(help="Only of this channel.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Not before (local time).")] = None,
    until: Annotated[datetime | None, typer.Option(help="Before (local time).")] = None,
    order: Annotated[
        Order, typer.Option(help="By last activity, or by how long they wait for an agent.")
    ] = Order.UPDATED,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on behind the last page.")] = None,
    as_json: AsJson = False,
) -> None:
    """Find conversations by name, number, words, state, owner, channel and date."""
    if person is not None:
        async with open_operations(read_settings()) as engine:
            threads = await privacy.threads_of(person, engine.operators)
        ids = [(thread,) for thread in threads]
        print_rows(as_json, {"conversations": threads}, ("id",), ids, empty="Nothing is kept of that person.")
        return
    dates = {"since": since.astimezone() if since else None, "until": until.astimezone() if until else None}
    conditions = {"states": state or (), "owner": owner, "agent": agent, "channel": channel, "order": order, **dates}
    async with open_backend(read_settings()) as backend:
        try:
            query = ConversationQuery.model_validate({"text": text, **conditions})
            page = await backend.store.conversations.find(query, limit=limit, cursor=cursor)
        except (ValidationError, BadCursorError) as exc:
            raise typer.BadParameter("no such channel, or no such cursor") from exc
    found = [FoundConversation.of(head) for head in page.items]
    if as_json:
        print_json({"conversations": [one.model_dump(mode="json") for one in found], "next": page.next_cursor})
        return
    rows = [
        (one.id, one.person_name, one.state, one.agent or one.owner, one.reason, clock_time(one.updated_at)[:16])
        for one in found
    ]
    print_table(("id", "name", "state", "owner", "reason", "updated"), rows, empty="No conversation matches.")
    if page.next_cursor:
        console.print(f"More: --cursor {page.next_cursor}")


@app.command()
async def index() -> None:
    """Index the conversations that an earlier release stored in Redis or Firestore, so that `find` finds them."""
    count = 0
    async with open_backend(read_settings()) as backend:
        async for head in all_conversations(backend.store.conversations):
            # A conflict means that a turn has just written it, and so indexed it.
            with suppress(ConversationConflictError):
                await backend.store.conversations.commit(TurnCommit(conversation=head))
            count += 1
    console.print(f"Indexed {count} conversations.")


@app.command()
async def show(conversation: Id, as_json: AsJson = False) -> None:
    """Show a conversation: state, collected fields, transcript, and the hand-off summary."""
    async with open_backend(read_settings()) as backend:
        head = await named_head(conversation, backend)
        said = await backend.store.conversations.transcript(head.id)
        analyses = await analyses_of(head.id, backend.store.records, at=SystemClock().now())
        summaries = (one for one in analyses if one.context.kind is AnalysisKind.HANDOFF_SUMMARY and one.result)
        summary = next(summaries, None)
        if as_json:
            content = head.model_dump(mode="json") | {"transcript": [one.model_dump(mode="json") for one in said]}
            print_json(content | {"handoff_summary": analysis_view(summary) if summary else None})
            return
        console.print(f"{head.id}  {head.state}, episode {head.episode}, {head.turns} turns")
        console.print(f"line {head.business_line or '-'}, intent {head.intent or '-'}, waiting for {head.waiting_for}")
        if head.handoff is not None:
            since = clock_time(head.handoff.at)
            console.print(f"handed off since {since} ({head.handoff.reason}), owner: {head.agent or head.owner}")
        for name, value in head.fields.items():
            console.print(f"  {name}: {_indented(value, 4)}")
        for one in said:
            named = " ".join(filter(None, (one.author, "(note)" if one.speaker is Speaker.NOTE else "")))
            console.print(f"{clock_time(one.at)}  {named or one.speaker:>9}  {_indented(one.text, 36)}")
            if one.content is not None:
                seen = one.content.text if one.content.kind is ContentKind.SEEN else ""
                console.print(f"{'':>36}({one.content.refused or one.content.kind}) {_indented(seen, 36)}")
            if one.options:
                console.print(f"{'':>36}[{'] ['.join(one.options)}]")
        if summary is not None:
            print_analysis(summary)


@app.command()
async def trace(
    conversation: Annotated[str, typer.Argument(metavar="ID|MESSAGE_ID", help="A conversation's or a message's id.")],
    as_json: AsJson = False,
) -> None:
    """Answer "where is my message, why this reply, why none": every step with its time."""
    async with open_backend(read_settings()) as backend:
        conversation_id, message_id = await _located(conversation, backend)
        if conversation_id is None:
            raise fail(f"no conversation and no message {conversation}; prosa conversations list shows what there is")
        events = await trace_events(conversation_id, backend.inbox, backend.store, message_id=message_id)
    if as_json:
        print_json({"conversation": conversation_id, "events": [event.view() for event in events]})
        return
    console.print(conversation_id)
    rows = [(clock_time(event.at), event.what, event.detail) for event in events]
    print_table(("time", "what", "detail"), rows, empty="Nothing is known of it.")


@app.command()
async def export(conversation: SomeId = None, person: Person = None) -> None:
    """Print everything that is kept about a conversation or a person, as JSON."""
    async with open_operations(read_settings()) as engine:
        threads = await _threads_of(conversation, person, engine.operators)
        contents = [await privacy.export(thread, engine.operators) for thread in threads]
    found = [content for content in contents if content is not None]
    if not found:
        raise fail(f"nothing is kept about {conversation or 'that person'}; --person takes a number or a user id")
    print_json(found[0] if person is None else {"conversations": found})


@app.command()
async def erase(
    conversation: SomeId = None,
    person: Person = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete everything of a conversation or a person, for good, and say how much in each place.

    Late writes are refused.
    """
    if not yes:
        typer.confirm(f"Delete everything of {conversation or 'that person'}?", abort=True)
    async with open_operations(read_settings()) as engine:
        deps = engine.operators
        threads = await _threads_of(conversation, person, deps)
        if person is not None:
            erasure = await privacy.erase_person(person, deps)
        else:
            for thread in threads:
                erasure = await privacy.erase(thread, deps)
                if not erasure.is_empty:
                    threads = [thread]
                    break
    if erasure.is_empty:
        raise fail(
            f"there is nothing of {conversation or 'that person'} to erase; --person takes a number or id of a person"
        )
    if as_json:
        which = {"conversation": threads[0]} if person is None else {"conversations": threads}
        print_json(which | {"erased": erasure.model_dump()})
        return
    console.print(f"Erased {', '.join(threads) or 'what was in no conversation'}.")
    rows = [(place.replace("_", " "), count) for place, count in erasure.model_dump().items()]
    print_table(("place", "removed"), rows)
    console.print("caches: answers of Task 1; shared answers and embeddings hold nothing of a person (docs/cache.md).")


def _move(name: str, words: str, move: Callable[[Operators], Callable[..., Awaitable[Conversation]]]) -> None:
    @app.command(name, help=words)
    async def run(conversation: Id, agent: Agent = "cli", as_json: AsJson = False) -> None:
        await _act(conversation, lambda team, id_: move(team)(id_, agent=agent), as_json)


_move("take", "Take a conversation over: the assistant is silent until it is handed back.", lambda team: team.take)
_move("hand-back", "An agent is done: the assistant answers again.", lambda team: team.hand_back)
_move("close", "End the conversation; the next message opens its successor.", lambda team: team.close)
_move(
    "escalate",
    "Call an agent: the assistant is silent until the conversation is handed back.",
    lambda team: partial(team.escalate, reason=TurnReason.BY_OPERATOR),
)
_move("reopen", "Undo SPAM or another end: the person is answered again.", lambda team: team.reopen)


@app.command()
async def reply(
    conversation: Id,
    text: Annotated[str, typer.Argument()] = "",
    template: Annotated[str, typer.Option(help="An approved template instead, as prosa templates list names it.")] = "",
    language: Annotated[str, typer.Option(help="Language of the template.")] = "pt_BR",
    parameter: Annotated[list[str] | None, typer.Option(help="The template's next parameter.")] = None,
    agent: Agent = "cli",
    as_json: AsJson = False,
) -> None:
    """Answer the person as an agent, and take the conversation over."""
    if bool(text.strip()) == bool(template):
        raise typer.BadParameter("give a text or --template")
    message = OutboundMessage.of_text(text)
    if template:
        chosen = Template(name=template, language=language, parameters=tuple(parameter or ()))
        message = OutboundMessage(type=MessageType.TEMPLATE, template=chosen)
    request_id = uuid.uuid4().hex
    await _act(conversation, lambda team, id_: team.reply(id_, message, agent=agent, request_id=request_id), as_json)


@app.command()
async def note(
    conversation: Id, text: Annotated[str, typer.Argument()], agent: Agent = "cli", as_json: AsJson = False
) -> None:
    """Add a note for the team, which the person does not see."""
    if not text.strip():
        raise typer.BadParameter("write a text")
    request_id = uuid.uuid4().hex
    await _act(conversation, lambda team, id_: team.note(id_, text, agent=agent, request_id=request_id), as_json)


@app.command()
async def attributes(
    conversation: Id, given: Annotated[list[str], typer.Argument(metavar="NAME=VALUE...", help="NAME= removes it.")]
) -> None:
    """Set attributes of the person, which segments of flags and experiments can name: plan=gold, age=41."""
    pairs = [one.partition("=") for one in given]
    if not all(separator for _, separator, _ in pairs):
        raise typer.BadParameter("say NAME=VALUE")
    try:
        wanted = TypeAdapter(Attributes).validate_python({name: _scalar(value) for name, _, value in pairs})
    except ValidationError as exc:
        raise typer.BadParameter("; ".join(str(error["msg"]) for error in exc.errors(include_input=False))) from exc
    async with open_backend(read_settings()) as backend:
        head = await named_head(conversation, backend)
        print_json((await set_attributes(head.id, wanted, backend.store.conversations)).attributes)


def _scalar(text: str) -> Scalar | None:
    """Return a number or a boolean as such, other text as it is, and no text as None."""
    value = yaml.safe_load(text) if text else None
    return value if isinstance(value, bool | int | float) or value is None else text


@app.command()
async def migrate(
    source: Annotated[str, typer.Argument(metavar="FROM", help="sqlite:PATH, redis or firestore.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="sqlite:PATH, redis or firestore.")],
    cut_over: Annotated[
        bool, typer.Option("--cut-over", help="Go on there: seal each conversation here and hand over what waits.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Copy live conversations to another store, verified; again, only what changed since; --cut-over goes on there.

    Flags, experiments and figures are copied too; what is newer there stays.

    The way back is the same command with FROM and TO exchanged.
    """
    from cli.migration import run_migration

    counts = await run_migration(read_settings(), source, target, cut_over=cut_over, quiet=as_json)
    print_rows(as_json, counts, ("conversations", ""), list(counts.items()))
    if different := counts["different"] + counts["records different"]:
        raise fail(f"{different} did not read back as they were written: run the command again")


@app.command()
async def merge(first: Id, second: Id, as_json: AsJson = False) -> None:
    """Join two conversations of one person: the older goes on with both, on the consent of both; unmerge undoes it."""
    async with open_operations(read_settings()) as engine:
        one, two = [(await named_head(given, engine.operators)).id for given in (first, second)]
        try:
            thread = await engine.operators.threads.merge(one, two, by="agent")
        except IllegalTransitionError as exc:
            raise fail(str(exc)) from exc
    _print_head(thread, f"{two if thread.id == one else one} is joined to {thread.id}.", as_json)


@app.command()
async def unmerge(conversation: Id, as_json: AsJson = False) -> None:
    """Take a joined conversation out again: it goes on from where it was joined, and no message joins it again."""
    async with open_operations(read_settings()) as engine:
        threads, stored = engine.operators.threads, engine.operators.store.conversations
        joined = [one for one in candidates(conversation) if (await thread_of(one, stored)).id != one]
        if not joined:
            raise fail(f"{conversation} is not joined to another conversation")
        alone = await threads.part(joined[0])
    _print_head(alone, f"{alone.id} is a conversation of its own again, {alone.state}.", as_json)


def _indented(text: object, columns: int) -> str:
    """Return the text with its further lines set in, so that none looks like one of another speaker."""
    return "\n".join(str(text).splitlines()).replace("\n", f"\n{'':>{columns}}")


async def _threads_of(conversation: str | None, person: str | None, deps: OperatorDependencies) -> list[ConversationId]:
    if (conversation is None) == (person is None):
        raise typer.BadParameter("give a conversation's ID or --person NUMBER_OR_ID")
    return candidates(conversation) if conversation else await privacy.threads_of(person or "", deps)


async def _located(given: str, backend: Backend) -> tuple[ConversationId | None, MessageId | None]:
    for candidate in candidates(given):
        head = await backend.store.conversations.load(candidate)
        if (head is not None and (head.turns or head.joined_to)) or await backend.inbox.pending(candidate):
            return candidate, None
    holders = await backend.store.conversations.find_message(MessageId(given))
    return (holders[0], MessageId(given)) if holders else (None, None)


async def _act(given: str, act: Callable[[Operators, ConversationId], Awaitable[Conversation]], as_json: bool) -> None:
    async with open_operations(read_settings()) as engine:
        head = await named_head(given, engine.operators)
        try:
            moved = await act(engine.operators.agents, head.id)
        except (IllegalTransitionError, ReplyRefusedError) as exc:
            raise fail(f"{head.id} is {head.state}: {exc}") from exc
    owner = f", owned by {moved.agent}" if moved.agent else ""
    episode = f", episode {moved.episode}" if moved.episode > 1 else ""
    _print_head(moved, f"{moved.id} is {moved.state}{owner}{episode}.", as_json)


def _print_head(head: Conversation, words: str, as_json: bool) -> None:
    if as_json:
        print_json(ConversationSummary.of(head).model_dump(mode="json"))
    else:
        console.print(words)


async def named_head(given: str, of: Backend | OperatorDependencies) -> Conversation:
    """Return the head of the conversation, or of the one that it was joined to."""
    for candidate in candidates(given):
        head = await thread_of(candidate, of.store.conversations)
        if head.turns:
            return head
    raise fail(f"there is no conversation {given}; prosa conversations list shows what there is")
