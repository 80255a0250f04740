"""Reads the three documents of an institution, checks all of them, and returns what they say."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from context.guardrails.floor import Floor
from context.guardrails.passages import PRICES_SETTING, passages_of
from context.hours import read_hours
from context.markdown import Block, BlockKind, Entry, Line, Outline, Problem, Section, read_outline
from context.view import render_core
from contracts.conversation import State
from contracts.errors import InstitutionError
from contracts.institution import (
    INSTEAD,
    OPTIONAL,
    RATING,
    RECOGNISED_LANGUAGES,
    Asset,
    BusinessLine,
    FieldSpec,
    FixedText,
    Institution,
    Intent,
    Principle,
    Timer,
    Translation,
)
from contracts.messages import MEDIA_TYPES, ContactCard, Location, Media, MessageType

PRINCIPLES = "principles.md"
BUSINESS_LINES = "business_lines.md"
TAXONOMY = "taxonomy.md"

SECTIONS: Mapping[str, tuple[str, ...]] = {
    PRINCIPLES: ("Institution", "Principles", "Never", "Settings"),
    BUSINESS_LINES: ("Business lines",),
    TAXONOMY: ("Settings", "Fields", "Assets", "Texts", "Timers", "Intents"),
}
# Each may come again in another language, as "# Texts en".
TRANSLATED = ("Texts", "Timers", "Intents")
TRANSLATIONS = tuple(f"{name} {language}" for name in TRANSLATED for language in RECOGNISED_LANGUAGES)
OPTIONAL_SECTIONS = frozenset(
    {(TAXONOMY, "Assets"), (TAXONOMY, "Timers"), (PRINCIPLES, "Settings"), *((TAXONOMY, name) for name in TRANSLATIONS)}
)

MAX_FILE_BYTES = 512 * 1024
VERSION_DIGITS = 12

# Source: WhatsApp Cloud API, text messages and interactive lists.
MAX_TEXT = 4096
MAX_OPTIONS = 10
ON_COMPLETE = ("hand_over", "webhook")
MAX_OPTION_TITLE = 24
MAX_LABEL = 20
LABELS = (FixedText.LIST_LABEL, FixedText.SATISFIED, FixedText.UNSATISFIED)

SPEECH_SETTING = "replies_in_speech"
TEAM_SETTINGS = ("time_zone", "hours", "holidays", "timer_hours", "hand_back_after", "assistant_words", SPEECH_SETTING)
MOST_REMINDERS = 5
MOST_HOURS_TO_HAND_BACK = 30 * 24

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,24}")
_YES = frozenset({"yes", "true"})
_NO = frozenset({"no", "false"})


@dataclass(frozen=True)
class _Setting:
    value: str
    line: int

    @property
    def values(self) -> tuple[str, ...]:
        return tuple(part for part in (piece.strip() for piece in self.value.split(";")) if part)


@dataclass
class _Page:
    """One document while it is being checked: everything wrong with it is noted, nothing is raised."""

    outline: Outline
    problems: list[Problem] = field(default_factory=list)
    spoken: list[Line] = field(default_factory=list)

    @property
    def file(self) -> str:
        return self.outline.file

    def problem(self, line: int, text: str) -> None:
        self.problems.append(Problem(self.file, line, text))

    def section(self, name: str) -> Section:
        """The section, or an empty one after noting that it is missing."""
        section = self.outline.section(name)
        if section is None and (self.file, name) not in OPTIONAL_SECTIONS:
            self.problem(1, f'the section "# {name}" is missing; add it')
        return section or Section(name=name, line=1, blocks=(), entries=())

    def entries(self, section: Section) -> tuple[Entry, ...]:
        """The section's entries with unique ids; a second one of the same id is noted and left out."""
        seen: dict[str, int] = {}
        kept = []
        for entry in section.entries:
            if entry.id in seen:
                self.problem(
                    entry.line, f'the id "{entry.id}" is already used in line {seen[entry.id]}; choose another'
                )
            else:
                seen[entry.id] = entry.line
                kept.append(entry)
        if not kept and (self.file, section.name) not in OPTIONAL_SECTIONS:
            self.problem(section.line, f'the section "# {section.name}" is empty; add at least one "## id: Title"')
        return tuple(kept)

    def title(self, entry: Entry) -> str:
        if not entry.title:
            self.problem(entry.line, f'"## {entry.id}" has no title; write "## {entry.id}: Title"')
        return entry.title

    def quote(self, entry: Entry, what: str) -> str:
        """The text after ">" below an entry."""
        quotes = [block for block in entry.blocks if block.kind is BlockKind.QUOTE]
        if not quotes or not quotes[0].text:
            self.problem(entry.line, f'"{entry.id}" has no {what}; write it below, in a line that starts with ">"')
            return ""
        if len(quotes) > 1:
            self.problem(quotes[1].line, f'"{entry.id}" has a second {what}; join the two or remove one')
        if len(quotes[0].text) > MAX_TEXT:
            self.problem(quotes[0].line, f"this text has {len(quotes[0].text)} characters; keep it within {MAX_TEXT}")
        self.spoken.append(Line(quotes[0].text, quotes[0].line))
        return quotes[0].text

    def settings(self, blocks: Sequence[Block], line: int, known: frozenset[str]) -> dict[str, _Setting]:
        """The "- key: value" lines of the first list below a heading."""
        found: dict[str, _Setting] = {}
        block = _settings_block(blocks)
        for bullet in block.bullets if block else ():
            key, colon, value = bullet.text.partition(":")
            key, value = key.strip(), value.strip()
            if not colon or key not in known:
                self.problem(bullet.number, f'"{_short(bullet.text)}" is not a setting; known here: {_listed(known)}')
            elif key in found:
                self.problem(bullet.number, f'"{key}" stands twice; keep one of them')
            elif not value.strip("; "):
                self.problem(bullet.number, f'"{key}" has no value; write one after the colon or remove the line')
            else:
                found[key] = _Setting(value, bullet.number)
        return found

    def only(self, entry: Entry | Section, *kinds: BlockKind) -> None:
        """Note text that has no meaning in this place, so that it does not pass for read."""
        for block in entry.blocks:
            if block.kind not in kinds:
                self.problem(
                    block.line, f'"{_short(block.source)}" has no meaning here; remove it or start it with ">"'
                )

    def required(self, settings: Mapping[str, _Setting], key: str, line: int) -> str:
        if key not in settings:
            self.problem(line, f'the setting "{key}" is missing; add a line "- {key}: ..."')
            return ""
        return settings[key].value

    def unique(self, setting: _Setting | None, what: str) -> tuple[str, ...]:
        """The values of a list setting without repetitions, which are noted."""
        if setting is None:
            return ()
        seen: dict[str, str] = {}
        for value in setting.values:
            if value.casefold() in seen:
                self.problem(setting.line, f'the {what} "{value}" stands twice; remove one')
            else:
                seen[value.casefold()] = value
        return tuple(seen.values())

    def references(self, setting: _Setting | None, what: str, known: Iterable[str]) -> tuple[str, ...]:
        """The ids of a list setting that exist; the others are noted."""
        known_ids = frozenset(known)
        values = self.unique(setting, what)
        for value in values:
            if value not in known_ids and setting is not None:
                self.problem(setting.line, f'there is no {what} "{value}"; known: {_listed(known_ids)}')
        return tuple(value for value in values if value in known_ids)

    def flag(self, settings: Mapping[str, _Setting], key: str) -> bool:
        setting = settings.get(key)
        if setting is None or setting.value.lower() in _NO:
            return False
        if setting.value.lower() not in _YES:
            self.problem(setting.line, f'"{key}" is "yes" or "no", not "{_short(setting.value)}"')
        return True


