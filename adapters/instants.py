"""Instants as whole microseconds since 1970, the form in which databases compare them."""

from datetime import UTC, datetime


def micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


def micros_or_none(moment: datetime | None) -> int | None:
    return None if moment is None else micros(moment)


def from_micros(value: int) -> datetime:
    return datetime.fromtimestamp(value / 1_000_000, tz=UTC)
