"""Words of time, money and measure in the languages an institution is written and written to in, from CLDR."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import snowballstemmer
from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.numbers import get_currency_name, get_territory_currencies
from babel.units import UnknownUnitError, format_unit
from text_to_num import find_numbers

from context.guardrails.sentences import folded
from contracts.errors import InstitutionError
from contracts.language import FUNCTION_WORDS

ALWAYS_READ = ("en", "pt")
WORK_DAYS, WEEKEND, HOLIDAYS = frozenset(range(1, 6)), frozenset((6, 7)), frozenset((8,))
NOON, MIDNIGHT = 12 * 60, 24 * 60

# CLDR has no words for these; a language that is not here is read without them.
_OTHER_DAYS = frozenset[int]()
_GROUPS: Mapping[str, Mapping[frozenset[int], str]] = {
    "en": {
        _OTHER_DAYS: "(?:the )?(?:other|remaining) days",
        WORK_DAYS: "weekdays?|working days?|business days?",
        WEEKEND: "weekends?",
        WORK_DAYS | WEEKEND: "every day|daily|seven days a week",
        HOLIDAYS: "(?:bank |public |national )?holidays?(?: mondays?)?|good friday|easter (?:sunday|monday)",
    },
    "pt": {
        _OTHER_DAYS: "(?:demais|outros|restantes) dias",
        WORK_DAYS: "dias? (?:uteis|util|de semana)|durante a semana",
        WEEKEND: "fi(?:m|ns) de semana|final de semana",
        WORK_DAYS | WEEKEND: "todos os dias|todo dia|diariamente",
        HOLIDAYS: "feriados?|(?:sexta|segunda|terca|quarta)(?:-feira)? (?:santa|de (?:carnaval|cinzas))",
    },
    "es": {
        _OTHER_DAYS: "(?:demas|otros) dias",
        WORK_DAYS: "dias? (?:habiles|habil|de semana)|entre semana",
        WEEKEND: "fi(?:n|nes) de semana",
        WORK_DAYS | WEEKEND: "todos los dias|cada dia",
        HOLIDAYS: "feriados?|festivos?|(?:jueves|viernes) santo",
    },
}
_HALVES: Mapping[str, tuple[str, str, str, str]] = {  # morning, afternoon and evening, noon, midnight
    "en": ("in the morning|at night", "in the (?:afternoon|evening)|at night", "noon|midday", "midnight"),
    "pt": ("da manha|da madrugada", "da tarde|da noite", "meio-? ?dia", "meia-? ?noite"),
    "es": ("de la manana|de la madrugada", "de la tarde|de la noche", "mediodia", "medianoche"),
}
_BRITISH_DAYS = {"tues": 2, "weds": 3, "thur": 4, "thurs": 4}
# Before an hour: the minutes that they add to it.
PAST = {
    "half past ": 30,
    "half-past ": 30,
    "half ": 30,
    "quarter past ": 15,
    "quarter to ": -15,
    "quinze para as ": -15,
}
AGES = frozenset(("age", "ages", "aged", "idade", "idades", "edad", "edades"))
# Equal measures: so many of the second are one of the first. Those of another system are said in round numbers.
EQUAL: tuple[tuple[str, str, float], ...] = (
    ("duration-week", "duration-day", 7),
    ("duration-day", "duration-hour", 24),
    ("duration-hour", "duration-minute", 60),
    ("duration-year", "duration-month", 12),
    ("length-kilometer", "length-meter", 1000),
    ("length-meter", "length-centimeter", 100),
    ("mass-kilogram", "mass-gram", 1000),
    ("volume-liter", "volume-milliliter", 1000),
    ("length-mile", "length-kilometer", 1.609344),
    ("length-meter", "length-foot", 3.28084),
    ("mass-stone", "mass-kilogram", 6.350293),
    ("mass-kilogram", "mass-pound", 2.204623),
)
_HALF_HOUR = {"pt": "e meia", "es": "y media", "it": "e mezz[oa]", "fr": "et demie"}
_DURATIONS = ("second", "minute", "hour", "day", "week", "month", "year")
_UNITS = (
    *(f"duration-{name}" for name in _DURATIONS),
    *(f"length-{name}" for name in ("millimeter", "centimeter", "meter", "kilometer", "mile", "foot")),
    *(f"mass-{name}" for name in ("gram", "kilogram", "tonne", "pound", "stone")),
    *("volume-liter", "volume-milliliter", "area-square-meter", "power-watt", "digital-gigabyte"),
)
# Abbreviations of weeks and of stones, which follow numbers of all kinds: "1st".
_WITHOUT = frozenset(("sem", "st"))
_PERCENT = "concentr-percent"
_WIDTHS: tuple[Literal["long", "short"], ...] = ("long", "short")
_SHORTEST_PREFIX = 4
# Their names begin with an adjective ("novos dólares") in the languages that put the noun first.
_NAMED_NEW = frozenset(("TWD", "ILS", "PEN"))
_NOUNS_IN_CAPITALS = frozenset(("de", "lb"))
_NUMBER_LANGUAGES = frozenset(("de", "en", "es", "fr", "it", "nl", "pt"))  # text2num
_DIMINUTIVE = re.compile(r"inh([oa]s?)$")
_LETTERS = re.compile(r"[^\W\d_]+")


class Token:
    """A word as text2num asks for it; `follows` says that only a blank or hyphen is before it."""

    def __init__(self, text: str, *, follows: bool = False) -> None:
        self._text, self._follows = text, follows

    def text(self) -> str:
        return self._text

    def nt_separated(self, previous: "Token") -> bool:
        return not self._follows

    def not_a_number_part(self) -> bool:
        return False


@dataclass(frozen=True)
class Words:
    """Vocabulary of the languages read for one institution; the first is the institution's own.

    Raises:
        InstitutionError: at first use, when CLDR does not know the language.
    """

    language: str

    @cached_property
    def languages(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self._own.language, *ALWAYS_READ)))

    @cached_property
    def number_languages(self) -> tuple[str, ...]:
        """Languages whose spelled-out numbers are read."""
        return tuple(one for one in self.languages if one in _NUMBER_LANGUAGES)

    @lru_cache(maxsize=8192)  # noqa: B019 - as many readers live as institutions are loaded
    def is_number(self, word: str) -> bool:
        """Whether a folded word is a number, or part of one, in one of the languages."""
        return any(find_numbers([Token(word)], language, threshold=0) for language in self.number_languages)

    @cached_property
    def region(self) -> str:
        """The territory that phone numbers without a country code belong to."""
        likely = get_global("likely_subtags").get(self._own.language, "")
        return self._own.territory or str(likely).rpartition("_")[2]

    @property
    def capitalises_nouns(self) -> bool:
        return self._own.language in _NOUNS_IN_CAPITALS

    @cached_property
    def days(self) -> Mapping[str, int]:
        """Folded names of days, ISO number of each; a plural in "s" is a name too."""
        days = {}
        for locale in self._locales:
            for number, name in locale.days["format"]["wide"].items():
                first = folded(name).split("-")[0]
                days[first] = days[f"{first}s"] = number + 1
        return days

    @cached_property
    def short_days(self) -> Mapping[str, int]:
        """Folded abbreviations of days; they count only next to another day, since "ter" and "sun" are words."""
        names = {
            folded(name).strip("."): number + 1
            for locale in self._locales
            for number, name in locale.days["format"]["abbreviated"].items()
        }
        return names | _BRITISH_DAYS

    @cached_property
    def months(self) -> Mapping[str, int]:
        """Folded names of months; abbreviations of other languages are words here, as "16 out on the terrace"."""
        return {
            folded(name).strip("."): number
            for locale in self._locales
            for width in ("wide", "abbreviated")
            for number, name in locale.months["format"][width].items()
            if width == "wide" or locale.language in (self._own.language, "en")
        }

    @cached_property
    def day_pattern(self) -> re.Pattern[str]:
        """Every expression for days, in a folded text."""
        names = sorted((*self.days, *self.short_days), key=len, reverse=True)
        groups = "|".join(pattern for language in self._covered(_GROUPS) for pattern in _GROUPS[language].values())
        return re.compile(rf"(?<!\w)(?:(?P<group>{groups})|(?P<day>{'|'.join(names)})(?:-feiras?)?)(?!\w)")

    def days_of(self, group: str) -> frozenset[int]:
        """The days of an expression that `day_pattern` found as a group."""
        named = (item for language in self._covered(_GROUPS) for item in _GROUPS[language].items())
        return next(days for days, pattern in named if re.fullmatch(pattern, group))

    @cached_property
    def joins(self) -> frozenset[str]:
        """Words for "and" and "or": what is between the days of a list, and not of a range."""
        patterns = (locale.list_patterns[kind]["2"] for locale in self._locales for kind in ("standard", "or"))
        return frozenset(word for pattern in patterns for word in _LETTERS.findall(folded(pattern))) | {"u", "y", "e"}

    @cached_property
    def particles(self) -> frozenset[str]:
        """Folded function words: what follows a number without being counted by it ("as duas para ela")."""
        words = (folded(word) for every in FUNCTION_WORDS.values() for word in every)
        return frozenset(word for word in words if word not in self._unit_names)

    @cached_property
    def half_pattern(self) -> re.Pattern[str]:
        """Pattern of words that follow an hour and say which half of the day it belongs to."""
        spoken = [_HALVES[language] for language in self._covered(_HALVES)]
        am = "|".join(("a\\.? ?m\\.?", *(halves[0] for halves in spoken)))
        pm = "|".join(("p\\.? ?m\\.?", *(halves[1] for halves in spoken)))
        return re.compile(rf"\s?(?:(?P<am>{am})|(?P<pm>{pm}))(?!\w)")

    @cached_property
    def half_hour_pattern(self) -> re.Pattern[str]:
        """Pattern of words that add half an hour after a number: "oito e meia"."""
        spoken = "|".join(_HALF_HOUR[language] for language in self._covered(_HALF_HOUR))
        return re.compile(rf" (?:{spoken or '(?!)'})(?!\w)")

    @cached_property
    def noon_pattern(self) -> re.Pattern[str]:
        spoken = [_HALVES[language] for language in self._covered(_HALVES)]
        noon, midnight = ("|".join(halves[which] for halves in spoken) for which in (2, 3))
        return re.compile(rf"(?<!\w)(?:(?P<noon>{noon})|(?P<midnight>{midnight}))(?!\w)")

    @cached_property
    def percent_pattern(self) -> re.Pattern[str]:
        names = {name for locale in self._locales for name in _unit_words(_PERCENT, locale.language)} - {"%"}
        return re.compile(rf"\s?(?:%|(?:{'|'.join(re.escape(name) for name in sorted(names))})(?!\w))")

    @cached_property
    def currency_codes(self) -> frozenset[str]:
        """ISO 4217 codes of the currencies in use, in capital letters."""
        territories = (str(code) for code in self._own.territories)
        used = (get_territory_currencies(code) for code in territories if len(code) == 2)
        return frozenset(str(code) for codes in used for code in codes)

    @cached_property
    def currency_nouns(self) -> frozenset[str]:
        """Folded nouns of the currencies in use: "reais", "pounds", "pesos"."""
        return frozenset(
            noun for locale in self._locales for noun in _currency_nouns(locale.language, self.currency_codes)
        )

    @lru_cache(maxsize=4096)  # noqa: B019
    def measures(self, word: str) -> frozenset[str]:
        """CLDR ids of the units of measure that a folded word names: "kg", "quilinhos" and "kilograms" agree."""
        word = _DIMINUTIVE.sub(r"\1", word)
        exact = self._unit_names.get(word)
        if exact is not None or len(word) < _SHORTEST_PREFIX:
            return exact or frozenset()
        begun = (ids for name, ids in self._unit_names.items() if name.startswith(word.removesuffix("s")))
        return frozenset().union(*begun)

    @lru_cache(maxsize=4096)  # noqa: B019
    def stems(self, word: str) -> frozenset[str]:
        """Stems of a folded word, one for each language, or the units of measure that it names."""
        return self.measures(word) or frozenset(stemmer.stemWord(word) for stemmer in self._stemmers)

    @cached_property
    def proper(self) -> frozenset[str]:
        """Folded words with a capital that name no person, place or product: days, months, languages, own country,
        function words.
        """
        names: list[str] = [*self.days, *self.short_days, *self.months, *self.particles]
        for locale in self._locales:
            names += [name for name in map(str, locale.languages.values()) if " " not in name]
            names.append(locale.territories.get(self.region, ""))
        return frozenset(word for name in names for word in _LETTERS.findall(folded(name)))

    @cached_property
    def territories(self) -> Mapping[str, frozenset[frozenset[str]]]:
        """For each word in a territory's name, the names of its territories in every language, as sets of words."""
        named = defaultdict[str, set[frozenset[str]]](set)
        for locale in self._locales:
            for code, name in locale.territories.items():
                named[code].add(frozenset(word for word in _LETTERS.findall(folded(name)) if len(word) > 2))
        found = defaultdict[str, set[frozenset[str]]](set)
        for names in named.values():
            for word in frozenset().union(*names):
                found[word] |= names
        return {word: frozenset(names) for word, names in found.items()}

    @cached_property
    def _own(self) -> Locale:
        try:
            return Locale.parse(self.language, sep="-")
        except (UnknownLocaleError, ValueError) as exc:
            raise InstitutionError(
                f'"{self.language}" is not a language that CLDR knows; write one like pt-BR'
            ) from exc

    @cached_property
    def _locales(self) -> tuple[Locale, ...]:
        return tuple(Locale.parse(language) for language in self.languages)

    @cached_property
    def _stemmers(self) -> Sequence[snowballstemmer.stemmer]:
        known = set(snowballstemmer.algorithms())
        names = (str(Locale.parse(language).english_name).lower() for language in self.languages)
        return [snowballstemmer.stemmer(name) for name in names if name in known]

    @cached_property
    def _unit_names(self) -> Mapping[str, frozenset[str]]:
        names: dict[str, frozenset[str]] = {}
        for locale in self._locales:
            for unit in _UNITS:
                spellings = (locale.language, "en_GB") if locale.language == "en" else (locale.language,)
                for word in (word for spelling in spellings for word in _unit_words(unit, spelling)):
                    if " " not in word and (len(word) > 1 or not unit.startswith("duration")) and word not in _WITHOUT:
                        names[word] = names.get(word, frozenset()) | {unit}
        return names

    def _covered(self, table: Mapping[str, object]) -> Iterator[str]:
        return (language for language in self.languages if language in table)


def _unit_words(unit: str, language: str) -> Iterator[str]:
    """The folded names of a unit: singular, plural and abbreviation, without its point."""
    for value in (1, 2):
        for width in _WIDTHS:
            try:
                formatted = format_unit(value, unit, length=width, locale=language)
            except UnknownUnitError:
                return
            if word := folded(formatted.replace(str(value), "")).strip(" .\u00a0"):
                yield word


def _currency_nouns(language: str, codes: frozenset[str]) -> Iterator[str]:
    """The nouns in the names of currencies: first or last word, whichever the names of a language share more."""
    names = {
        tuple(_LETTERS.findall(folded(get_currency_name(code, count=count, locale=language))))
        for code in codes - _NAMED_NEW
        for count in (1, 2)
    }
    first, last = Counter(name[0] for name in names), Counter(name[-1] for name in names)
    return iter(first if len(first) < len(last) else last)
