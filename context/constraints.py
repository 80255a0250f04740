"""The guardrail gate: reads a draft before it is sent and says what in it may not be said."""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from context.commitments import commitment_findings
from context.consent import OptOutWords
from context.evidence import RANGE, Evidence, evidence_of, hidden_text_of, national, sentences
from context.figures import BLANK, Figure, Hours, Kind, blanked, day_groups, read_figures, read_hours, remember, stem
from context.links import Form, Link, plain_links, read_links
from context.names import NameReader
from context.normalize import flat, folded, lowered, seen, squeezed, words
from context.phrases import (
    EXCERPT,
    disguised_findings,
    duration_findings,
    is_denied,
    phrase_findings,
    price_findings,
    price_spans,
    state_name_findings,
)
from context.wording import ORDINARY, STOP_WORDS, TALK, TRANSLATED
from contracts.guardrails import Finding, KnownFacts, Rule
from contracts.institution import Institution

LONGEST_DRAFT = 16_000
SHORTEST_LOCAL_NUMBER = 8
_LIST = re.compile(r"[\w ]{3,40}: ([^.!?\n]{5,200})")
_BULLETS = re.compile(r"[^.!?\n]{2,60}:[ ]?((?:\n+[ ]?(?:[-*\u2022\u00b7]|\d{1,2}[.)]) ?[^\n]{1,120})+)")
_BARAO = re.compile(r"\bbarao (?:d[eo] )?([a-z]{4,})")
_MONEY_WORD = re.compile(
    r"[$%]|\b(?:valor|preco|cust|mensalidade|taxa|tarifa|frete|cobr|pag|reais|real\b|orcamento|investi|parcela|plano"
    r"|(?:sai|fica)[mr]?\w* (?:em|por|de|a)\b|price|cost|fee|pay|charge|rate|plan|pound|quote|euro|dolar|dollar)"
)
_WEEK = re.compile(r" (?:dias por|days a|days per) (?:semana|week)\b")
_DIAL = frozenset({"call", "ring", "dial", "phone", "ligue", "ligar", "disque", "chame"})
_SEPARATORS = re.compile(r", (?:e |and )?| e | and ")
_BLANKS = re.compile(f"{BLANK}+")
_SIZES = re.compile(r"\d{1,3}(?:x\d{1,3}){1,2}")
_IDENTIFIES = frozenset(
    {"nota", "fiscal", "pedido", "protocolo", "numero", "rua", "avenida", "sala", "casa", "erro", "order", "ticket"}
)

_TALK_STEMS = frozenset(stem(word) for word in TALK)
_MONEY_LIKE = frozenset(
    stem(word)
    for word in (
        "k", "x", "mil", "mensais", "monthly", "parcelas", "vezes", "prestacoes", "reais", "contos", "pilas", "mangos",
        "pratas", "paus", "dolares", "dollars", "euros", "libras", "pounds", "quid", "bucks", "grand", "centavos",
        "cents", "pence", "brl", "usd", "eur", "gbp", "instalments", "installments", "payments",
    )
)  # fmt: skip
_NOT_THINGS = _MONEY_LIKE | frozenset(stem(word) for word in ("mes", "month", "ano", "year", "hora", "hour", "cada"))
_MAY_BE_MONEY = (Kind.COUNT, Kind.PERCENT, Kind.CODE)
_PLURAL_ARTICLES = frozenset(
    {"os", "as", "dos", "das", "nos", "nas", "esses", "essas", "estes", "estas", "the", "both"}
)
_OURS = frozenset({"temos", "nossos", "nossas", "somos", "possuimos", "sao", "have", "our", "with", "com"})
_HOUSE_WORDS = ("escritorio", "atendimento", "telefone", "abrimos", "fechamos", "office", "desk", "clinic", "phone")
_HOUSE = frozenset(stem(word) for word in _HOUSE_WORDS)
_THE_HOUSE = frozenset({"the house"})  # in the place of a business line
_OPENING = ("abr", "abert", "atend", "funcion", "trabalh", "entreg", "opera", "plantao", "open", "see patients", "work")
_CLOSED = (
    "fecha",
    "closed",
    "descans",
    "folga",
    "shut",
    "exceto",
    "menos",
    "except",
    "fora",
    "salvo",
    "nao ",
    "not ",
    "nem ",
    "sem ",
    "no ",
)


