"""Composition of the words of Task 2 and the form of Task 3 into messages that the platform accepts.

The two tasks cannot see each other, so what does not go together is settled here, by rules: buttons that do not fit
become a list, a list that does not fit becomes numbered text, a long text is split between sentences, Markdown becomes
the markup of the channel. Nothing that leaves `fit` breaks a limit of the channel.
"""

import math
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.tree import SyntaxTreeNode

from contracts.decisions import MessageTypeChoice
from contracts.institution import FixedText, Institution
from contracts.messages import MessageType, Option, OutboundMessage, numbered
from contracts.ports import ChannelLimits, Markup
from contracts.values import BLACK_FLAG, EMOJI_TAGS, JOINERS, PICTOGRAPHS, length, start_of_sign

MAX_PARTS = 4
# Spaces of any width, no-break ones included, and tabs: Unicode's category Zs.
_SPACE = re.compile(r"[\t\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|\n+")


def fit(
    text: str, choice: MessageTypeChoice, titles: Sequence[str], institution: Institution, limits: ChannelLimits
) -> tuple[OutboundMessage, ...]:
    """Return the messages to send, in order: usually one, more when the text is too long for one."""
    # Converted before it is measured: marks count, and what is sent is what the gate reads.
    body = _tidy(to_markup(_tidy(text), limits.markup))
    asset = institution.asset(choice.asset)
    if asset is not None and asset.type in limits.types:
        if asset.media is not None and length(body) <= limits.caption and asset.type is not MessageType.AUDIO:
            return (OutboundMessage(type=asset.type, text=body, media=asset.media),)
        carried = OutboundMessage(type=asset.type, media=asset.media, location=asset.location, contact=asset.contact)
        return (*_as_text(body, limits), carried)
    # A platform shows no markup in a title; a sign that turns its direction would show other words than it holds.
    different: dict[str, str] = {}
    for title in (" ".join(to_markup(_tidy(one), Markup()).split()) for one in titles):
        if title:
            different.setdefault(title.casefold(), title)
    options = tuple(Option(id=f"option-{number}", title=one) for number, one in enumerate(different.values(), start=1))
    if not options or not body:
        return _as_text(body, limits)
    # Options that Task 1 found are shown even when Task 3, which did not see the text, chose plain text.
    is_list = choice.type is MessageType.LIST or (choice.type is not MessageType.BUTTON and len(options) > 3)
    if not is_list and _carries(MessageType.BUTTON, options, limits.buttons, limits.button_title, limits):
        *before, last = _split(body, limits.text, last_limit=limits.button_body)
        return (*_texts(before), OutboundMessage(type=MessageType.BUTTON, text=last, buttons=options))
    if _carries(MessageType.LIST, options, limits.rows, limits.row_title, limits):
        label = _shorten(choice.list_label or institution.text(FixedText.LIST_LABEL), limits.list_label)
        *before, last = _split(body, limits.text, last_limit=limits.list_body)
        listed = OutboundMessage(type=MessageType.LIST, text=last, rows=options, list_label=label)
        return (*_texts(before), listed)
    return _as_text(f"{body}\n\n{numbered(options)}", limits)


def in_words(message: OutboundMessage, limits: ChannelLimits) -> OutboundMessage:
    """Return the message as one text; where that is too long, its options stay and its words are shortened."""
    words = message.in_words
    if length(words) <= limits.text:
        return OutboundMessage.of_text(words)
    options = f"\n\n{numbered(message.options)}" if message.options else ""
    room = max(0, limits.text - length(options))
    return OutboundMessage.of_text(_shorten(_shorten(message.text or words, room) + options, limits.text))


def _as_text(body: str, limits: ChannelLimits) -> tuple[OutboundMessage, ...]:
    return _texts(_split(body, limits.text))


def _texts(parts: Iterable[str]) -> tuple[OutboundMessage, ...]:
    return tuple(OutboundMessage.of_text(part) for part in parts if part)


def _carries(kind: MessageType, options: Sequence[Option], most: int, title: int, limits: ChannelLimits) -> bool:
    """Whether a message of that kind may carry the options: their number and the length of each title."""
    return kind in limits.types and len(options) <= most and all(length(option.title) <= title for option in options)


