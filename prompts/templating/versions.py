"""Versions of templates for a conversation: an experiment's choice, else a flag's, else the default."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from observability.logs import logger
from prompts.templating.registry import PromptRegistry
from prompts.templating.template import PromptTemplate

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
