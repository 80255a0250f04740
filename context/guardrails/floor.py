"""The mechanical floor: compares every atom of a draft with cited passages and the person's words, without a model."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from difflib import get_close_matches
from functools import lru_cache
from itertools import combinations, islice

from context.guardrails.atoms import BESIDE, DAY, Atom, AtomReader, Kind
from context.guardrails.leaks import Leaks
from context.guardrails.passages import passages_of, says_listed_prices
from context.guardrails.sentences import folded, seen, sentences, sentences_of
from context.guardrails.words import EQUAL, Words
from contracts.guardrails import Finding, KnownFacts, PartKind, ReplyPart, Rule
from contracts.institution import Institution
from contracts.language import base_language, likely_language
from contracts.links import is_own

LONGEST_DRAFT = 16_000
EXCERPT = 80
SMALL = 10
# So large that two passages do not have the same one by chance: a house number, an emergency number, a year.
TELLING = 100
MOST_EXPLAINED = 16
_MOST_ADDENDS, _A_YEAR, _LEAP = 6, 366, 2024
# Atoms of a draft that later sentences may rely on, and words that a name is compared with.
_MOST_REMEMBERED = 24
# Names of one language and those of another begin alike: "Mercosur" and "Mercosul", "Ministry" and "Ministério".
_COGNATE, _SHORTEST_COGNATE, _SLIP = 0.6, 5, 0.85
# "Até 8 pessoas" says what "até 8 alunos" does, and "14 and up" an age.
_ANY_PEOPLE, _AGE, _A_DAY, _HOUR, _MINUTE = (
    frozenset(("pesso", "pessoa", "people", "peopl", "person", "persona")),
    "duration-year",
    "duration-day",
    "duration-hour",
    "duration-minute",
)
# Services and holidays that belong to no institution, and say nothing about one.
_EVERYWHERE = frozenset(("google", "maps", "waze", "christmas", "boxing", "easter", "carnival"))
_EVERYWHERE |= frozenset(("natal", "pascoa", "carnaval", "navidad", "pascua"))
_DIGITS, _NUMERALS = re.compile(r"\d+"), re.compile(r"\d+(?:[.,]\d+)*")
# A rate: "8 salgados e 4 docinhos por pessoa", "10 slices per kilo", "50 of each".
_RATE = re.compile(
    r"(?<![\w.,])(\d+(?:[.,]\d+)?)"
    r"(?= (?:[^\W_]+ ){1,4}?(?:por|per|cada|each|every)(?!\w| (?:favor|exemplo|volta|isso)))"
)
_TOTAL = re.compile(r"(?<!\w)(?:tota[il]s?|ao todo|no todo|in all|altogether|en conjunto)(?!\w)")
_LISTED = re.compile(r": | (?:sao|son|are|seriam|serian) ")
_ITEMS = (r"; ", r", (?:e |y |and |o |ou |or )?| e | y | and | o | ou | or ")
_ORDINAL = re.compile(r"(\d{1,4})(?:st|nd|rd|th)")
_BARE_RANGE = re.compile(r"(\d+)(?: [^\W\d_]+ | ?[-\u2013] ?)(\d+)")
_WORD = re.compile(r"[^\W\d_]+")

_RULES = {
    Kind.MONEY: Rule.PRICE,
    Kind.LINK: Rule.LINK,
    Kind.EMAIL: Rule.LINK,
    Kind.HANDLE: Rule.LINK,
    Kind.PHONE: Rule.PERSONAL_DATA,
    Kind.DIGITS: Rule.PERSONAL_DATA,
    Kind.DATE: Rule.UNSUPPORTED_DATE,
    Kind.PERCENT: Rule.UNSUPPORTED_PERCENTAGE,
    Kind.CODE: Rule.UNSUPPORTED_CODE,
    Kind.SIZE: Rule.UNSUPPORTED_NUMBER,
    Kind.HOURS: Rule.UNSUPPORTED_HOURS,
    Kind.COUNT: Rule.UNSUPPORTED_NUMBER,
    Kind.NAME: Rule.UNSUPPORTED_NAME,
    Kind.UNREADABLE: Rule.UNREADABLE,
}
# What a person wrote is repeated as theirs, never stated as the company's own.
_NEVER_OURS = frozenset((Kind.LINK, Kind.EMAIL, Kind.HANDLE, Kind.PHONE, Kind.DIGITS, Kind.CODE, Kind.HOURS))


# Kinds of parts whose cited passages support atoms; None is a text without parts.
_STATING = (PartKind.INFORM, PartKind.ECHO, None)
_NOT_STATING = (PartKind.ASK, PartKind.ECHO)

_Found = tuple[Finding, Atom | None]


@dataclass
class _Facts:
    """Atoms of some texts, indexed for comparison."""

    values: set[tuple[Kind, str]] = field(default_factory=set)
    counts: dict[str, list[Atom]] = field(default_factory=dict)
    hours: list[Atom] = field(default_factory=list)
    counted: set[str] = field(default_factory=set)
    rates: set[float] = field(default_factory=set)
    ranges: set[tuple[str, str]] = field(default_factory=set)

    def add(self, atoms: Iterable[Atom]) -> None:
        for atom in atoms:
            self.values.add((atom.kind, atom.value))
            if atom.kind is Kind.HOURS:
                self.hours.append(atom)
                # Bare numbers that were read as hours may be counts: "for children from 8 to 11".
                if ends := _BARE_RANGE.fullmatch(folded(atom.text)):
                    self.ranges |= {(ends[1], f"{BESIDE}{ends[2]}"), (ends[2], f"{BESIDE}{ends[1]}")}
            elif atom.kind is Kind.SIZE:
                self.add(replace(atom, kind=Kind.COUNT, value=side) for side in atom.value.split("x"))
            elif atom.kind is Kind.COUNT:
                for equal in (atom, *_equal(atom)):
                    self.counts.setdefault(equal.value, []).append(equal)
                # "2 a 50 pessoas" counts no one: any number of people may be spoken of.
                self.counted |= frozenset() if _is_paired(atom) else atom.first_units


@dataclass(frozen=True)
class _Person:
    """Facts of this conversation alone: atoms and words of the person's messages, and the words of the person's name.

    `numbers` are those of the messages, their sums, products and differences of two ("3 boxes of 8 kg"), and the length
    of hours ("14 as 18"); `shares` the percentages that two of them make ("14 of 18 classes").
    """

    facts: _Facts
    text: str
    words: frozenset[str]
    numbers: frozenset[str]
    own: Sequence[float]
    shares: frozenset[str]
    scripts: frozenset[str]
    moments: frozenset[int] = frozenset()
    moved: frozenset[int] = frozenset()
    dates: frozenset[str] = frozenset()


class Floor:
    """Checks drafts against one institution. What it compares with is worked out once.

    Args:
        instructions: texts of the prompt templates, which no draft repeats.
    """

    def __init__(self, institution: Institution, instructions: Sequence[str] = ()) -> None:
        self.passages = passages_of(institution)
        self._documents = _words_of(*institution.documents.values(), *(passage.text for passage in self.passages))
        self._words = Words(institution.language)
        self._reader = AtomReader(self._words, institution.allowed_domains, self._documents)
        self._leaks = Leaks(institution, self.passages, instructions)
        self._read = lru_cache(maxsize=4096)(self._reader.read)
        self._passage_atoms = tuple((one, atom) for one in self.passages for atom in self._atoms(one.text))
        self._facts_of = {passage.id: self._facts((passage.text,)) for passage in self.passages}
        self._everything = self._facts(passage.text for passage in self.passages)
        names = (institution.name, *(line.name for line in institution.lines))
        own = (*(passage.text for passage in self.passages), *names)
        self._own_sentences = frozenset(_normalised(one) for text in own for one in sentences(text))
        self._own_hosts = frozenset(institution.allowed_domains)
        self._says_prices = says_listed_prices(institution)

    def check(self, parts: Sequence[ReplyPart], known: KnownFacts, also: Sequence[str] = ()) -> tuple[Finding, ...]:
        """Return every reason to withhold a draft, none when the floor lets it pass.

        Args:
            parts: the reply in order; sentences are numbered over all of them, then over `also`.
            known: what the person wrote and is called. What was collected about the person supports nothing.
            also: button titles, captions and other visible texts that no part carries; any passage supports them.
        """
        whole = [part.text for part in parts] + list(also)
        if refused := _refused_unread(whole):
            return (refused,)
        person, found, draft = self._person(known), list[_Found](), "\n".join(map(seen, whole))
        if leaked := self._leaks.run_in(draft, person.text) or self._leaks.terms_in(draft):
            found.append((_leak(leaked, None, "this is text of the instructions, not of a reply"), None))
        said = list[tuple[str, PartKind | None, Sequence[_Facts]]]()
        for part in parts:
            unknown = [source for source in part.sources if source not in self._facts_of]
            if unknown or (part.says is PartKind.INFORM and not part.sources):
                why = f"there is no passage {unknown[0][:EXCERPT]}" if unknown else "what informs cites a passage"
                excerpt = part.text[:EXCERPT]
                found.append((Finding(rule=Rule.SOURCE_MISSING, excerpt=excerpt, sentence=len(said), why=why), None))
            own = tuple(self._facts_of[source] for source in part.sources if source in self._facts_of)
            said += [(sentence, part.says, own) for sentence in sentences(part.text)]
        said += ((sentence, None, (self._everything,)) for sentence in sentences_of((), also))
        spoken = likely_language(person.text)
        before = list[Atom]()
        for number, (sentence, says, cited) in enumerate(said):
            foreign = bool(self._read(sentence)) and self._is_foreign(sentence, spoken)
            reckoned = self._reckoned(person, sentence, cited, before)
            before = [*before, *self._read(sentence)][-_MOST_REMEMBERED:]
            found += self._findings(sentence, number, says, cited, reckoned, foreign=foreign)
        return self._explained(found)

    def _is_foreign(self, sentence: str, spoken: str | None) -> bool:
        """Whether a sentence, else the person, is in another language than the documents."""
        language = likely_language(sentence) or spoken or self._words.language
        return base_language(language) != base_language(self._words.language) or self._reader.is_foreign(sentence)

    def _reckoned(self, person: _Person, sentence: str, cited: Sequence[_Facts], said: Sequence[Atom]) -> _Person:
        """Add what a sentence may work out of the person's and documented numbers.

        The sum or difference of a number of the person's and a documented one in the sentence ("até 40 kg, o seu passa
        disso em 8"); a number times or by a documented rate ("8 por pessoa, para 45 são 360"); a total of what the
        draft `said` so far; the number of things that follow in a list; how long documented hours are; an hour of the
        person's or the documents, and a date of the person's, so long before or after as is said.
        """
        atoms = self._read(sentence)
        counts = [atom for atom in atoms if atom.kind is Kind.COUNT]
        if not any(atom.kind in (Kind.COUNT, Kind.HOURS, Kind.DATE) for atom in atoms):
            return person
        documented = [float(atom.value) for atom in counts if any(atom.value in facts.counts for facts in cited)]
        rates = {rate for facts in cited for rate in facts.rates}
        own = person.own
        values = {value for one in own for two in documented for value in (one + two, abs(one - two))}
        values |= {value for one in own for rate in rates if rate for value in (one * rate, one / rate)}
        values |= {rate for rate in rates if any(atom.value == f"{rate:.12g}" for atom in said)}
        if _TOTAL.search(folded(sentence)):
            before = (float(atom.value) for atom in said if atom.kind is Kind.COUNT)
            terms = [*own, *documented, *before][:_MOST_ADDENDS]
            values |= {sum(some) for size in range(2, len(terms) + 1) for some in combinations(terms, size)}
        values |= _listed(folded(sentence), [one for one in counts if not one.first_units & self._everything.counted])
        in_hours = {float(one.value) for one in counts if _HOUR in one.first_units}
        values |= in_hours & {length / 60 for atom in atoms for length in _lengths(atom)}
        spans = [
            atom
            for atom in (*said, *counts)
            if atom.kind is Kind.COUNT and any(atom.value in facts.counts for facts in cited)
        ]
        written = {moment for facts in cited for one in facts.hours for moment in (*one.opens, *one.closes)}
        told = {moment for one in (*said, *atoms) for moment in (*one.opens, *one.closes)} & written
        asked = {moment for one in person.facts.hours for moment in (*one.opens, *one.closes)}
        asked |= {int(value) * 60 for value in own if value.is_integer() and value <= 24}
        minutes = {int(one.value) for span in spans for one in (span, *_equal(span)) if _MINUTE in one.first_units}
        moved = {(moment + step) % DAY for moment in told | asked for span in minutes for step in (span, -span)}
        return replace(
            person,
            numbers=person.numbers | {f"{value:.12g}" for value in values},
            moments=frozenset(told | asked | moved),
            moved=frozenset(moved),
            dates=frozenset(_shifted(person.facts, counts)),
        )

    def check_text(self, text: str, known: KnownFacts) -> tuple[Finding, ...]:
        """Return every reason to withhold a text without parts: each sentence may rely on every passage."""
        return self.check((), known, also=(text,))

    def is_own(self, text: str) -> bool:
        """Whether every sentence of a text, typing apart, is one that the documents or fixed texts have."""
        return all(_normalised(sentence) in self._own_sentences for sentence in sentences(text))

    def check_wording(self, text: str) -> tuple[Finding, ...]:
        """Return what a text of the institution itself may not say: money, links elsewhere, what cannot be read."""
        found = list[_Found]()
        for number, sentence in enumerate(sentences(text)):
            for atom in self._read(sentence):
                elsewhere = atom.kind is Kind.LINK and not is_own(atom.value, self._own_hosts)
                priced = atom.kind is Kind.MONEY and not self._says_prices
                if elsewhere or priced or (atom.kind is Kind.UNREADABLE and not atom.value.isupper()):
                    found.append((_finding(atom, number, "the documents may not say this"), None))
        return self._explained(found)

    def _findings(
        self,
        sentence: str,
        number: int,
        says: PartKind | None,
        cited: Sequence[_Facts],
        person: _Person,
        *,
        foreign: bool,
    ) -> Iterator[_Found]:
        for piece in self._leaks.found_in(sentence):
            if folded(piece) not in person.text:
                yield _leak(piece, number, "this is a mark of the instructions, not of a reply"), None
        if spoken := self._leaks.to_the_judge(sentence):
            yield _leak(spoken, number, "this speaks to a reader of the draft"), None
        for atom in self._read(sentence):
            why = self._why_not(atom, sentence, says, cited, person, foreign=foreign)
            if why:
                yield _finding(atom, number, why), atom

    def _why_not(
        self,
        atom: Atom,
        sentence: str,
        says: PartKind | None,
        cited: Sequence[_Facts],
        person: _Person,
        *,
        foreign: bool,
    ) -> str:
        """Say why an atom may not be said, or nothing when it may."""
        if atom.kind is Kind.UNREADABLE:
            of_a_script = atom.value in person.scripts or (atom.kind, atom.value) in self._everything.values
            return "" if of_a_script else "letters are spelled out or of another script"
        if atom.kind is Kind.MONEY:
            listed = says in _STATING and any((atom.kind, atom.value) in one.values for one in cited)
            return "" if self._says_prices and listed else "a sum of money is never said"
        if atom.kind is Kind.NAME:
            known = self._is_named(atom.value, person.words, foreign=foreign)
            return "" if known else "neither the documents nor the person name this"
        if says in _STATING and any(self._supports(facts, atom, foreign=foreign) for facts in cited):
            return ""
        if (says is not PartKind.INFORM or atom.kind not in _NEVER_OURS) and self._person_said(atom, person):
            return ""
        if atom.kind is Kind.COUNT and self._is_free(atom, asked=says in _NOT_STATING or sentence.endswith("?")):
            return ""
        if atom.kind is Kind.LINK and says in (PartKind.INFORM, None) and atom.value in self._own_hosts:
            return ""
        if says in _STATING:
            return "no passage says this" if says is None else "no cited passage says this"
        return f'a part that says "{says}" states no facts of the institution'

    def _is_named(self, name: str, by_person: frozenset[str], *, foreign: bool) -> bool:
        """Whether documents or person have the name, or one of its territory, or, `foreign`, a word that begins so."""
        if _is_among(name, self._documents) or _is_among(name, by_person) or name in _EVERYWHERE:
            return True
        known = self._documents | by_person
        if name.removesuffix("s") in known or f"{name}s" in known:
            return True
        if any(other <= known for other in self._words.territories.get(name, ())):
            return True
        # As the person wrote it, but for a plural or a slip: "Tolkein" is answered with "Tolkien".
        alike = (word for word in by_person if word[:2] == name[:2] and abs(len(word) - len(name)) <= 1)
        if len(name) >= _SHORTEST_COGNATE and get_close_matches(name, islice(alike, _MOST_REMEMBERED), 1, _SLIP):
            return True
        begins = name[: max(_SHORTEST_COGNATE, round(len(name) * _COGNATE))]
        return foreign and len(begins) >= _SHORTEST_COGNATE and any(word.startswith(begins) for word in known)

    def _supports(self, facts: _Facts, atom: Atom, *, foreign: bool) -> bool:
        if atom.kind is Kind.HOURS:
            if _hours_agree(atom, facts.hours):
                return True
            # "1h15" may be how long something is; a whole hour is rather the time of day.
            spans = (one for minutes in atom.opens if minutes % 60 for one in facts.counts.get(str(minutes), ()))
            if not atom.closes and any(_MINUTE in one.first_units for one in spans):
                return True
            # Bare numbers that were read as hours may be the ends of a documented range: "de 4 a 12".
            ends = _BARE_RANGE.fullmatch(atom.text)
            return ends is not None and any(f"{BESIDE}{ends[2]}" in one.label for one in facts.counts.get(ends[1], ()))
        if atom.kind is Kind.PHONE or atom.kind is Kind.DIGITS:
            # With or without the codes before it.
            digits = atom.value.lstrip("+")
            written = (value for kind, value in facts.values if kind in (Kind.PHONE, Kind.DIGITS))
            return any(
                value.lstrip("+") == digits or (len(digits) >= 7 and value.endswith(digits.lstrip("0")))
                for value in written
            )
        if atom.kind is not Kind.COUNT:
            return (atom.kind, atom.value) in facts.values
        dates = (value for kind, value in facts.values if kind is Kind.DATE)
        if _A_DAY in atom.label and any(value.startswith(f"{atom.value}/") for value in dates):
            return True  # "no dia 25", of the 25th of December
        same = facts.counts.get(atom.value, ())
        paired = {label for label in atom.label if label.startswith(BESIDE)}
        if any((atom.value, beside) in facts.ranges for beside in paired):
            return True
        if any(paired & one.label and not (_is_measured(atom) and _is_measured(one)) for one in same):
            return True
        if _is_measured(atom):
            return any(atom.first_units & (one.first_units if _is_measured(one) else one.label) for one in same)
        if any(atom.units & one.units for one in same):
            return True
        if atom.first_units & _ANY_PEOPLE and not _is_paired(atom):
            return not all(map(_is_measured, same))
        if atom.first_units & self._everything.counted:
            return False
        loose = not atom.direct and not _is_paired(atom)
        alike = any(_says_same(atom, one) or (loose and not _is_measured(one, but=_AGE)) for one in same)
        return alike or (bool(same) and (foreign or float(atom.value) >= TELLING))

    def _person_said(self, atom: Atom, person: _Person) -> bool:
        if atom.kind is Kind.COUNT:
            return atom.value in person.numbers
        if atom.kind is Kind.PERCENT and atom.value in person.shares:
            return True
        if atom.kind is Kind.CODE and (ordinal := _ORDINAL.fullmatch(atom.value)) and ordinal[1] in person.numbers:
            return True
        if (atom.opens | atom.closes) & person.moved:
            return all(one & person.moments for one in (atom.opens, atom.closes) if one)
        if atom.kind is Kind.DATE and atom.value in person.dates:
            return True
        if atom.kind is Kind.HOURS and person.numbers.issuperset(_DIGITS.findall(atom.text)):
            # "At 3" is "three in the afternoon" too.
            moments = (one for one in (atom.opens, atom.closes) if one)
            if _DIGITS.search(atom.text) or all(_spoken_as(one) & person.numbers for one in moments):
                return True
        return self._supports(person.facts, atom, foreign=False)

    def _is_free(self, atom: Atom, *, asked: bool) -> bool:
        """Whether a small count is of something that no document counts ("two more questions"), or only asked about."""
        whole = atom.value.isdigit() and int(atom.value) <= SMALL
        if not whole or _is_measured(atom) or _is_paired(atom) or (not atom.units and not atom.spoken):
            return False
        return asked or not atom.units & self._everything.counted

    def _explained(self, found: Sequence[_Found]) -> tuple[Finding, ...]:
        """The findings, each once; the first of them with the passage that comes nearest."""
        explained = dict[Finding, Finding]()
        for finding, atom in found:
            if finding not in explained:
                near = self._nearest(atom) if atom and len(explained) < MOST_EXPLAINED else ""
                explained[finding] = finding.model_copy(update={"nearest": near}) if near else finding
        return tuple(explained.values())

    def _nearest(self, atom: Atom) -> str:
        """The text of the passage with an atom of the same kind that is most like this one."""
        if atom.kind in (Kind.MONEY, Kind.NAME, Kind.UNREADABLE):
            return ""
        same = ((passage, one) for passage, one in self._passage_atoms if one.kind is atom.kind)
        best = max(same, key=lambda pair: _likeness(atom, pair[1]), default=None)
        return best[0].text if best else ""

    def _atoms(self, text: str) -> Iterator[Atom]:
        return (atom for sentence in sentences(text) for atom in self._read(sentence))

    def _facts(self, texts: Iterable[str]) -> _Facts:
        facts = _Facts()
        for text in texts:
            for sentence in sentences(text):
                facts.add(self._read(sentence))
                facts.rates.update(float(rate.replace(",", ".")) for rate in _RATE.findall(folded(sentence)))
        return facts

    def _person(self, known: KnownFacts) -> _Person:
        facts = self._facts(known.person_texts)
        name = [word for word in (known.person_name or "").split() if word.isalpha()]
        written = frozenset(facts.counts).union(*(_numerals(text) for text in known.person_texts))
        if known.person_address:
            address = self._atoms(f"+{known.person_address.lstrip('+')}")
            facts.add(atom for atom in address if atom.kind in (Kind.PHONE, Kind.DIGITS))
        # Sums, products and differences of the person's own numbers: "2 adults and 3 children" are 5.
        said = (value for value, atoms in facts.counts.items() if any(atom.text for atom in atoms))
        numbers = [float(value) for value in said][:_MOST_ADDENDS]
        sums = (sum(some) for size in range(2, len(numbers) + 1) for some in combinations(numbers, size))
        pairs = (value for one, two in combinations(numbers, 2) for value in (one * two, abs(one - two)))
        days = [one for kind, value in facts.values if kind is Kind.DATE and (one := _day_of(value))][:_MOST_ADDENDS]
        between = (abs((one - two).days) for one, two in combinations(days, 2))
        apart = (number for length in between for number in (length, abs(365 - length), abs(366 - length)))
        moments = [minute for hours in facts.hours for minute in (*hours.opens, *hours.closes)][: 2 * _MOST_ADDENDS]
        lengths = ((end - start) % DAY / 60 for start in moments for end in moments)
        reckoned = {f"{value:.12g}" for value in (*sums, *pairs, *lengths, *apart) if value}
        shares = {f"{100 * min(pair) / max(pair):.0f}" for pair in combinations(numbers, 2) if max(pair) > 0}
        return _Person(
            facts,
            folded(seen("\n".join(known.person_texts))),
            _words_of(*known.person_texts, *name),
            written | reckoned,
            numbers,
            frozenset(shares),
            frozenset(value for kind, value in facts.values if kind is Kind.UNREADABLE),
        )


def _equal(count: Atom) -> Iterator[Atom]:
    """The same measure in other units: three weeks are 21 days."""
    for greater, lesser, times in EQUAL:
        for unit, other, exact in (
            (greater, lesser, float(count.value) * times),
            (lesser, greater, float(count.value) / times),
        ):
            value = exact if times == int(times) else round(exact)
            if unit in count.first_units and (2 * value) == int(2 * value):  # halves too: 90 minutes
                units = frozenset((other,))
                yield replace(count, value=f"{value:.12g}", text="", units=units, first_units=units)


def _listed(sentence: str, counts: Sequence[Atom]) -> set[float]:
    """The counts that are as many as what follows them in a list: "three fronts: deliveries, services and repairs"."""
    found = set[float]()
    for opener in islice(_LISTED.finditer(sentence), _MOST_ADDENDS):
        head, sizes = sentence[: opener.start()], {len(re.split(items, sentence[opener.end() :])) for items in _ITEMS}
        words = head.split()
        found |= {float(one.value) for one in counts if float(one.value) in sizes and folded(one.text) in words}
    return found


def _lengths(hours: Atom) -> Iterator[int]:
    """The minutes that a range of hours may last."""
    return ((end - start) % DAY for start in hours.opens for end in hours.closes)


def _shifted(facts: _Facts, spans: Iterable[Atom]) -> Iterator[str]:
    """A person's dates so many months, weeks or days before and after."""
    days = [one for kind, value in facts.values if kind is Kind.DATE and (one := _day_of(value))]
    steps = [(int(one.value), one.first_units) for one in spans if one.value.isdigit() and int(one.value) <= _A_YEAR]
    for day in days[:_MOST_ADDENDS]:
        for step in (sign * step for step, units in steps if "duration-month" in units for sign in (1, -1)):
            yield f"{day.day}/{(day.month - 1 + step) % 12 + 1}"
        for step in (sign * step for step, units in steps if _A_DAY in units for sign in (1, -1)):
            moved = day.replace(year=_LEAP) + timedelta(days=step)
            yield f"{moved.day}/{moved.month}"


