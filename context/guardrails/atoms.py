"""Atoms of a sentence: whatever can be compared digit by digit or letter by letter with what a passage says."""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache, cached_property
from itertools import pairwise
from typing import NamedTuple

import phonenumbers
from linkify_it import LinkifyIt
from text_to_num import find_numbers

from context.guardrails.sentences import folded
from context.guardrails.words import AGES, MIDNIGHT, NOON, PAST, Token, Words
from contracts.links import ENDINGS, SCHEME, bare, linkifier

DAY = 24 * 60
BESIDE = "beside "  # begins the label that an adjacent number gives
_DOT = r"[\[({] ?(?:\.|dot|ponto|punto|point|punkt) ?[\])}]"
_MAY_BE_LINK = re.compile(rf"[^\W_]\.[^\W\d_]|@|//|{_DOT}", re.IGNORECASE)
_HIDDEN_LINK = re.compile(rf"\w{{1,63}} ?{_DOT} ?(?P<ending>[a-z]{{2,12}})(?!\w)", re.IGNORECASE)
_HANDLE = re.compile(r"(?<![\w@.])@[^\W\d][\w.]{1,38}\w")
_DATE = re.compile(r"(?<![\w/.-])\d{1,4}([/.-])\d{1,2}(?:\1\d{2,4})?(?![\w/-]|\.\d)")
_LONG = re.compile(r"(?<!\w)\+?\(?\d(?:[().\-\u2013/ ]{0,3}\d){6,}(?!\w)")
_YEARS = re.compile(r"(?:19|20)\d\d ?[-\u2013/] ?(?:19|20)\d\d")
_SIZE = re.compile(r"(?<!\w)\d{1,4}(?: ?[x\u00d7] ?\d{1,4}){1,2}(?=(?:[cm]?m)?(?!\w))", re.IGNORECASE)
_CLOCK = re.compile(
    r"(?<![\w:.,])(?:(?P<h>\d{1,2}) ?h(?:s|rs)?(?!\w)|(?P<hm>\d{1,2})h(?P<m>\d{2})(?:min)?(?!\w)"
    r"|(?P<c>\d{1,2}):(?P<cm>\d{2})(?: ?h)?(?![\w:])|(?P<d>\d{1,2})(?:\.(?P<dm>\d{2}))?(?= ?[ap]\.? ?m\b))"
)
# "10.30 to noon" and "at 4.30" are hours as the British write them; "for 4.30" is a price.
_DOTTED = re.compile(
    r"(?<![\w.,])(?P<h>\d{1,2})\.(?P<m>[0-5]\d)(?![\w%]|[.,]\d| ?[ap]\.? ?m\b)"
    r"(?P<opens>(?= ?(?:[-\u2013]|to|till|until|as?|ate) ?(?:\d|as|noon|midday|half)))?"
)
_DOTTED_RANGE = re.compile(r"\d{1,2}\.[0-5]\d ?[-\u2013] ?\d{1,2}\.[0-5]\d")
_NUMBER = re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)*(?!\w)")
_MIXED = re.compile(r"(?<!\w)(?:\d+(?:[.,]\d+){0,2}[^\W\d_]|[^\W\d_]+\d)\w*")
_GLUED = re.compile(r"(\d+(?:[.,]\d+){0,2})([^\W\d_]+)")
_SIGNED = re.compile(
    r"(?P<sign>[a-z]{0,3}[$\u00a2-\u00a5\u058f\u060b\u09f2\u09f3\u0e3f\u17db\u20a0-\u20cf\U0001f4b2]) ?"
    r"(?P<after>\d+(?:[.,]\d+)*)?"
)
_COLLECTIVE = re.compile(
    r"(?<!\w)(?:dezen|centen|duzi|milhar|milha|decen|docen|cient|mil|dozen|hundred|thousand|million)[^\W\d_]{0,4}"
    r" (?:de|of) (?P<of>[^\W\d_]+)"
)
_ENDS_IN_NUMBER = re.compile(r"(?<![\w.,])(\d+(?:[.,]\d+)*) ?$")
_ORDINAL = frozenset(("o", "a", "º", "ª", "st", "nd", "rd", "th"))
_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
_LETTERS = re.compile(r"[^\W\d_]+")
# "Bom dia, Marta!": whom the sentence speaks to, after at most five words without a name among them.
_CALLED = re.compile(r"\W{0,3}[^\W\d_]+(?: [a-z\u00df-\u00ff]+){0,4}, (?:[^\W\d_]+ )?")
_CALLED_END = re.compile(r"(?: [^\W\d_]+)?[.!?](?:\W|$)")
_GAP = re.compile(r"\W*$")
_LONGEST_GAP, _LONGEST_LEAD = 6, 9
_DIGIT = re.compile(r"\d")
_ELSEWHERE = re.compile(r"[^\W\d_\u0000-\u024f]")  # letters that are not Latin
_JAPANESE = frozenset(("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"))
_AGED = re.compile(rf"\b(?:{'|'.join(AGES)}) (?:[^\W\d_]{{1,3}} )?$")
_AND_A_HALF = re.compile(r"(?:(?P<and> and a half)| [^\W\d_]+ (?:e mei[ao]|y medi[ao]))\b")
_DECIMALS = re.compile(r"\d[.,]\d\d$")
_IN_PHRASES = frozenset(f"duration-{name}" for name in ("second", "minute", "day", "year"))  # "tenha um dia ótimo"
# Numbers of one language that are words of another.
_HOMOGRAPHS = frozenset(("once", "dos", "sei", "due", "cent", "elf", "acht", "null"))
_CLOCK_HOURS = frozenset(("duration-hour",))
_MARKER = re.compile(r"\W{0,3}(?:\d{1,2}[.)]|[^\W\d_]+ \d ?[:)\u2013-])\s")
_AFTER = re.compile(r"[ -]?([^\W\d_]+)|[ ](\d)")
_MONTH_AFTER = re.compile(r"(?: [a-z]{2})? ([^\W\d_]{3,})")
_WORD_BEFORE = re.compile(r"([^\W\d_]+) $")
_CUTS = re.compile(r"[,;.:/(\0]")
# Small words that an hour follows; "is 2" and "the 7-11 group" have none.
_LED = re.compile(
    r"(?:^|[\s,(])(?:as?|das?|de|ate|desde|apos|e|ou|las?|at|from|to|till|until|by|after|before|between|and|or) $"
)
_AT = re.compile(r"(?:^|[\s,(])(?:as|at|till|until|after|before) $")
_LED_IN_WORDS = re.compile(r"(?:^|[\s,(])(?:desde|ate|at|from|till|until|after|before) $")
_OF = frozenset(("of", "de", "do", "da", "dos", "das", "del", "a", "to"))
_OF_A_MONTH = re.compile(r"(?<!\w)(?:dias?|el) $")  # "el 15 es festivo"
_TO = re.compile(r" ?(?:[-\u2013]|as?|ate|to|till|until|hasta)(?: l?as)? ?")
_OF_THEM = re.compile(r" (?:of (?:them|these|those|which)|d(?:el|aquel)[ea]s|de (?:ell|est)[oa]s)(?!\w)")
_UNTIL = frozenset(("ate", "hasta", "to", "till", "until"))
_BETWEEN = ("between ", "entre ", "entre as ", "entre las ")
_OPENED = re.compile(r"(?:[\d.m\0] ?[-\u2013] ?|[ap]m to )$")
_GOES_ON = re.compile(r" ?[^\W_]|-")
# "Nesses dois", "the two": what they are was said before, not the unit of the number before them.
_POINTED = re.compile(r"(?<!\w)(?:n?[eo]st?[eao]s|n?ess[eao]s|[oa]s|nas|nos|l[oa]s|the|these|those|both) $")
_LABEL = re.compile(r"([^\W\d_]{3,})(?: [^\W\d_]{1,3})? $")
_NOUN_AFTER = re.compile(r"[ )\]]{1,3}([^\W\d_]+)")
_BETWEEN_WORDS = re.compile(r"[ ]|-")
_GROUPED = re.compile(r"\d{1,3}(?:[.,]\d{3})+")
_SPELLED = re.compile(r"(?<!\w)\w(?:[ .\-_*|~]{1,3}\w(?!\w)){3,}")
_NAMED = re.compile(r"(?<![\w'-])[^\W\d_a-z\u00df-\u00ff][^\W\d_]*(?:['-][^\W\d_]+)*(?!\w)")
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_OPENS = re.compile(
    r"[\"'\u201c\u201d\u00ab(\[*_#>\u2013\u2014:\u00bf\u00a1\-\u2022\u00b7/|\u2190-\u2bff\U0001f000-\U0001faff]"
)
_HOUSE = re.compile(r"[^\W\d_a-z\u00df-\u00ff][\w'-]*,? $")  # "6 minutos até a Rua das Flores, 120"
_SHORTEST_UNIT = 3
_LAST_FREE_ORDINAL = 10
_FEWEST_SPELLED, _SHORT_WORDS = 4, "aeoyu"
_LONGEST_JOIN, _LONGEST_RANGE = 14, 12
_LONGEST_ACRONYM = 3
_LATIN_ENDS = 0x24F


