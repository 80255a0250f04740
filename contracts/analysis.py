"""Background analyses of a whole conversation: request, result and record."""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from pydantic import Field

from contracts.conversation import TaskRecord
from contracts.delivery import Record
from contracts.values import ConversationId, Instant, Kept, Text, Value

COLLECTION = "analyses"
ANALYSIS_ID = re.compile(r"[0-9a-f]{16}-[a-z_]{1,40}-[0-9]{10}-[0-9a-f]{24}")
# Ids count down from here, so that a conversation's newest analysis comes first.
LAST_VERSION = 9_999_999_999


class AnalysisKind(StrEnum):
    """Kind of an analysis: a summary and the next question serve an agent, a review serves editors of the answers."""

    HANDOFF_SUMMARY = "handoff_summary"
    CONVERSATION_REVIEW = "conversation_review"
    INTERVIEW_QUESTION = "interview_question"


# Time for which a result answers an equal request.
TIME_TO_LIVE: Mapping[AnalysisKind, timedelta] = {
    AnalysisKind.HANDOFF_SUMMARY: timedelta(days=7),
    AnalysisKind.CONVERSATION_REVIEW: timedelta(days=1),
    AnalysisKind.INTERVIEW_QUESTION: timedelta(days=1),
}


class Tone(StrEnum):
    CALM = "calm"
    FRIENDLY = "friendly"
    IMPATIENT = "impatient"
    UPSET = "upset"
    DISTRESSED = "distressed"


class Sentiment(StrEnum):
    POSITIVE = "positive"
    NEUTRAL = "neutral"
    NEGATIVE = "negative"


class Answered(StrEnum):
    YES = "yes"
    PARTLY = "partly"
    NO = "no"


class CollectedFact(Value):
    """One fact the person stated; `name` is an id of the institution's fields."""

    name: str
    value: Text = Field(min_length=1, max_length=500)


class TaxonomyGap(Value):
    """A request without an intent; `suggestion` describes an intent that would cover it."""

    need: Text = Field(min_length=1, max_length=500)
    suggestion: Text = Field(min_length=1, max_length=500)


class HandoffSummary(Value):
    """Summary for an agent at a hand-off."""

    person: Text = Field(min_length=1, max_length=500)
    wants: Text = Field(min_length=1, max_length=1000)
    collected: tuple[CollectedFact, ...] = Field(max_length=30)
    promised: tuple[Text, ...] = Field(max_length=20)
    refused: tuple[Text, ...] = Field(max_length=20)
    open_questions: tuple[Text, ...] = Field(max_length=20)
    tone: Tone


class ConversationReview(Value):
    """Quality review of a conversation's answers."""

    answered: Answered
    sentiment: Sentiment
    assessment: Text = Field(min_length=1, max_length=2000)
    unresolved_needs: tuple[Text, ...] = Field(max_length=20)
    taxonomy_gaps: tuple[TaxonomyGap, ...] = Field(max_length=20)


class InterviewQuestion(Value):
    """One question for one missing field; `field` is None and `question` empty when nothing is missing."""

    field: str | None
    question: Text = Field(max_length=1_000)


class AnalysisStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class CallbackState(StrEnum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    GIVEN_UP = "given_up"


class AnalysisContext(Kept):
    """Everything an analysis depends on: two requests with the same context are one analysis.

    `conversation_version` identifies the transcript; it grows with every commit, and across an erasure. `template` is
    the template's label with the hash of its text.
    """

    kind: AnalysisKind
    conversation_id: ConversationId
    conversation_version: int
    template: str
    model: str
    institution_version: str

    @property
    def id(self) -> str:
        """The id of the context, made of the conversation, the kind and the version, newest first."""
        digest = hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:24]
        return f"{family(self.conversation_id, self.kind)}{LAST_VERSION - self.conversation_version:010d}-{digest}"


def family(conversation_id: ConversationId, kind: AnalysisKind | None = None) -> str:
    """Return the common prefix of the ids of a conversation's analyses, of one kind or of all."""
    conversation = hashlib.sha256(conversation_id.encode()).hexdigest()[:16]
    return f"{conversation}-" if kind is None else f"{conversation}-{kind.value}-"


class Analysis(Kept):
    """One analysis: requested, running, or ended with the model's result, which may quote the person.

    `attempts` are counted at the claim, before the work. `error` is the family or name of a failed one's last error;
    `tasks` bills every attempt that returned.
    """

    context: AnalysisContext
    status: AnalysisStatus = AnalysisStatus.QUEUED
    attempts: int = 0
    result: dict[str, Any] | None = None
    error: str | None = None
    tasks: tuple[TaskRecord, ...] = ()
    callback: CallbackState | None = None
    callback_attempts: int = 0
    requested_at: Instant
    finished_at: Instant | None = None

    @property
    def id(self) -> str:
        return self.context.id

    @property
    def is_finished(self) -> bool:
        return self.status in (AnalysisStatus.DONE, AnalysisStatus.FAILED)

    @property
    def delivery_id(self) -> str:
        """The callback's id: equal at every repetition, and different after a failed analysis is requested again."""
        return hashlib.sha256(f"{self.id} {self.finished_at}".encode()).hexdigest()[:32]

    def with_changes(self, **changes: Any) -> Self:
        return self.model_copy(update=changes)


class Filed(Value):
    """An analysis with the record it was read from, for compare-and-set."""

    record: Record
    analysis: Analysis

    @classmethod
    def of(cls, record: Record) -> Self:
        return cls(record=record, analysis=Analysis.model_validate(record.body))

    @classmethod
    def new(cls, analysis: Analysis, *, version: int, due_at: datetime) -> Self:
        """Return a record that replaces `version`, 0 for none."""
        context, at = analysis.context, analysis.requested_at
        record = Record(
            collection=COLLECTION,
            key=analysis.id,
            version=version,
            body=analysis.model_dump(mode="json"),
            owner=context.conversation_id,
            due_at=due_at,
            expires_at=at + TIME_TO_LIVE[context.kind],
            updated_at=at,
        )
        return cls(record=record, analysis=analysis)

    def changed(self, analysis: Analysis, *, due_at: datetime | None, at: datetime) -> Self:
        """Return the record with another content; a result expires after its kind's retention."""
        since = analysis.finished_at or analysis.requested_at
        changes = {
            "body": analysis.model_dump(mode="json"),
            "due_at": due_at,
            "expires_at": since + TIME_TO_LIVE[analysis.context.kind],
            "updated_at": at,
        }
        return type(self)(record=self.record.model_copy(update=changes), analysis=analysis)
