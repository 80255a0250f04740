"""The life of one turn, from what a person wrote to the committed reply."""

from dataclasses import replace
from enum import StrEnum

from contracts.conversation import Conversation, State, Trigger, ViolationRecord, WaitingFor
from contracts.decisions import MessageTypeChoice, StateDecision
from contracts.errors import ModelUnavailableError, WorkerError
from contracts.guardrails import Finding, KnownFacts
from contracts.institution import FixedText
from contracts.messages import OutboundMessage
from contracts.ports import ChannelLimits, LiveEvent
from fsm.machine import Walk
from fsm.migrations import migrate
from observability.metrics import FALLBACKS, GATE_FINDINGS, TURN_SECONDS
from prompts.prompter import TurnClock, clarification, fallback_message_type
from prompts.render import TurnView
from worker.dependencies import Dependencies, Rulebook
from worker.fitter import fit
from worker.rules import Course, course_of, note_arrivals, was_flood_already
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
    started, at = deps.monotonic(), deps.clock.now()
    conversation = await _load(turn, deps)
    turn = turn.after(conversation.last_sequence)
    if not turn.entries:
        return Outcome.DUPLICATE

    rulebook = deps.rulebook()
    conversation = _opened(conversation, turn, deps)
    draft = await _work_out(turn, conversation, rulebook, deps)

    await deps.faults.reach("turn.thought")
    if may_grow and await deps.inbox.has_newer(turn.conversation_id, turn.last_sequence):
        return Outcome.STALE
    elapsed = deps.monotonic() - started
    timing = Timing(at=max(at, deps.clock.now()), total_ms=round(elapsed * 1000, 2))
    # Committed before it is sent: a crash from here on repeats the send, not the thinking.
    await deps.faults.reach("turn.before_commit")
    await deps.store.commit(to_commit(turn, draft, timing, rulebook.institution.version))
    await deps.faults.reach("turn.committed")
    TURN_SECONDS.observe(elapsed)
    await _tell(deps, turn, draft.walk.state, path=draft.walk.path)
    return Outcome.REPLIED if draft.replies else Outcome.SILENT


async def _load(turn: Turn, deps: Dependencies) -> Conversation:
    stored = await deps.store.load(turn.conversation_id)
    return migrate(stored) if stored else Conversation(id=turn.conversation_id)


def _opened(conversation: Conversation, turn: Turn, deps: Dependencies) -> Conversation:
    """The conversation as this turn finds it: a closed one continues as its successor."""
    newest = turn.messages[-1]
    if conversation.is_final and conversation.state is not State.SPAM and turn.answerable:
        conversation = conversation.successor(deps.clock.now())
    names = [message.person_name for message in turn.messages if message.person_name]
    opened = conversation.model_copy(
        update={
            "address": newest.address,
            "person_name": names[-1] if names else conversation.person_name,
            "last_inbound_at": newest.received_at,
        }
    )
    return note_arrivals(opened, turn.entries)


async def _work_out(turn: Turn, conversation: Conversation, rulebook: Rulebook, deps: Dependencies) -> Draft:
    """Decide what becomes of the turn: most are for the model, some are settled by a rule before it."""
    course = course_of(conversation, turn.entries, consent=rulebook.consent, flood=deps.flood, at=deps.clock.now())
    draft = Draft(Walk(conversation), reason=course.value)
    match course:
        case Course.ASK_MODEL:
            return await _ask_model(turn, draft, rulebook, deps)
        case Course.UNREADABLE:
            return _answer_fixed(_understanding(draft, deps), FixedText.UNREADABLE, course.value, rulebook, deps)
        case Course.OPT_OUT | Course.OPT_IN:
            return _record_consent(draft, course, rulebook)
        case Course.FLOOD:
            return _warn_of_flood(draft, rulebook)
        case Course.HOLD:
            return draft.saying(_fixed(rulebook, FixedText.ESCALATED), reason=course.value)
        case Course.RECORD:
            return draft


