"""Trials of the texts without a model: the cases of every step, the samples of every template."""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from contracts.errors import ConfigurationError
from prompts.pricing.tokens import estimated_tokens
from prompts.templating.inputs import PromptInput
from prompts.templating.registry import PromptRegistry
from prompts.templating.source import Sample
from prompts.templating.steps import Step
from prompts.templating.template import PromptTemplate


@dataclass(frozen=True)
class Trial:
    """One case and its problems. `tokens` is the estimate for the task and user parts."""

    of: str
    case: str
    problems: tuple[str, ...]
    tokens: int | None = None


def trials(registry: PromptRegistry) -> list[Trial]:
    return [
        *(trial for step in registry.steps.all() for trial in _step_trials(step)),
        *(_sample_trial(template, sample) for template in registry.all() for sample in template.source.samples),
    ]


def sample_input(template: PromptTemplate, sample: Sample) -> PromptInput:
    """Return the sample's values as the template's input.

    Raises:
        ConfigurationError: they are not those of that input.
    """
    try:
        return template.input.model_validate(sample.input)
    except ValidationError as exc:
        said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in exc.errors(include_input=False))
        raise ConfigurationError(f"the sample is no {template.input.__name__}: {said}") from exc


def _step_trials(step: Step) -> Iterator[Trial]:
    for number, case in enumerate(step.source.tests, start=1):
        try:
            given = step.render(case.parameters)
            problems = () if given == case.gives.strip() else (f"gives {given!r}, not {case.gives.strip()!r}",)
        except ConfigurationError as exc:
            problems = (str(exc),)
        yield Trial(step.source.key, f"case {number}", problems)


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
