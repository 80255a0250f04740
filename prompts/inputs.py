"""What a template may name: its input's values, all of them text. And what its answer is checked as."""

from collections.abc import Mapping

from pydantic import Field

from contracts.analysis import ConversationReview, HandoffSummary
from contracts.decisions import MessageTypeChoice, ResponseDraft, StateDecision
from contracts.values import Text, Value


class PromptInput(Value):
    """What every prompt is filled with: the business line in question (or nothing), and the conversation as JSON."""

    line: str
    conversation: str


class TurnInput(PromptInput):
    """`conversation` is that of `prompts/render.py`: one turn, its newest messages, and what is known by now."""


class TranscriptInput(PromptInput):
    """`conversation` is that of `prompts/analyses.py`: everything that was said."""


class InterviewQuestion(Value):
    """One question for one missing field; `field` is None and `question` empty when nothing is missing."""

    field: str | None
    question: Text = Field(max_length=1_000)


INPUTS: Mapping[str, type[PromptInput]] = {model.__name__: model for model in (TurnInput, TranscriptInput)}
OUTPUTS: Mapping[str, type[Value]] = {
    model.__name__: model
    for model in (
        StateDecision,
        ResponseDraft,
        MessageTypeChoice,
        HandoffSummary,
        ConversationReview,
        InterviewQuestion,
    )
}