class Gate:
    """Checks drafts against one institution. Everything it compares with is worked out once; `check` calls no model."""

    def __init__(self, institution: Institution) -> None:
        self._evidence = evidence_of(institution)
        remember(self._evidence.words)
        self._hidden = hidden_text_of(institution, self._evidence)
        self._names = NameReader(institution.name, self._evidence, _addresses(institution))
        own_name = {stem(word) for word in words(flat(institution.name))}
        self._line_stems = {
            line.id: frozenset(
                stem(word) for word in words(flat(line.name)) if len(word) > 2 and word not in STOP_WORDS
            )
            - own_name
            for line in institution.lines
        }
        self._add_keywords(institution)
        self._hours = tuple(
            {
                (
                    replace(hours, start=0, end=0, sentence=""),
                    frozenset({line}) if line else self._lines_in(hours.sentence),
                    _topic(hours.sentence),
                )
                for hours, line in self._evidence.hours
            }
        )
        self._topics = frozenset(topic for _, _, topic in self._hours if topic)
        address_words = {word for address in _addresses(institution) for word in words(flat(address))}
        self._house_numbers = frozenset(word for word in address_words if word.isdigit())
        self._address_words = frozenset(word for word in address_words if word.isalpha() and len(word) > 3)
        self._domains = frozenset(institution.allowed_domains)
        self._words = OptOutWords(institution)

    def is_opt_out(self, text: str) -> bool:
        """Whether the whole message says that the person wants no more messages."""
        return self._words.is_opt_out(text)

    def is_opt_in(self, text: str) -> bool:
        """Whether the whole message says that the person wants messages again."""
        return self._words.is_opt_in(text)

    def check(self, texts: Sequence[str], known: KnownFacts) -> tuple[Finding, ...]:
        """Return every reason to withhold a draft, none when it may go out.

        Args:
            texts: everything of the message a person can read, as `OutboundMessage.visible_texts` gives it.
            known: what may be repeated because it is this conversation's own.
        """
        shown = seen("\n".join(texts))
        if not any(not character.isspace() for character in shown):
            return (Finding(rule=Rule.EMPTY, excerpt=""),)
        if len(shown) > LONGEST_DRAFT:
            return (Finding(rule=Rule.UNSUPPORTED_NAME, excerpt=f"longer than {LONGEST_DRAFT} characters"),)
        return tuple(dict.fromkeys(self._findings(shown, _known_evidence(known))))

    def check_wording(self, text: str) -> tuple[Finding, ...]:
        """Return what a text of the institution itself may not say: prices, closings, promises, links elsewhere."""
        shown = seen(text)
        known = Evidence()
        plain, findings = self._read_links(shown, plain_links(lowered(folded(shown))), known)
        measured = [figure for figure in read_figures(plain) if self._is_measured(figure, known)]
        worded = (*price_findings(_blanked(plain, measured)), *phrase_findings(plain))
        return tuple(dict.fromkeys((*findings, *worded)))

    def _findings(self, shown: str, known: Evidence) -> Iterator[Finding]:
        plain = folded(shown)
        text = plain_links(lowered(plain))
        without_links, link_findings = self._read_links(shown, text, known)
        yield from link_findings

        figures = read_figures(without_links)
        listed = [figure for figure in figures if _counts_a_list(figure, plain)]
        listed += _documented_ranges(figures, without_links, self._evidence)
        listed += [figure for figure in figures if self._counts_documented_list(figure, without_links)]
        supported = [*listed, *(figure for figure in figures if self._stands(figure, known))]
        standing = {id(figure) for figure in supported}
        measured = [*listed, *(figure for figure in supported if self._is_measured(figure, known))]
        fresh = self._without_own_sentences(without_links)
        yield from price_findings(_blanked(without_links, measured))
        yield from phrase_findings(fresh)
        yield from commitment_findings(_without_own_places(fresh, known))
        if "\N{HANDSHAKE}" in shown:
            yield Finding(rule=Rule.CLOSING, excerpt="\N{HANDSHAKE}")
        yield from duration_findings(_blanked(fresh, measured))
        yield from disguised_findings(_blanked(fresh, measured), commitment_findings)
        yield from state_name_findings(shown)
        leaked = self._hidden.found_in(text)
        if leaked is not None:
            yield Finding(rule=Rule.PROMPT_LEAK, excerpt=leaked[:EXCERPT])

        yield from self._unsupported_figures(without_links, [one for one in figures if id(one) not in standing])
        yield from self._unsupported_hours(without_links, figures, known)
        yield from self._unsupported_days(fresh)
        yield from self._names.findings(_like(plain, fresh), known)

    def _read_links(self, shown: str, text: str, known: Evidence) -> tuple[str, list[Finding]]:
        """The text with its links blanked, and the links that lead where no document does."""
        links = list(read_links(text))
        written = shown.casefold()
        findings = [
            Finding(rule=Rule.LINK, excerpt=link.value[:EXCERPT])
            for link in links
            if not self._is_allowed_link(link, written, known)
        ]
        return _blanked(text, links), findings

    def _is_allowed_link(self, link: Link, written: str, known: Evidence) -> bool:
        # A host that only looks allowed was written with other letters than the ones we compare.
        if link.host and link.host not in written and link.value not in known.links:
            return False
        if link.value in known.links:
            return True
        if link.value.removeprefix("www.") in self._evidence.links:
            return link.form is not Form.URL or self._is_own_host(link.host)
        return link.form is Form.URL and link.value.removeprefix("www.") in self._domains

    def _is_own_host(self, host: str) -> bool:
        return any(host == domain or host.endswith(f".{domain}") for domain in self._domains)

    def _without_own_sentences(self, text: str) -> str:
        """The draft without the sentences that stand in the documents word for word."""
        for sentence in list(sentences(text)):
            if squeezed(sentence) in self._evidence.sentences:
                text = text.replace(sentence, BLANK * len(sentence), 1)
        return text

    def _stands(self, figure: Figure, known: Evidence) -> bool:
        """Whether the documents or the person say this number, of the same kind and of the same thing."""
        if figure.kind is Kind.COUNT:
            if figure.before == "ddd":
                return any(number.startswith(figure.value) for number in self._evidence.long | known.long)
            return self._is_documented_count(figure) or _is_small_talk(figure) or _is_own_count(figure, known)
        if figure.kind is Kind.LONG:
            return _has_number(self._evidence.long, figure.value) or _has_number(known.long, figure.value)
        if figure.kind is Kind.CODE and _SIZES.fullmatch(figure.value):
            return figure.value in self._evidence.sizes or figure.value in known.sizes
        if figure.kind is Kind.CODE:
            return figure.value in self._evidence.words or figure.value in known.words
        values = self._evidence.values | known.values
        if figure.kind is Kind.TIME and not figure.exact:
            return any((Kind.TIME, str(int(figure.value) + shift)) in values for shift in (0, 720))
        return (figure.kind, figure.value) in values

    def _is_measured(self, figure: Figure, known: Evidence) -> bool:
        """Whether a supported number says of what it is, so that it cannot be taken for a sum of money."""
        if figure.kind is not Kind.COUNT:
            return True
        if self._is_named_number(figure):
            return True
        if not figure.units or figure.units[0] in _MONEY_LIKE:
            return False
        return figure.units[0] in _TALK_STEMS or self._is_documented_count(figure) or _is_own_count(figure, known)

    def _is_documented_count(self, figure: Figure) -> bool:
        entries = self._evidence.counts.get(figure.value, ())
        if figure.units[:1] == ("day",) and figure.value == "15" and figure.before == "cada":
            return any(entry.units[:1] == ("week",) for entry in self._evidence.counts.get("2", ()))
        if not entries:
            return False
        if len(figure.value) >= 4:
            return True
        units = {*figure.units, *(stem(TRANSLATED[unit]) for unit in figure.units if unit in TRANSLATED)}
        if figure.units and any(units & set(entry.units[:1]) for entry in entries):
            return True
        return self._is_named_number(figure)

    def _counts_documented_list(self, figure: Figure, text: str) -> bool:
        """ "sete cidades", "seis dias por semana": a number that counts what the documents name one by one."""
        if figure.kind is not Kind.COUNT or not figure.units:
            return False
        if _WEEK.match(text, figure.end):
            return figure.value == str(len(self._evidence.open_days - {8}))
        unit = figure.units[0]
        lines = self._evidence.lists.get((figure.value, stem(TRANSLATED.get(unit, unit))))
        if lines is None:
            return False
        start = max(text.rfind(end, 0, figure.start) for end in ".!?\n") + 1
        about = self._lines_in(re.split(r"[.!?\n]", text[start : figure.end + 80], maxsplit=1)[0])
        about -= _THE_HOUSE
        return not about or None in lines or bool(about & lines)

    def _is_named_number(self, figure: Figure) -> bool:
        """ "sala 32": a number that follows the word it follows in the documents."""
        before = TRANSLATED.get(figure.before, figure.before)
        if figure.value in self._house_numbers and before in self._address_words:
            return True
        if figure.before in _DIAL:
            return any(entry.before in _DIAL for entry in self._evidence.counts.get(figure.value, ()))
        named = len(figure.before) >= 3 and figure.before not in STOP_WORDS
        return named and any(entry.before == figure.before for entry in self._evidence.counts.get(figure.value, ()))

    def _unsupported_figures(self, text: str, figures: Iterable[Figure]) -> Iterator[Finding]:
        for figure in figures:
            if figure.kind is not Kind.TIME:
                rule = Rule.PERSONAL_DATA if figure.kind is Kind.LONG else Rule.UNSUPPORTED_NUMBER
                yield Finding(rule=rule, excerpt=text[figure.start : figure.end].strip(BLANK)[:EXCERPT])

    def _unsupported_hours(self, text: str, figures: Sequence[Figure], known: Evidence) -> Iterator[Finding]:
        if not any(figure.kind is Kind.TIME for figure in figures):
            return
        said = {(one.days, one.opens, one.closes, one.sentence): one for one in read_hours(text, figures)}
        about = {sentence: self._lines_in(sentence) for _, _, _, sentence in said}
        for hours in said.values():
            if not self._are_documented(hours, about[hours.sentence]) and not _are_own(hours, known):
                yield Finding(rule=Rule.UNSUPPORTED_NUMBER, excerpt=text[hours.start : hours.end][:EXCERPT])

    def _add_keywords(self, institution: Institution) -> None:
        """Take a line's keywords for its names where no other line says them."""
        said = {
            line.id: {stem(word) for word in words(flat(f"{line.name} {line.body} {line.summary}"))}
            for line in institution.lines
        }
        for line in institution.lines:
            others = frozenset().union(*(stems for other, stems in said.items() if other != line.id))
            own = {stem(word) for word in words(flat(" ".join(line.keywords))) if len(word) > 3}
            self._line_stems[line.id] |= own - others

    def _are_documented(self, hours: Hours, about: frozenset[str]) -> bool:
        """Whether the documents name these hours, for these days, of the line and the matter of the sentence."""
        topics = {stem(word) for word in words(hours.sentence)} & self._topics
        facts = [
            fact
            for fact, lines, topic in self._hours
            if (not about or not lines or about & lines) and (not topics or not topic or topic in topics)
        ]
        candidates = [*_possible(hours)]
        if any(_agree(candidate, fact) for candidate in candidates for fact in facts):
            return True
        # "de segunda a sábado, a partir das 8h" is two lines of the documents.
        return bool(hours.days) and all(
            any(_agree(replace(candidate, days=frozenset({day})), fact) for candidate in candidates for fact in facts)
            for day in hours.days or ()
        )

    def _lines_in(self, sentence: str) -> frozenset[str]:
        """The one business line a sentence speaks of, or the house as a whole; none when it speaks of several."""
        stems = {stem(word) for word in words(sentence)}
        lines = frozenset(line for line, names in self._line_stems.items() if names & stems)
        if stems & _HOUSE:
            return frozenset() if lines else _THE_HOUSE
        return lines if len(lines) == 1 else frozenset()

    def _open_days(self, sentence: str) -> set[int] | None:
        """The days the documents name for what a sentence is about, None when it says nothing of days at work."""
        opening = any(verb in sentence for verb in _OPENING)
        topics = {stem(word) for word in words(sentence)} & self._topics
        if not topics or sentence.rstrip().endswith("?"):
            return self._evidence.open_days if opening else None
        return {day for fact, _, topic in self._hours if topic in topics for day in fact.days or ()}

    def _unsupported_days(self, text: str) -> Iterator[Finding]:
        """Days on which a draft says we are open although the documents name no hours for them."""
        for sentence in sentences(text):
            groups = list(day_groups(sentence))
            open_days = self._open_days(sentence) if groups else None
            if open_days is None:
                continue
            for start, end, days in groups:
                clause = sentence[:start].rsplit(",", 1)[-1] + sentence[end : end + 30].split(",", 1)[0]
                closed = any(word in clause for word in _CLOSED) or is_denied(sentence, start)
                if not closed and not days <= open_days:
                    yield Finding(rule=Rule.UNSUPPORTED_NUMBER, excerpt=sentence[start:end])


