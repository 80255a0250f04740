"""Lint of templates and steps, findings that do not stop a start; their trials without a model."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from contracts.errors import ConfigurationError
from contracts.values import problems_of
from contracts.yaml_file import YamlFile
from prompts.pricing.prices import estimated_tokens
from prompts.templating.registry import PromptRegistry
from prompts.templating.source import PromptInput, PromptTemplate, Sample, TemplateSource
from prompts.templating.steps import StepSource

REPEATED_WORDS = 8
_BLOCK = re.compile(r"{%-?\s*block\s+([a-z_][a-z0-9_]*)")


@dataclass(frozen=True, order=True)
class Finding:
    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


def findings(registry: PromptRegistry, *, institution: str) -> list[Finding]:
    """Check every template and step. `institution` is the text that opens every prompt."""
    steps = registry.steps.all()
    found = {
        *_versions(registry),
        *_blocks(registry),
        *(one for file in registry.files.values() for one in _file(file)),
        *(one for step in steps for one in _file(step.file)),
        *(one for template in registry.all() for one in _template(template, institution)),
    }
    used = {key for template in registry.all() for key in template.steps_used}
    for step in steps:
        if step.source.key not in used:
            found.add(Finding(step.file.name, 1, "no template uses this step"))
        if not step.source.tests:
            found.add(Finding(step.file.name, 1, "has no tests"))
    return sorted(found)


def _file(file: YamlFile[TemplateSource] | YamlFile[StepSource]) -> Iterator[Finding]:
    if not file.value.description.strip():
        yield Finding(file.name, 1, "has no description")
    for number, line in enumerate(file.text.splitlines(), start=1):
        if line != line.rstrip():
            yield Finding(file.name, number, "ends in spaces")


def _versions(registry: PromptRegistry) -> Iterator[Finding]:
    by_name: dict[str, list[YamlFile[TemplateSource]]] = {}
    for file in registry.files.values():
        by_name.setdefault(file.value.name, []).append(file)
    for name, files in by_name.items():
        versions = sorted(file.value.version for file in files)
        newest = max(files, key=lambda file: file.value.version)
        if versions != list(range(1, len(versions) + 1)):
            missing = sorted(set(range(1, versions[-1])) - set(versions))
            yield Finding(newest.name, newest.line("version"), f"{name} has no version {', '.join(map(str, missing))}")
        if not newest.value.abstract and not registry.has(name, registry.default_version(name)):
            yield Finding(newest.name, 1, f"the default of {name} is version {registry.default_version(name)}")


def _blocks(registry: PromptRegistry) -> Iterator[Finding]:
    """Find blocks that no template changes, and abstract templates that no template extends."""
    sources = [file.value for file in registry.files.values()]
    changed = {block for source in sources for block in source.blocks}
    parents = {source.extends for source in sources}
    for file in registry.files.values():
        if file.value.abstract and file.value.key not in parents:
            yield Finding(file.name, 1, "is abstract, and no template extends it")
        for number, line in enumerate(file.text.splitlines(), start=1):
            for block in _BLOCK.findall(line):
                if block not in changed:
                    yield Finding(file.name, number, f"no template changes the block '{block}'")


def _template(template: PromptTemplate, institution: str) -> Iterator[Finding]:
    file, source = template.file, template.source
    if not source.samples:
        yield Finding(file.name, 1, "has no samples")
    if source.steps and "STEP 1 " not in template.system:
        yield Finding(file.name, file.line("steps"), "has steps that no text places: write {{ steps }}")
    for name in template.input.model_fields:
        if not any(re.search(rf"\b{name}\b", text) for text in template.user_sources):
            yield Finding(file.name, file.line("user"), f"never says '{name}' of its input")
    for words in _repeated(template.system, institution):
        yield Finding(file.name, _line_of(file, words), f"repeats the institution: {words}")


def _repeated(text: str, institution: str) -> Iterator[str]:
    """Find runs of words that the text shares with the institution's, the first of each place."""
    known = f" {' '.join(_words(institution))} "
    words = _words(text)
    position = 0
    while position + REPEATED_WORDS <= len(words):
        run = " ".join(words[position : position + REPEATED_WORDS])
        if f" {run} " in known:
            yield run
            position += REPEATED_WORDS
        else:
            position += 1


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _line_of(file: YamlFile[TemplateSource], words: str) -> int:
    """Return the line on which the run begins; 1 when it is inherited."""
    seen: list[str] = []
    lines: list[int] = []
    for number, line in enumerate(file.text.splitlines(), start=1):
        for word in _words(line):
            seen.append(word)
            lines.append(number)
    run = words.split()
    places = range(len(seen) - len(run) + 1)
    return next((lines[place] for place in places if seen[place : place + len(run)] == run), 1)


@dataclass(frozen=True)
class Trial:
    """One case and its problems. `tokens` is the estimate for the task and user parts."""

    of: str
    case: str
    problems: tuple[str, ...]
    tokens: int | None = None


def trials(registry: PromptRegistry) -> list[Trial]:
    """Try every case of the steps and every sample of the templates."""
    found = []
    for step in registry.steps.all():
        for number, case in enumerate(step.source.tests, start=1):
            try:
                given = step.render(case.parameters)
                problems = () if given == case.gives.strip() else (f"gives {given!r}, not {case.gives.strip()!r}",)
            except ConfigurationError as exc:
                problems = (str(exc),)
            found.append(Trial(step.source.key, f"case {number}", problems))
    found += [_sample_trial(template, sample) for template in registry.all() for sample in template.source.samples]
    return found


def sample_input(template: PromptTemplate, sample: Sample) -> PromptInput:
    """Return the sample's values as the template's input.

    Raises:
        ConfigurationError: they are not those of that input.
    """
    try:
        return template.input.model_validate(sample.input)
    except ValidationError as exc:
        said = problems_of(exc)
        raise ConfigurationError(f"the sample is no {template.input.__name__}: {said}") from exc


def _sample_trial(template: PromptTemplate, sample: Sample) -> Trial:
    try:
        user = template.render_user(sample_input(template, sample))
    except ConfigurationError as exc:
        return Trial(template.label, sample.name, (str(exc),))
    text = f"{template.system}\n\n{user}"
    tokens = estimated_tokens(text)
    problems = [f"does not contain {words!r}" for words in sample.contains if words not in text]
    problems += [f"contains {words!r}" for words in sample.excludes if words in text]
    if sample.max_tokens is not None and tokens > sample.max_tokens:
        problems.append(f"has {tokens} tokens, more than {sample.max_tokens}")
    return Trial(template.label, sample.name, tuple(problems), tokens)
