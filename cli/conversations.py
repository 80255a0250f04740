"""`prosa conversations`: list, show, trace, hand over, export or erase them."""

from typing import Annotated

import typer

from adapters.clock import SystemClock
from cli.analyses import analyse, print_analysis
from cli.event_loop import asynchronous
from cli.output import AsJson, clock_time, console, fail, print_json, print_table
from cli.settings import read_settings
from cli.trace import trace as trace_events
from contracts.analysis import AnalysisKind
from contracts.conversation import Conversation, State, Trigger
from contracts.errors import IllegalTransitionError
from contracts.ports import Store
from contracts.turn import TurnReason
from contracts.values import ConversationId, MessageId
from contracts.views import analysis_view
from worker import operator_actions
from worker.analyses.requests import analyses_of
from worker.backends import Backend, open_backend
from worker.bootstrap import open_operations

app = typer.Typer(add_completion=False, help="Look at conversations and act on them.", no_args_is_help=True)
app.command()(analyse)

Id = Annotated[str, typer.Argument(metavar="ID", help="A conversation's id; web:NAME may be written NAME.")]


@app.command("list")
@asynchronous
async def list_(
    state: Annotated[State | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    as_json: AsJson = False,
) -> None:
    """List conversations, the newest first; nothing in the list was written by a person."""
    async with open_backend(read_settings()) as backend:
        summaries = await backend.store.conversations.summaries(state=state, limit=limit)
    found = [summary.model_dump(mode="json") for summary in summaries]
    if as_json:
        print_json(found)
        return
    columns = ("id", "state", "turns", "episode", "line", "intent", "updated")
    rows = [
        (one["id"], one["state"], one["turns"], one["episode"], one["business_line"], one["intent"], one["updated_at"])
        for one in found
    ]
    print_table(columns, rows, empty="No conversations yet. Start one: prosa chat")


@app.command()
@asynchronous
async def show(conversation: Id, as_json: AsJson = False) -> None:
    """Show a conversation: state, collected fields, transcript, and the hand-off summary."""
    async with open_backend(read_settings()) as backend:
        head = await _head(conversation, backend.store)
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
        for name, value in head.fields.items():
            console.print(f"  {name}: {_indented(value, 4)}")
        for one in said:
            console.print(f"{clock_time(one.at)}  {one.speaker:>9}  {_indented(one.text, 36)}")
            if one.options:
                console.print(f"{'':>36}[{'] ['.join(one.options)}]")
        if summary is not None:
            print_analysis(summary)


@app.command()
@asynchronous
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
@asynchronous
async def export(conversation: Id) -> None:
    """Print everything that is kept about a conversation, as JSON."""
    async with open_operations(read_settings()) as engine:
        deps = engine.operators
        for candidate in _candidates(conversation):
            content = await operator_actions.export(candidate, deps)
            if content is not None:
                print_json(content)
                return
    raise fail(f"nothing is kept about {conversation}")


@app.command()
@asynchronous
async def erase(
    conversation: Id,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete everything of a conversation, for good, and say how much in each place; late writes are refused."""
    if not yes:
        typer.confirm(f"Delete everything of {conversation}?", abort=True)
    async with open_operations(read_settings()) as engine:
        deps = engine.operators
        for candidate in _candidates(conversation):
            erasure = await operator_actions.erase(candidate, deps)
            if erasure.is_empty:
                continue
            if as_json:
                print_json({"conversation": candidate, "erased": erasure.model_dump()})
                return
            console.print(f"Erased {candidate}.")
            rows = [(place.replace("_", " "), count) for place, count in erasure.model_dump().items()]
            print_table(("place", "removed"), rows, empty="")
            return
    raise fail(f"there is nothing of {conversation} to erase")


@app.command("hand-back")
@asynchronous
async def hand_back(conversation: Id) -> None:
    """A person of the team is done: the assistant answers again."""
    await _pull(conversation, Trigger.HAND_BACK)


@app.command()
@asynchronous
async def escalate(conversation: Id) -> None:
    """A person of the team takes over: the assistant is silent until it is handed back."""
    async with open_operations(read_settings()) as engine:
        deps = engine.operators
        head = await _head(conversation, deps.store)
        await operator_actions.escalate(head.id, deps, reason=TurnReason.BY_OPERATOR)
        moved = await _head(head.id, deps.store)
    if moved.state is not State.ESCALATING:
        raise fail(f"{moved.id} is {moved.state}; prosa conversations reopen opens it again")
    console.print(f"{moved.id} is {moved.state}.")


@app.command()
@asynchronous
async def close(conversation: Id) -> None:
    """End the conversation; the next message opens its successor."""
    await _pull(conversation, Trigger.CONCLUDE)


@app.command()
@asynchronous
async def reopen(conversation: Id) -> None:
    """Undo SPAM or another end: the person is answered again."""
    async with open_operations(read_settings()) as engine:
        deps = engine.operators
        head = await _head(conversation, deps.store)
        try:
            opened = await operator_actions.reopen(head.id, deps)
        except IllegalTransitionError as exc:
            raise fail(str(exc)) from exc
    console.print(f"{opened.id} is open again, episode {opened.episode}.")


@app.command()
@asynchronous
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
    if as_json:
        print_json(counts)
    else:
        print_table(("conversations", ""), list(counts.items()), empty="")
    if different := counts["different"] + counts["records different"]:
        raise fail(f"{different} did not read back as they were written: run the command again")


def _indented(text: object, columns: int) -> str:
    """Return the text with its further lines set in, so that none looks like one of another speaker."""
    return "\n".join(str(text).splitlines()).replace("\n", f"\n{'':>{columns}}")


async def _located(given: str, backend: Backend) -> tuple[ConversationId | None, MessageId | None]:
    for candidate in _candidates(given):
        head = await backend.store.conversations.load(candidate)
        if (head is not None and head.turns) or await backend.inbox.pending(candidate):
            return candidate, None
    holders = await backend.store.conversations.find_message(MessageId(given))
    return (holders[0], MessageId(given)) if holders else (None, None)


async def _pull(given: str, trigger: Trigger) -> None:
    async with open_operations(read_settings()) as engine:
        deps = engine.operators
        head = await _head(given, deps.store)
        try:
            moved = await operator_actions.pull(head.id, trigger, deps, reason=TurnReason.BY_OPERATOR)
        except IllegalTransitionError as exc:
            raise fail(f"{head.id} is {head.state}: {exc}") from exc
    console.print(f"{moved.id} is {moved.state}.")


async def _head(given: str, store: Store) -> Conversation:
    for candidate in _candidates(given):
        head = await store.conversations.load(candidate)
        if head is not None and head.turns:
            return head
    raise fail(f"there is no conversation {given}; prosa conversations list shows what there is")


def _candidates(given: str) -> list[ConversationId]:
    return [ConversationId(given)] if ":" in given else [ConversationId(f"web:{given}"), ConversationId(given)]
