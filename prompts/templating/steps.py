"""Steps: sentences that several templates share, each with parameters and cases of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Template
from pydantic import Field

from contracts.errors import ConfigurationError
from contracts.values import Value
from contracts.yaml_file import YamlFile, read_yaml
from prompts.templating.source import Name, split_version
from prompts.templating.strict_text import RENDERING_ERRORS, StrictText, place_of, strict_environment

STEPS_FOLDER = Path(__file__).parents[1] / "steps"


class StepCase(Value):
    """Parameters, and the text they must give."""

    parameters: dict[str, str] = Field(default_factory=dict, alias="with")
    gives: str


class StepSource(Value):
    """One step as its YAML file has it."""

    name: Name
    version: int = Field(ge=1)
    description: str = ""
    parameters: tuple[Name, ...] = ()
    text: str = Field(min_length=1)
    tests: tuple[StepCase, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.name}_v{self.version}"


@dataclass(frozen=True)
class Step:
    """Step, checked and compiled."""

    file: YamlFile[StepSource]
    text: Template

    @property
    def source(self) -> StepSource:
        return self.file.value

    def render(self, parameters: Mapping[str, str]) -> str:
        """Fill in the parameters, which are exactly those that the step declares.

        Raises:
            ConfigurationError: one is missing or unknown, or the text cannot be made with them.
        """
        if set(parameters) != set(self.source.parameters):
            raise self.file.problem(f"the step {self.source.key} takes {self.wanted}", "parameters")
        try:
            return self.text.render(parameters).strip()
        except RENDERING_ERRORS as exc:
            file, line = place_of(exc, self.file.name, self.file.line("text"))
            raise ConfigurationError(f"{file}:{line}: {exc}") from exc

    @property
    def wanted(self) -> str:
        return f"the parameters {', '.join(self.source.parameters)}" if self.source.parameters else "no parameters"


class StepLibrary:
    """Steps of a folder. A name alone means the newest version of the step."""

    def __init__(self, steps: Mapping[str, Step]) -> None:
        self._steps = dict(steps)

    @classmethod
    def read(cls, folder: Path = STEPS_FOLDER) -> "StepLibrary":
        """Read every `name_vN.yaml` (or `name.yaml`) of the folder.

        Raises:
            ConfigurationError: a file is not a step; the text names the file and the line.
        """
        steps: dict[str, Step] = {}
        for path in sorted(folder.glob("*.yaml")):
            file = read_yaml(path, StepSource)
            source = file.value
            if path.stem not in (source.key, source.name):
                raise file.problem(f"says it is {source.name} version {source.version}; rename one of them", "name")
            text, environment = StrictText(path.name, file.line("text"), source.text), strict_environment()
            takes = f"the step has {', '.join(source.parameters) or 'no parameters'}"
            text.refuse_unknown(text.parse(environment), source.parameters, takes)
            code = environment.compile(text.source, filename=path.name)
            step = Step(file, Template.from_code(environment, code, environment.make_globals(None)))
            if step.source.key in steps:
                raise step.file.problem(f"{step.source.key} is also in {steps[step.source.key].file.name}", "version")
            steps[step.source.key] = step
        return cls(steps)

    def get(self, reference: str) -> Step | None:
        name, version = split_version(reference)
        versions = [step for step in self._steps.values() if step.source.name == name]
        if version is None:
            return max(versions, key=lambda step: step.source.version, default=None)
        return self._steps.get(reference)

    def render(self, reference: str, /, **parameters: str) -> str:
        """Return the text of a step. Raises ConfigurationError: there is no such step, or it takes other parameters."""
        step = self.get(reference)
        if step is None:
            raise ConfigurationError(self.missing(reference))
        return step.render(parameters)

    def missing(self, reference: str) -> str:
        return f"there is no step '{reference}'; there are: {', '.join(sorted(self._steps)) or 'none'}"

    def all(self) -> list[Step]:
        return [self._steps[key] for key in sorted(self._steps)]
