"""Instants as whole microseconds since 1970, the form in which databases compare them."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime


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
