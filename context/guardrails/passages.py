"""Passages: the institution's documents cut into pieces that a reply can cite."""

import re
from collections.abc import Iterator

from markdown_it import MarkdownIt

from contracts.guardrails import Passage
from contracts.institution import Asset, Institution

PRINCIPLES = "principles.md"
PRICES_SETTING = "say_listed_prices"


def passages_of(institution: Institution) -> tuple[Passage, ...]:
    """Cut the documents into passages at paragraph or bullet size.

    Ids and their order depend on the documents alone, so they can be an enum of a schema inside a cached prompt prefix:
    `about.N`, `principle.ID`, `line.LINE`, `line.LINE.N`, `intent.ID`, `field.ID`, `asset.ID`, `text.ID`, and
    `said.LANGUAGE.…` of what is said in another language. Nothing of
    the list of what is never done is among them.
    """
    about = _section(institution.documents.get(PRINCIPLES, ""), "Institution")
    return (
        *_blocks("about", about, line=None),
        *(Passage(id=f"principle.{one.id}", text=f"{one.title}. {one.text}") for one in institution.principles),
        *(
            passage
            for line in institution.lines
            # The summary, which every prompt shows, and the section.
            for passage in (
                Passage(id=f"line.{line.id}", text=f"{line.name}: {line.summary}", line=line.id),
                *_blocks(f"line.{line.id}", line.body, line=line.id),
            )
        ),
        *(
            Passage(id=f"intent.{one.id}", text="\n".join((one.answer, *one.options)), line=one.line)
            for one in institution.intents
        ),
        *(Passage(id=f"field.{one.id}", text=f"{one.question}\n{one.label}") for one in institution.fields),
        *(Passage(id=f"asset.{one.id}", text=_asset_text(one)) for one in institution.assets),
        *(Passage(id=f"text.{which.value}", text=text) for which, text in institution.texts.items()),
        *(passage for language in institution.translations for passage in _translated(institution, language)),
    )


def _translated(institution: Institution, language: str) -> Iterator[Passage]:
    spoken = institution.speaking(language)
    for which in institution.translations[language].texts:
        yield Passage(id=f"said.{language}.text.{which.value}", text=spoken.texts[which])
    for intent in spoken.intents:
        if intent.id in institution.translations[language].answers:
            text = "\n".join((intent.answer, *intent.options))
            yield Passage(id=f"said.{language}.intent.{intent.id}", text=text, line=intent.line)


def says_listed_prices(institution: Institution) -> bool:
    """Whether the institution lets replies repeat prices that its documents list: `say_listed_prices: yes`."""
    settings = _section(institution.documents.get(PRINCIPLES, ""), "Settings")
    return (
        re.search(rf"^[-*+] *{PRICES_SETTING} *: *(?:yes|true) *$", settings, re.MULTILINE | re.IGNORECASE) is not None
    )


def _section(document: str, name: str) -> str:
    """The text below `# name`, up to the next heading of its level."""
    match = re.search(rf"^# {name} *\n(.*?)(?=^# |\Z)", document, re.MULTILINE | re.DOTALL)
    return match[1] if match else ""


def _blocks(prefix: str, markdown: str, *, line: str | None) -> Iterator[Passage]:
    """Every paragraph and bullet of a text, numbered; settings ("- key: value") are left out."""
    heading, number, opened = "", 0, list[str]()
    for token in MarkdownIt("commonmark").parse(markdown):
        if token.nesting > 0:
            opened.append(token.type)
        elif token.nesting < 0:
            opened.pop()
        elif token.type == "inline":
            text = " ".join(token.content.split())
            if "heading_open" in opened:
                heading = text
            elif "bullet_list_open" not in opened or not re.match(r"[a-z_]+: ", text):
                number += 1
                yield Passage(id=f"{prefix}.{number}", text=text, line=line, heading=heading)


def _asset_text(asset: Asset) -> str:
    """Return the lines that an asset shows."""
    shown: list[str] = [asset.description]
    for part in (asset.media, asset.location, asset.contact):
        if part is not None:
            shown += [value for value in part.model_dump().values() if isinstance(value, str) and value]
    return "\n".join(shown)
