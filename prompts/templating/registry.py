"""Registry of the templates: read once at start, checked, compiled; the versions of a conversation."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import FunctionLoader
from jinja2 import Template as CompiledTemplate

from contracts.errors import ConfigurationError, PromptNotFoundError
from contracts.values import Value
from contracts.yaml_file import problem, read_yaml
from observability.logs import logger
from prompts.tasks.registry import TASKS
from prompts.tasks.task import Task
from prompts.templating.inheritance import PARTS, Inherited, Lineage, Part, TemplateFile, inherit, lineage, source_name
from prompts.templating.source import INPUTS, OwnStep, PromptInput, PromptTemplate, TemplateSource
from prompts.templating.steps import StepLibrary
from prompts.templating.strict_text import RENDERING_ERRORS, place_of, strict_environment

TEMPLATES_FOLDER = Path(__file__).parents[1] / "templates"
# Version without a choice; 1 for names that are not listed.
DEFAULT_VERSIONS: Mapping[str, int] = {}
STEPS = "steps"


class PromptRegistry:
    """All templates of a folder, by name and version."""

    def __init__(
        self,
        templates: Iterable[PromptTemplate],
        *,
        files: Mapping[str, TemplateFile],
        steps: StepLibrary,
    ) -> None:
        self._templates = {(template.name, template.version): template for template in templates}
        self.files = dict(files)
        self.steps = steps

    @classmethod
    def read(
        cls,
        *folders: Path,
        own: Path | None = None,
        steps: StepLibrary | None = None,
        tasks: Iterable[Task[Any, Any]] = TASKS,
    ) -> "PromptRegistry":
        """Read every `name_vN.yaml` (or `name.yaml`, the version it says) of the folders, by default the product's.

        A file in `own` replaces the one of the same name.
        A template's `output` is the answer of one of `tasks`.

        Raises:
            ConfigurationError: files are not sound templates; the text names each file, line, chain and reason.
        """
        steps = steps or StepLibrary.read()
        files: dict[str, TemplateFile] = {}
        problems: list[str] = []
        if own is not None and not own.is_dir():
            raise ConfigurationError(f"{own} is no folder of prompt templates")
        paths = sorted(path for folder in folders or (TEMPLATES_FOLDER,) for path in folder.glob("*.yaml"))
        replaced = {path.name: path for path in sorted(own.glob("*.yaml"))} if own else {}
        for path in [*(path for path in paths if path.name not in replaced), *replaced.values()]:
            try:
                file = read_yaml(path, TemplateSource)
                source = file.value
                if path.stem not in (source.key, source.name):
                    raise file.problem(f"says it is {source.name} version {source.version}; rename one of them", "name")
                if source.key in files:
                    raise file.problem(f"{source.key} is also in {files[source.key].name}", "version")
                files[source.key] = file
            except ConfigurationError as exc:
                problems.append(str(exc))
        if problems:
            raise ConfigurationError("\n".join(problems))
        templates = []
        workshop = _Workshop(files, steps, {task.answer.__name__: task.answer for task in tasks})
        for key in files:
            try:
                templates += workshop.build(key)
            except ConfigurationError as exc:
                problems.append(str(exc))
        if problems:
            raise ConfigurationError("\n".join(dict.fromkeys(problems)))
        return cls(templates, files=files, steps=steps)

    def wording(self) -> tuple[str, ...]:
        """Return what the templates and their steps say to the model, without samples: no reply repeats it."""
        sources = [file.value for file in self.files.values()]
        own = (text for one in sources for text in (one.system, one.user, *one.blocks.values()) if text)
        does = (step.do for one in sources for step in one.steps or () if isinstance(step, OwnStep))
        return *own, *does, *(step.source.text for step in self.steps.all())

    def default_version(self, name: str) -> int:
        """Return the version that is used without a choice."""
        return DEFAULT_VERSIONS.get(name, 1)

    def has(self, name: str, version: int) -> bool:
        return self._find(name, version) is not None

    def get(self, name: str, version: int | None = None) -> PromptTemplate:
        """Return the template of that version (`name_vN.yaml`, else `name.yaml`); without one, the default.

        Raises:
            PromptNotFoundError: there is none; the text lists what there is.
        """
        version = self.default_version(name) if version is None else version
        template = self._find(name, version)
        if template is None:
            known = ", ".join(f"{named} v{number}" for named, number in sorted(self._templates))
            raise PromptNotFoundError(f"no template '{name}' version {version}; there are: {known}")
        return template

    def all(self) -> list[PromptTemplate]:
        """Every template that can be sent; the abstract ones are in `files` alone."""
        return [self._templates[key] for key in sorted(self._templates)]

    def _find(self, name: str, version: int) -> PromptTemplate | None:
        return self._templates.get((name, version)) or next(
            (template for template in self._templates.values() if template.file.name == f"{name}.yaml"), None
        )


class _Workshop:
    """Builder of templates from their files, with one environment for all of them."""

    def __init__(
        self, files: Mapping[str, TemplateFile], steps: StepLibrary, outputs: Mapping[str, type[Value]]
    ) -> None:
        self._files = files
        self._outputs = outputs
        self._steps = steps
        self._sources: dict[str, tuple[str, str]] = {}
        self._environment = strict_environment()
        self._environment.loader = FunctionLoader(
            lambda name: (*self._sources[name], lambda: True) if name in self._sources else None
        )
        self._environment.globals["step"] = steps.render

    def build(self, key: str) -> list[PromptTemplate]:
        """Return the template, or nothing for an abstract one, which is checked all the same."""
        line = lineage(key, self._files)
        inherited = inherit(line, self._environment)
        for name, source in inherited.sources.items():
            self._sources[name] = (source, self._files[name.partition(":")[0]].name)
        input_model = _named(line, "input", INPUTS)
        listed, used = self._listed_steps(line)
        for part in PARTS:
            used |= self._check(part, inherited, input_model, line)
        if line.own.value.abstract:
            return []
        output, settings = _named(line, "output", self._outputs), line.nearest("settings")
        if settings is None:
            raise line.own.problem("'settings' is missing", chain=line.chain)
        user = self._compiled(key, "user", line)
        self._rendered(user, dict.fromkeys(input_model.model_fields, ""), "user", line)
        return [
            PromptTemplate(
                file=line.own,
                chain=tuple(member.value.key for member in line.members),
                system=self._rendered(self._compiled(key, "system", line), {STEPS: listed}, "system", line),
                user=user,
                user_sources=tuple(text.text for text, _ in inherited.parsed["user"]),
                steps_used=used,
                settings=settings[1],
                input=input_model,
                output=output,
            )
        ]

    def _listed_steps(self, line: Lineage) -> tuple[str, dict[str, str]]:
        """Return the text of `{{ steps }}`, the template's steps, numbered, and the shared ones among them."""
        found = line.nearest("steps")
        if found is None:
            return "", {}
        file, steps = found
        texts, used = [], {}
        for number, each in enumerate(steps):
            if isinstance(each, OwnStep):
                texts.append(each.do.strip())
                continue
            step, where = self._steps.get(each.step), ("steps", number, "step")
            if step is None:
                raise file.problem(self._steps.missing(each.step), *where, chain=line.chain)
            if set(each.parameters) != set(step.source.parameters):
                raise file.problem(f"the step {step.source.key} takes {step.wanted}", *where, chain=line.chain)
            texts.append(step.render(each.parameters))
            used[step.source.key] = texts[-1]
        return "\n".join(f"STEP {number} {text}" for number, text in enumerate(texts, start=1)), used

    def _check(self, part: Part, inherited: Inherited, input_model: type[PromptInput], line: Lineage) -> dict[str, str]:
        """Reject values that the input does not have; return the steps that the part uses."""
        known = tuple(input_model.model_fields) if part == "user" else (STEPS,)
        instead = (
            f"{input_model.__name__} has {', '.join(known)}"
            if part == "user"
            else f"'system' is the same for everybody and takes {STEPS} alone"
        )
        used = {}
        for number, (text, parsed) in enumerate(inherited.parsed[part]):
            # The root has no parent for super().
            text.refuse_unknown(parsed, (*known, "super") if number else known, instead)
            for call in text.step_calls(parsed):
                step = self._steps.get(call.name)
                if step is None:
                    raise text.problem(self._steps.missing(call.name), call.line)
                if call.parameters is not None and call.parameters != set(step.source.parameters):
                    raise text.problem(f"the step {step.source.key} takes {step.wanted}", call.line)
                used[step.source.key] = step.source.text
        return used

    def _compiled(self, key: str, part: Part, line: Lineage) -> CompiledTemplate:
        try:
            return self._environment.get_template(source_name(key, part))
        except RENDERING_ERRORS as exc:
            raise line.own.problem(str(exc), part, chain=line.chain) from exc

    def _rendered(self, compiled: CompiledTemplate, values: Mapping[str, str], part: Part, line: Lineage) -> str:
        """Render a part at the start: some errors show only when it is rendered."""
        try:
            return compiled.render(values).strip()
        except (*RENDERING_ERRORS, ConfigurationError) as exc:
            file, number = place_of(exc, line.own.name, line.own.line(part))
            raise problem(file, number, str(exc), chain=line.chain) from exc


