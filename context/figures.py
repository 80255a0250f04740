"""Finds every number of a flat text and says what kind it is: hour, date, long digit run, percentage, code, count."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from context.alternatives import one_of, sharing
from context.wording import CROWDS, HUNDREDS, NUMBER_WORDS, ONES, ORDINARY, SCALES, STOP_WORDS, TALK, TENS, UNITS


class Kind(StrEnum):
    TIME = "time"  # value: minutes since midnight
    DATE = "date"  # value: day.month, or the day alone
    LONG = "long"  # eight digits or more: phone, postcode, document, card
    PERCENT = "percent"
    CODE = "code"  # letters and digits in one word
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class Figure:
    """A number and the words it stands with. `units` are stems of what follows, `before` of what precedes."""

    kind: Kind
    value: str
    start: int
    end: int
    units: tuple[str, ...] = ()
    before: str = ""
    exact: bool = True  # a time with am, pm or minutes; "9" in "from 9 to 5" may be either half of the day


@dataclass(frozen=True, slots=True)
class Hours:
    """A time range, or one end of it, and the days it is said of (1 Monday to 7 Sunday, 8 holidays)."""

    days: frozenset[int] | None
    opens: int | None
    closes: int | None
    start: int
    end: int
    is_range: bool = False
    exact: bool = True
    sentence: str = ""


STEM_LETTERS = 6
BLANK = "\x00"

NUMBER_WORD = one_of((*NUMBER_WORDS, *CROWDS))
_SPOKEN = re.compile(
    rf"(?<![\w])(?:(?:um|uma|one|a)[ -](?=(?:milhao|hundred|thousand|grand|million)\b))?{NUMBER_WORD}"
    rf"(?:(?:[ -]|,? (?:e|and) ){NUMBER_WORD}|(?:[ -](?:e|and) )(?:um|uma|one))*(?!\w)|\bmei[ao] hora\b"
    r"|\bhalf an hour\b"
)
_MONTHS = (
    "janeiro|fevereiro|marco|abril|maio|junho|julho|agosto|setembro|outubro|novembro|dezembro",
    "january|february|march|april|may|june|july|august|september|october|november|december",
)
_MONTH_NUMBER = {name: number for names in _MONTHS for number, name in enumerate(names.split("|"), start=1)}
_MONTH = f"(?:{_MONTHS[0]}|{_MONTHS[1]})"
_HOUR_WORD = r"(?:horas|hora|hours|hrs|hs|h|o'?clock)"
_HALF = r"(?:a\.?m\.?|p\.?m\.?)(?![a-z])"
_DAYPART = r"(?: (?:da|de|in the|at) (?:manha|tarde|noite|madrugada|morning|afternoon|evening|night))"

_LONG = re.compile(r"(?<![\w.])(?:\+ ?)?\(?\d(?:[ .()/-]{0,2}\d){7,24}(?!\w)")
_DATE = re.compile(
    rf"(?<![\w/.-])(?:(\d{{1,2}})[/.-](\d{{1,2}})(?:[/.-]\d{{2,4}})?(?![\w/-])|\d{{4}}-(\d{{2}})-(\d{{2}})(?!\w)"
    rf"|(\d{{1,2}})(?:o|st|nd|rd|th)? (?:de |of )?({_MONTH})\b|({_MONTH}) (?:the )?(\d{{1,2}})(?:st|nd|rd|th)?(?!\w)"
    rf"|dias? (\d{{1,2}})(?![\w,./-]?\w| de {_MONTH}))"
)
_TIME = re.compile(
    rf"(?<![\w.,:])(?:(?P<h1>[01]?\d|2[0-4])(?::|\.(?=\d\d ?[ap]\.?m))(?P<m1>[0-5]\d)(?: ?(?P<p1>{_HALF})"
    rf"|(?P<d1>{_DAYPART})| ?{_HOUR_WORD}\b|(?![\w.,]?\d))"
    rf"|(?P<h2>[01]?\d|2[0-4]) ?(?:h|hs|hrs)(?: ?e? ?(?P<m2>[0-5]\d)(?:min|m)?)?(?![\w])"
    rf"|(?P<h3>1[0-2]|0?\d) ?(?P<p3>{_HALF})"
    rf"|(?P<h4>[01]?\d|2[0-4])(?: ?{_HOUR_WORD})?(?P<d4>{_DAYPART})\b"
    rf"|(?P<h5>[01]?\d|2[0-4]) {_HOUR_WORD}\b)"
)
_A_DIGIT = re.compile(r"\d")
_SAID_NUMBER = re.compile(rf"\b(?:{NUMBER_WORD}\b|mei[ao]\b|noon|mid|half|quarter)")
_NOON = re.compile(r"\b(meio[ -]dia e meia|meio[ -]dia|meia[ -]noite|noon|midday|midnight)\b")
_HALF_PAST = re.compile(rf"\b(half|quarter) (past|to) (\d{{1,2}}|{NUMBER_WORD})(?!\w)")
_RANGE_OF_HOURS = re.compile(
    rf"\b(?P<lead>das|de|from|between|entre) (?:as )?(?P<a>\d{{1,2}}|{NUMBER_WORD})(?: ?{_HOUR_WORD})?"
    rf" ?(?P<join>as|ate as|ate|a|to|until|till|and|e|-) ?(?:as )?(?P<b>\d{{1,2}}"
    rf"|{NUMBER_WORD})(?P<mark> ?{_HOUR_WORD}| ?{_HALF})?(?![\w:/])"
)
_BARE_HOURS = re.compile(
    rf"(?:\b(?:as|at|ate as|until|till)|(?<={BLANK}) (?:to|till|until|and|as|ate as)) (?P<h>1?\d|2[0-4])"
    r"(?= ?(?:[.,;!?\n]|$|(?:e|and|de|da|do|na|no|nos|nas|aos?|on|in|until|till|to|ate|as"
    r"|durante) ))"
    r"|\b(?:das|de|from|desde as) (?P<f>1?\d|2[0-4])(?= (?:ao|ate o|ate|a|to|until|till) (?:meio|noon|midday))"
)
_AFTER_DAYS = re.compile(
    r"(?:\b(?:segundas?|tercas?|quartas?|quintas?|sextas?|sabados?|feira|uteis|semana|days?)|day|days|esdays?), "
    r"(?P<a>1?\d) ?(?:to|till|until|as|-) ?(?P<b>1?\d|2[0-4])(?= ?(?:[.,;!?\n]|$))"
)
_AT_HOUR = re.compile(
    rf"\b(?:as|at|ate as|until|till|pelas|by) (?P<h>{NUMBER_WORD})(?: {_HOUR_WORD})?(?P<d>{_DAYPART})?(?!\w)"
    rf"|\b(?P<h2>{NUMBER_WORD})(?P<d2>{_DAYPART})(?!\w)"
)
_PERCENT = re.compile(rf"(?<![\w.,])(\d+(?:[.,]\d+)?|{NUMBER_WORD}) ?(?:%|por cento|porcento|per ?cent)")
_CODE = re.compile(r"(?<!\w)(?:\d{1,24}[a-z]|[a-z]{1,24}\d)[a-z0-9]{0,24}(?!\w)")
_MEASURED = re.compile(r"(\d+)(kg|cm|m|km|g|mm|l|ml|min|x|k|kb|mb|gb|mil|anos|o|a|st|nd|rd|th|hs|hrs|h)")
_DIGITS = re.compile(r"(?<![\w])\d+(?:[.,]\d+)*")
_LIST_NUMBER = re.compile(r"(?:^|(?<=\n)) *\(?\d{1,2}(?:[.)]| ?-)(?= )|(?<![\w(])\(?\d\) ")
_NEXT_WORDS = re.compile(r"[ -]?([a-z%]+)(?:[ -]+([a-z]+))?")
_LINKING = re.compile(rf"[ ]?(?:a|x|e|ou|to|or|and|ate|por|by|-|/) ?(?=\d|{NUMBER_WORD}\b)")
_LAST_WORD = re.compile(r"([a-z]+)[ ,.:;#(-]*(?:(?:e|eh|is) (?:[ao] )?)?(?:no|numero|number)?[ ,.:#(]*$")
_DURATION = re.compile(
    r"\b(?:em|dentro de|in|within|menos de|cada|durante|umas?|cerca de|mais|per|ha|for|uns|after|apos)(?: ate"
    r"| umas?| cerca de)? $"
)
_CLOCK = re.compile(r"\b(?:as|das|pelas|at|from|until|till|by|e|a|to|and) $|[-]\s?$")

_SAME_UNIT = {
    "quilo": "kg", "kilo": "kg", "quilograma": "kg", "kilogram": "kg", "centimetro": "cm", "centimetre": "cm",
    "metro": "m", "metre": "m", "metr": "m", "meter": "m",
    "centimetr": "cm", "quilometro": "km", "minuto": "min", "minute": "min", "hora": "hour",
    "hr": "hour", "semana": "week", "dia": "day", "mes": "month", "ano": "year", "pessoa": "person", "people": "person",
    "usuario": "person", "user": "person",
}  # fmt: skip


def stem(word: str) -> str:
    """A rough stem: the singular, six letters of it. The same for documents and drafts."""
    return _STEMS.get(word) or singular(word)[:STEM_LETTERS]


def singular(word: str) -> str:
    """A word without the usual endings of plurals; units of measure in one spelling."""
    for ending, instead in (("coes", "cao"), ("oes", "ao"), ("ais", "al"), ("eis", "el"), ("ies", "y"), ("ns", "m")):
        if len(word) > len(ending) + 1 and word.endswith(ending):
            word = word[: -len(ending)] + instead
            break
    else:
        if len(word) > 3 and word.endswith(("res", "zes", "ses", "ches", "shes", "xes")):
            word = word[:-2]
        elif len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
            word = word[:-1]
    return _SAME_UNIT.get(word, word)


def remember(own_words: Iterable[str]) -> None:
    """Work out the stems of the documents' words, which most replies are made of, once."""
    _STEMS.update({word: singular(word)[:STEM_LETTERS] for word in own_words})