def load_institution(folder: Path) -> Institution:
    """Read `principles.md`, `business_lines.md` and `taxonomy.md` of a folder.

    Raises:
        InstitutionError: one line per problem, `file.md:LINE: what is wrong and what to do`, all of them at once.
    """
    documents, problems = _read_documents(folder)
    if problems:
        raise _refusal(problems)
    pages = {}
    for file, text in documents.items():
        outline = read_outline(file, text)
        pages[file] = page = _Page(outline, list(outline.problems))
        for section in outline.sections:
            if section.name not in (*SECTIONS[file], *(TRANSLATIONS if file == TAXONOMY else ())):
                known = ", ".join(f'"# {name}"' for name in SECTIONS[file])
                page.problem(section.line, f'"# {_short(section.name)}" is not a section of this file; it has {known}')
    institution = _build(pages, documents)
    if not pages[PRINCIPLES].problems:
        _check_spoken(pages, institution)
    problems = sorted({problem for page in pages.values() for problem in page.problems})
    if problems:
        raise _refusal(problems)
    return institution


def document_version(documents: Mapping[str, str]) -> str:
    """Twelve hex digits of a SHA-256 over file names and contents; a zero byte separates them."""
    content = "\0".join(part for name in sorted(documents) for part in (name, documents[name]))
    return hashlib.sha256(content.encode()).hexdigest()[:VERSION_DIGITS]


