"""Which version of a template a conversation gets: an experiment's, else a flag's, else the default."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from observability.logs import logger
from prompts.templating.registry import PromptRegistry
from prompts.templating.template import PromptTemplate

log = logger(__name__)

Chooser = Callable[[str, str], int | None]
"""Asked with a template's name and the conversation's id, which stays the same for one person. None: no opinion."""

# What PROMPTER_USE_STRUCTURED_TEMPLATES chooses.
STRUCTURED: Mapping[str, int] = {
    "select_state": 2,
    "generate_response": 2,
    "select_message_type": 2,
    "handoff_summary": 2,
    "interview_question": 2,
}


def fixed(versions: Mapping[str, int]) -> Chooser:
    """The same versions for everybody; no opinion on templates that are not named."""
    return lambda name, _: versions.get(name)


class PromptVersions:
    """Chooses, and remembers nothing: what was chosen for a conversation stands in its head (`prompt_versions`).

    `choosers` are asked in order, experiments before flags. Without any, everything is at its default, also for
    conversations that were given something else: that is what makes leaving them out a kill switch.
    """

    def __init__(self, registry: PromptRegistry, choosers: Sequence[Chooser] = ()) -> None:
        self._registry = registry
        self._choosers = tuple(choosers)

    def choose(self, name: str, targeting: str) -> int:
        """The version for one that begins now. One that is not there is passed over: it must not stop a reply."""
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
        """The template for a conversation that keeps these versions; what it does not name is at its default.

        Raises:
            PromptNotFoundError: there is no template of that name.
        """
        version = kept.get(name) if self._choosers else None
        if version is not None and not self._registry.has(name, version):
            log.warning("prompt.version_missing", template=f"{name}_v{version}")
            version = None
        return self._registry.get(name, version)

    def for_everybody(self, name: str) -> PromptTemplate:
        """The template of what is asked in no conversation of its own.

        Raises:
            PromptNotFoundError: there is no template of that name.
        """
        return self.template(name, self.chosen([name], ""))


def versions_for(registry: PromptRegistry, *, choice: bool, structured: bool) -> PromptVersions:
    """What the two switches come to: `choice` off is everything at its default, `structured` the second versions."""
    # A chooser that never says anything keeps what conversations were given, which none would not.
    return PromptVersions(registry, [fixed(STRUCTURED if structured else {})] if choice else [])