def _record_consent(draft: Draft, course: Course, rulebook: Rulebook) -> Draft:
    """Consent stands outside the state machine: it holds in every state and across episodes."""
    opted_out = course is Course.OPT_OUT
    conversation = draft.walk.conversation.model_copy(update={"opted_out": opted_out})
    text = FixedText.OPTED_OUT if opted_out else FixedText.OPTED_IN
    return draft.on(draft.walk.holding(conversation)).saying(_fixed(rulebook, text), reason=course.value)


def _warn_of_flood(draft: Draft, rulebook: Rulebook) -> Draft:
    warning = _fixed(rulebook, FixedText.TOO_MANY)
    if was_flood_already(draft.walk.conversation, warning.text):
        return draft
    return draft.saying(warning, reason=Course.FLOOD.value, fallback=True)


async def _ask_model(turn: Turn, draft: Draft, rulebook: Rulebook, deps: Dependencies) -> Draft:
    """Task 1 decides; Tasks 2 and 3 write and shape the reply, or a fixed text takes their place."""
    clock = deps.prompter.start_clock()
    newest = turn.answerable[-1]
    deps.channels[newest.address.channel].acknowledge(newest.address, newest.platform_id)
    draft = _understanding(draft, deps)
    await _tell(deps, turn, draft.walk.state, path=draft.walk.path)
    view = _view(turn, draft.walk.conversation, rulebook, deps)
    result = await deps.prompter.select_state(view, clock)
    draft = draft.with_task(result.record)
    if result.value is None:
        return _call_a_person(draft, FixedText.MODEL_AWAY, _failure(result.error), rulebook, deps)

    draft = _decided(draft, result.value, rulebook, deps)
    decision = draft.decision or result.value
    match decision.next_state:
        case State.ESCALATING:
            return _call_a_person(draft, FixedText.ESCALATED, "decided", rulebook, deps)
        case State.COMPLETED:
            closed = _pull(draft, Trigger.CONCLUDE, deps, by=decision)
            return closed.saying(_fixed(rulebook, FixedText.COMPLETED), reason="decided")
        case State.SPAM:
            return replace(_pull(draft, Trigger.MARK_SPAM, deps, by=decision), reason="decided")
        case _:
            draft = _pull(draft, Trigger.PROCESS, deps, by=decision)
            if decision.waiting_for is WaitingFor.CLARIFICATION and draft.reason == "unclear":
                return _ask_what_was_meant(draft, decision, turn, rulebook, deps)
            return await _draft_reply(turn, draft, decision, view, clock, rulebook, deps)


def _decided(draft: Draft, decision: StateDecision, rulebook: Rulebook, deps: Dependencies) -> Draft:
    """Take over what Task 1 understood; below the confidence threshold the engine asks, then calls a person."""
    conversation = draft.walk.conversation
    reason, unclear = "decided", 0
    if decision.confidence < deps.confidence.ask_below and decision.next_state is not State.ESCALATING:
        unclear = conversation.unclear_turns + 1
        reason = "unclear"
        if unclear > deps.confidence.unclear_turns:
            decision = decision.model_copy(update={"next_state": State.ESCALATING})
        else:
            lines = tuple(line.name for line in rulebook.institution.lines)
            decision = clarification(decision, decision.options or lines)
    collected = {field.name: field.value for field in decision.collected}
    asked = (decision.ask_field,) if decision.ask_field else ()
    conversation = conversation.model_copy(
        update={
            "business_line": decision.business_line or conversation.business_line,
            "intent": decision.intent or conversation.intent,
            "fields": conversation.fields | collected,
            "asked_fields": (*conversation.asked_fields, *asked),
            "waiting_for": decision.waiting_for,
            "unclear_turns": unclear,
        }
    )
    return replace(draft, walk=draft.walk.holding(conversation), decision=decision, reason=reason)