class Kind(StrEnum):
    """Kinds of atoms; each is compared in its own way."""

    MONEY = "money"
    LINK = "link"
    EMAIL = "email"
    HANDLE = "handle"
    PHONE = "phone"
    DIGITS = "digits"
    DATE = "date"
    PERCENT = "percent"
    CODE = "code"
    SIZE = "size"
    HOURS = "hours"
    COUNT = "count"
    NAME = "name"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Atom:
    """One atom of a sentence.

    Attributes:
        value: its canonical spelling; what two atoms of a kind share when they say the same.
        first_units: of a count, stems of the first word that follows, which says what is counted.
        units: of a count, those and the stems of the next word.
        label: of a count, stems of the word before it, and the number next to it.
        days: of hours, the ISO days they are said of (8 is a holiday), or None where the sentence names none.
        opens, closes: of hours, minutes of the day they may mean; `closes` is empty for a single hour.
        direct: of a count, whether a word of more than three letters or a unit of measure follows at once.
        spoken: whether it is written in words.
    """

    kind: Kind
    value: str
    text: str
    units: frozenset[str] = frozenset()
    first_units: frozenset[str] = frozenset()
    label: frozenset[str] = frozenset()
    days: frozenset[int] | None = None
    opens: frozenset[int] = frozenset()
    closes: frozenset[int] = frozenset()
    direct: bool = True
    spoken: bool = False


