"""What a template may name: its input's values, all of them text. And what its answer is checked as."""

from collections.abc import Mapping

from contracts.analysis import ConversationReview, HandoffSummary, InterviewQuestion
from contracts.decisions import MessageTypeChoice, ResponseDraft, StateDecision
from contracts.values import Value


class PromptInput(Value):
    """What every prompt is filled with: the business line in question (or nothing), and the conversation as JSON."""

    line: str
    conversation: str


class TurnInput(PromptInput):
    """`conversation` is that of `prompts/request.py`: one turn, its newest messages, and what is known by now."""


class TranscriptInput(PromptInput):
    """`conversation` is that of `prompts/tasks/analyses.py`: everything that was said."""


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