def _refusal(problems: Iterable[Problem]) -> InstitutionError:
    return InstitutionError("\n".join(str(problem) for problem in problems))


def _read_documents(folder: Path) -> tuple[dict[str, str], list[Problem]]:
    documents: dict[str, str] = {}
    problems: list[Problem] = []
    for file in SECTIONS:
        try:
            with (folder / file).open("rb") as opened:
                content = opened.read(MAX_FILE_BYTES + 1)
            if len(content) > MAX_FILE_BYTES:
                problems.append(Problem(file, 1, f"the file is larger than {MAX_FILE_BYTES // 1024} KB; shorten it"))
                continue
            # Without a byte order mark, and with a plain line feed as the line end.
            documents[file] = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        except FileNotFoundError:
            problems.append(Problem(file, 1, f"the file is missing; create it in {folder}"))
        except OSError as exc:
            problems.append(Problem(file, 1, f"the file cannot be read ({exc.strerror}); check its permissions"))
        except UnicodeDecodeError as exc:
            line = content[: exc.start].count(b"\n") + 1
            text = "the file is not UTF-8 text; save it again with the encoding UTF-8"
            problems.append(Problem(file, line, text))
    return documents, problems


def _build(pages: Mapping[str, _Page], documents: Mapping[str, str]) -> Institution:
    """Read every part even when another has problems, so that all of them are noted."""
    principles_page, lines_page, taxonomy = (pages[file] for file in (PRINCIPLES, BUSINESS_LINES, TAXONOMY))
    name, language, about = _identity(principles_page)
    principles = []
    for entry in principles_page.entries(principles_page.section("Principles")):
        principles_page.only(entry, BlockKind.PARAGRAPH)
        text = " ".join(block.text for block in entry.blocks if block.kind is BlockKind.PARAGRAPH)
        if not text:
            message = f'the principle "{entry.id}" has no text; write it below the heading'
            principles_page.problem(entry.line, message)
        principles.append(Principle(id=entry.id, title=principles_page.title(entry), text=text))
    section = principles_page.section("Never")
    principles_page.only(section, BlockKind.BULLETS)
    never = tuple(line.text for block in section.blocks for line in block.bullets if line.text)
    if not never:
        principles_page.problem(section.line, 'the section "# Never" is empty; add at least one line "- ..."')
    # The guardrail gate reads these settings (`context/guardrails/passages.py`).
    gate = principles_page.section("Settings")
    principles_page.only(gate, BlockKind.BULLETS)
    settings = principles_page.settings(gate.blocks, gate.line, frozenset({PRICES_SETTING}))
    principles_page.flag(settings, PRICES_SETTING)
    domains, opt_out_words, opt_in_words, team = _settings(taxonomy)
    fields = []
    for entry in taxonomy.entries(taxonomy.section("Fields")):
        taxonomy.only(entry, BlockKind.QUOTE)
        question = taxonomy.quote(entry, "question")
        fields.append(FieldSpec(id=entry.id, label=taxonomy.title(entry), question=question))
    lines = _lines(lines_page, fields)
    assets = []
    for entry in taxonomy.entries(taxonomy.section("Assets")):
        taxonomy.only(entry, BlockKind.BULLETS)
        settings = taxonomy.settings(entry.blocks, entry.line, _ALL_ASSET_SETTINGS)
        if (asset := _asset(taxonomy, entry, settings, domains)) is not None:
            assets.append(asset)
    texts = _texts(taxonomy)
    intents = _intents(taxonomy, lines, fields, assets)
    timers = _timers(taxonomy, lines_page, lines, team)
    institution = Institution(
        name=name,
        language=language,
        version=document_version(documents),
        documents=dict(documents),
        principles=principles,
        lines=lines,
        intents=intents,
        fields=tuple(fields),
        assets=tuple(assets),
        never=never,
        texts=texts,
        opt_out_words=opt_out_words,
        opt_in_words=opt_in_words,
        allowed_domains=domains,
        **team,
        timers=timers,
        translations=_translations(taxonomy, language, intents, timers),
        prompt_core=render_core(
            name=name,
            language=language,
            about=about,
            principles=principles,
            lines=lines,
            intents=intents,
            fields=fields,
            assets=assets,
            never=never,
        ),
    )
    return institution.model_copy(update={"passages": passages_of(institution)})