def _addresses(institution: Institution) -> Iterator[str]:
    return (asset.location.address for asset in institution.assets if asset.location is not None)


def _topic(sentence: str) -> str:
    """What a sentence of the documents with hours in it is about: its first word of some weight."""
    heavy = (
        word
        for word in words(sentence)
        if len(word) > 4 and word not in STOP_WORDS | ORDINARY and not word.startswith("atend")
    )
    return stem(next(heavy, ""))


def _known_evidence(known: KnownFacts) -> Evidence:
    """What the person said and what was collected, without the sums of money in it: echoing one would confirm it."""
    evidence = Evidence()
    for text in (*known.person_texts, *known.fields.values(), known.person_name or "", known.person_address or ""):
        if text:
            plain = flat(text)
            evidence.add(_without_money(plain))
            evidence.links.update(link.value for link in read_links(plain_links(plain)))
    return evidence


def _without_money(plain: str) -> str:
    """A text of the person's without the sums in it; what is a phone, a date or a number of things stays."""
    things = [one for one in read_figures(plain) if one.kind not in _MAY_BE_MONEY or _counts_things(one)]
    return blanked(plain, price_spans(_blanked(plain, things))).replace(BLANK, " ")


def _counts_things(figure: Figure) -> bool:
    if figure.kind is not Kind.COUNT:
        return figure.kind is Kind.CODE and "k" not in figure.value
    return figure.before in _IDENTIFIES or (bool(figure.units) and not set(figure.units) & _NOT_THINGS)


