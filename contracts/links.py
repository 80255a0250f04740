"""Links of customers in what the team reads: shown, marked as theirs, and not to be clicked."""

import re
from collections.abc import Collection
from functools import cache
from typing import Any

from linkify_it import LinkifyIt
from linkify_it.tlds import TLDS

from contracts.institution import Institution

ENDINGS = frozenset(ending.lower() for ending in TLDS)
_ENDS = ".,;:!?)"
SCHEME = re.compile(r"(?<!\w)\w{2,10}://\S+|(?<!\w)www\.\S+", re.IGNORECASE)


@cache
def linkifier(endings: frozenset[str] = frozenset()) -> LinkifyIt:
    """Return the finder of links that end as the public list says, or in one of `endings`."""
    return LinkifyIt().tlds(sorted(ENDINGS | endings))


def bare(link: str) -> str:
    """Return a link in small letters without scheme and end of sentence."""
    return re.sub(r"^https?://", "", link.lower()).removeprefix("www.").rstrip(f"/{_ENDS}")


def is_own(link: str, domains: Collection[str]) -> bool:
    """Whether the host of a bare link is one of the domains or below one."""
    host = re.split(r"[/?#\\]", link, maxsplit=1)[0]  # browsers read "\" as "/"
    return any(host == own or host.endswith(f".{own}") for own in domains)


def unlinked(content: Any, institution: Institution) -> Any:
    """Return text, or JSON with texts, whose links are marked as the customer's and cannot be clicked.

    The institution's own links and e-mail addresses stay as they are.
    """
    match content:
        case str():
            return _marked(content, institution)
        case dict():
            return {key: unlinked(value, institution) for key, value in content.items()}
        case list() | tuple():
            return [unlinked(value, institution) for value in content]
    return content


def _marked(text: str, institution: Institution) -> str:
    whose = "link do cliente" if institution.language.startswith("pt") else "customer's link"

    def mark(link: str) -> str:
        shown = link.rstrip(_ENDS)
        cut = re.sub(r"^(?:[^/]*:)?//", "", shown).replace(".", "[.]").replace("://", "[:]//")
        return f"[{whose}: {cut}]{link[len(shown) :]}"

    def is_theirs(link: str) -> bool:
        return not is_own(bare(link), institution.allowed_domains)

    text = SCHEME.sub(lambda found: mark(found[0]) if is_theirs(found[0]) else found[0], text)
    # What is left around a mark can be a link in its turn.
    while links := [one for one in linkifier().match(text) or () if one.schema != "mailto:" and is_theirs(one.raw)]:
        for found in reversed(links):
            text = f"{text[: found.index]}{mark(found.raw)}{text[found.last_index :]}"
    return text
