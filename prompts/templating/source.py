"""Schema of a template's YAML file, and the inputs that a template may name, all of them text."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, StringConstraints

from contracts.values import Value

_VERSIONED = re.compile(r"([a-z][a-z0-9_]*)_v([1-9][0-9]*)")

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
VersionedName = Annotated[str, StringConstraints(pattern=rf"^{_VERSIONED.pattern}$")]


class CallSettings(Value):
    """Settings of the calls with this template."""

    max_tokens: int = Field(ge=1, le=32_000)


class OwnStep(Value):
    """Step of this template alone: a sentence that begins with a verb."""

    do: str = Field(min_length=1)


class SharedStep(Value):
    """Step of `prompts/steps`, with its parameters."""

    step: str
    parameters: dict[str, str] = Field(default_factory=dict, alias="with")


class Sample(Value):
    """Values of the input, and the expected result of the task and user parts, in estimated tokens too."""

    name: Name
    input: dict[str, str]
    contains: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    max_tokens: int | None = Field(default=None, ge=1)


class TemplateSource(Value):
    """One template as its file has it. Keys that are not there are inherited from the template it extends.

    `system` and `user` are the text of a template that extends none; one that extends another changes `blocks` of it.
    An abstract template is only extended and never sent.
    """

    name: Name
    version: int = Field(ge=1)
    description: str = ""
    abstract: bool = False
    extends: VersionedName | None = None
    input: str | None = None
    output: str | None = None
    settings: CallSettings | None = None
    system: str | None = None
    user: str | None = None
    blocks: dict[Name, str] = Field(default_factory=dict)
    steps: tuple[OwnStep | SharedStep, ...] | None = None
    samples: tuple[Sample, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.name}_v{self.version}"


def split_version(reference: str) -> tuple[str, int | None]:
    """Return name and version of `name_v2`; a name alone has no version."""
    matched = _VERSIONED.fullmatch(reference)
    return (matched[1], int(matched[2])) if matched else (reference, None)


class PromptInput(Value):
    """Values of every prompt: the business line in question (or nothing), and the conversation as JSON."""

    line: str
    conversation: str


class TurnInput(PromptInput):
    """`conversation` is that of `prompts/request.py`: one turn, its newest messages, and what is known so far."""


class TranscriptInput(PromptInput):
    """`conversation` is that of `prompts/tasks/transcript.py`: every utterance."""


INPUTS: Mapping[str, type[PromptInput]] = {model.__name__: model for model in (TurnInput, TranscriptInput)}