def _blanked(text: str, parts: Iterable[Figure | Link]) -> str:
    return blanked(text, ((part.start, part.end) for part in parts))


def _like(plain: str, fresh: str) -> str:
    """The text with its capitals where `fresh` still has it, blank where `fresh` is."""
    if len(plain) != len(fresh):
        return fresh
    return blanked(plain, (match.span() for match in _BLANKS.finditer(fresh))) if BLANK in fresh else plain


def _is_small_talk(figure: Figure) -> bool:
    """ "duas perguntas", "os dois": numbers that state nothing."""
    small = figure.value.isdigit() and int(figure.value) <= 10
    if figure.value in ("0", "1"):
        return not set(figure.units) & {"hour", "day", "week", "month", "year"} or figure.value == "0"
    about_talk = bool(figure.units) and figure.units[0] in _TALK_STEMS
    return small and (about_talk or (figure.before in _PLURAL_ARTICLES and int(figure.value) <= 3 and not figure.units))


def _counts_a_list(figure: Figure, text: str) -> bool:
    """ "cinco módulos: Conversas, ...": a number that says how many things follow, which are looked at one by one."""
    if figure.kind is not Kind.COUNT or not figure.units:
        return False
    listed = _LIST.match(text, figure.end)
    if listed is not None:
        return str(len(_SEPARATORS.findall(listed[1])) + 1) == figure.value
    bullets = _BULLETS.match(text, figure.end)
    return bullets is not None and str(sum(1 for line in bullets[1].split("\n") if line.strip())) == figure.value


