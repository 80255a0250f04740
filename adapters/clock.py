"""The production clock, instants as whole microseconds since 1970, and fault points that do nothing."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime


class SystemClock:
    """Satisfies the `Clock` port."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class NoFaults:
    """Satisfies the `Faults` port by never failing."""

    async def reach(self, point: str) -> None:
        return


def micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


def micros_or_none(moment: datetime | None) -> int | None:
    return None if moment is None else micros(moment)


def from_micros(value: int) -> datetime:
    return datetime.fromtimestamp(value / 1_000_000, tz=UTC)


def readable(texts: Iterable[bytes | None]) -> Iterator[datetime]:
    """Return the aware instants (ISO 8601) among `texts`; the rest is left out."""
    for text in texts:
        with suppress(ValueError):
            moment = datetime.fromisoformat((text or b"").decode())
            if moment.tzinfo is not None:
                yield moment