def _check_spoken(pages: Mapping[str, _Page], institution: Institution) -> None:
    """Note texts that are said to people and hold what no draft may: the floor reads them in the language given."""
    try:
        floor = Floor(institution)
    except InstitutionError as exc:
        pages[PRINCIPLES].problem(1, str(exc))
        return
    for page in pages.values():
        for line in page.spoken:
            for finding in floor.check_wording(line.text):
                reason = f'this text breaks the rule "{finding.rule}" with "{finding.excerpt}"; reword it'
                page.problem(line.number, reason)


def _identity(page: _Page) -> tuple[str, str, tuple[str, ...]]:
    section = page.section("Institution")
    page.only(section, BlockKind.BULLETS, BlockKind.PARAGRAPH)
    settings = page.settings(section.blocks, section.line, frozenset({"name", "language"}))
    name = page.required(settings, "name", section.line)
    language = page.required(settings, "language", section.line)
    if language and not _LANGUAGE.fullmatch(language):
        page.problem(settings["language"].line, f'"{_short(language)}" is not a language code such as pt-BR or en')
    about = tuple(block.text for block in section.blocks if block.kind is BlockKind.PARAGRAPH)
    if not about:
        page.problem(section.line, "nothing says who the institution is; add a paragraph below the settings")
    return name, language, about


def _settings(page: _Page) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], dict[str, Any]]:
    """Return the domains, the words of consent, and the fields of the institution that are about its team."""
    section = page.section("Settings")
    page.only(section, BlockKind.BULLETS)
    known = frozenset({"allowed_domains", "opt_out_words", "opt_in_words", *TEAM_SETTINGS})
    settings = page.settings(section.blocks, section.line, known)
    for key in ("opt_out_words", "opt_in_words"):
        page.required(settings, key, section.line)
    domains = tuple(domain.lower() for domain in page.unique(settings.get("allowed_domains"), "domain"))
    for domain in domains:
        if not _DOMAIN.fullmatch(domain):
            line = settings["allowed_domains"].line
            page.problem(line, f'"{_short(domain)}" is not a domain; write it like example.com, without https://')
    opt_out = page.unique(settings.get("opt_out_words"), "word")
    opt_in = page.unique(settings.get("opt_in_words"), "word")
    for word in {word.casefold() for word in opt_out} & {word.casefold() for word in opt_in}:
        page.problem(settings["opt_in_words"].line, f'"{word}" cannot mean both leaving and coming back; remove one')
    team: dict[str, Any] = {"assistant_words": page.unique(settings.get("assistant_words"), "word")}
    if SPEECH_SETTING in settings:
        team["speaks"] = page.flag(settings, SPEECH_SETTING)
    for key in ("hours", "timer_hours"):
        if key not in settings:
            continue
        zone = page.required(settings, "time_zone", settings[key].line)
        holidays = settings["holidays"].values if "holidays" in settings else ()
        try:
            team[key] = read_hours(settings[key].values, holidays, zone or "UTC")
        except ValueError as exc:
            page.problem(settings[key].line, str(exc))
    if (patience := settings.get("hand_back_after")) is not None:
        hours = patience.value.removesuffix("h").strip()
        if hours.isdecimal() and 0 < int(hours) <= MOST_HOURS_TO_HAND_BACK:
            team["hand_back_after"] = timedelta(hours=int(hours))
        else:
            page.problem(patience.line, f'"{_short(patience.value)}" is not a number of hours such as 12h')
    return domains, opt_out, opt_in, team