def _documented_ranges(figures: Sequence[Figure], text: str, evidence: Evidence) -> Iterator[Figure]:
    """ "equipes de 2 a 50": a range of the documents whose unit the sentence says elsewhere, and no word of money."""
    for first, last in itertools.pairwise(figures):
        units = evidence.ranges.get((first.value, last.value))
        if units is None or first.kind is not Kind.COUNT or last.kind is not Kind.COUNT:
            continue
        start = max(text.rfind(end, 0, first.start) for end in ".!?\n") + 1
        around = re.split(r"[.!?\n]", text[start : last.end + 60], maxsplit=1)[0]
        if set(last.units) & _MONEY_LIKE or _MONEY_WORD.search(around):
            continue
        if RANGE.fullmatch(text, first.end, last.start) and units & {stem(word) for word in words(around)}:
            yield first
            yield last


def _without_own_places(text: str, known: Evidence) -> str:
    """The text without places of the person's that sound like slang for money: "Barão Geraldo"."""
    if "barao" not in known.words:
        return text
    named = (match.span() for match in _BARAO.finditer(text) if match[1] in known.words and match[1] in known.places)
    return blanked(text, named)


def _is_own_count(figure: Figure, known: Evidence) -> bool:
    """A number of the person's; what of is their business, as long as it is not money."""
    entries = known.counts.get(figure.value, ())
    if any(not entry.units or set(entry.units) & set(figure.units) for entry in entries):
        return True
    return bool(entries) and not set(figure.units) & _MONEY_LIKE and figure.before not in _OURS


