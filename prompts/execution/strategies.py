"""Strategies: the model and the effort of a task, where the settings' own model is not the choice."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from contracts.conversation import TaskName
from contracts.ports import Effort, ModelRequest


class Strategy(StrEnum):
    """Priority of a call.

    `balanced` takes what the settings say; `cost` the economy model at low effort; `speed` the task's own model at low
    effort; `quality` the quality model at high effort, for the tasks whose words a person reads or that decide.
    """

    COST = "cost"
    QUALITY = "quality"
    SPEED = "speed"
    BALANCED = "balanced"


@dataclass(frozen=True)
class Strategies:
    """Models of the strategies; one that is not set leaves the task's own in its place."""

    economy_model: str | None = None
    quality_model: str | None = None

    def apply_strategy(self, request: ModelRequest, task: str, strategy: Strategy) -> ModelRequest:
        """Return the request with the model and effort of the strategy."""
        match strategy:
            case Strategy.BALANCED:
                return request
            case Strategy.COST:
                return _asking(request, self.economy_model, Effort.LOW)
            case Strategy.SPEED:
                return _asking(request, None, Effort.LOW)
            case Strategy.QUALITY:
                return _asking(request, None if task in FORM_TASKS else self.quality_model, Effort.HIGH)


# The form of a reply is a small choice: a dearer model does not make a better one.
FORM_TASKS = frozenset({TaskName.MESSAGE_TYPE})

# Families that take `output_config.effort`; the API answers 400 for others, so it is sent to known families alone.
# Source: platform.claude.com, "Effort"; `capabilities.effort` of GET /v1/models/{model}.
FAMILIES_WITH_EFFORT: Mapping[str, bool] = {"opus": True, "sonnet": True, "haiku": False}


def takes_effort(model: str) -> bool:
    return any(takes for family, takes in FAMILIES_WITH_EFFORT.items() if f"-{family}-" in f"{model}-")


def _asking(request: ModelRequest, model: str | None, effort: Effort) -> ModelRequest:
    chosen = model or request.model
    return request.model_copy(update={"model": chosen, "effort": effort if takes_effort(chosen) else None})