def _lines(page: _Page, fields: Sequence[FieldSpec]) -> tuple[BusinessLine, ...]:
    lines = []
    for entry in page.entries(page.section("Business lines")):
        settings = page.settings(entry.blocks, entry.line, frozenset({"keywords", "fields", "on_complete"}))
        of_timers = [block for timer in _timers_within(entry) for block in timer.blocks]
        content = [one for one in entry.blocks if one is not _settings_block(entry.blocks) and one not in of_timers]
        summary = next((block.text for block in content[:1] if block.kind is BlockKind.PARAGRAPH), "")
        if not summary:
            page.problem(entry.line, f'"{entry.id}" has no summary; write one paragraph right below its settings')
        if len(content) < 2:  # the summary and at least one block of detail
            page.problem(entry.line, f'"{entry.id}" says nothing beyond its summary; describe it below')
        lines.append(
            BusinessLine(
                id=entry.id,
                name=page.title(entry),
                summary=summary,
                keywords=page.unique(settings.get("keywords"), "keyword"),
                fields=page.references(settings.get("fields"), "field", (one.id for one in fields)),
                on_complete=page.references(settings.get("on_complete"), "end of a form", ON_COMPLETE),
                body="\n\n".join(block.source for block in content),
            )
        )
    return tuple(lines)


def _texts(page: _Page) -> dict[FixedText, str]:
    section = page.section("Texts")
    texts: dict[FixedText, str] = {}
    known = {which.value: which for which in FixedText}
    for entry in page.entries(section):
        if entry.id not in known:
            page.problem(entry.line, f'there is no fixed text "{entry.id}"; known: {_listed(known)}')
            continue
        page.only(entry, BlockKind.QUOTE)
        texts[known[entry.id]] = page.quote(entry, "text")
        if entry.id in LABELS and len(texts[known[entry.id]]) > MAX_LABEL:
            page.problem(entry.line, f"what stands on a button has at most {MAX_LABEL} characters; shorten it")
    scores = FixedText.NPS in texts
    rates = any(which in texts for which in RATING) or (FixedText.RATED in texts and not scores)
    unasked = {*(() if rates else RATING), *(() if rates or scores else (FixedText.RATED,))}
    for which in FixedText:
        if which not in OPTIONAL | INSTEAD.keys() | texts.keys() | unasked:
            page.problem(section.line, f'the fixed text "{which}" is missing; add "## {which}" and its text after ">"')
    return texts


def _translations(
    page: _Page, language: str, intents: Sequence[Intent], timers: Sequence[Timer]
) -> dict[str, Translation]:
    """Read the sections of other languages: the same ids, each with its text; what is left out is said as it is."""
    known = {
        "Texts": {which.value for which in FixedText},
        "Timers": {one.id for one in timers},
        "Intents": {one.id for one in intents},
    }
    translations: dict[str, Translation] = {}
    for section in page.outline.sections:
        name, _, code = section.name.partition(" ")
        if section.name not in TRANSLATIONS:
            continue
        if code == language.partition("-")[0]:
            page.problem(section.line, f'"{code}" is the language of the institution; write these texts in "# {name}"')
        said: dict[str, str] = {}
        options: dict[str, tuple[str, ...]] = {}
        for entry in page.entries(section):
            if entry.id not in known[name]:
                page.problem(entry.line, f'there is no "{entry.id}" in "# {name}"; known: {_listed(known[name])}')
                continue
            page.only(entry, BlockKind.QUOTE, *([BlockKind.BULLETS] if name == "Intents" else []))
            said[entry.id] = page.quote(entry, "text")
            settings = page.settings(entry.blocks, entry.line, frozenset({"options"})) if name == "Intents" else {}
            if "options" in settings:
                options[entry.id] = _options(page, settings["options"])
            if entry.id in LABELS and len(said[entry.id]) > MAX_LABEL:
                page.problem(entry.line, f"the label of a button has at most {MAX_LABEL} characters; shorten it")
        changes: dict[str, Any] = {"answers": said, "options": options}
        if name == "Texts":
            changes = {"texts": {FixedText(one): text for one, text in said.items()}}
        elif name == "Timers":
            changes = {"timers": said}
        translations[code] = translations.get(code, Translation()).model_copy(update=changes)
    return translations


