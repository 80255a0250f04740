"""The production clock, and fault points that do nothing."""

from datetime import UTC, datetime


class SystemClock:
    """Satisfies the `Clock` port."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class NoFaults:
    """Satisfies the `Faults` port by never failing."""

    async def reach(self, point: str) -> None:
        return
