"""What a turn answers: a draft of Tasks 2 and 3, fitted and checked, or one of the institution's fixed texts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from contracts.conversation import TaskRecord, Trigger, ViolationRecord
from contracts.decisions import MessageTypeChoice, ResponseDraft, StateDecision
from contracts.errors import BudgetSpentError, ModelUnavailableError, WorkerError
from contracts.guardrails import Finding
from contracts.institution import FixedText
from contracts.messages import OutboundMessage
from observability.metrics import FALLBACKS, GATE_FINDINGS
from prompts.execution.prompt_task import TaskResult, TurnClock
from prompts.execution.quality import gate_scores, scored
from prompts.request import TurnView
from prompts.tasks.message_type import fallback_message_type
from worker.composer import fit
from worker.desk import Desk
from worker.live_reply import listener_for
from worker.turn import Draft


async def draft_reply(draft: Draft, decision: StateDecision, clock: TurnClock, desk: Desk) -> Draft:
    """Tasks 2 and 3 in parallel, then the fitter and the gate; one rewrite, then a safe text and a person."""
    draft = desk.pull(draft, Trigger.DRAFT)
    await desk.tell(draft)
    view = desk.view(draft.walk.conversation)
    listener = listener_for(view, desk)
    response, form = await desk.deps.prompter.write_and_shape(view, decision, desk.limits, clock, listener)
    text = response.value.text if response.value else _canonical_answer(decision, desk)
    if text is None:
        draft = draft.with_task(response.record, form.record)
        return call_a_person(draft, FixedText.MODEL_AWAY, failure(response.error), desk)
    draft = replace(draft, fallback=draft.fallback or response.value is None or form.value is None)

    shape = _Shape(form.value or _usual_form(decision), decision, view, desk)
    replies, findings = shape.check(text)
    draft = draft.with_task(_judged(response, findings), form.record)
    if not findings:
        await desk.deps.prompter.keep(response)
    else:
        draft = _with_findings(draft, findings)
        rules = tuple(dict.fromkeys(finding.rule.value for finding in findings))
        rewrite = replace(view, decision=decision, rewrite=rules)
        rewritten = await desk.deps.prompter.generate_response(rewrite, clock, listener)
        if rewritten.value is None:
            return call_a_person(draft.with_task(rewritten.record), FixedText.BLOCKED, "gate", desk)
        replies, findings = shape.check(rewritten.value.text)
        draft = draft.with_task(_judged(rewritten, findings))
    if findings:
        return call_a_person(_with_findings(draft, findings), FixedText.BLOCKED, "gate", desk)
    return desk.pull(draft, Trigger.RESPOND, Trigger.SEND).saying(*replies, reason=draft.reason)


def ask_what_was_meant(draft: Draft, decision: StateDecision, desk: Desk) -> Draft:
    """The institution's own question, with the options of the decision."""
    text = desk.institution.text(FixedText.CLARIFY)
    replies = fit(text, fallback_message_type(decision), decision.options, desk.institution, desk.limits)
    draft = desk.pull(draft, Trigger.DRAFT, Trigger.RESPOND, Trigger.SEND)
    return draft.saying(*replies, reason=draft.reason)


def answer_fixed(draft: Draft, text: FixedText, desk: Desk) -> Draft:
    """A reply that needs no model, on the way through the table that every reply takes."""
    draft = desk.pull(draft, Trigger.PROCESS, Trigger.DRAFT, Trigger.RESPOND, Trigger.SEND)
    return draft.saying(desk.fixed(text), reason=draft.reason, fallback=True)


def call_a_person(
    draft: Draft, text: FixedText, reason: str, desk: Desk, *, first: Sequence[OutboundMessage] = ()
) -> Draft:
    """Hand the conversation to the team, and say so after what is to be said `first`."""
    fallback = text is not FixedText.ESCALATED
    if fallback:
        FALLBACKS.labels(reason=reason).inc()
    draft = desk.pull(draft, Trigger.ESCALATE, by=draft.decision, metadata={"reason": reason})
    return draft.saying(*first, desk.fixed(text), reason=reason, fallback=fallback)


def failure(error: WorkerError | None) -> str:
    """The reason, of a closed set, for a task that gave nothing."""
    if isinstance(error, BudgetSpentError):
        return "budget"
    return "model_unavailable" if isinstance(error, ModelUnavailableError) else "model_output_unusable"


@dataclass(frozen=True)
class _Shape:
    """The form of a reply, into which one text after the other is put until the gate has nothing to say."""

    form: MessageTypeChoice
    decision: StateDecision
    view: TurnView
    desk: Desk

    def check(self, text: str) -> tuple[tuple[OutboundMessage, ...], tuple[Finding, ...]]:
        """What would be sent, and what the gate says to every word of it."""
        desk = self.desk
        replies = fit(text, self.form, self.decision.options, desk.institution, desk.limits)
        visible = [words for reply in replies for words in reply.visible_texts()]
        return replies, desk.rulebook.gate.check(visible, desk.known_facts(self.view))


def _judged(response: TaskResult[ResponseDraft], findings: tuple[Finding, ...]) -> TaskRecord:
    """The record of the task that wrote the text, with what the gate said of it."""
    return scored(response.record, gate_scores(findings)) if response.value else response.record


def _with_findings(draft: Draft, findings: tuple[Finding, ...]) -> Draft:
    number = 1 + max((violation.draft for violation in draft.violations), default=0)
    for finding in findings:
        GATE_FINDINGS.labels(rule=finding.rule.value).inc()
    found = tuple(
        ViolationRecord(rule=finding.rule.value, excerpt=finding.excerpt, draft=number) for finding in findings
    )
    return replace(draft, violations=(*draft.violations, *found))


def _canonical_answer(decision: StateDecision, desk: Desk) -> str | None:
    """Task 2 gave nothing: the institution's own answer to this intent, where it has one."""
    intent = desk.institution.intent(decision.intent)
    if intent is not None:
        FALLBACKS.labels(reason="canonical_answer").inc()
    return intent.answer if intent else None


def _usual_form(decision: StateDecision) -> MessageTypeChoice:
    """Task 3 gave nothing: the form it would most often choose."""
    FALLBACKS.labels(reason="message_type").inc()
    return fallback_message_type(decision)