def _named(line: Lineage, what: str, known: Mapping[str, Any]) -> Any:
    """Return the model that the template names as its input or output."""
    found = line.nearest(what)
    if found is None:
        raise line.own.problem(f"'{what}' is missing; there are: {', '.join(sorted(known))}", chain=line.chain)
    file, name = found
    if name not in known:
        raise file.problem(f"there is no {what} {name}; there are: {', '.join(sorted(known))}", what, chain=line.chain)
    return known[name]


log = logger(__name__)

Chooser = Callable[[str, str], int | None]
"""Choice by a template's name and the conversation's id, which is constant for one person. None: no choice."""

# The choice of PROMPTER_USE_STRUCTURED_TEMPLATES.
STRUCTURED: Mapping[str, int] = {
    "select_state": 2,
    "generate_response": 2,
    "select_message_type": 2,
    "handoff_summary": 2,
    "interview_question": 2,
}


def fixed(versions: Mapping[str, int]) -> Chooser:
    """Return a chooser of constant versions; templates that are not named have no choice."""
    return lambda name, _: versions.get(name)


class PromptVersions:
    """Choice of versions, without memory: the choice for a conversation is kept in its head (`prompt_versions`).

    `choosers` are asked in order, experiments before flags. Without any, every template is at its default, also for
    conversations with another choice: that makes their absence a kill switch.
    """

    def __init__(self, registry: PromptRegistry, choosers: Sequence[Chooser] = ()) -> None:
        self._registry = registry
        self._choosers = tuple(choosers)

    def choose(self, name: str, targeting: str) -> int:
        """Choose the version for a conversation that begins now, skipping versions that do not exist."""
        for chooser in self._choosers:
            version = chooser(name, targeting)
            if version is None:
                continue
            if self._registry.has(name, version):
                return version
            log.warning("prompt.version_missing", template=f"{name}_v{version}")
        return self._registry.default_version(name)

    def has(self, name: str, version: int) -> bool:
        return self._registry.has(name, version)

    def chosen(self, names: Iterable[str], targeting: str) -> dict[str, int]:
        return {name: self.choose(name, targeting) for name in names}

    def template(self, name: str, kept: Mapping[str, int]) -> PromptTemplate:
        """Return the template for a conversation that keeps these versions; others are at their default.

        Raises:
            PromptNotFoundError: there is no template of that name.
        """
        version = kept.get(name) if self._choosers else None
        if version is not None and not self._registry.has(name, version):
            log.warning("prompt.version_missing", template=f"{name}_v{version}")
            version = None
        return self._registry.get(name, version)

    def for_everybody(self, name: str) -> PromptTemplate:
        """Return the template of a task outside a conversation.

        Raises:
            PromptNotFoundError: there is no template of that name.
        """
        return self.template(name, self.chosen([name], ""))


def versions_for(registry: PromptRegistry, *, choice: bool, structured: bool) -> PromptVersions:
    """Return the versions of the two switches: without `choice` all defaults, with `structured` the second versions."""
    # A chooser without an opinion keeps the choice of running conversations; without any chooser they would lose it.
    return PromptVersions(registry, [fixed(STRUCTURED if structured else {})] if choice else [])