class _Number(NamedTuple):
    start: int
    end: int
    value: str
    spoken: bool


class _Time(NamedTuple):
    start: int
    end: int
    minutes: frozenset[int]


class _Days(NamedTuple):
    start: int
    end: int
    days: frozenset[int]


class AtomReader:
    """Reads the atoms of single sentences in the languages of `words`.

    Args:
        domains: the institution's own; their endings are known besides those of the public list.
        vocabulary: folded words of the institution's language. A sentence with few of them is in another language.
    """

    def __init__(self, words: Words, domains: Sequence[str] = (), vocabulary: frozenset[str] = frozenset()) -> None:
        self._words = words
        self._vocabulary = vocabulary
        self._endings = frozenset(domain.rpartition(".")[2] for domain in domains)

    def read(self, sentence: str) -> tuple[Atom, ...]:
        """The atoms of a sentence that `sentences` returned, in the order of the kinds."""
        return tuple(_Reading(self._words, linkifier(self._endings), sentence, self.is_foreign).atoms())

    def is_foreign(self, sentence: str) -> bool:
        """Whether fewer than half of a sentence's words are in the vocabulary."""
        words = _LETTERS.findall(folded(sentence)) if self._vocabulary else ()
        return sum(word in self._vocabulary for word in words) * 2 < len(words)


