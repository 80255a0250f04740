"""What the documents, and what is known of a person, say in numbers, links and names: the support a draft can have."""

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from context.figures import Figure, Hours, Kind, read_figures, read_hours, stem
from context.links import plain_links, read_links
from context.normalize import flat, squeezed, words
from contracts.institution import Institution

# A run of 60 characters holds a window of 48 that starts at a multiple of 12, wherever the run starts.
LEAK_WINDOW = 48
LEAK_STEP = 12
LONGEST_PIECE = 60
SHORTEST_LEAK = 35
CLAIM_STEM = 4

_HIDDEN_SECTION = re.compile(r"^# Never\n.*?(?=^# |\Z)", re.MULTILINE | re.DOTALL)
_HIDDEN_LINES = re.compile(
    r"^- (?:triggers|keywords|category|line|fields|asset|latitude|longitude|type|escalate|conclude|spam|opt_\w+"
    r"|allowed_domains):.*$",
    re.MULTILINE,
)
_HEADING = re.compile(r"^##? .*$", re.MULTILINE)
_MARKUP = re.compile(r"^(?:#+|>|[-*]|\d+\.) ?", re.MULTILINE)
_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|\n+")
# "no" opens a denial in English; inside a Portuguese sentence it is "in the".
_SIZE = re.compile(r"\b\d{1,3}(?: ?x ?\d{1,3}){1,2}\b")
_CAPITALISED = r"[A-ZÀ-Ý][\w-]+(?: [A-ZÀ-Ý][\w-]+)*"
_NAME = re.compile(_CAPITALISED)
_NAMES = re.compile(rf"{_CAPITALISED}(?:, {_CAPITALISED})+ (?:e|and) {_CAPITALISED}")
RANGE = re.compile(r" (?:a|ate|to|e|and) | ?- ?")
_PLACE = re.compile(r"\bbarao (?:d[eo] )?([a-z]{4,})(?<!reais)(?<!contos)")
_SUBJECT = re.compile(r"([a-z]{4,}) (?:sao|are|:) ?$")
_AREA = re.compile(r"\b(?:areas?|cidades|cities|towns)\b[^\n]{0,40}(?:\n|: )\s*$")
_DENIES = re.compile(r"\b(?:nao|nem|nunca|not|never|cannot)\b|^\W*no\b")


@dataclass
class Evidence:
    """An index of texts. Built once for the documents and once a check for what is known of the person."""

    words: set[str] = field(default_factory=set)
    claims: set[str] = field(default_factory=set)
    sentences: set[str] = field(default_factory=set)
    counts: dict[str, list[Figure]] = field(default_factory=lambda: defaultdict(list))
    values: set[tuple[Kind, str]] = field(default_factory=set)
    hours: list[tuple[Hours, str | None]] = field(default_factory=list)
    open_days: set[int] = field(default_factory=set)
    long: set[str] = field(default_factory=set)
    links: set[str] = field(default_factory=set)
    sizes: set[str] = field(default_factory=set)
    ranges: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    places: set[str] = field(default_factory=set)
    lists: dict[tuple[str, str], set[str | None]] = field(default_factory=lambda: defaultdict(set))

    def add(self, text: str, line: str | None = None) -> None:
        """Take a text, of a business line or of the whole house, as support for everything it says."""
        plain = plain_links(flat(text))
        figures = read_figures(plain)
        self.words.update(words(plain))
        self.places.update(match[1] for match in _PLACE.finditer(plain))
        self._add_figures(plain, figures, line)
        self.sizes.update(match[0].replace(" ", "") for match in _SIZE.finditer(plain))
        self.links.update(link.value for link in read_links(plain))

    def add_prose(self, text: str, line: str | None = None) -> None:
        """Take a text of the institution: its sentences may be repeated, its affirmations support offers."""
        self.add(text, line)
        self._add_lists(text, line)
        for sentence in sentences(flat(text)):
            self.sentences.add(squeezed(sentence))
            if not _DENIES.search(sentence):
                self.claims.update(stem(word) for word in words(sentence) if len(word) >= CLAIM_STEM)

    def _add_lists(self, text: str, line: str | None) -> None:
        """How many names a list of names has, and of what: "Os módulos são ...", or places below "Área atendida"."""
        for listed in _NAMES.finditer(text):
            before = flat(text[max(0, listed.start() - 60) : listed.start()])
            said = _SUBJECT.search(before)
            unit = said[1] if said else "cidade" if _AREA.search(before) else ""
            if unit:
                number = len(_NAME.findall(listed[0]))
                self.lists[str(number), stem(unit)].add(line)

    def _add_figures(self, text: str, figures: Iterable[Figure], line: str | None) -> None:
        kept = tuple(figures)
        for figure in kept:
            self.values.add((figure.kind, figure.value))
            if figure.kind is Kind.COUNT:
                self.counts[figure.value].append(figure)
            elif figure.kind is Kind.LONG:
                self.long.add(national(figure.value))
        for first, last in itertools.pairwise(kept):
            if first.kind is last.kind is Kind.COUNT and last.units and RANGE.fullmatch(text, first.end, last.start):
                self.ranges.setdefault((first.value, last.value), set()).add(last.units[0])
        for hours in read_hours(text, kept):
            self.hours.append((hours, line))
            self.open_days |= hours.days or set()