_TIMER_SETTINGS = frozenset({"after", "state", "line", "at_most", "template"})
_LINE_TIMER = re.compile(r"### Timer: ([a-z][a-z0-9_]{0,39})")
_TIMER_STATES = {"waiting": State.AWAITING_USER, "ended": State.COMPLETED}
_AFTER = re.compile(r"(\d{1,4}) ?(m|h|d)")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_TEMPLATE = re.compile(r"([a-z0-9_]{1,512}) ([a-z]{2,3}(?:_[A-Z]{2})?)(?: (utility|marketing))?")


def _timers_within(line: Entry) -> list[Entry]:
    """Return the timers in a business line's own section; the first block of each is its heading."""
    headings = [number for number, block in enumerate(line.blocks) if block.source.startswith("#")]
    parts = [line.blocks[start:end] for start, end in pairwise([*headings, len(line.blocks)])]
    named = [(_LINE_TIMER.fullmatch(blocks[0].source.strip()), blocks) for blocks in parts]
    return [Entry(name[1], "", blocks[0].line, blocks) for name, blocks in named if name]


def _timers(
    taxonomy: _Page, lines_page: _Page, lines: Sequence[BusinessLine], team: Mapping[str, Any]
) -> tuple[Timer, ...]:
    section, timers = taxonomy.section("Timers"), list[Timer]()
    placed = [(taxonomy, entry, "") for entry in taxonomy.entries(section)]
    entries = lines_page.section("Business lines").entries
    within = [(entry.id, timer) for entry in entries for timer in _timers_within(entry)]
    placed += [(lines_page, replace(timer, blocks=timer.blocks[1:]), line_id) for line_id, timer in within]
    for page, entry, of_line in placed:
        if any(one.id == entry.id for one in timers):
            page.problem(entry.line, f'there is a timer "{entry.id}" already; choose another id')
        page.only(entry, BlockKind.BULLETS, BlockKind.QUOTE)
        known = _TIMER_SETTINGS - ({"line"} if of_line else set())
        settings = page.settings(entry.blocks, entry.line, known)
        values = {key: setting.value for key, setting in settings.items()}
        after = _AFTER.fullmatch(page.required(settings, "after", entry.line))
        template = _TEMPLATE.fullmatch(values.get("template", ""))
        state, most = _TIMER_STATES.get(values.get("state", "waiting")), values.get("at_most", "1")
        line = page.references(settings.get("line"), "business line", (one.id for one in lines))
        for key, example, is_read in (
            ("after", "30m, 4h or 3d", after),
            ("state", "waiting or ended", state),
            ("at_most", "2", most.isdecimal() and 0 < int(most) <= MOST_REMINDERS),
            ("template", "are_you_there pt_BR utility", template or "template" not in values),
        ):
            if not is_read and key in settings:
                page.problem(settings[key].line, f'"{_short(values[key])}" is not like {example}; correct it')
        text = page.quote(entry, "text")
        if after and state and most.isdecimal():
            pause = int(after[1]) * _UNITS[after[2]]
            named = (template[1], template[2], template[3] or "utility") if template else None
            timers.append(
                Timer(
                    id=entry.id,
                    after=pause,
                    state=state,
                    line=of_line or (line[0] if line else None),
                    at_most=int(most),
                    text=text,
                    template=named,
                )
            )
    if timers and not {"hours", "timer_hours"} & team.keys():
        taxonomy.problem(section.line, "reminders need hours; add timer_hours or hours to the settings")
    return tuple(timers)


_ASSET_SETTINGS: Mapping[MessageType, tuple[str, ...]] = {
    MessageType.LOCATION: ("latitude", "longitude", "place", "address"),
    MessageType.CONTACT: ("contact", "phone"),
    **dict.fromkeys(MEDIA_TYPES, ("link",)),
}
_ALL_ASSET_SETTINGS = frozenset(
    {"type", "latitude", "longitude", "place", "address", "contact", "phone", "organization", "link", "filename"}
)


