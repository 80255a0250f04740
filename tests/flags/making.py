"""What the tests of flags are made of."""

from datetime import datetime, timedelta
from typing import Any

from openfeature.evaluation_context import EvaluationContext

from flags.definitions import Flag, Status
from flags.evaluation import CompiledFlag, Evaluator, enabled
from tests.builders import START

LATER = START + timedelta(days=90)


def flag(key: str = "x", **changes: Any) -> Flag:
    given: dict[str, Any] = {"key": key, "owner": "team", "expires_at": LATER, "status": Status.ENABLED} | changes
    return Flag.model_validate(given)


def architecture_flag(architecture: str) -> dict[str, Any]:
    """A file's flags that give every person the architecture."""
    arms = [{"name": "before", "weight": 0}, {"name": "asked", "value": architecture}]
    owned = {"owner": "team", "expires_at": "2099-01-01", "status": "enabled"}
    return {"architecture": owned | {"variants": arms}}


def variants(**weights: float) -> list[dict[str, Any]]:
    return [{"name": name, "weight": weight} for name, weight in weights.items()]


def person(number: object = 1, **attributes: Any) -> EvaluationContext:
    return EvaluationContext(f"web:{number}", attributes)


class Known:
    """Satisfies `Flags` with those that are given."""

    def __init__(self, *flags: Flag, is_ready: bool = True) -> None:
        self.compiled = {one.key: CompiledFlag(one, 7) for one in flags}
        self.is_ready = is_ready

    def get(self, key: str) -> CompiledFlag | None:
        return self.compiled.get(key)


class Asked(Evaluator):
    """Evaluator that is asked for what most tests look at."""

    def is_enabled(self, key: str, context: EvaluationContext, *, default: bool = False) -> bool:
        return enabled(self.evaluate(key, context), default)

    def variant(self, key: str, context: EvaluationContext, *, default: str) -> str:
        answer = self.evaluate(key, context)
        return default if answer.variant is None else answer.variant.name


def evaluator(*flags: Flag, at: datetime = START, **options: Any) -> Asked:
    return Asked(Known(*flags), now=lambda: at, **options)
