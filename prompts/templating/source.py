"""Schema of a template's YAML file, the inputs that it may name, all of them text, and the template once compiled."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Annotated

import orjson
from jinja2 import Template as CompiledTemplate
from pydantic import Field, StringConstraints

from contracts.errors import ConfigurationError
from contracts.values import Value
from contracts.yaml_file import YamlFile, problem
from prompts.templating.strict_text import RENDERING_ERRORS, place_of

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


@dataclass(frozen=True)
class PromptTemplate:
    """A template ready to be rendered. Its `label` (name, version, content hash) is in every record and span."""

    file: YamlFile[TemplateSource]
    chain: tuple[str, ...]
    """Its own key (`name_vN`), its parent's, and so on."""
    system: str
    """The fixed part: it follows the institution in the prefix that the provider's prompt cache serves."""
    user: CompiledTemplate
    user_sources: tuple[str, ...]
    steps_used: Mapping[str, str]
    """Every shared step of both parts, by key, with its text."""
    settings: CallSettings
    input: type[PromptInput]
    output: type[Value]

    @property
    def source(self) -> TemplateSource:
        return self.file.value

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def version(self) -> int:
        return self.source.version

    @property
    def parent(self) -> str | None:
        return self.source.extends

    @property
    def hash(self) -> str:
        """Eight hex digits of a SHA-256 over all that reaches the model, wherever it is inherited from."""
        return self.label.rpartition("@")[2]

    @cached_property
    def label(self) -> str:
        content = [
            self.system,
            self.user_sources,
            sorted(self.steps_used.items()),
            self.settings.model_dump(),
            self.input.__name__,
            self.output.__name__,
        ]
        return f"{self.source.key}@{sha256(orjson.dumps(content)).hexdigest()[:8]}"

    def render_user(self, values: PromptInput) -> str:
        """Fill the user part.

        Raises:
            ConfigurationError: the values are those of another input, or the text cannot be made with them.
        """
        if not isinstance(values, self.input):
            raise ConfigurationError(f"template {self.label}: is filled with {self.input.__name__}")
        try:
            return self.user.render(dict(values)).strip()
        except RENDERING_ERRORS as exc:
            file, line = place_of(exc, self.file.name, self.file.line("user"))
            raise problem(file, line, str(exc), chain=" -> ".join(self.chain)) from exc
