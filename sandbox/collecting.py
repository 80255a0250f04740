"""Extraction of a person's facts with simple rules: names, companies, cities, internet addresses."""

import re
from collections.abc import Iterable

from contracts.institution import FieldSpec, Institution
from sandbox.language import fold, is_gibberish, is_stop_word
from sandbox.vocabulary import SIGNS, VOCABULARY, WORDS

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+\.[\w.]+\w")
_PARTICLES = ("da", "de", "do", "das", "dos", "e")
LONGEST_NAME = 8
LONGEST_VALUE = 200


def kind_of(field: FieldSpec) -> str:
    """Return the kind of answer a field wants, by its id and label; its own id when the kind is unknown."""
    named = (fold(field.id), fold(field.label))
    return next((kind for name in named for kind, signs in VOCABULARY.field_kinds.items() if name in signs), field.id)


def mentioned(institution: Institution, texts: Iterable[str], wanted: Iterable[str]) -> dict[str, str]:
    """Return the facts in the texts about the fields in `wanted`, or about the name and the company."""
    by_kind = {kind_of(field): field.id for field in institution.fields}
    said: dict[str, str] = {}
    for text in texts:
        for kind, value in _facts(text):
            field_id = by_kind.get(kind)
            if field_id is not None and (kind in ("name", "company", "email") or field_id in wanted):
                said.setdefault(field_id, tidy(value))
    return said


def answered(field: FieldSpec, text: str) -> str | None:
    """Return the answer to the question of `field`, or None when the text does not look like one."""
    plain = " ".join(text.split())
    if not plain or "?" in plain or is_gibberish(plain):
        return None
    kind = kind_of(field)
    if kind == "email":
        found = _EMAIL.search(plain)
        return found[0] if found else None
    stated = dict(_facts(plain)).get(kind)
    if stated is not None:
        return tidy(stated)
    value = SIGNS["opening"].sub("", plain, count=1).strip(" .!,;") or plain.strip(" .!,;")
    if kind == "name":
        return _as_name(value)
    if kind in ("company", "city", "role") and (SIGNS["no_name"].match(value) or len(value.split()) > LONGEST_NAME):
        return None
    return tidy(value) or None


def without_introduction(text: str) -> str:
    """Return the text without a self-introduction, which is no reason to answer about names."""
    for pattern in (SIGNS["stated_name"], SIGNS["introduced"]):
        introduced = pattern.search(text)
        if introduced is not None and _as_name(introduced["name"]) is not None:
            rest = text[introduced.end() :]
            company = SIGNS["from_company"].match(rest)
            text = text[: introduced.start()] + " " + (rest[company.end() :] if company else rest)
    return text


def tidy(value: str) -> str:
    return " ".join(value.split()).strip(" .,;!")[:LONGEST_VALUE]


def _facts(text: str) -> Iterable[tuple[str, str]]:
    introduced = SIGNS["stated_name"].search(text) or SIGNS["introduced"].search(text)
    if introduced is not None:
        name = _as_name(introduced["name"])
        if name is not None:
            yield "name", name
            company = SIGNS["from_company"].match(text[introduced.end() :])
            if company is not None:
                yield "company", company["company"]
    if (company := SIGNS["company"].search(text)) is not None:
        yield "company", company["company"]
    if (email := _EMAIL.search(text)) is not None:
        yield "email", email[0]
    if (route := SIGNS["route"].search(text)) is not None:
        yield "pickup", route["pickup"]
        yield "destination", route["destination"]
    if (city := SIGNS["place_of"].search(text)) is not None:
        yield "city", city["city"]
    if SIGNS["need"].match(text) is not None and len(text.split()) >= 5:
        yield "need", text


def _as_name(value: str) -> str | None:
    parts = tidy(value).split()
    if not 1 <= len(parts) <= 5 or any(fold(part) in WORDS["not_names"] for part in parts):
        return None
    if any(is_stop_word(part, language) for part in parts if part not in _PARTICLES for language in ("pt", "en")):
        return None
    if not all(part.replace("-", "").replace("'", "").replace("’", "").replace(".", "").isalpha() for part in parts):
        return None
    return " ".join(part if part in _PARTICLES or not part.islower() else part.capitalize() for part in parts)
