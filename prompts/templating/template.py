"""One template, checked and compiled."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import orjson
from jinja2 import Template as CompiledTemplate

from contracts.errors import ConfigurationError
from contracts.values import Value
from contracts.yaml_file import YamlFile, problem
from prompts.templating.source import CallSettings, PromptInput, TemplateSource
from prompts.templating.strict_text import RENDERING_ERRORS, place_of


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
