"""Life of one turn, from what a person wrote to the committed reply, one function for each stage."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import groupby
from typing import Any, Literal, TypeAlias

from context.guardrails.sentences import sentences_of
from context.hours import handoff_text
from contracts.analysis import AnalysisKind
from contracts.calls import TurnCost
from contracts.conversation import (
    RECENT_ARRIVALS,
    RECENT_TOPICS,
    Conversation,
    Owner,
    Speaker,
    State,
    TaskRecord,
    Trigger,
    ViolationRecord,
    WaitingFor,
)
from contracts.decisions import MessageTypeChoice, ResponseDraft, StateDecision, Wish
from contracts.errors import BudgetSpentError, ModelRequestRejectedError, ModelUnavailableError, WorkerError
from contracts.guardrails import Correction, Finding, KnownFacts, ReplyPart, Rule
from contracts.institution import FixedText, Institution
from contracts.language import speaking_to
from contracts.media import MediaFault, MediaFile
from contracts.messages import ADVERTISEMENT, ChannelName, DeliveryState, InboundMessage, MessageType, OutboundMessage
from contracts.performance import answered_by
from contracts.ports import Channel, Clock, ConversationStore, Events, Inbox, LiveEvent, Store
from contracts.turn import Exchange, Turn, TurnExchanges, TurnReason
from contracts.values import MessageId
from fsm.machine import ConversationMachine, Transitions, migrate
from observability.metrics import ANSWERS, FALLBACKS, GATE_FINDINGS, TURN_SECONDS, note_quality, note_transitions
from observability.tracing import span
from prompts.execution.executor import ModelCalls, TaskResult
from prompts.execution.quality import gate_scores, scored
from prompts.prompter import Prompter, ThreeTasks
from prompts.request import TurnView
from prompts.tasks.message_type import fallback_message_type
from prompts.tasks.state import clarification
from worker import routing
from worker.automatons import note_round, says_the_same
from worker.dependencies import Confidence, Rulebook, TurnDependencies
from worker.media import MediaReader
from worker.people.operators import OPTED_OUT, TAKEN, owned, spoken
from worker.people.threads import known_names
from worker.replies.composer import fit
from worker.replies.judging import LiveText, TurnJudge
from worker.replies.speech import to_be_spoken
from worker.revisions import quoted_texts, revised
from worker.scheduling.timers import scheduled
from worker.turn import Draft, WrittenReply, agent_said, author_of, completed_form, to_commit
from worker.variants import classification, taken_back

Replies: TypeAlias = tuple[OutboundMessage, ...]

MOST_CORRECTIONS = 8
REPEATED_WORDS = 6
# A look is one short question to the inbox.
LOOK_FOR_NEWER_SECONDS = 0.25
DELAYED_AGAIN_AFTER = timedelta(hours=1)


class Outcome(StrEnum):
    """Outcome of a turn. `STALE`: a newer message came while the model was thinking; nothing was written."""

    REPLIED = "replied"
    SILENT = "silent"
    DUPLICATE = "duplicate"
    STALE = "stale"


async def answer_turn(turn: Turn, deps: TurnDependencies, cost: TurnCost, *, may_grow: bool = False) -> Outcome:
    """Answer what one person wrote since the last reply; a second delivery changes nothing.

    `cost` counts against the ceilings of the turn and the conversation, over all its drafts.

    Raises:
        ConversationConflictError: another worker wrote the conversation since it was loaded; nothing was written here.
        ConversationJoinedError: it is joined to another thread of the person, which answers; nothing was written here.
        TransientError, PermanentError: as the ports say; nothing was written.
    """
    started = deps.monotonic()
    context = await open_turn(turn, deps, may_grow=may_grow)
    if context is None:
        return Outcome.DUPLICATE
    cost.before, cost.is_first = Decimal(context.conversation.spent_usd), context.conversation.turns == 0
    is_committed = False
    try:
        draft = route(context, deps.flood, deps.ages)
        if deps.media is not None and (draft is None or draft.reason is TurnReason.UNREADABLE):
            context = await read_media(context, deps.media, cost)
            draft = route(context, deps.flood, deps.ages)
        calls = deps.prompter.begin_calls(cost)
        while draft is None:
            draft = await unless_overtaken(write(context, deps, calls), context)
            if draft is None:
                return Outcome.STALE
            if draft.reason is TurnReason.UNREADABLE:
                context = unopened(context)
                draft = route(context, deps.flood, deps.ages)
        if draft.written is not None:
            draft = await check_reply(draft, draft.written, context, deps.prompter, calls)
        draft = sendable(draft, context, deps.ages, may_speak=deps.may_speak and context.institution.speaks)
        await deps.faults.reach("turn.thought")
        # What is as good as done goes out before the newer message gets its own turn; a word of consent does not wait.
        newer = await context.newer()
        if any(one.is_echo for one in newer) or routing.newest_wish(newer, context.rulebook.consent):
            return Outcome.STALE
        # Committed before it is sent: a crash from here on repeats the send, not the thinking.
        elapsed = deps.monotonic() - started
        await commit(draft, context, deps, calls, elapsed=elapsed)
        is_committed = True
    finally:
        # The record of a committed turn has its calls; those of a dropped draft were paid all the same.
        unbooked, before = cost.take(), context.conversation
        if not is_committed:
            deps.ledger.book_apart(unbooked, line=before.business_line, arms=before.tuning.arms)
    await deps.faults.reach("turn.committed")
    TURN_SECONDS.observe(elapsed)
    reached = {move.dest for move in draft.transitions.records}
    if State.ESCALATING in reached:
        deps.analyses.note(turn.conversation_id, AnalysisKind.HANDOFF_SUMMARY)
    if State.COMPLETED in reached and deps.reviews_completed:
        deps.analyses.note(turn.conversation_id, AnalysisKind.CONVERSATION_REVIEW)
    await context.publish(draft)
    return Outcome.REPLIED if draft.replies else Outcome.SILENT


async def unless_overtaken(writing: Coroutine[Any, Any, Draft | None], context: "TurnContext") -> Draft | None:
    """Return the draft; None when a newer message has come while Tasks 1 to 3 wrote it: their calls end at once.

    All turns of a process look at the same moments, so that the inbox is asked for all of them in one group.
    """
    if not context.may_grow:
        return await writing
    work, every, time = asyncio.ensure_future(writing), LOOK_FOR_NEWER_SECONDS, asyncio.get_running_loop().time
    try:
        while not (await asyncio.wait({work}, timeout=every - time() % every))[0]:
            if await context.newer():
                return None
        return work.result()
    finally:
        if not work.done():
            work.cancel()
            await asyncio.wait({work})


@dataclass(frozen=True)
class TurnContext:
    """One turn with the conversation it found, one version of the documents, and what moves and shows it.

    `rating` is the person's rating of the conversation that has just ended, where the turn is that and nothing else.
    `institution` speaks the person's language as far as its documents do. `quoted` are the texts that messages of the
    turn reply to, `echoes` the words of agents outside Prosa, `files` the pictures and documents that the model is
    shown, `transcriptions` the recordings that were heard. A newer message joins the turn where it `may_grow`.
    """

    turn: Turn
    may_grow: bool
    conversation: Conversation
    rating: TurnReason | None
    rulebook: Rulebook
    institution: Institution
    channel: Channel
    machine: ConversationMachine
    events: Events
    inbox: Inbox
    heads: ConversationStore
    clock: Clock
    quoted: Mapping[MessageId, str]
    echoes: tuple[InboundMessage, ...]
    files: tuple[MediaFile, ...] = ()
    transcriptions: tuple[TaskRecord, ...] = ()

    @property
    def may_write(self) -> bool:
        """Whether the platform takes a free text now: within its window, which the person's newest message opened."""
        window, opened = self.channel.reply_window, self.conversation.last_inbound_at
        return window is None or (opened is not None and self.clock.now() < opened + window)

    @property
    def is_overtaken(self) -> bool:
        """Whether an earlier turn has read what the person wrote after all of this one."""
        newest = self.conversation.last_inbound_at
        return newest is not None and routing.written_last(self.turn.messages) < newest

    async def newer(self) -> list[InboundMessage]:
        """Return what came behind the turn and changes the answer, an agent's words too; an edit alone does not.

        Nothing where the turn may not grow: it is answered as it is.
        """
        id, last = self.turn.conversation_id, self.turn.last_sequence
        if not self.may_grow or not await self.inbox.has_newer(id, last):
            return []
        waiting = [entry.message for entry in await self.inbox.pending(id) if entry.sequence > last]
        return [message for message in waiting if message.is_echo or not message.is_recorded_only]

    def fixed(self, which: FixedText) -> OutboundMessage:
        if which is FixedText.ESCALATED:
            return OutboundMessage.of_text(handoff_text(self.institution, self.clock.now()))
        return OutboundMessage.of_text(self.institution.text(which))

    def fitted(self, text: str, form: MessageTypeChoice, options: tuple[str, ...] = ()) -> Replies:
        """Return the text in that form, within the limits of the channel."""
        return fit(text, form, options, self.institution, self.channel.limits)

    def advance(
        self,
        draft: Draft,
        *triggers: Trigger,
        by: StateDecision | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Draft:
        """Fire triggers in order; a transition that Task 1 decided carries its confidence and what it understood.

        Raises:
            IllegalTransitionError: the table has no such move.
        """
        details = dict(metadata or {})
        if by is not None:
            details |= {"intent": by.intent or "", "business_line": by.business_line or ""}
        transitions, confidence = draft.transitions, by.confidence if by else None
        for trigger in triggers:
            transitions = self.machine.advance(
                transitions, trigger, at=self.clock.now(), confidence=confidence, metadata=details
            )
        return replace(draft, transitions=transitions)

    def to_understanding(self, draft: Draft) -> Draft:
        """Bring the conversation from its resting state to the one in which Task 1 decides."""
        if draft.conversation.state is State.INIT:
            known = {"known": str(draft.conversation.person_name is not None).lower()}
            return self.advance(draft, Trigger.BEGIN, Trigger.IDENTIFIED, metadata=known)
        return self.advance(draft, Trigger.RECEIVE)

    def view(self, conversation: Conversation) -> TurnView:
        """Return what the tasks may know. A field that is known or was asked for is not asked for again."""
        hours, now = self.institution.hours, self.clock.now()
        known = {*conversation.fields, *conversation.asked_fields}
        if conversation.person_name:
            known.add("name")
        return TurnView(
            institution=self.rulebook.institution,
            conversation=conversation,
            messages=self.turn.answerable,
            channel=self.turn.messages[-1].address.channel,
            allowed_states=tuple(self.machine.open_moves(conversation, by="model")),
            limits=self.channel.limits,
            askable_fields=tuple(field.id for field in self.institution.fields if field.id not in known),
            at=now.astimezone(hours.zone) if hours else now,
            is_open=hours.is_open(now) if hours else None,
            quoted=self.quoted,
            files=self.files,
        )

    async def publish(self, draft: Draft) -> None:
        """Show watching clients the state of the turn, where the channel has any."""
        if not self.channel.is_watched:
            return
        path = [state.value for state in draft.transitions.path]
        data = {"state": draft.conversation.state.value, "path": path, "turn": self.turn.id}
        await self.events.publish(self.turn.conversation_id, LiveEvent(name="state", data=data))


# Stage: open the turn


async def open_turn(turn: Turn, deps: TurnDependencies, *, may_grow: bool) -> TurnContext | None:
    """Load and migrate the conversation, continue or begin an episode, assign variants; None: answered before."""
    stored = await deps.store.conversations.load(turn.conversation_id)
    conversation = migrate(stored) if stored else Conversation(id=turn.conversation_id)
    turn = turn.after(conversation.last_sequence)
    if not turn.entries:
        return None
    conversation = await deps.threads.settle(conversation, turn.messages)
    turn = replace(turn, early_revisions=conversation.early_revisions)
    conversation = revised(conversation, turn.revisions, came=[message.id for message in turn.messages])
    rulebook, newest = deps.rulebook(), turn.messages[-1]
    institution = speaking_to(conversation, rulebook.institution, turn.answerable)
    rating = routing.rating_of(conversation, turn.answerable, institution)
    if conversation.is_final and conversation.state is not State.SPAM and turn.answerable and not rating:
        conversation = conversation.successor(deps.clock.now())
    names = [message.person_name for message in turn.messages if message.person_name]
    advertisements = [text for message in turn.messages if (text := message.data.get(ADVERTISEMENT))]
    # By the platform's time: its window for replies begins there.
    inbound = [min(one.written_at, one.received_at) for one in turn.messages if not one.recorded_only]
    arrivals = (*conversation.recent_arrivals, *(message.received_at for message in turn.messages))
    changes = {
        "address": newest.address if newest.recorded_only else known_names(newest.address, conversation.address),
        "person_name": names[-1] if names else conversation.person_name,
        "last_inbound_at": max([one for one in (conversation.last_inbound_at, *inbound) if one], default=None),
        "recent_arrivals": arrivals[-RECENT_ARRIVALS:],
        "advertisement": advertisements[-1] if advertisements else conversation.advertisement,
    }
    conversation = conversation.model_copy(update=changes)
    if conversation.turns_in_episode == 0:
        conversation = conversation.model_copy(update={"episode_began_at": turn.messages[0].received_at})
    # Chosen once: a conversation does not change its versions in the middle, unless one is forced.
    if conversation.turns_in_episode == 0 or conversation.forced != conversation.tuning.forced:
        conversation = conversation.model_copy(update=deps.variants.chosen(conversation))
    return TurnContext(
        turn=turn,
        may_grow=may_grow,
        conversation=routing.note_consent(note_round(conversation, turn.answerable), turn.answerable, rulebook.consent),
        rating=rating,
        rulebook=rulebook,
        institution=institution,
        channel=deps.channels[newest.address.channel],
        machine=deps.machine,
        events=deps.events,
        inbox=deps.inbox,
        heads=deps.store.conversations,
        clock=deps.clock,
        quoted=await quoted_texts(turn, deps.store),
        echoes=await agents_words(turn, deps.store),
    )


async def agents_words(turn: Turn, store: Store) -> tuple[InboundMessage, ...]:
    """Return what agents wrote outside Prosa; not our own replies that the platform gives back."""
    echoes = [message for message in turn.messages if message.is_echo]
    rows = await store.outbox.rows(turn.conversation_id) if echoes else []
    ours = {row.platform_message_id for row in rows}
    on_their_way = {row.message.text for row in rows if row.state is DeliveryState.SENDING}
    return tuple(one for one in echoes if one.platform_id not in ours and one.text not in on_their_way)


# Stage: read the files


async def read_media(context: TurnContext, reader: MediaReader, cost: TurnCost) -> TurnContext:
    """Fetch and read the files of a turn that rules have not settled; what is heard joins the person's words."""
    newest, turn = context.turn.messages[-1], context.turn
    if not any(message.media for message in turn.answerable):
        return context
    context.channel.acknowledge(newest.address, newest.platform_id)
    version, language = context.conversation.version, context.institution.language
    reading = await reader.read(turn, context.channel, version=version, language=language, cost=cost)
    turn = turn.having_read(reading.contents)
    return replace(
        context,
        turn=turn,
        conversation=routing.note_consent(context.conversation, turn.answerable, context.rulebook.consent),
        files=reading.files,
        transcriptions=reading.tasks,
    )


def unopened(context: TurnContext) -> TurnContext:
    """Return the turn as if its files could not be opened: the provider refuses what passed as a picture."""
    FALLBACKS.labels(reason="file_rejected").inc()
    refused = {
        message.id: message.content.model_copy(update={"refused": MediaFault.DAMAGED})
        for message in context.turn.seen
        if message.content is not None
    }
    return replace(context, turn=context.turn.having_read(refused), files=())


# Stage: route


def route(context: TurnContext, flood: routing.FloodLimit, ages: routing.AgePolicy) -> Draft | None:
    """Draft the turns that rules settle: silence, consent, age, floods, automatons, ratings; None: ask the model."""
    taken = taken_outside(context)
    context = replace(context, conversation=taken.conversation) if taken else context
    reason = (None if taken else context.rating) or routing.route(
        context.conversation,
        context.turn.answerable,
        consent=context.rulebook.consent,
        flood=flood,
        ages=ages,
        at=context.clock.now(),
        may_write=context.may_write,
        is_overtaken=context.is_overtaken,
    )
    if reason is None:
        return None
    draft = replace(taken or Draft(Transitions(context.conversation)), reason=reason)
    match reason:
        case TurnReason.UNREADABLE:
            unreadable = context.fixed(routing.unreadable_text(context.turn.answerable))
            if routing.knows_unreadable(context.conversation, unreadable.text, context.clock.now()):
                return draft
            draft = context.to_understanding(draft)
            draft = context.advance(draft, Trigger.PROCESS, Trigger.DRAFT, Trigger.RESPOND, Trigger.SEND)
            return draft.with_reply(unreadable, fallback=True)
        case TurnReason.OPTED_OUT | TurnReason.OPTED_IN:
            # Consent is no state of the machine: it holds in every state and across episodes.
            opted_out = reason is TurnReason.OPTED_OUT
            draft = draft.with_conversation(context.conversation.model_copy(update={"opted_out": opted_out}))
            if context.conversation.owner is Owner.AGENT:
                return draft
            if not opted_out and context.conversation.state is State.ESCALATING:
                # The text promises answers.
                draft = hand_back(draft, context)
            return draft.with_reply(context.fixed(FixedText.OPTED_OUT if opted_out else FixedText.OPTED_IN))
        case TurnReason.FLOODED:
            warning = context.fixed(FixedText.TOO_MANY)
            was_warned = routing.last_said(context.conversation) == warning.text
            return draft if was_warned else draft.with_reply(warning, fallback=True)
        case TurnReason.ASKED_FOR_ASSISTANT:
            return hand_back(draft, context).with_reply(context.fixed(FixedText.HANDED_BACK))
        case TurnReason.AGENT_OWNS_IT:
            return draft.with_reply(context.fixed(FixedText.ESCALATED))
        case TurnReason.AUTOMATON:
            if context.conversation.state is State.ESCALATING:
                return draft
            return escalate(context.to_understanding(draft), FixedText.ESCALATED, reason, context)
        case TurnReason.OLD:
            return escalate(context.to_understanding(draft), FixedText.ESCALATED, reason, context)
        case TurnReason.RATED_SATISFIED | TurnReason.RATED_UNSATISFIED:
            return draft.with_reply(*(score_prompt(context) or (context.fixed(FixedText.RATED),)))
        case TurnReason.SCORED:
            rating = routing.score_of(context.turn.answerable[0].text)
            draft = draft.with_conversation(context.conversation.model_copy(update={"rating": rating}))
            return draft.with_reply(context.fixed(FixedText.RATED))
        case _:
            return draft


def sendable(draft: Draft, context: TurnContext, ages: routing.AgePolicy, *, may_speak: bool = False) -> Draft:
    """Leave out what the platform would refuse, and begin replies to what was written long ago with a word about it.

    The word is said once for all that came late together. Replies to voice notes alone are to be spoken.
    """
    if not context.may_write:
        return draft.with_reply()
    contents = [message.content for message in context.turn.answerable]
    if may_speak and contents and all(content is not None and content.is_heard for content in contents):
        draft = draft.with_reply(*map(to_be_spoken, draft.replies))
    text, now = context.institution.texts.get(FixedText.DELAYED), context.clock.now()
    written = [message.written_at for message in context.turn.answerable]
    if text is None or not draft.replies or not written or now - written[-1] < ages.delayed:
        return draft
    if any(said.text == text and now - said.at < DELAYED_AGAIN_AFTER for said in context.conversation.window):
        return draft
    return draft.with_reply(OutboundMessage.of_text(text), *draft.replies)


def taken_outside(context: TurnContext) -> Draft | None:
    """Return the draft in which an agent who wrote outside Prosa owns the conversation; None: there is none."""
    if not context.echoes:
        return None
    at, until_hand_back = context.clock.now(), context.institution.hand_back_after
    draft = Draft(Transitions(context.conversation), agents_said=tuple(map(agent_said, context.echoes)))
    if context.conversation.owner is not Owner.AGENT:
        agent = author_of(context.echoes[-1])
        if context.conversation.is_final:
            draft = draft.with_conversation(context.conversation.successor(at))
        draft = context.advance(draft, Trigger.TAKE, metadata={"reason": "echo", "agent": agent})
        draft = replace(draft, transitions=owned(draft.transitions, agent, at, until_hand_back))
    return replace(draft, transitions=spoken(draft.transitions, at, until_hand_back))


def hand_back(draft: Draft, context: TurnContext) -> Draft:
    """Give the conversation back to the assistant by the person's wish."""
    draft = context.advance(draft, Trigger.HAND_BACK, metadata={"reason": TurnReason.ASKED_FOR_ASSISTANT})
    return draft.with_conversation(draft.conversation.model_copy(update={"spent_usd": "0"}))


# Stage: select the state


async def select_state(context: TurnContext, tasks: ThreeTasks, confidence: Confidence) -> Draft:
    """Ask Task 1 and move the conversation: to a written reply, or to a fixed text that ends the turn."""
    draft = context.to_understanding(Draft(Transitions(context.conversation)))
    newest = context.turn.answerable[-1]
    context.channel.acknowledge(newest.address, newest.platform_id)
    await context.publish(draft)
    doubted = [message for message in context.turn.answerable if routing.is_doubtful(message)]
    if any(context.rulebook.consent.is_opt_out(message.text) for message in doubted):
        heard = StateDecision(next_state=State.PROCESSING, confidence=0, wish=Wish.OPT_OUT)
        return leave(draft, heard, context, sure=False)
    decided = await tasks.select_state(context.view(draft.conversation))
    draft = draft.with_task(*taken(tasks))
    if not isinstance(decided, StateDecision):
        if context.files and isinstance(decided, ModelRequestRejectedError) and decided.status in (400, 413):
            return replace(draft, reason=TurnReason.UNREADABLE)
        return escalate(draft, FixedText.MODEL_AWAY, failure(decided), context)

    if decided.wish is Wish.OPT_OUT and routing.may_opt_out(draft.conversation, context.turn.answerable):
        is_sure = not doubted and decided.confidence >= confidence.opt_out
        return leave(draft, decided, context, sure=is_sure)
    decision, reason = weigh(decided, draft.conversation, confidence, context.institution, is_doubted=bool(doubted))
    draft = understand(draft, decision, reason, context.clock.now())
    match decision.next_state:
        case State.ESCALATING:
            return escalate(
                draft, FixedText.ESCALATED, reason, context, first=written_answer(decision, "escalate", context)
            )
        case State.COMPLETED:
            draft = context.advance(draft, Trigger.CONCLUDE, by=decision)
            answer = written_answer(decision, "conclude", context)
            return draft.with_reply(*answer, context.fixed(FixedText.COMPLETED), *rating_prompt(context))
        case State.SPAM:
            draft = context.advance(draft, Trigger.MARK_SPAM, by=decision)
            return draft.with_reply(*written_answer(decision, "spam", context))
    if reason is TurnReason.DECIDED and completed_form(
        context.conversation, draft.conversation, decision, context.institution
    ):
        lines = (*draft.conversation.completed_lines, draft.conversation.business_line)
        draft = draft.with_conversation(draft.conversation.model_copy(update={"completed_lines": lines}))
        line = context.institution.line(draft.conversation.business_line)
        if line is not None and "hand_over" in line.on_complete:
            return escalate(draft, FixedText.ESCALATED, TurnReason.FORM_COMPLETED, context)
    draft = context.advance(draft, Trigger.PROCESS, by=decision)
    if reason is TurnReason.UNCLEAR:
        text, form = context.institution.text(FixedText.CLARIFY), fallback_message_type(decision)
        draft = context.advance(draft, Trigger.DRAFT, Trigger.RESPOND, Trigger.SEND)
        return draft.with_reply(*context.fitted(text, form, decision.options))
    return draft


def leave(draft: Draft, decision: StateDecision, context: TurnContext, *, sure: bool) -> Draft:
    """Follow a wish for no more messages; ask it back when unsure, with the institution's own word as the button."""
    decision = decision.model_copy(update={"waiting_for": WaitingFor.CHOICE, "ask_field": None})
    reason = TurnReason.OPTED_OUT if sure else TurnReason.UNCLEAR
    draft = context.advance(replace(draft, decision=decision, reason=reason), Trigger.PROCESS, by=decision)
    draft = context.advance(draft, Trigger.DRAFT, Trigger.RESPOND, Trigger.SEND)
    if sure:
        update = {"opted_out": True, "consent_at": routing.written_last(context.turn.answerable)}
        draft = draft.with_conversation(draft.conversation.model_copy(update=update))
        return draft.with_reply(context.fixed(FixedText.OPTED_OUT))
    question = context.institution.text(FixedText.CONFIRM_OPT_OUT)
    word = context.institution.opt_out_words[:1]
    return draft.with_reply(*context.fitted(question, MessageTypeChoice(type=MessageType.BUTTON), word))


def _escalating(decision: StateDecision) -> StateDecision:
    return decision.model_copy(update={"next_state": State.ESCALATING})


def weigh(
    decision: StateDecision,
    conversation: Conversation,
    confidence: Confidence,
    institution: Institution,
    *,
    is_doubted: bool = False,
) -> tuple[StateDecision, TurnReason]:
    """Return the decision to follow: below the threshold of confidence, ask what was meant, and later escalate.

    A wish for a person in words that may be others (`is_doubted`) is asked back once. An intent that escalates does so
    where a model forgets it: its answer says that a person goes on.
    """
    lines = tuple(line.name for line in institution.lines)
    if decision.wish is Wish.AGENT and is_doubted and not conversation.unclear_turns:
        return clarification(decision, decision.options or lines), TurnReason.UNCLEAR
    if decision.wish is Wish.AGENT:
        return _escalating(decision), TurnReason.DECIDED
    chosen = conversation.tuning.ask_below
    ask_below = confidence.ask_below if chosen is None else chosen
    if decision.confidence >= ask_below or decision.next_state is State.ESCALATING:
        intent = institution.intent(decision.intent)
        is_forgotten = intent is not None and intent.escalate and decision.next_state is State.PROCESSING
        return (_escalating(decision) if is_forgotten else decision), TurnReason.DECIDED
    if conversation.unclear_turns >= confidence.unclear_turns:
        return _escalating(decision), TurnReason.UNCLEAR
    return clarification(decision, decision.options or lines), TurnReason.UNCLEAR


def understand(draft: Draft, decision: StateDecision, reason: TurnReason, at: datetime) -> Draft:
    """Keep what was understood: line and intent, the collected fields, and what the person is asked for."""
    conversation = draft.conversation
    asked = (decision.ask_field,) if decision.ask_field else ()
    before, is_followed = conversation.classified, reason is TurnReason.DECIDED
    topics = (*conversation.topics, *([decision.intent] if decision.intent else []))
    understood = conversation.model_copy(
        update={
            "business_line": decision.business_line or conversation.business_line,
            "intent": decision.intent or conversation.intent,
            "topics": tuple(topic for topic, _ in groupby(topics))[-RECENT_TOPICS:],
            "fields": conversation.fields | {field.name: field.value for field in decision.collected},
            "asked_fields": (*conversation.asked_fields, *asked),
            "waiting_for": decision.waiting_for,
            "unclear_turns": 0 if is_followed else conversation.unclear_turns + 1,
            "classified": classification(decision, conversation, at) if is_followed else before,
        }
    )
    corrects = taken_back(before, decision, at) if is_followed else None
    return replace(draft.with_conversation(understood), decision=decision, reason=reason, corrects=corrects)


def written_answer(
    decision: StateDecision, kind: Literal["escalate", "conclude", "spam"], context: TurnContext
) -> Replies:
    """Return the institution's answer to an intent of this kind, with its asset; nothing for any other intent.

    It goes out before the fixed text: in an emergency "call 999" must be read, and not only that a person comes.
    """
    intent = context.institution.intent(decision.intent)
    if intent is None or not getattr(intent, kind):
        return ()
    asset = context.institution.asset(intent.asset)
    form = MessageTypeChoice(type=asset.type if asset else MessageType.TEXT, asset=intent.asset)
    return context.fitted(intent.answer, form)


def rating_prompt(context: TurnContext) -> Replies:
    """Return the question at the end of a conversation that the institution asks: the one with two buttons first."""
    institution = context.institution
    if FixedText.SATISFACTION not in institution.texts:
        return score_prompt(context)
    titles = tuple(institution.text(answer) for answer in routing.RATINGS)
    return context.fitted(institution.text(FixedText.SATISFACTION), MessageTypeChoice(type=MessageType.BUTTON), titles)


def score_prompt(context: TurnContext) -> Replies:
    """Return the question for a score from 0 to 10, where the institution asks it.

    It is plain text where a list has no room for all eleven: numbered text would put a second number at each score.
    """
    text, scores = context.institution.texts.get(FixedText.NPS), tuple(map(str, range(11)))
    if text is None:
        return ()
    offered = scores if context.channel.limits.rows >= len(scores) else ()
    return context.fitted(text, MessageTypeChoice(type=MessageType.LIST), offered)


# Stage: write the reply


async def write(context: TurnContext, deps: TurnDependencies, calls: ModelCalls) -> Draft | None:
    """Select the state and write the reply to it; None when a newer message has come in between."""
    architecture = context.conversation.tuning.architecture if deps.has_judge else None
    async with deps.prompter.tasks(architecture, calls, is_shown=context.channel.shows_forming_text) as tasks:
        draft = await select_state(context, tasks, deps.confidence)
        if draft.needs_reply:
            if await context.newer():
                return None
            draft = await write_reply(draft, context, deps, calls, tasks)
    return draft.with_task(*taken(tasks))


async def write_reply(
    draft: Draft, context: TurnContext, deps: TurnDependencies, calls: ModelCalls, tasks: ThreeTasks
) -> Draft:
    """Take words and form of the reply from the tasks; without words and a canonical answer for them, escalate."""
    decision, prompter = draft.decision, deps.prompter
    assert decision is not None  # noqa: S101 - Task 1 has decided that a reply is to be written
    draft = context.advance(draft, Trigger.DRAFT)
    await context.publish(draft)
    view = replace(context.view(draft.conversation), decision=decision)
    if not deps.has_judge:
        return replace(draft, written=WrittenReply(fallback_message_type(decision)))
    judge = TurnJudge(prompter, deps.cleared, view, calls, is_own=context.rulebook.floor.is_own)
    response, form = await tasks.write_and_shape(view, forming_reply(view, context, judge))
    draft = draft.with_task(*taken(tasks), *([] if response.value else taken(judge)))
    if response.value is None and context.institution.intent(decision.intent) is None:
        return escalate(draft, FixedText.MODEL_AWAY, failure(response.error), context)
    if form.value is None:
        FALLBACKS.labels(reason="message_type").inc()
    written = WrittenReply(form.value or fallback_message_type(decision), response, judge)
    return replace(draft, written=written, fallback=draft.fallback or form.value is None)


def forming_reply(view: TurnView, context: TurnContext, judge: TurnJudge) -> LiveText | None:
    """Return the listener that shows the reply while it forms, where the channel can show it."""
    if not context.channel.shows_forming_text:
        return None
    known, floor = known_facts(view), context.rulebook.floor

    async def publish(event: LiveEvent) -> None:
        await context.events.publish(context.turn.conversation_id, event)

    async def clears(parts: Sequence[ReplyPart]) -> bool:
        is_clear = not await judge.findings(sentences_of(parts)) and not judge.is_unavailable
        # A turn that cannot be committed any more, as after a takeover, shows nothing more of its reply.
        head = await context.heads.load(context.turn.conversation_id)
        return is_clear and (head.version if head else 0) == context.conversation.version

    return LiveText(
        context.turn.id, permits=lambda parts: not floor.check(parts, known), clears=clears, publish=publish
    )


# Stage: check the reply


async def check_reply(
    draft: Draft, written: WrittenReply, context: TurnContext, prompter: Prompter, calls: ModelCalls
) -> Draft:
    """Let floor and judge read the reply; withheld, have it rewritten once; else take the canonical answer."""
    view = replace(context.view(draft.conversation), decision=draft.decision)
    response, judge = written.response, written.judge
    if response is None or judge is None or response.value is None:
        return canonical(draft, written.form, view, context)
    replies, findings, sentences = await check(response.value, written.form, view, context, judge)
    draft = judged(draft, response, findings).with_task(*taken(judge))
    if findings:
        rewrite = replace(view, rewrite=corrections(findings, sentences))
        response = await prompter.generate_response(rewrite, calls, forming_reply(view, context, judge))
        draft = draft.with_task(response.record)
        if response.value is not None:
            replies, findings, _ = await check(response.value, written.form, rewrite, context, judge)
            draft = judged(draft, response, findings).with_task(*taken(judge))
    elif not judge.is_unavailable:
        await prompter.keep(response)
    if judge.is_unavailable:
        FALLBACKS.labels(reason="judge_unavailable").inc()
    if findings or judge.is_unavailable:
        return canonical(draft, written.form, view, context)
    return context.advance(draft, Trigger.RESPOND, Trigger.SEND).with_reply(*replies)


async def check(
    response: ResponseDraft, form: MessageTypeChoice, view: TurnView, context: TurnContext, judge: TurnJudge
) -> tuple[Replies, tuple[Finding, ...], Sequence[str]]:
    """Return what would be sent, what is wrong with any word of it, and its sentences as findings count them.

    The judge is asked about what the floor lets pass, and then whether the reply says the same again.
    """
    options = view.decision.options if view.decision else ()
    replies, also = compose(response.text, response.parts, form, options, context)
    sentences = sentences_of(response.parts, also)
    findings = context.rulebook.floor.check(response.parts, known_facts(view), also) or await judge.findings(sentences)
    return replies, findings or repetition(response.text, view), sentences


def repetition(text: str, view: TurnView) -> tuple[Finding, ...]:
    """Find a reply that is the person's own message, or the last reply while the person asked another thing.

    Short replies may be said again, and so may the last one after a rewrite: it is no harm, only no help.
    """
    if len(text.split()) < REPEATED_WORDS:
        return ()
    window, written = view.conversation.window, [message.text for message in view.messages]
    last = [said.text for said in window if said.speaker is Speaker.ASSISTANT][-1:]
    asked = [said.text for said in window if said.speaker is Speaker.PERSON][-1:]
    is_repeated = says_the_same(text, written)
    if not is_repeated and not view.rewrite and says_the_same(text, last):
        is_repeated = not any(says_the_same(one, asked) for one in written)
    if is_repeated:
        return (Finding(rule=Rule.REPEATS, excerpt="", why="says the person's message or the last reply again"),)
    return ()


def taken(asked: TurnJudge | ThreeTasks) -> tuple[TaskRecord, ...]:
    """Take the records that are not in the turn's record yet."""
    records = tuple(asked.records)
    asked.records.clear()
    return records


def compose(
    text: str, parts: Sequence[ReplyPart], form: MessageTypeChoice, options: tuple[str, ...], context: TurnContext
) -> tuple[Replies, Sequence[str]]:
    """Return what would be sent, and every text in it that no part carries: titles, captions, labels.

    The body is among them where it has other sentences than the parts: joined, split or shortened.
    """
    replies = context.fitted(text, form, options)
    body = tuple(reply.text for reply in replies if reply.text)
    also = [words for reply in replies for words in reply.visible_texts() if words != reply.text]
    return replies, also if sentences_of((), body) == sentences_of(parts) else [*body, *also]


def corrections(findings: Sequence[Finding], sentences: Sequence[str]) -> tuple[Correction, ...]:
    """Return the findings for a rewrite: each sentence with the rule, why, and the nearest passage."""
    return tuple(
        Correction(
            sentence=finding.excerpt if finding.sentence is None else sentences[finding.sentence],
            excerpt="" if finding.sentence is None else finding.excerpt,
            rule=finding.rule.value,
            why=finding.why,
            nearest=finding.nearest,
        )
        for finding in findings[:MOST_CORRECTIONS]
    )


def canonical(draft: Draft, form: MessageTypeChoice, view: TurnView, context: TurnContext) -> Draft:
    """Send the intent's canonical answer in the place of a reply; without one that may be sent, escalate.

    Of the options only those go along that are the institution's own words.
    """
    intent = context.institution.intent(view.decision.intent if view.decision else None)
    if intent is not None:
        floor = context.rulebook.floor
        options = tuple(filter(floor.is_own, view.decision.options if view.decision else ()))
        replies, also = compose(intent.answer, (), form, options, context)
        findings = floor.check((), known_facts(view), also)
        if not findings:
            FALLBACKS.labels(reason="canonical_answer").inc()
            draft = context.advance(draft, Trigger.RESPOND, Trigger.SEND)
            return draft.with_reply(*replies, fallback=True)
    return escalate(draft, FixedText.BLOCKED, TurnReason.REPLY_BLOCKED, context)


def known_facts(view: TurnView) -> KnownFacts:
    """Return what a reply may repeat although the institution does not say it."""
    conversation = view.conversation
    earlier = (said.text for said in conversation.window if said.speaker is Speaker.PERSON)
    # The name of a web chat is nothing that a platform vouches for.
    address = conversation.address if conversation.address and view.channel is not ChannelName.WEB else None
    return KnownFacts(
        person_texts=(*earlier, *(message.text for message in view.messages)),
        person_name=conversation.person_name,
        person_address=address.person if address else None,
    )


def judged(draft: Draft, response: TaskResult[ResponseDraft], findings: tuple[Finding, ...]) -> Draft:
    """Record the gate's findings: in the score of the task that wrote the text, and as violations."""
    record = scored(response.record, gate_scores(findings)) if response.value else response.record
    for finding in findings:
        GATE_FINDINGS.labels(rule=finding.rule.value).inc()
    number = 1 + max((violation.draft for violation in draft.violations), default=0)
    found = (ViolationRecord(rule=one.rule.value, excerpt=one.excerpt, draft=number) for one in findings)
    return replace(
        draft,
        tasks=tuple(record if task is response.record else task for task in draft.tasks),
        violations=(*draft.violations, *found),
    )


def escalate(draft: Draft, text: FixedText, reason: TurnReason, context: TurnContext, *, first: Replies = ()) -> Draft:
    """Hand the conversation to the team; `text` announces it after the messages of `first`."""
    fallback = text is not FixedText.ESCALATED
    if fallback:
        FALLBACKS.labels(reason=reason.value).inc()
    draft = context.advance(draft, Trigger.ESCALATE, by=draft.decision, metadata={"reason": reason.value})
    return draft.with_reply(*first, context.fixed(text), reason=reason, fallback=fallback)


def failure(error: WorkerError | None) -> TurnReason:
    """Return the reason for a task that gave no answer."""
    if isinstance(error, BudgetSpentError):
        return TurnReason.BUDGET_SPENT
    is_unavailable = isinstance(error, ModelUnavailableError)
    return TurnReason.MODEL_UNAVAILABLE if is_unavailable else TurnReason.MODEL_OUTPUT_UNUSABLE


# Stage: commit


async def commit(
    draft: Draft, context: TurnContext, deps: TurnDependencies, calls: ModelCalls, *, elapsed: float
) -> None:
    """Write the turn in one step, then count it. `elapsed` is in seconds."""
    draft = draft.with_conversation(scheduled(draft.conversation, context.institution, deps.clock.now()))
    written = to_commit(
        context.turn.described(draft.decision.description if draft.decision else None),
        draft.with_task(*context.transcriptions),
        context.institution.version,
        at=deps.clock.now(),
        total_ms=round(elapsed * 1000, 2),
        spent=calls.cost.spent,
    )
    is_taken = draft.conversation.agent is not None and context.conversation.agent is None
    if is_taken or draft.reason is TurnReason.OPTED_OUT:
        unsent = await deps.store.outbox.unsent(context.turn.conversation_id)
        written = written.withdrawing(unsent, reason=TAKEN if is_taken else OPTED_OUT, at=deps.clock.now())
    if calls.asked and deps.prompts_kept:
        exchanges = TurnExchanges(
            turn_id=context.turn.id,
            institution_version=context.institution.version,
            exchanges=tuple(map(Exchange.of, calls.asked)),
        )
        record = exchanges.filed(context.turn.conversation_id, at=deps.clock.now(), kept=deps.prompts_kept)
        written = written.model_copy(update={"records": (*written.records, record)})
    # The forms that the turn completed and whose line calls the webhook then.
    after, before = draft.conversation, context.conversation.completed_lines
    lines = [context.institution.line(id) for id in after.completed_lines if id not in before]
    forms = [
        {"business_line": line.id, "intent": after.intent, "fields": after.fields}
        for line in lines
        if line is not None and "webhook" in line.on_complete
    ]
    written = deps.notices.noted(written, forms=forms)
    await deps.faults.reach("turn.before_commit")
    with span("store.commit"):
        await deps.store.conversations.commit(written)
    deps.variants.observe(written)
    if written.turn is not None:
        deps.ledger.book_turn(written.turn)
        ANSWERS.labels(answered_by(written.turn)).inc()
        for task in written.turn.tasks:
            note_quality(task)
    note_transitions(written.transitions)
