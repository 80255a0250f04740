"""Conversation head, its eleven states, transitions, transcript, turns and costs."""

from enum import StrEnum
from typing import Self

from pydantic import Field

from contracts.media import ReadContent
from contracts.messages import Address, OutboundMessage, Revision
from contracts.values import ConversationId, Instant, Kept, MessageId, Scalar, Text, TurnId


class State(StrEnum):
    INIT = "INIT"
    IDENTIFYING = "IDENTIFYING"
    UNDERSTANDING_INTENT = "UNDERSTANDING_INTENT"
    PROCESSING = "PROCESSING"
    GENERATING_RESPONSE = "GENERATING_RESPONSE"
    SELECTING_MESSAGE_TYPE = "SELECTING_MESSAGE_TYPE"
    AWAITING_USER = "AWAITING_USER"
    ESCALATING = "ESCALATING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    SPAM = "SPAM"


FINAL_STATES = frozenset({State.COMPLETED, State.FAILED, State.SPAM})
RESTING_STATES = frozenset({State.INIT, State.AWAITING_USER, State.ESCALATING}) | FINAL_STATES


class Trigger(StrEnum):
    """Triggers of the state machine; the table in `fsm/table.py` has their sources and destinations."""

    BEGIN = "begin"
    IDENTIFIED = "identified"
    RECEIVE = "receive"
    PROCESS = "process"
    DRAFT = "draft"
    RESPOND = "respond"
    SEND = "send"
    CONCLUDE = "conclude"
    ESCALATE = "escalate"
    MARK_SPAM = "mark_spam"
    TAKE = "take"
    HAND_BACK = "hand_back"
    TIME_OUT = "time_out"
    FAIL = "fail"


class WaitingFor(StrEnum):
    """Content expected of the person's next message."""

    ANYTHING = "anything"
    IDENTIFICATION = "identification"
    CLARIFICATION = "clarification"
    FIELD = "field"
    CHOICE = "choice"


class TransitionRecord(Kept):
    """One transition. `confidence` is the model's, in [0, 1], if a model decided."""

    source: State
    dest: State
    trigger: Trigger
    confidence: float | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    at: Instant


class Speaker(StrEnum):
    """Party of a line; a `NOTE` is an agent's, for the team alone: it is in no window and no prompt."""

    PERSON = "person"
    ASSISTANT = "assistant"
    OPERATOR = "operator"
    NOTE = "note"


class Utterance(Kept):
    """One line of the transcript: a text, and the options that were offered with it.

    `message_id` is the inbound message. A line with a `revision` edits or deletes an earlier one, which stays
    as it was. `author` is the name of the agent whose words or note it is. `content` is what was read in its file.
    """

    speaker: Speaker
    text: Text
    options: tuple[Text, ...] = ()
    message_id: MessageId | None = Field(None, exclude_if=lambda message: message is None)
    revision: Revision | None = Field(None, exclude_if=lambda revision: revision is None)
    author: str | None = Field(None, exclude_if=lambda author: author is None)
    content: ReadContent | None = Field(None, exclude_if=lambda content: content is None)
    at: Instant


class Owner(StrEnum):
    """Party whose turn it is to answer; with `NOBODY` the conversation waits for an agent."""

    ASSISTANT = "assistant"
    AGENT = "agent"
    NOBODY = "nobody"


class Handoff(Kept):
    """Hand-off of a conversation to the team, which waits since `at`.

    `taken_at` is when an agent took it, `answered_at` the agent's first word, `last_word_at` the newest. `held_at` is
    when the person read that the answer takes longer.
    """

    reason: str
    at: Instant
    taken_at: Instant | None = None
    answered_at: Instant | None = None
    last_word_at: Instant | None = None
    held_at: Instant | None = Field(None, exclude_if=lambda moment: moment is None)


class DueTimer(Kept):
    """Timer of the institution's documents that is due `at`; `limit_at` is then the end of the state's own time."""

    id: str
    at: Instant
    limit_at: Instant | None = None


class Episode(Kept):
    """Ending of an earlier episode, as the next one remembers it; `rating` is the score of its person, 0 to 10."""

    number: int
    state: State
    business_line: str | None
    intent: str | None
    ended_at: Instant
    rating: int | None = Field(None, exclude_if=lambda rating: rating is None)


class Join(Kept):
    """A thread of the same person that was joined into this one; `by` is the evidence, or the agent who said so."""

    id: ConversationId
    by: str
    at: Instant