# Worked out once for the usual words; what a person wrote is kept nowhere.
_STEMS = {word: singular(word)[:STEM_LETTERS] for word in ORDINARY | STOP_WORDS | TALK}


def blanked(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """A text of the same length with a zero character for each one in the spans."""
    pieces: list[str] = []
    position = 0
    for start, end in sorted(spans):
        start = max(start, position)
        if end > start:
            pieces += (text[position:start], BLANK * (end - start))
            position = end
    return "".join((*pieces, text[position:]))


def read_figures(text: str) -> tuple[Figure, ...]:
    """Every figure of a flat text, in order. Each character belongs to at most one."""
    return _Reader(text).read()


class _Reader:
    """Takes the kinds one after the other; what one has taken is blank for the next."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.rest = text
        self.taken: list[tuple[int, int]] = []
        self.found: list[Figure] = []

    def read(self) -> tuple[Figure, ...]:
        has_digit = _A_DIGIT.search(self.text) is not None
        if has_digit:
            self._list_numbers()
            self._dates()
            self._long()
            self._percentages()
        self._times(has_digit=has_digit)
        if has_digit:
            self._codes()
            self._digits()
        self._spoken()
        return tuple(sorted(self.found, key=lambda figure: figure.start))

    def _take(self, start: int, end: int, figure: Figure | None) -> None:
        self.taken.append((start, end))
        if figure is not None:
            self.found.append(figure)

    def _matches(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        """What a pattern finds in the rest; once all of it has been looked at, what was taken of it is blank."""
        yield from pattern.finditer(self.rest)
        if self.taken:
            self.rest = blanked(self.rest, self.taken)
            self.taken = []

    def _list_numbers(self) -> None:
        for match in self._matches(_LIST_NUMBER):
            self._take(*match.span(), None)

    def _dates(self) -> None:
        for match in self._matches(_DATE):
            day, month, month2, day2, day3, name, name2, day4, lone = match.groups()
            number = month or month2 or (_MONTH_NUMBER[name or name2] if name or name2 else "")
            value = f"{int(day or day2 or day3 or day4 or lone)}.{int(number) if number else ''}"
            self._take(*match.span(), Figure(Kind.DATE, value, *match.span()))

    def _long(self) -> None:
        for match in self._matches(_LONG):
            digits = re.sub(r"\D", "", match[0])
            plus = "+" if match[0].startswith("+") else ""
            self._take(*match.span(), Figure(Kind.LONG, plus + digits, *match.span()))

    def _percentages(self) -> None:
        for match in self._matches(_PERCENT):
            value = match[1].replace(",", ".") if match[1][0].isdigit() else str(_spoken_value(match[1]))
            self._take(*match.span(), Figure(Kind.PERCENT, value, *match.span()))

    def _times(self, *, has_digit: bool) -> None:
        if not has_digit and not _SAID_NUMBER.search(self.text):
            return
        for match in self._matches(_HALF_PAST):
            shift = {"halfpast": 30, "halfto": -30, "quarterpast": 15, "quarterto": -15}[match[1] + match[2]]
            self._time(match.start(), match.end(), _number(match[3]) * 60 + shift, exact=False)
        for match in self._matches(_RANGE_OF_HOURS):
            self._bare_range(match)
        for match in self._matches(_AFTER_DAYS) if has_digit else ():
            opens, closes = int(match["a"]), int(match["b"])
            self._time(*match.span("a"), opens * 60, exact=False)
            self._time(*match.span("b"), closes * 60, exact=False)
        for match in self._matches(_TIME) if has_digit else ():
            self._written_time(match)
        for match in self._matches(_BARE_HOURS) if has_digit else ():
            name = "h" if match["h"] else "f"
            self._time(*match.span(name), int(match[name]) * 60, exact=False)
        for match in self._matches(_NOON):
            word = match[1].replace("-", " ")
            minutes = {"meio dia e meia": 750, "meia noite": 1440, "midnight": 1440}.get(word, 720)
            self._time(match.start(), match.end(), minutes, exact=True)
        for match in self._matches(_AT_HOUR):
            following = _NEXT_WORDS.match(self.rest, match.end())
            hour, part = match["h"] or match["h2"], match["d"] or match["d2"] or ""
            if part or match[0].endswith(("horas", "hora")) or following is None or following[1] in STOP_WORDS:
                minutes = _half_of_day(_number(hour) * 60, part)
                if minutes <= 24 * 60:
                    self._time(match.start("h" if match["h"] else "h2"), match.end(), minutes, exact=bool(part))

    def _bare_range(self, match: re.Match[str]) -> None:
        """ "das 8 às 18", "from nine to five": hours although neither says so, unless a unit says otherwise."""
        first, last = _number(match["a"]), _number(match["b"])
        hour_like = match["lead"] in ("das", "from") or match["mark"] or match["join"] in ("as", "ate as")
        following = _NEXT_WORDS.match(self.rest, match.end())
        counts = following is not None and not match["mark"] and following[1] not in STOP_WORDS | {"segund", "h"}
        if not hour_like or first > 24 or last > 24 or (counts and match["lead"] not in ("das",)):
            return
        marked = match["mark"] or ""
        closes = last * 60 + (720 if "p" in marked and last < 12 else 0)
        end_of_first = match.end("a")
        self._time(match.start("a"), end_of_first, first * 60, exact=False)
        self._time(match.start("b"), match.end(), closes, exact="p" in marked)

    def _written_time(self, match: re.Match[str]) -> None:
        groups = match.groupdict()
        hour = int(next(groups[f"h{n}"] for n in (1, 2, 3, 4, 5) if groups[f"h{n}"] is not None))
        minute = int(groups["m1"] or groups["m2"] or 0)
        half = (groups["p1"] or groups["p3"] or "").replace(".", "") or groups["d1"] or groups["d4"] or ""
        lead = self.rest[max(0, match.start() - 30) : match.start()]
        duration = _DURATION.search(lead) or hour in (0, 24) or (groups["h5"] and not _CLOCK.search(lead))
        if (groups["h2"] or groups["h5"]) and not groups["m2"] and duration and "clock" not in match[0]:
            before = self._before(match.start())
            self._take(*match.span(), Figure(Kind.COUNT, str(hour), *match.span(), units=("hour",), before=before))
            return
        exact = bool(half) or groups["h2"] is not None or (groups["m1"] is not None and len(groups["h1"] or "") == 2)
        self._time(match.start(), match.end(), _half_of_day(hour * 60 + minute, half), exact=exact)

    def _time(self, start: int, end: int, minutes: int, *, exact: bool) -> None:
        self._take(start, end, Figure(Kind.TIME, str(minutes), start, end, exact=exact))

    def _codes(self) -> None:
        for match in self._matches(_CODE):
            measured = _MEASURED.fullmatch(match[0])
            if measured and measured[2] in ("o", "a", "st", "nd", "rd", "th") and int(measured[1]) <= 10:
                self._take(*match.span(), None)
            elif measured:
                unit = _SAME_UNIT.get(measured[2], measured[2])
                before = self._before(match.start())
                self._take(*match.span(), Figure(Kind.COUNT, measured[1], *match.span(), (unit,), before))
            elif not self.rest[match.start() - 1 : match.start()].isdigit():
                self._take(*match.span(), Figure(Kind.CODE, match[0], *match.span()))

    def _digits(self) -> None:
        for match in self._matches(_DIGITS):
            self._count(match.start(), match.end(), _plain_number(match[0]))

    def _spoken(self) -> None:
        for match in self._matches(_SPOKEN):
            if match[0] in ("meia hora", "meio hora", "half an hour"):
                half_hour = Figure(Kind.COUNT, "30", *match.span(), units=("min",))
                self._take(*match.span(), half_hour)
                continue
            for start, end, value in _spoken_numbers(match):
                self._count(start, end, str(value))

    def _count(self, start: int, end: int, value: str) -> None:
        figure = Figure(Kind.COUNT, value, start, end, self._units(end), self._before(start))
        self.found.append(figure)

    def _units(self, end: int) -> tuple[str, ...]:
        """Stems of the noun after a number; in "2 a 50 pessoas" the first number has the unit of the second."""
        for _ in range(3):
            link = _LINKING.match(self.text, end)
            digits = link and (_DIGITS.match(self.text, link.end()) or _SPOKEN.match(self.text, link.end()))
            if not digits:
                break
            end = digits.end()
        following = _NEXT_WORDS.match(self.text, end)
        if following is None or following[1] in STOP_WORDS:
            return ()
        second = following[2]
        return tuple(stem(word) for word in (following[1], second) if word and word not in STOP_WORDS)

    def _before(self, start: int) -> str:
        match = _LAST_WORD.search(self.text[max(0, start - 40) : start])
        return match[1] if match else ""


def _spoken_numbers(match: re.Match[str]) -> Iterator[tuple[int, int, int]]:
    """The numbers of a run of number words; "oito às dezoito" never is one run, "dois três" is two numbers."""
    total = current = 0
    start: int | None = None
    end = previous = 0
    for word in re.finditer(r"[a-z]+", match[0]):
        name = word[0]
        if name in ("e", "and", "a"):
            continue
        value = NUMBER_WORDS.get(name, CROWDS.get(name, ONES.get(name, 0)))
        if name in SCALES:
            current = max(current, 1) * value
            if value >= 1000:
                total, current = total + current, 0
            previous = value
        elif start is not None and previous and value >= previous and previous not in (100, 1000, 10**6):
            yield match.start() + start, match.start() + end, total + current
            total, current, start, previous = 0, value, word.start(), value
        else:
            current += value
            previous = 100 if name in HUNDREDS else 20 if name in TENS else max(value, 1) if name in UNITS else value
            previous = 10 if name in TENS else 1 if name in UNITS or name in ONES else previous
        if start is None:
            start = word.start()
        end = word.end()
    if start is not None:
        yield match.start() + start, match.start() + end, total + current


def _spoken_value(word: str) -> int:
    return NUMBER_WORDS.get(word, CROWDS.get(word, 0))


def _number(text: str) -> int:
    return int(text) if text.isdigit() else _spoken_value(text)


def _plain_number(digits: str) -> str:
    """ "1.240" and "1,240" are 1240; "12,5" is 12.5."""
    if re.fullmatch(r"\d{1,3}(?:[.,]\d{3})+", digits):
        return str(int(re.sub(r"[.,]", "", digits)))
    parts = re.split(r"[.,]", digits)
    whole = str(int(parts[0])) if len(parts[0]) < 400 else parts[0]
    return ".".join((whole, *parts[1:]))


def _half_of_day(minutes: int, half: str) -> int:
    afternoon = half.startswith("p") or any(
        word in half for word in ("tarde", "noite", "afternoon", "evening", "night")
    )
    if afternoon and minutes < 720:
        return minutes + 720
    if half.startswith("a") and minutes >= 720:
        return minutes - 720
    return minutes


_DAY_NAMES = (
    (r"segundas?(?:[ -]feiras?)?|seg|mondays?|mon", 1),
    (r"tercas?(?:[ -]feiras?)?|ter|tuesdays?|tues?", 2),
    (r"quartas?(?:[ -]feiras?)?|qua|wednesdays?|wed", 3),
    (r"quintas?(?:[ -]feiras?)?|qui|thursdays?|thurs?|thu", 4),
    (r"sextas?(?:[ -]feiras?)?|sex|fridays?|fri", 5),
    (r"sabados?|sab|saturdays?|sat", 6),
    (r"domingos?|dom|sundays?|sun", 7),
    (r"feriados?|(?:bank |public )?holidays?", 8),
)
_DAY = f"(?:{sharing('|'.join(pattern for pattern, _ in _DAY_NAMES))})"
_DAY_GROUP = re.compile(
    r"\b(?=d[aeiou]|t[ehou]|ev|s[aeu]|f[eir]|w[eo]|qu|mo|ba|pu|ho|ou|ot|re)"
    r"(?:(?P<work>dias (?:uteis|de semana)|durante a semana|weekdays|working days)"
    r"|(?P<all>todos os dias|todo dia|every day|daily"
    r"|seven days a week)"
    rf"|(?P<other>(?:demais|outros|other|remaining) (?:dias|days))"
    rf"|(?P<weekend>fi(?:m|ns) de semana|weekends?)|(?P<first>{_DAY})(?:\.)?(?P<more>(?:(?: ?, ?| ?(?:a|ate|e|to"
    rf"|through|until|and|-) ?)(?:a |as |aos )?{_DAY}\b)*))(?!\w)"
)
_DAY_STEP = re.compile(rf" ?(?P<join>,|a|ate|e|to|through|until|and|-) ?(?:a |as |aos )?(?P<day>{_DAY})(?!\w)")
_SENTENCE = re.compile(r"[^;!?\n.]+(?:\.(?=\d|m\b)[^;!?\n.]*)*")
_BETWEEN_TIMES = re.compile(r" ?(?:h|horas)? ?(?:as|ate as|ate|a|to|until|till|and|e|-) ?(?:as |the )?$")
_UNTIL = re.compile(r"\b(?:ate|fecha\w*|encerra\w*|until|till|closes?|closing|termina\w*|by)(?: \w+){0,3} $")
_BESIDE = re.compile(r" (?:on|no|na|nos|nas|aos?|de|as)(?: a| as)? ")
_HOUR_NEXT = re.compile(r"[ ,:]{1,2}(?:das? |de |as |from |at )?\d")
_SHUT = re.compile(r"\b(?:closed|shut|fechad[oa]s?|encerrad[oa]s?)\b")
_FROM = re.compile(r"\b(?:a partir|abr\w+|comeca\w*|desde|opens?|opening|from|starts?)(?: \w+){0,3} $")


def _day_number(name: str) -> int:
    return next(number for pattern, number in _DAY_NAMES if re.fullmatch(pattern, name))


def day_groups(text: str) -> Iterator[tuple[int, int, frozenset[int]]]:
    """Expressions for days and the days they name: "de terça a quinta" is 2, 3 and 4."""
    for match in _DAY_GROUP.finditer(text):
        if match["work"]:
            days = frozenset({1, 2, 3, 4, 5})
        elif match["all"]:
            days = frozenset({1, 2, 3, 4, 5, 6, 7})
        elif match["other"]:
            days = frozenset()
        elif match["weekend"]:
            days = frozenset({6, 7})
        else:
            days = _listed_days(match["first"], match["more"])
        yield match.start(), match.end(), days


@lru_cache(maxsize=256)
def _listed_days(first: str, more: str) -> frozenset[int]:
    last = _day_number(first)
    days = {last}
    for step in _DAY_STEP.finditer(more):
        day = _day_number(step["day"])
        if step["join"] in ("a", "ate", "to", "through", "until", "-"):
            days.update(range(last, day + 1) if last <= day else (*range(last, 8), *range(1, day + 1)))
        days.add(day)
        last = day
    return frozenset(days)


def read_hours(text: str, figures: Sequence[Figure]) -> tuple[Hours, ...]:
    """Time ranges and single hours of a flat text, with the days said beside them in the same sentence."""
    times = [figure for figure in figures if figure.kind is Kind.TIME]
    if not times:
        return ()
    found: list[Hours] = []
    starts = [time.start for time in times]
    for sentence in _SENTENCE.finditer(text):
        inside = times[bisect_left(starts, sentence.start()) : bisect_left(starts, sentence.end())]
        if inside:
            found += _hours_in(text, sentence.start(), sentence[0], inside)
    return tuple(found)


def _hours_in(text: str, offset: int, sentence: str, times: Sequence[Figure]) -> Iterator[Hours]:
    groups = [(start + offset, end + offset, days) for start, end, days in day_groups(sentence)]
    trailing = bool(groups) and times[0].start < groups[0][0]
    position = 0
    while position < len(times):
        first = times[position]
        second = times[position + 1] if position + 1 < len(times) else None
        if second and _BETWEEN_TIMES.fullmatch(text, first.end, second.start):
            opens, closes = int(first.value), int(second.value)
            if closes < opens and not second.exact and closes + 720 > opens:
                closes += 720
            if opens > closes and first.exact is False and closes > 720 > opens - 720:
                opens -= 720
            days = _days_of(text, first, second, groups, trailing)
            yield Hours(days, opens, closes, first.start, second.end, is_range=True, sentence=sentence)
            position += 2
            continue
        days = _days_of(text, first, first, groups, trailing)
        lead = text[max(offset, first.start - 40) : first.start]
        minutes = int(first.value)
        starts, ends = _FROM.search(lead), _UNTIL.search(lead)
        ends = ends or (starts and _SHUT.search(lead))
        opens_at = None if ends else minutes
        closes_at = None if starts and not ends else minutes
        yield Hours(days, opens_at, closes_at, first.start, first.end, exact=first.exact, sentence=sentence)
        position += 1


def _days_of(
    text: str, first: Figure, last: Figure, groups: Sequence[tuple[int, int, frozenset[int]]], trailing: bool
) -> frozenset[int] | None:
    """The nearest days before the hours; where a sentence names hours first, the nearest after them."""
    before = [days for _, end, days in groups if end <= first.start]
    after = [days for start, _, days in groups if start >= last.end]
    beside = next((group for group in groups if group[0] >= last.end), None)
    if beside and before and _BESIDE.fullmatch(text, last.end, beside[0]) and not _HOUR_NEXT.match(text, beside[1]):
        return beside[2]
    if trailing:
        return after[0] if after else before[-1] if before else None
    return before[-1] if before else None