def _day_of(value: str) -> date | None:
    """The day of a date atom; one without a year is of the first year, as only differences are asked for."""
    day, month, *year = map(int, value.split("/"))
    try:
        return date(year[0] if year else 1, month, day)
    except ValueError:
        return None


def _numerals(text: str) -> Iterator[str]:
    """The numbers of a text, whole and each of their parts, with a point for a comma."""
    return (part for one in _NUMERALS.findall(text) for part in (one.replace(",", "."), *_DIGITS.findall(one)))


def _spoken_as(minutes: frozenset[int]) -> frozenset[str]:
    """The numbers that say one of these moments: 15:00 is 15 and 3, 14:30 is 2.30."""
    parts = [(hour, one % 60) for one in minutes for hour in (one // 60, one // 60 % 12 or 12)]
    return frozenset(f"{hour}.{minute:02}" if minute else str(hour) for hour, minute in parts)


def _finding(atom: Atom, number: int, why: str) -> Finding:
    return Finding(rule=_RULES[atom.kind], excerpt=atom.text[:EXCERPT], sentence=number, why=why)


def _says_same(said: Atom, written: Atom) -> bool:
    """Whether two counts have a word before them in common, or one has before it what the other measures: "week 14"."""
    measured = frozenset(unit for unit in written.first_units if "-" in unit)
    return bool(said.label & (written.label | measured))


def _is_paired(count: Atom) -> bool:
    """Whether another number is next to a count: it is an end of a range."""
    return any(label.startswith(BESIDE) for label in count.label)


def _leak(piece: str, number: int | None, why: str) -> Finding:
    return Finding(rule=Rule.PROMPT_LEAK, excerpt=piece[:EXCERPT], sentence=number, why=why)


def _is_measured(count: Atom, *, but: str = "") -> bool:
    """Whether a count is of a unit of measure: their CLDR ids have a hyphen, which no stem has."""
    return any("-" in unit and unit != but for unit in count.first_units)


def _refused_unread(texts: Sequence[str]) -> Finding | None:
    """A finding for a draft without anything visible, or too long to be read."""
    if sum(map(len, texts)) > LONGEST_DRAFT:
        return Finding(rule=Rule.TOO_LONG, excerpt="", why=f"longer than {LONGEST_DRAFT} characters")
    if not any(seen(text).strip() for text in texts):
        return Finding(rule=Rule.EMPTY, excerpt="", why="nothing in it is visible")
    return None


def _normalised(sentence: str) -> str:
    """A sentence in small letters with single blanks; the sign that ends it is kept, as a question states nothing."""
    return " ".join(sentence.casefold().split())


def _is_among(name: str, words: frozenset[str]) -> bool:
    """Whether a folded name is among words, whole or with each part of it: "wi-fi" is "wifi" too."""
    return name.replace("-", "") in words or all(len(part) == 1 or part in words for part in name.split("-"))


def _words_of(*texts: str) -> frozenset[str]:
    return frozenset(word for text in texts for word in _WORD.findall(folded(seen(text))))


def _hours_agree(said: Atom, hours: Sequence[Atom]) -> bool:
    """Whether texts give these hours, on every day that they are said of."""
    same = [one for one in hours if _same_hours(said, one)]
    if not same or said.days is None or any(one.days is None for one in same):
        return bool(same)
    return said.days <= frozenset[int]().union(*(one.days or frozenset() for one in same))


def _same_hours(said: Atom, written: Atom) -> bool:
    if said.closes:
        return bool(said.opens & written.opens and said.closes & written.closes)
    return bool(said.opens & (written.opens | written.closes))


def _likeness(said: Atom, written: Atom) -> float:
    """Return the share of what is compared in two atoms of a kind that is the same."""
    shared = bool(said.units & written.units) + bool(said.label & written.label)
    days = bool(said.days and written.days and said.days & written.days)
    edges = bool(said.opens & written.opens) + bool(said.closes & written.closes)
    alike = len(set(said.value) & set(written.value)) / (len(set(said.value) | set(written.value)) or 1)
    return shared + days + edges + alike
