"""The life of one turn, from what a person wrote to the committed reply."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from contracts.conversation import Conversation, State, Trigger
from contracts.decisions import StateDecision
from contracts.delivery import TurnCommit
from contracts.institution import FixedText
from contracts.performance import answered_by
from fsm.machine import Walk
from fsm.migrations import migrate
from observability.metrics import TURN_SECONDS, note_answer, note_quality, note_transitions
from observability.tracing import span
from prompts.prompter import clarification
from worker.accuracy import UNCLEAR, classification, taken_back
from worker.dependencies import Dependencies
from worker.desk import Desk
from worker.reply import answer_fixed, ask_what_was_meant, call_a_person, draft_reply, failure
from worker.routing import Course, course_of, note_arrivals, rating_of, was_said_last
from worker.turn import Draft, Timing, Turn, to_commit


class Outcome(StrEnum):
    """How a turn ended. `STALE`: a newer message came while the model was thinking, and nothing was written."""

    REPLIED = "replied"
    SILENT = "silent"
    DUPLICATE = "duplicate"
    STALE = "stale"


async def answer_turn(turn: Turn, deps: Dependencies, *, may_grow: bool = False) -> Outcome:
    """Answer what one person wrote since the last reply; a second delivery of it changes nothing.

    Raises:
        ConversationConflictError: somebody else wrote the conversation meanwhile; nothing was written here.
        TransientError, PermanentError: as the ports say; nothing was written.
    """
    started = deps.monotonic()
    conversation = await _load(turn, deps)
    turn = turn.after(conversation.last_sequence)
    if not turn.entries:
        return Outcome.DUPLICATE

    rulebook = deps.rulebook()
    desk = Desk(turn, rulebook, deps, rating_of(conversation, turn.answerable, rulebook.institution))
    with _paid(turn, conversation, deps):
        draft = await _work_out(_opened(conversation, desk), desk)

        await deps.faults.reach("turn.thought")
        if may_grow and await deps.inbox.has_newer(turn.conversation_id, turn.last_sequence):
            return Outcome.STALE
        elapsed = deps.monotonic() - started
        timing = Timing(at=deps.clock.now(), total_ms=round(elapsed * 1000, 2))
        commit = to_commit(turn, draft, timing, desk.institution.version)
        # Committed before it is sent: a crash from here on repeats the send, not the thinking.
        await deps.faults.reach("turn.before_commit")
        with span("store.commit"):
            await deps.store.conversations.commit(commit)
        _book(commit, turn, deps)
    await deps.faults.reach("turn.committed")
    TURN_SECONDS.observe(elapsed)
    if any(move.dest is State.ESCALATING for move in draft.walk.records):
        deps.escalations.note(turn.conversation_id)
    await desk.tell(draft)
    return Outcome.REPLIED if draft.replies else Outcome.SILENT


@contextmanager
def _paid(turn: Turn, conversation: Conversation, deps: Dependencies) -> Iterator[None]:
    """Calls whose draft is dropped in here, for whatever reason, were paid all the same."""
    try:
        yield
    finally:
        tuning = conversation.tuning
        deps.ledger.book_apart(turn.tab.take(), line=conversation.business_line, arms=tuning.arms)


def _book(commit: TurnCommit, turn: Turn, deps: Dependencies) -> None:
    """The turn is in the store, and every call of its draft is part of its record."""
    deps.tuner.observe(commit)
    if commit.turn is not None:
        deps.ledger.book_turn(commit.turn)
        note_answer(answered_by(commit.turn))
        for task in commit.turn.tasks:
            note_quality(task)
    note_transitions(commit.transitions)
    turn.tab.take()


async def _load(turn: Turn, deps: Dependencies) -> Conversation:
    stored = await deps.store.conversations.load(turn.conversation_id)
    return migrate(stored) if stored else Conversation(id=turn.conversation_id)


def _opened(conversation: Conversation, desk: Desk) -> Conversation:
    """The conversation as this turn finds it: a closed one continues as its successor."""
    turn = desk.turn
    newest = turn.messages[-1]
    if conversation.is_final and conversation.state is not State.SPAM and turn.answerable and not desk.rating:
        conversation = conversation.successor(desk.deps.clock.now())
    names = [message.person_name for message in turn.messages if message.person_name]
    opened = conversation.model_copy(
        update={
            "address": newest.address,
            "person_name": names[-1] if names else conversation.person_name,
            "last_inbound_at": newest.received_at,
        }
    )
    if opened.turns_in_episode == 0:
        # Chosen once: one conversation is not told half of it by one version and half by another.
        began = {"episode_began_at": turn.messages[0].received_at}
        opened = opened.model_copy(update={**desk.deps.tuner.chosen(opened), **began})
    return note_arrivals(opened, turn.entries)


async def _work_out(conversation: Conversation, desk: Desk) -> Draft:
    """Decide what becomes of the turn: most are for the model, some are settled by a rule before it."""
    deps = desk.deps
    consent, at = desk.rulebook.consent, deps.clock.now()
    course = desk.rating or course_of(conversation, desk.turn.entries, consent=consent, flood=deps.flood, at=at)
    draft = Draft(Walk(conversation), reason=course.value)
    match course:
        case Course.ASK_MODEL:
            return await _ask_model(desk.to_understanding(draft), desk)
        case Course.UNREADABLE:
            return answer_fixed(desk.to_understanding(draft), FixedText.UNREADABLE, desk)
        case Course.OPT_OUT | Course.OPT_IN:
            return _record_consent(draft, course, desk)
        case Course.FLOOD:
            return _warn_of_flood(draft, desk)
        case Course.HOLD:
            return draft.saying(desk.fixed(FixedText.ESCALATED), reason=course.value)
        case Course.SATISFIED | Course.UNSATISFIED:
            return draft.saying(desk.fixed(FixedText.RATED), reason=course.value)
        case Course.RECORD:
            return draft


async def _ask_model(draft: Draft, desk: Desk) -> Draft:
    """Task 1 decides; Tasks 2 and 3 write and shape the reply, or a fixed text takes their place."""
    desk.turn.tab.before = Decimal(draft.walk.conversation.spent_usd)
    clock = desk.deps.prompter.start_clock(desk.turn.tab)
    _show_that_we_read(desk)
    await desk.tell(draft)
    result = await desk.deps.prompter.select_state(desk.view(draft.walk.conversation), clock)
    draft = draft.with_task(result.record)
    if result.value is None:
        return call_a_person(draft, FixedText.MODEL_AWAY, failure(result.error), desk)

    decision, reason = _weighed(result.value, draft.walk.conversation, desk)
    draft = _understood(draft, decision, reason, desk.deps.clock.now())
    match decision.next_state:
        case State.ESCALATING:
            answer = desk.written_answer(decision, "escalate")
            return call_a_person(draft, FixedText.ESCALATED, reason, desk, first=answer)
        case State.COMPLETED:
            closed = desk.pull(draft, Trigger.CONCLUDE, by=decision)
            answer = desk.written_answer(decision, "conclude")
            return closed.saying(*answer, desk.fixed(FixedText.COMPLETED), *desk.how_was_it(), reason=reason)
        case State.SPAM:
            marked = desk.pull(draft, Trigger.MARK_SPAM, by=decision)
            return marked.saying(*desk.written_answer(decision, "spam"), reason=reason)
        case _:
            draft = desk.pull(draft, Trigger.PROCESS, by=decision)
            if reason == UNCLEAR:
                return ask_what_was_meant(draft, decision, desk)
            return await draft_reply(draft, decision, clock, desk)


DECIDED = "decided"


def _weighed(decision: StateDecision, conversation: Conversation, desk: Desk) -> tuple[StateDecision, str]:
    """The decision to follow, and why: below the threshold of confidence the engine asks, and then calls a person."""
    confidence, chosen = desk.deps.confidence, conversation.tuning.ask_below
    ask_below = confidence.ask_below if chosen is None else chosen
    if decision.confidence >= ask_below or decision.next_state is State.ESCALATING:
        return decision, DECIDED
    if conversation.unclear_turns >= confidence.unclear_turns:
        return decision.model_copy(update={"next_state": State.ESCALATING}), UNCLEAR
    lines = tuple(line.name for line in desk.institution.lines)
    return clarification(decision, decision.options or lines), UNCLEAR


def _understood(draft: Draft, decision: StateDecision, reason: str, at: datetime) -> Draft:
    """Keep what was understood: line and intent, what the person told about themselves, what they are asked for."""
    conversation = draft.walk.conversation
    asked = (decision.ask_field,) if decision.ask_field else ()
    before, is_followed = conversation.classified, reason == DECIDED
    understood = conversation.model_copy(
        update={
            "business_line": decision.business_line or conversation.business_line,
            "intent": decision.intent or conversation.intent,
            "fields": conversation.fields | {field.name: field.value for field in decision.collected},
            "asked_fields": (*conversation.asked_fields, *asked),
            "waiting_for": decision.waiting_for,
            "unclear_turns": 0 if is_followed else conversation.unclear_turns + 1,
            "classified": classification(decision, conversation, at) if is_followed else before,
        }
    )
    corrects = taken_back(before, decision, at) if is_followed else None
    return replace(draft, walk=draft.walk.holding(understood), decision=decision, reason=reason, corrects=corrects)


def _record_consent(draft: Draft, course: Course, desk: Desk) -> Draft:
    """Consent stands outside the state machine: it holds in every state and across episodes."""
    opted_out = course is Course.OPT_OUT
    conversation = draft.walk.conversation.model_copy(update={"opted_out": opted_out})
    text = FixedText.OPTED_OUT if opted_out else FixedText.OPTED_IN
    return draft.on(draft.walk.holding(conversation)).saying(desk.fixed(text), reason=draft.reason)


def _warn_of_flood(draft: Draft, desk: Desk) -> Draft:
    warning = desk.fixed(FixedText.TOO_MANY)
    if was_said_last(draft.walk.conversation, warning.text):
        return draft
    return draft.saying(warning, reason=draft.reason, fallback=True)


def _show_that_we_read(desk: Desk) -> None:
    newest = desk.turn.answerable[-1]
    desk.deps.channels[newest.address.channel].acknowledge(newest.address, newest.platform_id)