class _Reading:
    """One sentence while it is read: what an atom took is blanked out in `rest`, so that no other takes it again."""

    def __init__(self, words: Words, linkifier: LinkifyIt, sentence: str, is_foreign: Callable[[str], bool]) -> None:
        self.words = words
        self.linkifier = linkifier
        self.is_foreign = is_foreign
        self.sentence = sentence
        self.rest = folded(sentence)
        marker = _MARKER.match(self.rest)
        if marker:
            self._take(0, marker.end())

    def atoms(self) -> Iterator[Atom]:
        yield from self._unreadable()
        yield from self._links()
        yield from self._names()
        # A currency that is counted by a noun: "cinco dezenas de reais", "hundreds of pounds".
        for match in _COLLECTIVE.finditer(self.rest):
            if match["of"] in self.words.currency_nouns:
                yield self._atom(Kind.MONEY, match[0], *match.span())
        if not _DIGIT.search(self.rest):
            numbers = list(self._spoken())
            if not numbers and not _SIGNED.search(self.rest) and not self.words.noon_pattern.search(self.rest):
                return
        # A currency sign is money whatever is next to it.
        for match in _SIGNED.finditer(self.rest):
            start, number = match.start(), match["after"]
            if number is None and (before := _ENDS_IN_NUMBER.search(self.rest[max(0, start - 16) : start])):
                start, number = start - len(before[0]), before[1]
            yield self._atom(Kind.MONEY, f"{match['sign']} {_canonical(number or '')}", start, match.end())
        for match in _DATE.finditer(self.rest):
            parts = [int(part) for part in re.split(r"[/.-]", match[0])]
            if match[1] == "/" or len(parts) > 2:
                ordered = parts if parts[0] <= 31 else parts[::-1]
                yield self._atom(Kind.DATE, "/".join(map(str, ordered)), *match.span())
        yield from self._long_numbers()
        days = list(self._days())
        times = sorted(self._times())
        yield from self._sizes_and_codes()
        digits = (_Number(*one.span(), _canonical(one[0]), spoken=False) for one in _NUMBER.finditer(self.rest))
        in_days = {position for day in days for position in range(day.start, day.end)}
        every = (one for one in (*digits, *self._spoken()) if one.start not in in_days)
        numbers = list(self._without_bare_hours(sorted(every), times, days))
        yield from self._hours(sorted(times), days)
        yield from self._counts(numbers)

    def _take(self, start: int, end: int) -> None:
        """Blank out a piece by a sign that is neither word, digit nor white space."""
        self.rest = f"{self.rest[:start]}{chr(0) * (end - start)}{self.rest[end:]}"

    def _atom(self, kind: Kind, value: str, start: int, end: int) -> Atom:
        self._take(start, end)
        return Atom(kind, value, self.sentence[start:end].strip())

    def _unreadable(self) -> Iterator[Atom]:
        for match in _SPELLED.finditer(self.rest):
            letters = list(filter(str.isalpha, self.sentence[match.start() : match.end()]))
            if all(one.isupper() or one in _SHORT_WORDS for one in letters):  # "L y X a las 10"
                letters = list(filter(str.isupper, letters)) or letters
            if len(letters) >= _FEWEST_SPELLED:
                yield Atom(Kind.UNREADABLE, match[0], match[0])
        if not _ELSEWHERE.search(self.sentence):
            return
        for match in _WORD.finditer(self.sentence):
            scripts = {_script(letter) for letter in match[0] if letter.isalpha()}
            if len(scripts) > 1 and not scripts <= _JAPANESE:
                yield Atom(Kind.UNREADABLE, match[0], match[0])
            elif scripts - {"LATIN"}:
                yield Atom(Kind.UNREADABLE, min(scripts), match[0])

    def _links(self) -> Iterator[Atom]:
        if not _MAY_BE_LINK.search(self.sentence):
            return
        for match in self.linkifier.match(self.sentence) or ():
            kind = Kind.EMAIL if match.schema == "mailto:" else Kind.LINK
            yield self._link(kind, match.index, match.last_index)
        for kind, pattern in ((Kind.EMAIL, _EMAIL), (Kind.LINK, SCHEME), (Kind.HANDLE, _HANDLE)):
            for found in pattern.finditer(self.rest):
                yield self._link(kind, *found.span())
        for found in _HIDDEN_LINK.finditer(self.rest):
            if found["ending"] in ENDINGS:
                yield self._link(Kind.LINK, *found.span())

    def _link(self, kind: Kind, start: int, end: int) -> Atom:
        address = self.sentence[start:end]
        value = bare(address) if kind is Kind.LINK else address.lower().removeprefix("mailto:")
        return self._atom(kind, value, start, end)

    def _names(self) -> Iterator[Atom]:
        """Capitalised words after the sentence's first: the names that a person has to be known by."""
        if self.words.capitalises_nouns:
            return
        opening = _LETTERS.search(self.sentence)
        for match in _NAMED.finditer(self.sentence, opening.end() if opening else 0):
            word, gap = match[0], _GAP.search(self.sentence, max(0, match.start() - _LONGEST_GAP), match.start())
            opens = gap is not None and _OPENS.search(gap[0])
            if opens or not word[0].isupper() or self.rest[match.start()] == "\0":
                continue
            if _CALLED.fullmatch(self.sentence, 0, match.start()) and _CALLED_END.match(self.sentence, match.end()):
                continue
            plain = self.rest[match.start() : match.end()].split("'")[0]
            point = self.sentence[match.end() : match.end() + 1] == "."  # "Av.", "Sr."
            if len(word) <= _LONGEST_ACRONYM and (word.isupper() or point or len(word) < _LONGEST_ACRONYM):
                continue
            if not self.words.proper.issuperset(plain.split("-")):
                yield Atom(Kind.NAME, plain, word)

    def _long_numbers(self) -> Iterator[Atom]:
        for match in _LONG.finditer(self.rest):
            if any(pattern.fullmatch(match[0]) for pattern in (_YEARS, _GROUPED, _DOTTED_RANGE)):
                continue
            digits = re.sub(r"\D", "", match[0])
            if len(digits) <= 16 and (phone := self._phone(match[0])):
                yield self._atom(Kind.PHONE, phone, *match.span())
            else:
                yield self._atom(Kind.DIGITS, digits, *match.span())

    def _phone(self, written: str) -> str:
        """The number in E.164, or nothing when no telephone has it."""
        try:
            number = phonenumbers.parse(written, self.words.region)
        except phonenumbers.NumberParseException:
            return ""
        if not phonenumbers.is_valid_number(number):
            return ""
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)

    def _days(self) -> Iterator[_Days]:
        """Expressions for days, those of a list or a range joined into one."""
        open_group: _Days | None = None
        for match in self.words.day_pattern.finditer(self.rest):
            days = self._days_named(match)
            if days is None:
                continue
            gap = self.rest[open_group.end : match.start()] if open_group else ""
            if open_group and len(gap) <= _LONGEST_JOIN and not re.search(r"[\d\0.;:]", gap):
                joined = set(_WORD.findall(gap)) & self.words.joins or "," in gap or "/" in gap or "&" in gap
                single = len(days) == 1 and len(gap.strip()) > 0
                ranged = days if joined or not single else _days_between(open_group.days, days)
                open_group = _Days(open_group.start, match.end(), open_group.days | days | ranged)
                continue
            if open_group:
                yield open_group
            open_group = _Days(match.start(), match.end(), days)
        if open_group:
            yield open_group

    def _days_named(self, match: re.Match[str]) -> frozenset[int] | None:
        name, short = match["day"], self.words.short_days
        if name is None:
            return self.words.days_of(match["group"])
        if name in self.words.days:
            return frozenset((self.words.days[name],))
        before, after = self.rest[max(0, match.start() - 10) : match.start()], self.rest[match.end() :][:10]
        neighbours = (*_WORD.findall(before)[-2:], *_WORD.findall(after)[:2])
        alone = before.endswith("(") or any(word in short or word in self.words.days for word in neighbours)
        return frozenset((short[name],)) if alone else None

    def _times(self) -> Iterator[_Time]:
        for match in _DOTTED.finditer(self.rest):
            before = self.rest[max(0, match.start() - _LONGEST_LEAD) : match.start()]
            # "From 2.50" may be a price, where no day or hour is named.
            may_be = match["opens"] is not None or _LED.search(before) or _OPENED.search(before)
            if int(match["h"]) <= 24 and (_AT.search(before) or (may_be and self._is_scheduled)):
                minutes = int(match["h"]) * 60 + int(match["m"])
                yield self._time(*match.span(), _minutes(minutes, None, exact=match["h"].startswith("0")))
        for match in self.words.noon_pattern.finditer(self.rest):
            past = self.words.half_hour_pattern.match(self.rest, match.end())
            moment = (NOON if match["noon"] else MIDNIGHT) + (30 if past else 0)
            yield self._time(match.start(), past.end() if past else match.end(), frozenset((moment % DAY or DAY,)))
        for match in _CLOCK.finditer(self.rest):
            hour = int(match["h"] or match["hm"] or match["c"] or match["d"])
            minute = int(match["m"] or match["cm"] or match["dm"] or 0)
            half = self.words.half_pattern.match(self.rest, match.end())
            end = half.end() if half else match.end()
            exact = (match["h"] or match["hm"] or "") != "" or hour == 0 or match[0].startswith("0")
            if hour <= 24 and minute < 60:
                yield self._time(match.start(), end, _minutes(hour * 60 + minute, half, exact=exact))

    @cached_property
    def _is_scheduled(self) -> bool:
        """Whether the sentence names a day, or an hour that says so."""
        patterns = (self.words.day_pattern, self.words.noon_pattern, _CLOCK)
        return any(pattern.search(folded(self.sentence)) for pattern in patterns)

    def _time(self, start: int, end: int, minutes: frozenset[int]) -> _Time:
        self._take(start, end)
        return _Time(start, end, minutes)

    def _sizes_and_codes(self) -> Iterator[Atom]:
        for match in _SIZE.finditer(self.rest):
            size = _Number(*match.span(), re.sub(r"\D+", "x", match[0]), spoken=False)
            units, all_units = self._units(size)
            yield replace(self._atom(Kind.SIZE, size.value, *match.span()), units=all_units, first_units=units)
        for match in _MIXED.finditer(self.rest):
            glued = _GLUED.fullmatch(match[0])
            if glued and self.words.measures(glued[2]):
                units = self.words.stems(glued[2])
                self._take(*match.span())
                yield Atom(Kind.COUNT, _canonical(glued[1]), match[0], units, units)
            elif (
                glued
                and glued[2] in _ORDINAL
                and (month := self._month_beside(_Number(*match.span(), _canonical(glued[1]), spoken=False)))
            ):
                yield self._atom(Kind.DATE, f"{_canonical(glued[1])}/{month}", *match.span())
            elif glued and glued[2] == "s" and self.sentence[match.end() - 1].islower():  # "under-8s"
                self._take(*match.span())
                yield Atom(Kind.COUNT, _canonical(glued[1]), match[0], direct=False)
            elif (
                glued
                and glued[2] in _ORDINAL
                and float(_canonical(glued[1])) <= _LAST_FREE_ORDINAL
                and self.sentence[match.end() - 1].islower()
            ):
                self._take(*match.span())
            else:
                yield self._atom(Kind.CODE, match[0], *match.span())

    def _spoken(self) -> Iterator[_Number]:
        """Numbers written in words, in whichever language reads most of them."""
        found = list(_LETTERS.finditer(self.rest))
        if not any(self.words.is_number(match[0]) for match in found):
            return
        gaps = (_BETWEEN_WORDS.fullmatch(self.rest, one.end(), two.start()) for one, two in pairwise(found))
        tokens = [Token(match[0], follows=gap is not None) for match, gap in zip(found, (None, *gaps), strict=False)]
        read = [
            [
                _Number(found[one.start].start(), found[one.end - 1].end(), f"{one.value:.12g}", spoken=True)
                for one in find_numbers(tokens, language, threshold=0)
                if not one.is_ordinal and one.end > one.start
            ]
            for language in self.words.number_languages
        ]
        yield from max(([one for one in numbers if self._is_said(one)] for numbers in read), key=len, default=())

    def _is_said(self, number: _Number) -> bool:
        """Whether a spelled-out number is meant: "um" and "one" are articles too, and "o" is zero in English."""
        if number.value not in ("0", "1"):
            return self.rest[number.start : number.end] not in _HOMOGRAPHS or not self.is_foreign(self.sentence)
        if self.rest.endswith(tuple(PAST), 0, number.start):
            return True
        after = _AFTER.match(self.rest, number.end)
        word = after[1] if after else None
        if word is None or (number.value == "0" and number.end - number.start <= 2):
            return False
        measures = self.words.measures(word)
        return word in self.words.currency_nouns or bool(measures and not measures & _IN_PHRASES)

    def _without_bare_hours(
        self, numbers: Sequence[_Number], times: list[_Time], days: Sequence[_Days]
    ) -> Iterator[_Number]:
        """Move to `times` what is an hour without saying so: a pair ("de 9 a 19"), or one next to a day or an hour."""
        scheduled = bool(days) or bool(times)
        edges = {edge for time in times for edge in range(time.start - _LONGEST_RANGE, time.start)}
        ends = {time.end for time in times}
        edges |= {group.start - gap for group in days for gap in range(_SHORTEST_UNIT + 3)}
        last_end = -2 * _LONGEST_RANGE
        for position, number in enumerate(numbers):
            half = self.words.half_pattern.match(self.rest, number.end)
            following = numbers[position + 1] if position + 1 < len(numbers) else None
            second = number.start - last_end <= _LONGEST_RANGE and "," not in self.rest[last_end : number.start]
            before = range(number.start - _LONGEST_RANGE, number.start)
            ranged = any(end in ends and _TO.fullmatch(self.rest, end, number.start) for end in before)
            if self._may_be_hour(number, scheduled=scheduled or second) and (
                half
                or second
                or ranged
                or self.rest.startswith(" o'clock", number.end)
                or self.rest.endswith(tuple(PAST), 0, number.start)
                or number.end in edges
                or (following and self._pairs(number, following, scheduled=scheduled))
                or (scheduled and self._ends_clause(number))
            ):
                last_end, minutes = half.end() if half else number.end, int(number.value) * 60
                if past := self.words.half_hour_pattern.match(self.rest, number.end):
                    last_end, minutes = past.end(), minutes + 30
                else:
                    minutes += next(
                        (more for said, more in PAST.items() if self.rest.endswith(said, 0, number.start)), 0
                    )
                times.append(_Time(number.start, last_end, _minutes(minutes, half, exact=False)))
            else:
                yield number

    def _may_be_hour(self, number: _Number, *, scheduled: bool) -> bool:
        """Whether a number is small enough and counts nothing, or counts hours where days are named."""
        if (
            not number.value.isdigit()
            or int(number.value) > 24
            or _OF_A_MONTH.search(self.rest, max(0, number.start - _LONGEST_GAP), number.start)
        ):
            return False
        following = _AFTER.match(self.rest, number.end)
        hours = following is not None and self.words.measures(following[1] or "") == _CLOCK_HOURS
        return not self._is_followed(number) or (scheduled and hours)

    def _is_followed(self, number: _Number) -> bool:
        """Whether a word of more than three letters or a unit of measure follows at once."""
        following = _AFTER.match(self.rest, number.end)
        if following is None or following[1] is None:
            return False
        if following[1] in self.words.days or following[1] in self.words.particles:
            return False
        return len(following[1]) > _SHORTEST_UNIT or bool(self.words.measures(following[1]))

    def _pairs(self, first: _Number, second: _Number, *, scheduled: bool) -> bool:
        gap = self.rest[first.end : second.start]
        near = len(gap) <= _LONGEST_RANGE and not _CUTS.search(gap)
        return (
            near
            and (scheduled or not self._are_listed(first.start, gap))
            and self._may_be_hour(second, scheduled=scheduled)
        )

    def _are_listed(self, start: int, gap: str) -> bool:
        """Whether what is between two hours joins them in a list: "10 and 11", not "between 10 and 11"."""
        words = gap.split()
        joined = bool(words) and words[0] in self.words.joins and _UNTIL.isdisjoint(words)
        return joined and not self.rest.endswith(_BETWEEN, 0, start)

    def _ends_clause(self, number: _Number) -> bool:
        """Whether a number is between a small word and the end of a clause or another such: "às 8.", "from nine on"."""
        led = (_LED_IN_WORDS if number.spoken else _LED).search(
            self.rest, max(0, number.start - _LONGEST_LEAD), number.start
        )
        following = _AFTER.match(self.rest, number.end)
        apart = following and following[1] in self.words.particles - self.words.joins - _OF
        return led is not None and (bool(apart) or not _GOES_ON.match(self.rest, number.end))

    def _hours(self, times: Sequence[_Time], days: Sequence[_Days]) -> Iterator[Atom]:
        last_end = -1
        for first, second in pairwise((*times, None)):
            if first is None or first.start < last_end:
                continue
            gap = self.rest[first.end : second.start] if second else ":"
            ranged = len(gap) <= _LONGEST_RANGE and len(_WORD.findall(gap)) <= 2 and not _CUTS.search(gap)
            ranged = ranged and not self._are_listed(first.start, gap)
            last = second if second and ranged else first
            last_end = last.end
            closes = last.minutes if last is not first else frozenset[int]()
            value = "-".join(str(min(minutes)) for minutes in (first.minutes, closes) if minutes)
            said_of = _days_said_of(first.start, last.end, days, self.rest)
            text = self.sentence[first.start : last.end]
            yield Atom(Kind.HOURS, value, text, days=said_of, opens=first.minutes, closes=closes)

    def _with_half(self, number: _Number) -> _Number:
        half = _AND_A_HALF.match(self.rest, number.end) if number.value.isdigit() else None
        if half is None:
            return number
        return number._replace(value=f"{number.value}.5", end=half.end("and") if half["and"] else number.end)

    def _counts(self, numbers: Sequence[_Number]) -> Iterator[Atom]:
        numbers = [self._with_half(number) for number in numbers]
        counted = self._all_units(numbers)
        aged = False
        months = [self._month_beside(number) for number in numbers]
        for position in range(len(numbers) - 2, -1, -1):  # "24 e 31 de dezembro"
            gap = self.rest[numbers[position].end : numbers[position + 1].start]
            if (
                months[position + 1]
                and numbers[position].value.isdigit()
                and gap.strip(" ,") in self.words.joins | {""}
            ):
                months[position] = months[position + 1]
        for position, number in enumerate(numbers):
            text = self.sentence[number.start : number.end]
            percent = self.words.percent_pattern.match(self.rest, number.end)
            if percent:
                yield Atom(Kind.PERCENT, number.value, self.sentence[number.start : percent.end()])
                continue
            if money := self._money_beside(number):
                yield Atom(Kind.MONEY, f"{money} {number.value}", f"{text} {money}")
                continue
            if month := months[position]:
                yield Atom(Kind.DATE, f"{number.value}/{month}", text)
                continue
            units, all_units = counted[position]
            neighbours = numbers[max(0, position - 1) : position + 2]
            beside = {f"{BESIDE}{other.value}" for other in neighbours if self._are_paired(*sorted((number, other)))}
            if not all_units and not beside and _DECIMALS.search(text):
                yield Atom(Kind.MONEY, number.value, text)
                continue
            before = _LABEL.search(self.rest, max(0, number.start - 24), number.start)
            label = (self.words.stems(before[1]) if before else frozenset()) | beside
            if _OF_A_MONTH.search(self.rest, max(0, number.start - _LONGEST_GAP), number.start):
                label |= frozenset(("duration-day",))
            if self.rest.endswith(("under-", "over-"), 0, number.start):
                units = all_units = frozenset()
            is_age = _AGED.search(self.rest, max(0, number.start - 24), number.start)
            aged = bool(is_age) or (not all_units and before is None and aged and bool(beside))
            if aged:
                units = all_units = frozenset(("duration-year",))
            followed = self._is_followed(number)
            yield Atom(
                Kind.COUNT,
                number.value,
                text,
                all_units,
                units,
                label,
                direct=followed and bool(units),
                spoken=number.spoken,
            )

    def _are_paired(self, first: _Number, second: _Number) -> bool:
        """Whether two numbers are the ends of a range: "2 a 50 pessoas"."""
        gap = self.rest[first.end : second.start]
        joined = len(gap) <= _LONGEST_RANGE and self.words.joins.union(_UNTIL, ("a", "as")).issuperset(
            _WORD.findall(gap)
        )
        return first != second and joined and not _CUTS.search(gap) and not self._is_followed(first)

    def _all_units(self, numbers: Sequence[_Number]) -> list[tuple[frozenset[str], frozenset[str]]]:
        """The units of every number; "2 a 50 pessoas" and "12 km, y el otro 18" say a unit once for both."""
        units = [self._units(number) for number in numbers]
        for position in range(len(numbers) - 2, -1, -1):
            gap = self.rest[numbers[position].end : numbers[position + 1].start]
            if len(gap) <= _LONGEST_RANGE and not _CUTS.search(gap) and not units[position][1]:
                units[position] = units[position + 1]
        measured = last = frozenset[str]()
        for position, (first, every) in enumerate(units):
            if position and not every and _OF_THEM.match(self.rest, numbers[position].end):
                first, every = units[position - 1]
                units[position] = (first, every) if not any("-" in unit for unit in first) else units[position]
            elif every:
                last = frozenset(unit for unit in first if "-" in unit)
                measured |= last
            elif last and not any(
                pattern.search(text, max(0, numbers[position].start - 24), numbers[position].start)
                for pattern, text in (
                    (_HOUSE, self.sentence),
                    (_POINTED, self.rest if numbers[position].spoken else ""),
                )
            ):
                units[position] = measured, measured
        return units

    def _money_beside(self, number: _Number) -> str:
        """The currency whose noun or code is next to a number."""
        after = _NOUN_AFTER.match(self.rest, number.end)
        if after and (after[1] in self.words.currency_nouns or self._is_code(*after.span(1))):
            return after[1]
        before = re.search(r"(?<!\w)([^\W\d_]{3,})(: ?| )$", self.rest[max(0, number.start - 14) : number.start])
        if before is None:
            return ""
        start = number.start - len(before[0])
        coded = self._is_code(start, start + len(before[1]))
        return before[1] if coded or (":" in before[2] and before[1] in self.words.currency_nouns) else ""

    def _is_code(self, start: int, end: int) -> bool:
        return self.sentence[start:end] in self.words.currency_codes

    def _month_beside(self, number: _Number) -> int:
        if not number.value.isdigit() or not 0 < int(number.value) <= 31:
            return 0
        after = _MONTH_AFTER.match(self.sentence, number.end)
        before = _WORD_BEFORE.search(self.sentence, max(0, number.start - _LONGEST_JOIN), number.start)
        for name in (match[1] for match in (after, before) if match):
            month = self.words.months.get(folded(name), 0)
            if month:
                return month
        return 0

    def _units(self, number: _Number) -> tuple[frozenset[str], frozenset[str]]:
        """Stems of what is counted, and of that and the next word; small words are passed over."""
        first, stems = frozenset[str](), frozenset[str]()
        position = number.end
        for _ in range(3):
            match = _AFTER.match(self.rest, position)
            if match is None or match[1] is None or match[1] in self.words.joins or match[1] in self.words.days:
                break
            position = match.end(1)
            measures = self.words.measures(match[1])
            if match[1] in self.words.particles and not measures:
                continue
            if len(match[1]) > _SHORTEST_UNIT or measures:
                stems |= self.words.stems(match[1])
                first = first or stems
        return first, stems


