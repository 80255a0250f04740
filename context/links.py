"""Finds links, e-mail addresses and handles, however they are spelled."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Form(StrEnum):
    URL = "url"
    EMAIL = "email"
    HANDLE = "handle"


@dataclass(frozen=True, slots=True)
class Link:
    """`value` is a host with its path, an address or a handle, in small letters; `host` is where it leads."""

    form: Form
    value: str
    host: str
    start: int
    end: int


_ENDINGS = (
    r"(?:com|net|org|info|biz|io|app|dev|co|ai|ly|gl|gg|tv|link|store|shop|online|site|xyz|page|br|pt|us|uk|eu|cc"
    r"|ws|tk"
    r"|ml|cf|gq|top|club|live|cloud|tech|digital|example|me|be|in|la|to|im|id|sh|vip|pro|bot|chat|click|website|space"
    r"|art|blog|work|world|today|zone|gov|edu|mil|ru|cn|de|fr|ar|mx|ca|au|ie|mobi|name|test|local|onion)"
)
# Endings that are words too: only an address when something else says so.
_WORDY = frozenset(
    {"me", "be", "in", "la", "to", "im", "id", "de", "work", "today", "name", "pro", "us", "art", "local"}
)

_OBFUSCATED = (
    (re.compile(r"\bh(?:xx|\*\*|tt)p(s?)\b"), r"http\1"),
    (re.compile(r" ?[\[({<] ?(?:dot|ponto|d0t|pt|\.) ?[\])}>] ?"), "."),
    (re.compile(r" ?[\[({<] ?(?:at|arroba|@|em) ?[\])}>] ?"), "@"),
    (re.compile(r"(?<=\w) (?:arroba) (?=\w)"), "@"),
    (re.compile(rf"(?<=\w) (?:dot|ponto|d0t) (?!(?:de|in|to|la|me|be|at) )(?={_ENDINGS}\b)"), "."),
    (
        re.compile(
            r"(?<=\w)(?: \. ?|\. )(?=(?:com|net|org|io|app|br|xyz|link)\b"
            r"(?! (?:a|o|as|os|um|uma|isso|certeza|ele|ela|voce|quem|que)\b)[./]?)"
        ),
        ".",
    ),
    (re.compile(r"(?<=\w) (?:barra|slash) (?=\w)"), "/"),
    (re.compile(r"(?<=http)(s?) ?: ?/ ?/ ?"), r"\1://"),
)  # fmt: skip
# Each of the patterns above needs one of these somewhere.
_HINTS = (("tp",), "[({<", "[({<", ("arroba",), ("dot", "ponto", "d0t"), (" . ", ". "), ("barra", "slash"), ("http",))
_SCHEME = re.compile(r"\b([a-z][a-z0-9+.-]{1,14}):/{1,2}([^\s<>\"')\]]{1,500})")
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")
_DOMAIN = re.compile(
    rf"(?<![\w@.-])(?:[\w-]{{1,63}}\.){{1,6}}({_ENDINGS})(?![\w-]|\.\w)(?::\d+)?((?:[/?#][^\s<>\"')\]]{{0,300}})?)"
)
_ADDRESS = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])(?:[:/]\S{0,200})?|(?<!\w)0x[0-9a-f]{8}\b")
_HANDLE = re.compile(r"(?<![\w.@/])@[a-z0-9_](?:[\w.]{0,28}\w)?")
_SCRIPT = re.compile(r"\b(?:javascript|vbscript|data|file|intent|whatsapp|tg|sms|tel|mailto):\S{2,200}")
# Every link has one of these somewhere.
_MAY_LEAD = re.compile(r"[@/]|[\w-]\.[\w-]|0x|:\S")
_TRAILING = ".,;:!?*_)]}'\""


def plain_links(text: str) -> str:
    """A flat text in which "[dot]", "arroba" and "hxxp" are what they stand for."""
    for (pattern, instead), hints in zip(_OBFUSCATED, _HINTS, strict=True):
        if any(hint in text for hint in hints):
            text = pattern.sub(instead, text)
    return text


def read_links(text: str) -> Iterator[Link]:
    """Every link of a text that went through `plain_links`; parts of a longer link are not told again."""
    if not _MAY_LEAD.search(text):
        return
    taken: list[tuple[int, int]] = []
    for link in (*_with_scheme(text), *_emails(text), *_domains(text), *_others(text)):
        if not any(start < link.end and link.start < end for start, end in taken):
            taken.append((link.start, link.end))
            yield link


def _with_scheme(text: str) -> Iterator[Link]:
    for match in _SCHEME.finditer(text):
        rest = match[2].rstrip(_TRAILING).lstrip("/")
        authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
        host = re.sub(r":\d*$", "", authority.rsplit("@", 1)[-1]).rstrip(".")
        path = rest[len(authority) :].rstrip("/")
        known = match[1] in ("http", "https") and "@" not in authority
        value = f"{host}{path}" if known else match[0]
        yield Link(Form.URL, value, host if known else "", match.start(), match.end())


def _emails(text: str) -> Iterator[Link]:
    for match in _EMAIL.finditer(text):
        value = match[0].rstrip(_TRAILING)
        yield Link(Form.EMAIL, value, value.rsplit("@", 1)[-1], match.start(), match.end())


def _domains(text: str) -> Iterator[Link]:
    for match in _DOMAIN.finditer(text):
        labels = re.split(r"[/?#:]", match[0], maxsplit=1)[0]
        if match[1] in _WORDY and not match[2].startswith("/") and labels.count(".") < 2 and len(labels) > 7:
            continue
        path = match[2].rstrip(_TRAILING).rstrip("/")
        yield Link(Form.URL, f"{labels}{path}", labels, match.start(), match.end())


def _others(text: str) -> Iterator[Link]:
    for pattern, form in ((_ADDRESS, Form.URL), (_SCRIPT, Form.URL), (_HANDLE, Form.HANDLE)):
        for match in pattern.finditer(text):
            yield Link(form, match[0].rstrip(_TRAILING), "", match.start(), match.end())