async def _draft_reply(
    turn: Turn,
    draft: Draft,
    decision: StateDecision,
    view: TurnView,
    clock: TurnClock,
    rulebook: Rulebook,
    deps: Dependencies,
) -> Draft:
    """Tasks 2 and 3 in parallel, then the fitter and the gate; one rewrite, then a safe text and a person."""
    limits = deps.channels[view.channel].limits
    draft = _pull(draft, Trigger.DRAFT, deps)
    await _tell(deps, turn, draft.walk.state, path=draft.walk.path)
    known_view = replace(view, conversation=draft.walk.conversation)
    response, form = await deps.prompter.write_and_shape(known_view, decision, limits, clock)
    draft = draft.with_task(response.record, form.record)
    shape = form.value or _fallback_form(decision)
    text = response.value.text if response.value else _canonical_answer(decision, rulebook)
    if text is None:
        return _call_a_person(draft, FixedText.MODEL_AWAY, _failure(response.error), rulebook, deps)
    draft = replace(draft, fallback=draft.fallback or response.value is None or form.value is None)

    replies, findings = _shape_and_check(text, shape, decision, view, limits, draft, rulebook)
    if findings:
        draft = _with_findings(draft, findings)
        rules = tuple(dict.fromkeys(finding.rule.value for finding in findings))
        rewritten = await deps.prompter.generate_response(replace(known_view, decision=decision, rewrite=rules), clock)
        draft = draft.with_task(rewritten.record)
        if rewritten.value is None:
            return _call_a_person(draft, FixedText.BLOCKED, "gate", rulebook, deps)
        replies, findings = _shape_and_check(rewritten.value.text, shape, decision, view, limits, draft, rulebook)
        if findings:
            return _call_a_person(_with_findings(draft, findings), FixedText.BLOCKED, "gate", rulebook, deps)

    draft = _pull(_pull(draft, Trigger.RESPOND, deps), Trigger.SEND, deps)
    return draft.saying(*replies, reason=draft.reason)


def _shape_and_check(
    text: str,
    shape: MessageTypeChoice,
    decision: StateDecision,
    view: TurnView,
    limits: ChannelLimits,
    draft: Draft,
    rulebook: Rulebook,
) -> tuple[tuple[OutboundMessage, ...], tuple[Finding, ...]]:
    """What would be sent, and what the gate says to every word of it."""
    replies = fit(text, shape, decision.options, rulebook.institution, limits)
    visible = [text for reply in replies for text in reply.visible_texts()]
    return replies, rulebook.gate.check(visible, _known_facts(view, draft.walk.conversation))


def _known_facts(view: TurnView, conversation: Conversation) -> KnownFacts:
    from_window = [said.text for said in conversation.window if said.speaker == "person"]
    return KnownFacts(
        person_texts=(*from_window, *(message.text for message in view.messages)),
        fields=conversation.fields,
        person_name=conversation.person_name,
        person_address=conversation.address.person if conversation.address else None,
    )


def _with_findings(draft: Draft, findings: tuple[Finding, ...]) -> Draft:
    number = 1 + max((violation.draft for violation in draft.violations), default=0)
    for finding in findings:
        GATE_FINDINGS.labels(rule=finding.rule.value).inc()
    found = tuple(
        ViolationRecord(rule=finding.rule.value, excerpt=finding.excerpt, draft=number) for finding in findings
    )
    return replace(draft, violations=(*draft.violations, *found))


def _ask_what_was_meant(
    draft: Draft, decision: StateDecision, turn: Turn, rulebook: Rulebook, deps: Dependencies
) -> Draft:
    limits = deps.channels[turn.messages[-1].address.channel].limits
    text = rulebook.institution.text(FixedText.CLARIFY)
    replies = fit(text, fallback_message_type(decision), decision.options, rulebook.institution, limits)
    for trigger in (Trigger.DRAFT, Trigger.RESPOND, Trigger.SEND):
        draft = _pull(draft, trigger, deps)
    return draft.saying(*replies, reason="unclear")


