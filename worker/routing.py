"""What is decided before any model is asked: silence, floods, words of consent, people who come back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from contracts.conversation import RECENT_ARRIVALS, Conversation, Speaker, State
from contracts.delivery import InboxEntry
from contracts.institution import FixedText, Institution
from contracts.messages import InboundKind, InboundMessage


class Course(StrEnum):
    """What becomes of a turn before the model is asked."""

    ASK_MODEL = "ask_model"
    RECORD = "record"
    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"
    FLOOD = "flood"
    UNREADABLE = "unreadable"
    HOLD = "hold"
    SATISFIED = "satisfied"
    UNSATISFIED = "unsatisfied"


@dataclass(frozen=True)
class FloodLimit:
    """More messages than this within the window are not thought about one by one. At most 64, which the head keeps."""

    messages: int = 40
    window: timedelta = timedelta(minutes=1)


class ConsentWords(Protocol):
    """Recognises a message that as a whole asks to be left alone, or to be written to again."""

    def is_opt_out(self, text: str) -> bool: ...

    def is_opt_in(self, text: str) -> bool: ...


RATINGS = {FixedText.SATISFIED: Course.SATISFIED, FixedText.UNSATISFIED: Course.UNSATISFIED}
HOLD_AGAIN_AFTER = timedelta(minutes=10)

# Kinds without words: there is nothing in them that the model could answer.
WORDLESS_KINDS = frozenset(
    {
        InboundKind.AUDIO,
        InboundKind.STICKER,
        InboundKind.IMAGE,
        InboundKind.VIDEO,
        InboundKind.DOCUMENT,
        InboundKind.UNSUPPORTED,
    }
)


def course_of(
    conversation: Conversation,
    entries: Sequence[InboxEntry],
    *,
    consent: ConsentWords,
    flood: FloodLimit,
    at: datetime,
) -> Course:
    """Decide how the turn goes on. The order of the questions is the order of their weight."""
    answerable = [entry.message for entry in entries if not entry.message.is_recorded_only]
    if not answerable:
        return Course.RECORD
    wish = _newest_wish(answerable, consent)
    if wish is Course.OPT_OUT and not conversation.opted_out:
        return Course.OPT_OUT
    if wish is Course.OPT_IN and conversation.opted_out:
        return Course.OPT_IN
    if conversation.opted_out or conversation.state is State.SPAM:
        return Course.RECORD
    if conversation.state is State.ESCALATING:
        return Course.HOLD if _hold_is_due(conversation, at) else Course.RECORD
    if is_flood(conversation, flood, at):
        return Course.FLOOD
    if all(not message.text.strip() and message.kind in WORDLESS_KINDS for message in answerable):
        return Course.UNREADABLE
    return Course.ASK_MODEL


def rating_of(
    conversation: Conversation, messages: Sequence[InboundMessage], institution: Institution
) -> Course | None:
    """What a person says of a conversation that has just ended and asked them; None when they say something else."""
    if conversation.state is not State.COMPLETED or not institution.asks_satisfaction or len(messages) != 1:
        return None
    if not was_said_last(conversation, institution.text(FixedText.SATISFACTION)):
        return None
    said = messages[0].text.strip().casefold()
    return next((course for text, course in RATINGS.items() if said == institution.text(text).casefold()), None)


def _newest_wish(messages: Sequence[InboundMessage], consent: ConsentWords) -> Course | None:
    """The last word of consent counts, whatever was said before it."""
    for message in reversed(messages):
        if consent.is_opt_out(message.text):
            return Course.OPT_OUT
        if consent.is_opt_in(message.text):
            return Course.OPT_IN
    return None


def note_arrivals(conversation: Conversation, entries: Sequence[InboxEntry]) -> Conversation:
    """Remember when the newest messages came, for the flood rule."""
    arrivals = [*conversation.recent_arrivals, *(entry.message.received_at for entry in entries)]
    return conversation.model_copy(update={"recent_arrivals": tuple(arrivals[-RECENT_ARRIVALS:])})


def is_flood(conversation: Conversation, flood: FloodLimit, at: datetime) -> bool:
    recent = sum(1 for arrival in conversation.recent_arrivals if arrival > at - flood.window)
    return recent > flood.messages


def was_said_last(conversation: Conversation, text: str) -> bool:
    """Whether these were the last words to the person."""
    spoken = [said for said in conversation.window if said.speaker is not Speaker.PERSON]
    return bool(spoken) and spoken[-1].text == text


def _hold_is_due(conversation: Conversation, at: datetime) -> bool:
    """While a person of the team has the word, the assistant says so at most once in a while."""
    spoken = [said.at for said in conversation.window if said.speaker is not Speaker.PERSON]
    return not spoken or at - spoken[-1] >= HOLD_AGAIN_AFTER
