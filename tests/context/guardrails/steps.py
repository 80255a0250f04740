"""Changes an atom of a text by one step: a digit, an hour, a day, a letter of a domain."""

import re
from collections.abc import Iterator

from babel import Locale

from context.guardrails.atoms import Atom, AtomReader, Kind
from context.guardrails.sentences import folded, seen, sentences
from context.guardrails.words import Words
from contracts.institution import Institution

_NEXT_WORD = {
    "dois": "três", "duas": "três", "três": "quatro", "quatro": "cinco", "cinco": "seis", "two": "three",
    "three": "four", "five": "six", "dos": "tres", "tres": "cuatro", "cuatro": "cinco",
}  # fmt: skip


def changed(text: str, institution: Institution) -> Iterator[tuple[str, str]]:
    """Copies of a text in which one atom is a step away from what it says, and how."""
    words = Words(institution.language)
    reader = AtomReader(words, institution.allowed_domains)
    shown = seen(text)
    for sentence in sentences(text):
        for atom in reader.read(sentence):
            for step in _steps(atom):
                yield shown.replace(sentence, sentence.replace(atom.text, step, 1), 1), f"{atom.text} -> {step}"
        yield from _other_days(shown, sentence, institution, words, reader)


def _steps(atom: Atom) -> Iterator[str]:
    if atom.kind in (Kind.PHONE, Kind.DIGITS, Kind.SIZE, Kind.CODE):
        yield re.sub(r"\d(?=\D*$)", lambda match: str((int(match[0]) + 1) % 10), atom.text)
    elif atom.kind is Kind.COUNT and atom.spoken:
        if atom.text.lower() in _NEXT_WORD:
            yield _NEXT_WORD[atom.text.lower()]
    elif atom.kind is Kind.COUNT:
        yield re.sub(r"\d+", lambda match: str(int(match[0]) + 1), atom.text, count=1)
    elif atom.kind is Kind.HOURS:
        yield re.sub(r"\d+", lambda match: str(int(match[0]) + 1), atom.text, count=1)
        if atom.closes:
            yield re.sub(r"\d+(?=(?:[:h]\d\d)?(?!.*\d[:h]))", lambda match: str(int(match[0]) - 1), atom.text, count=1)
    elif atom.kind in (Kind.LINK, Kind.EMAIL):
        yield re.sub(r"(?<=[a-z])(?=\.[a-z])", "s", atom.text, count=1)
    elif atom.kind is Kind.HANDLE:
        yield f"{atom.text}s"


def _other_days(
    shown: str, sentence: str, institution: Institution, words: Words, reader: AtomReader
) -> Iterator[tuple[str, str]]:
    """A day of a sentence with hours becomes the next or the last one, unless what it says stays true."""
    before = [atom for atom in reader.read(sentence) if atom.kind is Kind.HOURS and atom.days]
    if not before:
        return
    names = dict(Locale.parse(institution.language, sep="-").days["format"]["wide"])
    plain = {number + 1: str(name).split("-")[0] for number, name in names.items()}
    for match in words.day_pattern.finditer(folded(sentence)):
        day = words.days.get(match["day"] or "")
        if day is None:
            continue
        for other in (day % 7 + 1, (day - 2) % 7 + 1):
            copy = f"{sentence[: match.start('day')]}{plain[other]}{sentence[match.end('day') :]}"
            after = [atom for atom in reader.read(copy) if atom.kind is Kind.HOURS]
            said = {(one.value, day) for one in before for day in one.days or ()}
            says = {(one.value, day) for one in after for day in one.days or ()}
            if not says <= said:
                yield shown.replace(sentence, copy, 1), f"{sentence[match.start() : match.end()]} -> {plain[other]}"
