"""Findings of `prosa doctor`, each with its next step."""

from dataclasses import asdict, dataclass
from enum import StrEnum


class Health(StrEnum):
    OK = "ok"
    NOTE = "note"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """The result of one check; `next_step` is empty where nothing is to be done."""

    check: str
    health: Health
    detail: str
    next_step: str = ""

    def view(self) -> dict[str, str]:
        return asdict(self)
