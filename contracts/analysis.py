"""What is asked about a whole conversation in the background, what came of it, and the record that keeps it."""

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
# Ids count down from here, so that of one conversation the newest comes first.
LAST_VERSION = 9_999_999_999


class AnalysisKind(StrEnum):
    """A summary and the next question are for the person who takes over, a review for those who improve the answers."""

    HANDOFF_SUMMARY = "handoff_summary"
    CONVERSATION_REVIEW = "conversation_review"
    INTERVIEW_QUESTION = "interview_question"


# How long a result is the answer to the same question.
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
    """One thing the person told; `name` is an id of the institution's fields."""

    name: str
    value: Text = Field(min_length=1, max_length=500)


class TaxonomyGap(Value):
    """Something that was asked for and has no intent; `suggestion` says what an intent for it would be."""

    need: Text = Field(min_length=1, max_length=500)
    suggestion: Text = Field(min_length=1, max_length=500)


class HandoffSummary(Value):
    """What a person who takes over must know."""

    person: Text = Field(min_length=1, max_length=500)
    wants: Text = Field(min_length=1, max_length=1000)
    collected: tuple[CollectedFact, ...] = Field(max_length=30)
    promised: tuple[Text, ...] = Field(max_length=20)
    refused: tuple[Text, ...] = Field(max_length=20)
    open_questions: tuple[Text, ...] = Field(max_length=20)
    tone: Tone


class ConversationReview(Value):
    """How well a conversation was answered."""

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

    `conversation_version` stands for what was said; it grows with every commit, over an erasure too. `template` is the
    label with the hash of its words.
    """

    kind: AnalysisKind
    conversation_id: ConversationId
    conversation_version: int
    template: str
    model: str
    institution_version: str

    @property
    def id(self) -> str:
        """The same for the same context. It begins with the conversation and the kind, then the newest version."""
        digest = hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:24]
        return f"{family(self.conversation_id, self.kind)}{LAST_VERSION - self.conversation_version:010d}-{digest}"


def family(conversation_id: ConversationId, kind: AnalysisKind | None = None) -> str:
    """What the ids of one conversation's analyses begin with, of one kind or of all."""
    conversation = hashlib.sha256(conversation_id.encode()).hexdigest()[:16]
    return f"{conversation}-" if kind is None else f"{conversation}-{kind.value}-"


class Analysis(Kept):
    """One analysis: asked for, worked on, or with its result, which is what a model said of what a person wrote.

    `attempts` are counted at the claim, before the work. `error` is the family or name of what ended a failed one;
    `tasks` is the bill of every attempt that came back.
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
        """The callback's id: the same at every repetition, another one when a failed analysis is asked for again."""
        return hashlib.sha256(f"{self.id} {self.finished_at}".encode()).hexdigest()[:32]

    def with_changes(self, **changes: Any) -> Self:
        return self.model_copy(update=changes)


class Filed(Value):
    """An analysis in the record it was read from, which is what a change of it is compared with."""

    record: Record
    analysis: Analysis

    @classmethod
    def of(cls, record: Record) -> Self:
        return cls(record=record, analysis=Analysis.model_validate(record.body))

    @classmethod
    def new(cls, analysis: Analysis, *, version: int, due_at: datetime) -> Self:
        """To be written in the place of `version`, 0 when there is none."""
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
        """The record with another content; a result is kept for its kind's time from when it came."""
        since = analysis.finished_at or analysis.requested_at
        changes = {
            "body": analysis.model_dump(mode="json"),
            "due_at": due_at,
            "expires_at": since + TIME_TO_LIVE[analysis.context.kind],
            "updated_at": at,
        }
        return type(self)(record=self.record.model_copy(update=changes), analysis=analysis)