def _has_number(numbers: Iterable[str], digits: str) -> bool:
    wanted = national(digits)
    return any(
        number == wanted or (SHORTEST_LOCAL_NUMBER <= len(wanted) <= 9 and number.endswith(wanted))
        for number in numbers
    )


def _are_own(hours: Hours, known: Evidence) -> bool:
    times = {one for one in (hours.opens, hours.closes) if one is not None}
    return all(
        any((Kind.TIME, str(one + shift)) in known.values for shift in (0, 720, -720))
        or (one % 60 == 0 and str(one // 60) in known.counts)
        for one in times
    )


def _possible(hours: Hours) -> Iterator[Hours]:
    """The readings of hours whose half of the day was left open."""
    yield hours
    if not hours.exact:
        shifted = [None if one is None else one + 720 for one in (hours.opens, hours.closes)]
        yield Hours(hours.days, shifted[0], shifted[1], hours.start, hours.end)


def _agree(said: Hours, fact: Hours) -> bool:
    if said.days is not None and fact.days is not None and not said.days <= fact.days:
        return False
    if said.is_range:
        return (said.opens, said.closes) == (fact.opens, fact.closes)
    wanted = said.opens if said.opens is not None else said.closes
    ends = [fact.opens] if said.closes is None else [fact.closes] if said.opens is None else [fact.opens, fact.closes]
    return wanted in ends
