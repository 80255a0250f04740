"""What `prosa doctor` found: by check, with the next step."""

from dataclasses import asdict, dataclass
from enum import StrEnum


class Health(StrEnum):
    OK = "ok"
    NOTE = "note"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """What one check found, and what to do next where that is not nothing."""

    check: str
    health: Health
    detail: str
    next_step: str = ""

    def view(self) -> dict[str, str]:
        return asdict(self)
