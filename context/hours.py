"""Reading of opening hours as the institution writes them, and the text of a hand-off inside and outside them."""

import re
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from babel.dates import format_datetime

from contracts.institution import FixedText, Hours, Institution, OpeningTime

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
OPENING = "{opening}"
_TIMES = re.compile(r"([a-z]{3})(?:-([a-z]{3}))? (\d\d?:\d\d)-(\d\d?:\d\d)")
_HOLIDAY = re.compile(r"(?:\d{4}-)?\d\d-\d\d")
WEEK = timedelta(days=7)
# Elsewhere the weekday is named today, too.
TODAY = {"pt": "hoje", "en": "today", "es": "hoy"}


def read_hours(weekly: Sequence[str], holidays: Sequence[str], time_zone: str) -> Hours:
    """Read `mon-fri 08:00-18:00`, one for each range of days and time, and holidays as `12-25` or `2026-04-03`.

    Raises:
        ValueError: one of them cannot be read; the text names it.
    """
    try:
        ZoneInfo(time_zone)
    except (ValueError, OSError, LookupError):
        raise ValueError(f'"{time_zone}" is not a time zone such as America/Sao_Paulo') from None
    for holiday in holidays:
        try:
            datetime.fromisoformat(holiday if len(holiday) > 5 else f"2000-{holiday}")
        except ValueError:
            raise ValueError(f'"{holiday}" is not a day such as 12-25 or 2026-04-03') from None
        if not _HOLIDAY.fullmatch(holiday):
            raise ValueError(f'"{holiday}" is not a day such as 12-25 or 2026-04-03')
    opening = list[OpeningTime]()
    for text in weekly:
        found = _TIMES.fullmatch(text.lower())
        try:
            first, last, opens, closes = found.groups() if found else ("", None, "", "")
            begin, end = DAYS.index(first), DAYS.index(last or first)
            day_begins, day_ends = time.fromisoformat(opens.zfill(5)), time.fromisoformat(closes.zfill(5))
        except ValueError:
            day_begins = day_ends = time()
        if day_begins >= day_ends or begin > end:
            raise ValueError(f'"{text}" is not opening hours such as "mon-fri 08:00-18:00"')
        opening += (OpeningTime(weekday=day, opens=day_begins, closes=day_ends) for day in range(begin, end + 1))
    return Hours(time_zone=time_zone, weekly=tuple(opening), holidays=tuple(holidays))


def handoff_text(institution: Institution, at: datetime) -> str:
    """Return what the person reads at a hand-off: outside the team's hours, with the next opening."""
    opening = institution.hours.next_opening(at) if institution.hours else None
    if opening is None or opening <= at or FixedText.ESCALATED_CLOSED not in institution.texts:
        return institution.text(FixedText.ESCALATED)
    today = TODAY.get(institution.language.partition("-")[0])
    form = "EEEE, HH:mm" if opening - at < WEEK else "EEEE, d MMMM, HH:mm"
    if today and opening.date() == at.astimezone(opening.tzinfo).date():
        form = f"'{today}', HH:mm"
    named = format_datetime(opening, form, tzinfo=opening.tzinfo, locale=institution.language.replace("-", "_"))
    return institution.text(FixedText.ESCALATED_CLOSED).replace(OPENING, named)