def sentences(flat_text: str) -> Iterator[str]:
    """The sentences of a flat text."""
    return (sentence for sentence in _SENTENCE_END.split(flat_text) if sentence.strip())


def national(digits: str) -> str:
    """A phone number without its country's prefix, so that "+55 19 ..." and "(19) ..." are the same."""
    plus, number = digits.startswith("+"), digits.lstrip("+")
    for prefix, lengths in (("55", (12, 13)), ("44", (12,))):
        if number.startswith(prefix) and (plus or len(number) in lengths):
            return number[len(prefix) :]
    return f"+{number}" if plus else number.lstrip("0")


def evidence_of(institution: Institution) -> Evidence:
    """Index everything the institution says to people; triggers and the never-list are not among it."""
    evidence = Evidence()
    for line, text in _texts(institution):
        evidence.add_prose(text, line)
    evidence.words.update(words(flat(" ".join((institution.name, *institution.allowed_domains)))))
    return evidence


def _texts(institution: Institution) -> Iterator[tuple[str | None, str]]:
    """Every text with the business line it is of: the documents without what is not meant for people, then values."""
    for document in institution.documents.values():
        visible = _HIDDEN_LINES.sub("", _HIDDEN_SECTION.sub("", document))
        if not any(line.body in document for line in institution.lines):
            yield None, _paragraphs(_MARKUP.sub("", _HEADING.sub("", visible)))
    for principle in institution.principles:
        yield None, f"{principle.title}.\n{principle.text}"
    for line in institution.lines:
        yield line.id, f"{line.name}.\n{line.summary}\n{_paragraphs(_MARKUP.sub('', line.body))}"
    for intent in institution.intents:
        yield intent.line, intent.answer
        yield None, "\n".join(intent.options)
    for spec in institution.fields:
        yield None, f"{spec.label}\n{spec.question}"
    for asset in institution.assets:
        yield None, "\n".join(_asset_texts(asset.model_dump(exclude={"id", "type"})))
    yield None, "\n".join(institution.texts.values())


def _paragraphs(text: str) -> str:
    """Lines that an editor wrapped are one line again."""
    return re.sub(r"(?<=[^\n])\n(?=[^\n])", " ", text)


def _asset_texts(values: dict[str, object]) -> Iterator[str]:
    for value in values.values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from _asset_texts(value)


@dataclass(frozen=True)
class HiddenText:
    """Text of the prompt that no reply repeats: long runs of it, and short pieces as a whole."""

    windows: frozenset[str]
    pieces: tuple[str, ...]

    def found_in(self, flat_text: str) -> str | None:
        tight = squeezed(flat_text)
        for start in range(0, max(0, len(tight) - LEAK_WINDOW + 1), LEAK_STEP):
            if tight[start : start + LEAK_WINDOW] in self.windows:
                return tight[start : start + LEAK_WINDOW]
        return next((piece for piece in self.pieces if piece in tight), None)


def hidden_text_of(institution: Institution, evidence: Evidence) -> HiddenText:
    """Index the never-list and the descriptions of intents."""
    said = "".join(evidence.sentences)
    hidden = [squeezed(flat(text)) for text in (*institution.never, *(one.description for one in institution.intents))]
    windows = frozenset(
        text[start : start + LEAK_WINDOW] for text in hidden for start in range(max(0, len(text) - LEAK_WINDOW + 1))
    )
    pieces = tuple(text for text in hidden if SHORTEST_LEAK <= len(text) < LONGEST_PIECE and text not in said)
    return HiddenText(windows, pieces)
