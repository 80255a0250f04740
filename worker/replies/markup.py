"""Conversion of the Markdown that models write into the markup that a channel shows."""

import math
import re
from bisect import bisect_right
from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.tree import SyntaxTreeNode

from contracts.ports import Markup

# Lists, quotes and entities are no rules here: as text they read well everywhere. The same goes for line breaks.
RULES = ("heading", "lheading", "hr", "fence", "table", "escape", "backticks", "emphasis", "strikethrough")
LINKS = ("link", "image", "autolink")
# Markup characters inside an address are part of it: URLs, e-mail addresses, names of accounts, paths of a domain.
ADDRESS = re.compile(
    r"(?:\b[a-z][a-z0-9+.-]{1,15}://|\bwww\.|(?<![\w.-])[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,8}/)[^\s<>\[\]]*[\w/]"
    r"|(?<![\w.+-])[\w.+-]*@[\w.-]*\w",
    re.IGNORECASE,
)
CLOSING_MARKUP = "*_~`"
# A text with more is no Markdown, and matching pairs among them takes the square of their number.
MOST_MARKS = 3_600


class _Reader(MarkdownIt):
    """CommonMark of the rules above. Addresses of links stay as they are written, for people read them."""

    def __init__(self) -> None:
        super().__init__("zero")
        self.enable([*RULES, *LINKS])
        self.inline.ruler.before("text", "address", _read_address)

    def normalizeLink(self, url: str) -> str:
        return url

    def normalizeLinkText(self, link: str) -> str:
        return link


def _read_address(state: StateInline, silent: bool) -> bool:
    """Take the rest of an address as text, from where the rule for text stopped inside it."""
    spans = state.env.setdefault("addresses", {})
    if state.src not in spans:
        spans[state.src] = [(-1, -1), *map(_span, ADDRESS.finditer(state.src))]
    _, end = spans[state.src][bisect_right(spans[state.src], (state.pos, math.inf)) - 1]
    if not state.pos < end <= state.posMax:
        return False
    if not silent:
        state.pending += state.src[state.pos : end]
    state.pos = end
    return True


def _span(match: re.Match[str]) -> tuple[int, int]:
    """Return begin and end of the address, without the markup that encloses it."""
    return match.start(), match.start() + len(match.group().rstrip(CLOSING_MARKUP))


READER = _Reader()


def to_markup(text: str, markup: Markup) -> str:
    """Return the text with its Markdown as `markup` shows it; what only looks like Markdown stays as it is written.

    Headings become bold lines, links their text and their plain address, rows of a table lines. Lists and quotes stay.
    """
    if sum(map(text.count, f"{CLOSING_MARKUP}[@")) > MOST_MARKS:
        return text
    lines, shown, line = text.split("\n"), list[str](), 0
    for node in SyntaxTreeNode(READER.parse(text)).children:
        begin, end = node.map or (line, line)
        shown += lines[line:begin]
        block = _block(node, markup, "\n".join(lines[begin:end]))
        if block is not None:
            shown += block.split("\n")
        line = end
    converted = "\n".join([*shown, *lines[line:]])
    return converted if converted.strip() else text


def _block(node: SyntaxTreeNode, markup: Markup, source: str) -> str | None:
    """Return a block as text, or None for a line that only divides; `source` is the block as it is written."""
    match node.type:
        case "hr":
            return source if "_" in node.markup else None
        case "fence":
            return f"{markup.block}\n{node.content}{markup.block}".strip("\n") if markup.block else node.content[:-1]
        case "table":
            rows = [row for section in node.children for row in section.children]
            return "\n".join(" | ".join(_inline(cell, markup) for cell in row.children) for row in rows)
        case "heading" if _is_heading(node, source):
            return _enclosed(_inline(node, Markup()), markup.bold)
        case "heading":
            *_, underline = source.split("\n")
            return f"{_inline(node, markup)}\n{underline}"
        case _:
            # The reader drops the indentation of a paragraph, which a list needs.
            return source[: len(source) - len(source.lstrip())] + _inline(node, markup)


def _is_heading(node: SyntaxTreeNode, source: str) -> bool:
    """Whether it is meant as one: an underline belongs to one line, and is longer than the dash of an empty item."""
    *_, underline = source.split("\n")
    is_underlined = node.markup in ("-", "=")
    return not is_underlined or (len(underline.strip()) > 2 and "\n" not in node.children[0].content)


def _inline(node: SyntaxTreeNode, markup: Markup) -> str:
    """Return the words of a node with the markup of what is inside it."""
    if node.type == "inline" or node.children:
        return "".join(_pieces(node, markup))
    return node.content


def _pieces(node: SyntaxTreeNode, markup: Markup) -> Iterator[str]:
    children = list(node.children)
    neighbours = ["", *(child.content if child.type == "text" else "" for child in children), ""]
    for child, before, after in zip(children, neighbours, neighbours[2:], strict=False):
        match child.type:
            case "strong" | "em" | "s":
                yield _emphasis(child, markup, before[-1:], after[:1])
            case "code_inline":
                yield _enclosed(child.content, markup.code)
            case "link":
                yield _link(_inline(child, markup), str(child.attrs.get("href", "")))
            case "image":
                yield _link(child.content, str(child.attrs.get("src", "")))
            case "hardbreak" | "softbreak":
                yield "\n"
            case _:
                yield _inline(child, markup)


def _emphasis(node: SyntaxTreeNode, markup: Markup, before: str, after: str) -> str:
    """Return the words in their emphasis; inside of a word it is none: no platform shows it, and 2*3*4 is a product."""
    words = _inline(node, markup)
    if before.isalnum() and (node.type == "em" or before.isdigit()):
        return f"{node.markup}{words}{node.markup}"
    if before.isalnum() or after.isalnum():
        return words
    return _enclosed(words, {"strong": markup.bold, "em": markup.italic, "s": markup.strike}[node.type])


def _enclosed(words: str, mark: str) -> str:
    """Put each line between the marks, which platforms do not carry over the end of a line."""
    return "\n".join(f"{mark}{line}{mark}" if line.strip() else line for line in words.split("\n"))


def _link(words: str, target: str) -> str:
    """Return what a link says and where it leads, once where that is the same."""
    scheme, colon, rest = target.partition(":")
    address = rest if colon and scheme in ("mailto", "tel") else target
    if not words or _bare(words) == _bare(address) or not address or address.startswith("#"):
        return words or address
    return f"{words}: {address}"


def _bare(address: str) -> str:
    return address.strip().casefold().removeprefix("https://").removeprefix("http://").rstrip("/")