def _tidy(text: str) -> str:
    """Return the text as a chat shows it: one kind of space and of line end, no control characters, no gap of lines.

    What joins characters into one sign stays: emoji, and letters of scripts that need it.
    """
    lines = _SPACE.sub(" ", re.sub(r"\r\n?|[\u2028\u2029\x85\v\f]", "\n", text)).split("\n")
    for number, line in enumerate(lines):
        if not line.isprintable():
            line = "".join(one for index, one in enumerate(line) if one.isprintable() or _joins(line, index))
        lines[number] = line.rstrip()
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _joins(text: str, index: int) -> bool:
    """Whether a character without a print of its own is part of a sign. Source: Unicode TR 51, emoji sequences.

    Between letters of our own script it joins nothing, and would only hide a word. An emoji that is newer than
    Python's Unicode has no category there.
    """
    if text[index] in PICTOGRAPHS:
        return True
    before, after = text[index - 1 : index], text[index + 1 : index + 2]
    if text[index] in JOINERS:
        return all(one and not one.isascii() and "LATIN" not in unicodedata.name(one, "") for one in (before, after))
    return text[index] in EMOJI_TAGS and (before == BLACK_FLAG or before in EMOJI_TAGS)


def _split(text: str, limit: int, *, last_limit: int | None = None) -> list[str]:
    """Split between sentences into at most `MAX_PARTS` parts; what is left after that is shortened."""
    parts: list[str] = []
    rest = text
    while length(rest) > (last_limit or limit):
        if len(parts) == MAX_PARTS - 1:
            return [*parts, _shorten(rest, last_limit or limit)]
        # The last part may have less room than the others: then keep something back for it.
        head = _head(rest, min(limit, max(1, length(rest) - 1)))
        parts.append(head.rstrip())
        rest = rest[len(head) :].lstrip()
    return [*parts, rest]


def _head(text: str, limit: int) -> str:
    """Return the longest run of whole sentences within the limit, else of words, else of characters."""
    window = _cut(text, limit)
    for boundary in (_SENTENCE_END, re.compile(r"\s+")):
        ends = [
            match.start() for match in boundary.finditer(text, 0, len(window) + 1) if 0 < match.start() <= len(window)
        ]
        if ends:
            return text[: ends[-1]]
    return window


def _cut(text: str, limit: int) -> str:
    """Return the first characters that need at most `limit` UTF-16 units; never half a surrogate pair."""
    room = limit
    for index, character in enumerate(text):
        room -= 2 if ord(character) > 0xFFFF else 1
        if room < 0:
            return text[: start_of_sign(text, index)]
    return text


def _shorten(text: str, limit: int) -> str:
    """End at a sentence when one ends within the limit, else at a word with an ellipsis."""
    if limit <= 0 or length(text) <= limit:
        return text if limit > 0 else ""
    window = _cut(text, limit)
    ends = [match.start() for match in _SENTENCE_END.finditer(window) if match.start() > 0]
    if ends:
        return window[: ends[-1]].rstrip()
    # A word that is cut is left out, unless it is the only one: half an address leads elsewhere.
    cut = _cut(text, limit - 1)
    return (cut if not cut or text[len(cut)].isspace() else cut.rsplit(None, 1)[0]).rstrip() + "…"


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
        # Begin and end of each address, without the markup that encloses it.
        found = [(one.start(), len(one.group().rstrip(CLOSING_MARKUP))) for one in ADDRESS.finditer(state.src)]
        spans[state.src] = [(-1, -1), *((start, start + length) for start, length in found)]
    _, end = spans[state.src][bisect_right(spans[state.src], (state.pos, math.inf)) - 1]
    if not state.pos < end <= state.posMax:
        return False
    if not silent:
        state.pending += state.src[state.pos : end]
    state.pos = end
    return True


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
        case "heading":
            # One that is meant: an underline belongs to one line, and is longer than the dash of an empty item.
            *_, underline = source.split("\n")
            is_underlined = node.markup in ("-", "=")
            if not is_underlined or (len(underline.strip()) > 2 and "\n" not in node.children[0].content):
                return _enclosed(_inline(node, Markup()), markup.bold)
            return f"{_inline(node, markup)}\n{underline}"
        case _:
            # The reader drops the indentation of a paragraph, which a list needs.
            return source[: len(source) - len(source.lstrip())] + _inline(node, markup)


def _inline(node: SyntaxTreeNode, markup: Markup) -> str:
    """Return the words of a node with the markup of what is inside it."""
    if node.type != "inline" and not node.children:
        return node.content
    children, pieces = list(node.children), list[str]()
    neighbours = ["", *(child.content if child.type == "text" else "" for child in children), ""]
    for child, before, after in zip(children, neighbours, neighbours[2:], strict=False):
        match child.type:
            case "strong" | "em" | "s":
                pieces.append(_emphasis(child, markup, before[-1:], after[:1]))
            case "code_inline":
                pieces.append(_enclosed(child.content, markup.code))
            case "link":
                pieces.append(_link(_inline(child, markup), str(child.attrs.get("href", ""))))
            case "image":
                pieces.append(_link(child.content, str(child.attrs.get("src", ""))))
            case "hardbreak" | "softbreak":
                pieces.append("\n")
            case _:
                pieces.append(_inline(child, markup))
    return "".join(pieces)


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