class Architecture(StrEnum):
    """Order of the model calls of a turn.

    `THREE_TASKS`: state, then response and message type at the same time. `MERGED`: one call for all three.
    `SPECULATIVE`: response and message type begin with the state, on the most probable decision.
    """

    THREE_TASKS = "three_tasks"
    MERGED = "merged"
    SPECULATIVE = "speculative"


class Tuning(Kept):
    """Settings of an episode that flags and experiments chose at its first turn; None: the process's settings.

    `models` are by task. `ask_below` is the confidence, in [0, 1], below which the engine asks for clarification.
    `arms` are the drawn arms of experiments and sides of canaries, as `subject=variant`. `forced` are the values that
    were forced when it was chosen.
    """

    models: dict[str, str] = Field(default_factory=dict)
    strategy: str | None = None
    cache: bool | None = None
    cache_semantic: bool | None = None
    cache_template: bool | None = None
    batching: bool | None = None
    ask_below: float | None = None
    architecture: Architecture | None = Field(None, exclude_if=lambda chosen: chosen is None)
    arms: tuple[str, ...] = ()
    forced: dict[str, Scalar] = Field(default_factory=dict, exclude_if=lambda forced: not forced)


class Classification(Kept):
    """Decision of Task 1 that the engine followed: destination, business line, and `arms` that influenced it."""

    dest: State
    business_line: str | None = None
    arms: tuple[str, ...] = ()
    at: Instant


WINDOW_UTTERANCES = 20
RECENT_ARRIVALS = 64
RECENT_EPISODES = 10
RECENT_TOPICS = 12
RECENT_REVISIONS = 8
REVISION_CHARACTERS = 4_000
# `moved_to` of a conversation while its records are restored: until then its content is elsewhere.
RESTORING = "the place it is being restored from"