def _minutes(minutes: int, half: re.Match[str] | None, *, exact: bool) -> frozenset[int]:
    """Return the minutes of the day that a written hour may mean."""
    if half and half["pm"]:
        return frozenset((minutes + NOON if minutes < NOON else minutes,))
    if half:
        return frozenset((minutes - NOON if minutes >= NOON else minutes,))
    return frozenset((minutes,) if exact or minutes > NOON + 59 else (minutes, (minutes + NOON) % DAY))


def _days_between(first: frozenset[int], last: frozenset[int]) -> frozenset[int]:
    """The days of "Monday to Thursday"; past Sunday it begins again."""
    start, end = max(first), min(last)
    if start > 7 or end > 7:
        return frozenset()
    return frozenset(range(start, end + 1)) if start <= end else frozenset((*range(start, 8), *range(1, end + 1)))


def _days_said_of(start: int, end: int, days: Sequence[_Days], text: str) -> frozenset[int] | None:
    """Return the days of hours: those right after them, else the nearest before, else the first after."""
    position = bisect_left([group.start for group in days], start)
    before, after = days[:position][-1:], days[position : position + 1]
    if before and after:
        gap, longest = text[end : after[0].start], _LONGEST_JOIN * (1 + ("," in text[before[0].end : start]))
        right_after = len(gap) <= longest and not re.search(r"[,;.\d]| (?:and|e|y|et|und|or|o|ou|oder) ", gap)
        return after[0].days if right_after else before[0].days
    return next((group.days for group in (*before, *after)), None)


def _canonical(number: str) -> str:
    """ "1.240" and "1,240" are 1240; "12,5" is 12.5; "2,00" is 2."""
    if _GROUPED.fullmatch(number):
        return str(int(re.sub(r"[.,]", "", number)))
    whole, _, decimals = number.replace(",", ".").rpartition(".")
    if not whole:
        return decimals.lstrip("0") or "0"
    whole, decimals = whole.replace(".", "").lstrip("0") or "0", decimals.rstrip("0")
    return f"{whole}.{decimals}" if decimals else whole


@cache
def _script(letter: str) -> str:
    if ord(letter) <= _LATIN_ENDS or letter in "\u00aa\u00ba":
        return "LATIN"
    return unicodedata.name(letter, "UNKNOWN").split(" ")[0]
