"""The templates: read once at start, checked, compiled, found by name and version."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import yaml
from jinja2 import StrictUndefined, TemplateError
from jinja2 import Template as CompiledTemplate
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import Field, ValidationError

from contracts.errors import ConfigurationError, PromptNotFoundError
from contracts.values import Value

TEMPLATES_FOLDER = Path(__file__).parent / "templates"

_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False)


class TemplateSource(Value):
    """One template as its YAML file gives it."""

    name: str
    version: int = Field(ge=1)
    description: str
    max_tokens: int = Field(ge=1, le=32_000)
    system: str
    user: str


@dataclass(frozen=True)
class PromptTemplate:
    """A template ready to be rendered. Its `label` (name, version, content hash) stands on every call and turn."""

    source: TemplateSource
    user: CompiledTemplate

    @cached_property
    def label(self) -> str:
        content = sha256(self.source.model_dump_json().encode()).hexdigest()[:8]
        return f"{self.source.name}_v{self.source.version}@{content}"

    @property
    def system(self) -> str:
        return self.source.system.strip()

    def render_user(self, values: Mapping[str, str]) -> str:
        """Fill the user part.

        Raises:
            ConfigurationError: the template names a value that no task provides.
        """
        try:
            return self.user.render(values).strip()
        except TemplateError as exc:
            raise ConfigurationError(f"template {self.label}: {exc}") from exc


class PromptRegistry:
    """All templates of a folder, by name and version."""

    def __init__(self, templates: Mapping[tuple[str, int], PromptTemplate]) -> None:
        self._templates = dict(templates)

    @classmethod
    def read(cls, folder: Path = TEMPLATES_FOLDER) -> "PromptRegistry":
        """Read every `name_vN.yaml` (or `name.yaml`, version 1) of the folder.

        Raises:
            ConfigurationError: a file is not a template; the text names the file and the reason.
        """
        templates: dict[tuple[str, int], PromptTemplate] = {}
        for path in sorted(folder.glob("*.yaml")):
            template = _read_template(path)
            templates[template.source.name, template.source.version] = template
        return cls(templates)

    def get(self, name: str, version: int | None = None) -> PromptTemplate:
        """Return the template of that version, or the newest.

        Raises:
            PromptNotFoundError: there is none; the text lists what there is.
        """
        versions = [known for named, known in self._templates if named == name]
        if version is None and versions:
            version = max(versions)
        template = self._templates.get((name, version or 0))
        if template is None:
            known = ", ".join(f"{named} v{number}" for named, number in sorted(self._templates))
            raise PromptNotFoundError(f"no template '{name}' version {version or 'any'}; there are: {known}")
        return template

    def all(self) -> list[PromptTemplate]:
        return [self._templates[key] for key in sorted(self._templates)]


def _read_template(path: Path) -> PromptTemplate:
    try:
        source = TemplateSource.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        compiled = _ENVIRONMENT.from_string(source.user)
    except (yaml.YAMLError, ValidationError, TemplateError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{path.name}: {exc}") from exc
    if path.stem not in (f"{source.name}_v{source.version}", source.name):
        raise ConfigurationError(f"{path.name}: says it is {source.name} version {source.version}; rename one of them")
    return PromptTemplate(source=source, user=compiled)
