"""Inputs of the templates: the values that a template may name, all of them text."""

from collections.abc import Mapping

from contracts.values import Value


class PromptInput(Value):
    """Values of every prompt: the business line in question (or nothing), and the conversation as JSON."""

    line: str
    conversation: str


class TurnInput(PromptInput):
    """`conversation` is that of `prompts/request.py`: one turn, its newest messages, and what is known so far."""


class TranscriptInput(PromptInput):
    """`conversation` is that of `prompts/tasks/transcript.py`: every utterance."""


INPUTS: Mapping[str, type[PromptInput]] = {model.__name__: model for model in (TurnInput, TranscriptInput)}
