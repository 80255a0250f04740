"""Findings of `prosa doctor`: by check, with the next step."""

from dataclasses import asdict, dataclass
from enum import StrEnum


class Health(StrEnum):
    OK = "ok"
    NOTE = "note"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """Result of one check, and the next step if there is one."""

    check: str
    health: Health
    detail: str
    next_step: str = ""

    def view(self) -> dict[str, str]:
        return asdict(self)