def _answer_fixed(draft: Draft, text: FixedText, reason: str, rulebook: Rulebook, deps: Dependencies) -> Draft:
    """A reply that needs no model, on the way through the table that every reply takes."""
    for trigger in (Trigger.PROCESS, Trigger.DRAFT, Trigger.RESPOND, Trigger.SEND):
        draft = _pull(draft, trigger, deps)
    return draft.saying(_fixed(rulebook, text), reason=reason, fallback=True)


def _call_a_person(draft: Draft, text: FixedText, reason: str, rulebook: Rulebook, deps: Dependencies) -> Draft:
    fallback = text is not FixedText.ESCALATED
    if fallback:
        FALLBACKS.labels(reason=reason).inc()
    draft = _pull(draft, Trigger.ESCALATE, deps, by=draft.decision, reason=reason)
    return draft.saying(_fixed(rulebook, text), reason=reason, fallback=fallback)


def _canonical_answer(decision: StateDecision, rulebook: Rulebook) -> str | None:
    """Task 2 gave nothing: the institution's own answer to this intent, where it has one."""
    intent = rulebook.institution.intent(decision.intent)
    if intent is not None:
        FALLBACKS.labels(reason="canonical_answer").inc()
    return intent.answer if intent else None


def _fallback_form(decision: StateDecision) -> MessageTypeChoice:
    FALLBACKS.labels(reason="message_type").inc()
    return fallback_message_type(decision)


def _understanding(draft: Draft, deps: Dependencies) -> Draft:
    """Bring the conversation from where it rests to where Task 1 decides."""
    if draft.walk.state is State.INIT:
        known = {"known": str(draft.walk.conversation.person_name is not None).lower()}
        return _pull(_pull(draft, Trigger.BEGIN, deps), Trigger.IDENTIFIED, deps, metadata=known)
    return _pull(draft, Trigger.RECEIVE, deps)


def _pull(
    draft: Draft,
    trigger: Trigger,
    deps: Dependencies,
    *,
    by: StateDecision | None = None,
    reason: str | None = None,
    metadata: dict[str, str] | None = None,
) -> Draft:
    """Pull a trigger; a move that Task 1 decided carries its confidence and what it understood."""
    details = dict(metadata or {})
    if by is not None:
        details |= {"intent": by.intent or "", "business_line": by.business_line or ""}
    if reason is not None:
        details["reason"] = reason
    confidence = by.confidence if by else None
    return draft.on(
        deps.machine.advance(draft.walk, trigger, at=deps.clock.now(), confidence=confidence, metadata=details)
    )


def _view(turn: Turn, conversation: Conversation, rulebook: Rulebook, deps: Dependencies) -> TurnView:
    known = {*conversation.fields, *conversation.asked_fields}
    if conversation.person_name:
        known.add("name")
    return TurnView(
        institution=rulebook.institution,
        conversation=conversation,
        messages=turn.answerable,
        channel=turn.messages[-1].address.channel,
        allowed_states=tuple(deps.machine.open_moves(conversation, by="model")),
        askable_fields=tuple(field.id for field in rulebook.institution.fields if field.id not in known),
    )


def _fixed(rulebook: Rulebook, which: FixedText) -> OutboundMessage:
    return OutboundMessage.of_text(rulebook.institution.text(which))


def _failure(error: WorkerError | None) -> str:
    if isinstance(error, ModelUnavailableError):
        return "model_unavailable"
    return "model_output_unusable"


async def _tell(deps: Dependencies, turn: Turn, state: State, *, path: tuple[State, ...]) -> None:
    data = {"state": state.value, "path": [passed.value for passed in path], "turn": turn.id}
    await deps.events.publish(turn.conversation_id, LiveEvent(name="state", data=data))