class Conversation(Kept):
    """Head of a conversation: one small document, read and written once a turn.

    The store keeps the whole history (transitions, transcript, turns) separately; the head carries only the window that
    a prompt needs. `version` is the store's compare-and-set token, `last_sequence` the answered inbox position. A
    conversation that returns after its end continues as the next `episode` of the same head. `prompt_versions` and
    `tuning` are chosen at its first turn and kept to the episode's end. `spent_usd` is what this episode's calls count
    against the ceiling of a conversation. `classified` is the last classification, until it is corrected or an operator
    or timer moves the conversation. `consent_at` is the moment of the newest word of consent: an older one that comes
    later changes nothing. `early_revisions` are edits and deletions of messages that have not arrived yet: platforms
    promise no order. `automaton_points` are those of `worker/automatons.py`. `topics` are the episode's
    intents, in the order in which they came up, `advertisement` is the text of the one that the person came by,
    `completed_lines` are the business lines whose form is complete. `attributes` are the integrator's, for the segments
    of flags; `forced` the values of flags that hold for this person alone.

    A person has one thread. `joins` are those that were joined into it; such a thread has `joined_to`, and no turns, so
    that no list shows it. `apart` are those that an agent, or two user ids of the platform, say are another person's.
    """

    id: ConversationId
    address: Address | None = None
    state: State = State.INIT
    waiting_for: WaitingFor = WaitingFor.ANYTHING
    table_version: int = 1
    version: int = 0
    last_sequence: int = 0
    episode: int = 1
    previous_episodes: tuple[Episode, ...] = ()
    turns: int = 0
    turns_in_episode: int = 0
    unclear_turns: int = 0
    next_outbox_number: int = 1
    person_name: Text | None = None
    business_line: str | None = None
    intent: str | None = None
    fields: dict[str, Text] = Field(default_factory=dict)
    asked_fields: tuple[str, ...] = ()
    window: tuple[Utterance, ...] = ()
    rating: int | None = Field(None, exclude_if=lambda rating: rating is None)
    opted_out: bool = False
    consent_at: Instant | None = Field(None, exclude_if=lambda moment: moment is None)
    recent_arrivals: tuple[Instant, ...] = ()
    created_at: Instant | None = None
    updated_at: Instant | None = None
    last_inbound_at: Instant | None = None
    times_out_at: Instant | None = None
    moved_to: str | None = None
    spent_usd: str = "0"
    prompt_versions: dict[str, int] = Field(default_factory=dict)
    tuning: Tuning = Field(default_factory=Tuning, exclude_if=lambda tuning: tuning == Tuning())
    episode_began_at: Instant | None = None
    classified: Classification | None = Field(None, exclude_if=lambda found: found is None)
    early_revisions: tuple[Revision, ...] = Field((), exclude_if=lambda revisions: not revisions)
    automaton_points: int = Field(0, exclude_if=lambda points: points == 0)
    topics: tuple[str, ...] = Field((), exclude_if=lambda topics: not topics)
    completed_lines: tuple[str, ...] = Field((), exclude_if=lambda lines: not lines)
    attributes: dict[str, Scalar] = Field(default_factory=dict, exclude_if=lambda attributes: not attributes)
    forced: dict[str, Scalar] = Field(default_factory=dict, exclude_if=lambda forced: not forced)
    advertisement: Text | None = Field(None, exclude_if=lambda text: text is None)
    due_timer: DueTimer | None = Field(None, exclude_if=lambda timer: timer is None)
    reminded: tuple[str, ...] = Field((), exclude_if=lambda timers: not timers)
    # Hand-off: set and cleared by the machine with ESCALATING; `agent` by `worker/people/operators.py`.
    agent: str | None = Field(None, exclude_if=lambda agent: agent is None)
    handoff: Handoff | None = Field(None, exclude_if=lambda handoff: handoff is None)

    @property
    def owner(self) -> Owner:
        if self.state is not State.ESCALATING:
            return Owner.ASSISTANT
        return Owner.AGENT if self.agent else Owner.NOBODY

    # One person, one thread: see `worker/people/threads.py`.
    joined_to: ConversationId | None = Field(None, exclude_if=lambda thread: thread is None)
    joins: tuple[Join, ...] = Field((), exclude_if=lambda joins: not joins)
    apart: tuple[ConversationId, ...] = Field((), exclude_if=lambda threads: not threads)
    # Digests of the names of an erased person, by which dead letters that come later are found.
    name_digests: tuple[str, ...] = Field((), exclude_if=lambda digests: not digests)

    @property
    def threads(self) -> tuple[ConversationId, ...]:
        """Its own id, and those of the threads that were joined into it."""
        return (self.id, *(join.id for join in self.joins))

    @property
    def known_name(self) -> str | None:
        """The person's name: of the platform, else the one that was asked for."""
        return self.person_name or self.fields.get("name")

    @property
    def shown_name(self) -> str:
        """The name to show: without one the number or id on the platform."""
        return self.known_name or (self.address.person if self.address else self.id)

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_STATES

    def emptied(self, at: Instant, *, answered_up_to: int) -> Self:
        """Return the head of an erased conversation: only its version, cursor, reply numbering and threads."""
        return type(self)(
            id=self.id,
            version=self.version + 1,
            last_sequence=max(self.last_sequence, answered_up_to),
            next_outbox_number=self.next_outbox_number,
            updated_at=at,
            joined_to=self.joined_to,
            joins=self.joins,
            apart=self.apart,
            name_digests=self.name_digests,
        )

    def being_restored(self, *, over: int) -> Self:
        """Return the placeholder during a restore: above version `over`, and closed to turns."""
        version = max(self.version, over) + 1
        return type(self)(id=self.id, version=version, updated_at=self.updated_at, moved_to=RESTORING)

    def says(self, *utterances: Utterance) -> Self:
        """Return it with the newest utterances in its window, and our newest, however much was said after it."""
        said = (*self.window, *(one for one in utterances if one.speaker is not Speaker.NOTE))
        window = said[-WINDOW_UTTERANCES:]
        ours = [one for one in said if one.speaker is not Speaker.PERSON]
        if ours and all(one.speaker is Speaker.PERSON for one in window):
            window = (ours[-1], *window[1:])
        return self.model_copy(update={"window": window})

    def successor(self, at: Instant) -> Self:
        """Return the next episode of an ended conversation: a fresh state, with the person's collected fields."""
        ended = Episode(
            number=self.episode,
            state=self.state,
            business_line=self.business_line,
            intent=self.intent,
            ended_at=self.updated_at or at,
            rating=self.rating,
        )
        return self.model_copy(
            update={
                "state": State.INIT,
                "waiting_for": WaitingFor.ANYTHING,
                "episode": self.episode + 1,
                "previous_episodes": (*self.previous_episodes, ended)[-RECENT_EPISODES:],
                "turns_in_episode": 0,
                "unclear_turns": 0,
                "spent_usd": "0",
                "business_line": None,
                "intent": None,
                "topics": (),
                "completed_lines": (),
                "advertisement": None,
                "rating": None,
                "due_timer": None,
                "reminded": (),
            }
        )