def _asset(page: _Page, entry: Entry, settings: Mapping[str, _Setting], domains: Sequence[str]) -> Asset | None:
    title, type_name = page.title(entry), page.required(settings, "type", entry.line)
    kind = next((one for one in _ASSET_SETTINGS if one == type_name), None)
    if kind is None:
        if type_name:
            page.problem(settings["type"].line, f'"{_short(type_name)}" is not one of {_listed(_ASSET_SETTINGS)}')
        return None
    values = {key: page.required(settings, key, entry.line) for key in _ASSET_SETTINGS[kind]}
    if not all(values.values()):
        return None
    asset = Asset(id=entry.id, type=kind, description=title)
    if kind is MessageType.LOCATION:
        place = {"name": values["place"], "address": values["address"]}
        try:
            location = Location(latitude=float(values["latitude"]), longitude=float(values["longitude"]), **place)
        except (ValueError, ValidationError):
            what = "latitude lies between -90 and 90, longitude between -180 and 180, written like -22.9056"
            page.problem(settings["latitude"].line, what)
            return None
        return asset.model_copy(update={"location": location})
    if kind is MessageType.CONTACT:
        organization = settings["organization"].value if "organization" in settings else ""
        card = ContactCard(name=values["contact"], phone=values["phone"], organization=organization)
        return asset.model_copy(update={"contact": card})
    host = re.match(r"https://([^/:?#@]+)(?:[/?#]|$)", values["link"])
    if host is None:
        page.problem(settings["link"].line, "a link begins with https:// and a domain; correct it")
    elif not is_allowed_host(host[1], domains):
        page.problem(
            settings["link"].line, f'"{host[1]}" is not among allowed_domains; add it there or change the link'
        )
    filename = settings["filename"].value if "filename" in settings else ""
    return asset.model_copy(update={"media": Media(link=values["link"], filename=filename)})


def is_allowed_host(host: str, domains: Iterable[str]) -> bool:
    """Whether a host is one of the domains or lies below one."""
    host = host.lower().rstrip(".")
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


_INTENT_SETTINGS = frozenset(
    {"category", "line", "triggers", "options", "fields", "asset", "escalate", "conclude", "spam"}
)


def _intents(
    page: _Page, lines: Sequence[BusinessLine], fields: Sequence[FieldSpec], assets: Sequence[Asset]
) -> tuple[Intent, ...]:
    said_in: dict[str, str] = {}
    intents = []
    for entry in page.entries(page.section("Intents")):
        page.only(entry, BlockKind.BULLETS, BlockKind.QUOTE)
        settings = page.settings(entry.blocks, entry.line, _INTENT_SETTINGS)
        if "triggers" not in settings:
            page.problem(entry.line, f'the intent "{entry.id}" has no triggers; add "- triggers: ...; ..."')
        triggers = page.unique(settings.get("triggers"), "trigger")
        for trigger in triggers:
            other = said_in.setdefault(trigger.casefold(), entry.id)
            if other != entry.id:
                line = settings["triggers"].line
                page.problem(line, f'the trigger "{trigger}" stands in "{other}" too; keep it in one of them')
        line_ids = page.references(settings.get("line"), "business line", (one.id for one in lines))
        asset_ids = page.references(settings.get("asset"), "asset", (one.id for one in assets))
        intents.append(
            Intent(
                id=entry.id,
                category=page.required(settings, "category", entry.line),
                line=line_ids[0] if line_ids else None,
                description=page.title(entry),
                triggers=triggers,
                answer=page.quote(entry, "answer"),
                options=_options(page, settings.get("options")),
                fields=page.references(settings.get("fields"), "field", (one.id for one in fields)),
                asset=asset_ids[0] if asset_ids else None,
                escalate=page.flag(settings, "escalate"),
                conclude=page.flag(settings, "conclude"),
                spam=page.flag(settings, "spam"),
            )
        )
    return tuple(intents)


def _options(page: _Page, setting: _Setting | None) -> tuple[str, ...]:
    options = page.unique(setting, "option")
    if setting is None:
        return options
    if len(options) > MAX_OPTIONS:
        page.problem(setting.line, f"{len(options)} options; a message offers at most {MAX_OPTIONS}")
    for option in options:
        if len(option) > MAX_OPTION_TITLE:
            page.problem(
                setting.line, f'the option "{option}" is longer than {MAX_OPTION_TITLE} characters; shorten it'
            )
    return options


def _settings_block(blocks: Sequence[Block]) -> Block | None:
    """The list that holds the settings: the first block below the heading, when it is a list."""
    return blocks[0] if blocks and blocks[0].kind is BlockKind.BULLETS else None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _short(text: str) -> str:
    line = text.split("\n", 1)[0]
    return line if len(line) <= 40 else f"{line[:37]}..."
