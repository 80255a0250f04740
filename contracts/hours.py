"""Opening hours of an institution's team: weekly times, holidays, time zone."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from contracts.values import Kept

# A team that is closed longer than this has no next opening.
HORIZON_DAYS = 400


class OpeningTime(Kept):
    """Open on a weekday (0 is Monday) from `opens` until before `closes`, local time."""

    weekday: int
    opens: time
    closes: time


class Hours(Kept):
    """Opening hours; `holidays` are `MM-DD` of every year or `YYYY-MM-DD` of one, closed all day."""

    time_zone: str = "UTC"
    weekly: tuple[OpeningTime, ...]
    holidays: tuple[str, ...] = ()

    @property
    def zone(self) -> tzinfo:
        return UTC if self.time_zone == "UTC" else ZoneInfo(self.time_zone)

    def is_open(self, at: datetime) -> bool:
        local = at.astimezone(self.zone)
        return any(one.opens <= local.time() < one.closes for one in self._of(local.date()))

    def next_opening(self, at: datetime) -> datetime | None:
        """Return when the team opens next, in its zone; `at` itself while it is open; None: not within 400 days."""
        local = at.astimezone(self.zone)
        if self.is_open(at):
            return local
        days = (local.date() + timedelta(days=ahead) for ahead in range(HORIZON_DAYS))
        opens = (datetime.combine(day, one.opens, self.zone) for day in days for one in self._of(day))
        return next((moment for moment in opens if moment > local), None)

    def _of(self, day: date) -> list[OpeningTime]:
        if not {day.isoformat(), f"{day:%m-%d}"}.isdisjoint(self.holidays):
            return []
        return sorted((one for one in self.weekly if one.weekday == day.weekday()), key=lambda one: one.opens)