class TaskName(StrEnum):
    """Prompt tasks of the product: those of a turn, and the analyses of a whole conversation.

    `MERGED` answers state, response and message type at once (`Architecture.MERGED`).
    """

    STATE = "state"
    RESPONSE = "response"
    MESSAGE_TYPE = "message_type"
    MERGED = "merged"
    JUDGE = "judge"
    HANDOFF_SUMMARY = "handoff_summary"
    CONVERSATION_REVIEW = "conversation_review"
    INTERVIEW_QUESTION = "interview_question"


class TokenCount(Kept):
    """Tokens as the provider bills them: `input` excludes reads from and writes to its prompt cache.

    `cache_write_1h` is the part of `cache_write` with a lifetime of an hour instead of five minutes.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = Field(0, exclude_if=lambda count: count == 0)

    def __add__(self, other: "TokenCount") -> "TokenCount":
        return TokenCount(**{kind: count + getattr(other, kind) for kind, count in self})


class CallRecord(Kept):
    """One call that returned. `model` is the one the provider reports; `cost_usd` is decimal text, None if unknown."""

    model: str
    tokens: TokenCount = TokenCount()
    cost_usd: str | None = None


class TaskRecord(Kept):
    """One prompt task of a turn: start and end (ms after the turn's start), cost and outcome.

    `task` is a name of `prompts/tasks/registry.py`. `bill` has every call that came back or was ended, also those whose
    answer was no use; `calls`, `tokens` and `cost_usd` are its sums, the last one None when the price of a model is
    unknown. `outcome` is `ok`, `repaired`, `fallback_model`, `cached`, `failed`, or `dropped`: ended, or answered in
    vain. `attempts` counts the calls that were tried, `cache` names the level that served the answer, `scores` are in
    [0, 1] by validator and `quality` is their weighted mean.
    """

    task: str
    model: str
    template: str
    started_ms: float
    ended_ms: float
    calls: int = 1
    tokens: TokenCount = TokenCount()
    cost_usd: str | None = None
    bill: tuple[CallRecord, ...] = ()
    outcome: str = "ok"
    attempts: int = 1
    cache: str | None = Field(None, exclude_if=lambda level: level is None)
    scores: dict[str, float] = Field(default_factory=dict)
    quality: float | None = None

    @property
    def wrote_reply(self) -> bool:
        """Whether its answer has the words of a reply."""
        return self.task in (TaskName.RESPONSE, TaskName.MERGED) and self.outcome not in ("failed", "dropped")


class ViolationRecord(Kept):
    """A finding of the guardrail gate that withheld a draft; a turn's drafts are numbered from 1."""

    rule: str
    excerpt: Text
    draft: int


class TurnMilliseconds(Kept):
    total: float = 0
    state: float = 0
    response: float = 0
    message_type: float = 0
    judge: float = 0
    merged: float = Field(0, exclude_if=lambda ms: ms == 0)


class TurnRecord(Kept):
    """Record of one turn, for later questions: why this reply, why none, at which cost.

    `corrects` is the previous classification, if this turn showed that it was wrong. `rating` is the score that the
    person gave in it, 0 to 10.
    """

    id: TurnId
    conversation_id: ConversationId
    episode: int
    message_ids: tuple[MessageId, ...]
    path: tuple[State, ...]
    state: State
    trigger: Trigger | None = None
    reason: str = ""
    confidence: float | None = None
    business_line: str | None = None
    intent: str | None = None
    waiting_for: WaitingFor = WaitingFor.ANYTHING
    replies: tuple[OutboundMessage, ...] = ()
    violations: tuple[ViolationRecord, ...] = ()
    fallback: bool = False
    tasks: tuple[TaskRecord, ...] = ()
    tokens: TokenCount = TokenCount()
    cost_usd: str | None = None
    ms: TurnMilliseconds = TurnMilliseconds()
    attempts: int = 1
    institution_version: str = ""
    table_version: int = 1
    arms: tuple[str, ...] = ()
    corrects: Classification | None = Field(None, exclude_if=lambda found: found is None)
    rating: int | None = Field(None, exclude_if=lambda rating: rating is None)
    received_at: Instant | None = None
    at: Instant
