"""Reads one document as sections, entries and blocks, each with its line.

# Section
## id: Title
- key: value

Free text, or a quotation that starts with ">".
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from markdown_it import MarkdownIt
from markdown_it.token import Token

_ENTRY_HEADING = re.compile(r"(?P<id>[a-z][a-z0-9_]{0,39})(?::\s+(?P<title>\S.*))?")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True, order=True)
class Problem:
    """Something in a document that a person has to correct; prints as `file.md:LINE: what and how`."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


class BlockKind(StrEnum):
    PARAGRAPH = "paragraph"
    BULLETS = "bullets"
    QUOTE = "quote"
    OTHER = "other"


@dataclass(frozen=True)
class Line:
    """A piece of text and the line it starts on."""

    text: str
    number: int


@dataclass(frozen=True)
class Block:
    """A block between two headings: its `source` as written, and what it says by kind."""

    kind: BlockKind
    line: int
    source: str
    text: str = ""
    bullets: tuple[Line, ...] = ()


@dataclass(frozen=True)
class Entry:
    """`## id: Title` and what is below it."""

    id: str
    title: str
    line: int
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Section:
    """`# Name` and what is below it: blocks of its own, then entries."""

    name: str
    line: int
    blocks: tuple[Block, ...]
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Outline:
    file: str
    sections: tuple[Section, ...]
    problems: tuple[Problem, ...]

    def section(self, name: str) -> Section | None:
        return next((section for section in self.sections if section.name == name), None)


@dataclass
class _Open:
    """A heading whose end has not been reached yet."""

    name: str
    title: str
    line: int
    blocks: list[Block] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    def as_entry(self) -> Entry:
        return Entry(id=self.name, title=self.title, line=self.line, blocks=tuple(self.blocks))

    def as_section(self) -> Section:
        return Section(name=self.name, line=self.line, blocks=tuple(self.blocks), entries=tuple(self.entries))


class _Reader:
    """Walks the tokens of one document once and keeps what it found."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.lines = text.split("\n")
        self.tokens = MarkdownIt("commonmark").parse(text)
        self.sections: list[_Open] = []
        self.entry: _Open | None = None
        self.problems: list[Problem] = []

    def read(self) -> Outline:
        for number, line in enumerate(self.lines, start=1):
            if _CONTROL.search(line):
                self.problem(number, "an invisible control character stands here; type the line again")
        start = 0
        for position, token in enumerate(self.tokens):
            # An outermost block reaches from where it opens to where it closes.
            if token.level == 0 and token.nesting >= 0:
                start = position
            if token.level != 0 or token.nesting > 0:
                continue
            first = self.tokens[start]
            if first.type == "heading_open" and first.tag in ("h1", "h2"):
                self._open_heading(first, self.tokens[start + 1].content.strip())
                continue
            block = self._block(self.tokens[start : position + 1])
            if self.entry is not None:
                self.entry.blocks.append(block)
            elif self.sections:
                self.sections[-1].blocks.append(block)
            else:
                text = "this stands before the first section; a document begins with a line '# Section'"
                self.problem(block.line, text)
        self._close_entry()
        return Outline(self.file, tuple(one.as_section() for one in self.sections), tuple(self.problems))

    def problem(self, line: int, text: str) -> None:
        self.problems.append(Problem(self.file, line, text))

    def _open_heading(self, token: Token, content: str) -> None:
        line = _line_of(token)
        self._close_entry()
        if token.tag == "h1":
            if any(section.name == content for section in self.sections):
                self.problem(line, f'the section "# {content}" stands twice; join the two')
            self.sections.append(_Open(content, content, line))
            return
        match = _ENTRY_HEADING.fullmatch(content)
        if match is None:
            self.problem(
                line, 'a heading of this level reads "## id: Title", with an id of small letters, digits and _'
            )
        self.entry = _Open(match["id"] if match else "", (match and match["title"]) or "", line)

    def _close_entry(self) -> None:
        if self.entry is None:
            return
        if self.entry.name and not self.sections:
            self.problem(
                self.entry.line, "this stands before the first section; put a line such as '# Intents' above it"
            )
        elif self.entry.name:
            self.sections[-1].entries.append(self.entry.as_entry())
        self.entry = None

    def _block(self, tokens: Sequence[Token]) -> Block:
        first = tokens[0]
        start, end = first.map or [0, 0]
        source = "\n".join(self.lines[start:end]).strip("\n")
        line = start + 1
        if any(token.type == "html_block" for token in tokens):
            self.problem(line, "HTML is not read here; write plain text")
        if first.type == "paragraph_open":
            return Block(BlockKind.PARAGRAPH, line, source, text=_inline(tokens[1]))
        if first.type == "bullet_list_open":
            # The paragraphs inside a list, each as a bullet of its own.
            bullets = tuple(Line(_inline(one), _line_of(one)) for one in tokens if one.type == "inline")
            return Block(BlockKind.BULLETS, line, source, bullets=bullets)
        if first.type == "blockquote_open":
            return Block(
                BlockKind.QUOTE, line, source, text="\n\n".join(_inline(t) for t in tokens if t.type == "inline")
            )
        return Block(BlockKind.OTHER, line, source)


def read_outline(file: str, text: str) -> Outline:
    """Read a document that uses "\\n" as its line end. Never raises: what is wrong is among `problems`."""
    return _Reader(file, text).read()


def _inline(token: Token) -> str:
    return " ".join(token.content.split())


def _line_of(token: Token) -> int:
    return token.map[0] + 1 if token.map else 1
