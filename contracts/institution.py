"""The institution's knowledge, as the loader in `context/` reads it from its three markdown documents, and hours."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, RootModel

from contracts.conversation import State
from contracts.guardrails import Passage
from contracts.messages import ContactCard, Location, Media, MessageType, Template
from contracts.values import Kept
from contracts.yaml_file import read_yaml

# A team that is closed longer than this has no next opening.
HORIZON_DAYS = 400


class OpeningTime(Kept):
    """Open on a weekday (0 is Monday) from `opens` until before `closes`, local time."""

    weekday: int
    opens: time
    closes: time


class Hours(Kept):
    """Opening hours; `holidays` are `MM-DD` of every year or `YYYY-MM-DD` of one, closed all day."""

    time_zone: str = "UTC"
    weekly: tuple[OpeningTime, ...]
    holidays: tuple[str, ...] = ()

    @property
    def zone(self) -> tzinfo:
        return UTC if self.time_zone == "UTC" else ZoneInfo(self.time_zone)

    def is_open(self, at: datetime) -> bool:
        local = at.astimezone(self.zone)
        return any(one.opens <= local.time() < one.closes for one in self._of(local.date()))

    def next_opening(self, at: datetime) -> datetime | None:
        """Return when the team opens next, in its zone; `at` itself while it is open; None: not within 400 days."""
        local = at.astimezone(self.zone)
        if self.is_open(at):
            return local
        days = (local.date() + timedelta(days=ahead) for ahead in range(HORIZON_DAYS))
        opens = (datetime.combine(day, one.opens, self.zone) for day in days for one in self._of(day))
        return next((moment for moment in opens if moment > local), None)

    def _of(self, day: date) -> list[OpeningTime]:
        if not {day.isoformat(), f"{day:%m-%d}"}.isdisjoint(self.holidays):
            return []
        return sorted((one for one in self.weekly if one.weekday == day.weekday()), key=lambda one: one.opens)


class Principle(Kept):
    id: str
    title: str
    text: str


class BusinessLine(Kept):
    """One line of business. `body` is its whole section, injected in full only when the line is in question.

    `on_complete` is what follows once its fields are collected: `hand_over`, `webhook` (the
    notice `form`), or both.
    """

    id: str
    name: str
    summary: str
    keywords: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    on_complete: tuple[str, ...] = ()
    body: str


class Intent(Kept):
    """One reason to contact the institution.

    `triggers` are phrases that express it, `answer` the canonical reply, `options` titles to offer as buttons or rows,
    `fields` the facts to ask for while unknown. `escalate` hands off to an agent at once, `conclude` ends the
    conversation, `spam` marks it as spam; `asset` names the attachment of the answer.
    """

    id: str
    category: str
    line: str | None
    description: str
    triggers: tuple[str, ...]
    answer: str
    options: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    asset: str | None = None
    escalate: bool = False
    conclude: bool = False
    spam: bool = False


class FieldSpec(Kept):
    """A fact about the person, asked once; `question` is the institution's wording."""

    id: str
    label: str
    question: str


class Asset(Kept):
    """A file, place or contact card of the institution; Task 3 names it by `id`, the fitter fills the message."""

    id: str
    type: MessageType
    description: str
    media: Media | None = None
    location: Location | None = None
    contact: ContactCard | None = None


class FixedText(StrEnum):
    """Replies without a model. Every institution provides them, in its own language.

    It may leave out all those of `RATING` together; then conversations end without the satisfaction question. With
    that or `NPS`, `RATED` thanks for the answer. Those of `OPTIONAL` may be missing one by one; then nothing is said in
    their place, or another one by `INSTEAD`.
    """

    ESCALATED = "escalated"
    ESCALATED_CLOSED = "escalated_closed"
    STILL_WAITING = "still_waiting"
    HANDED_BACK = "handed_back"
    MODEL_AWAY = "model_away"
    CLARIFY = "clarify"
    COMPLETED = "completed"
    BLOCKED = "blocked"
    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"
    CONFIRM_OPT_OUT = "confirm_opt_out"
    UNREADABLE = "unreadable"
    TOO_MANY = "too_many"
    LIST_LABEL = "list_label"
    WELCOME_BACK = "welcome_back"
    SATISFACTION = "satisfaction"
    SATISFIED = "satisfied"
    UNSATISFIED = "unsatisfied"
    NPS = "nps"
    RATED = "rated"
    DELAYED = "delayed"
    FILE_AGAIN = "file_again"
    FILE_TOO_LARGE = "file_too_large"
    FILE_TYPE = "file_type"
    FILE_PROTECTED = "file_protected"
    NO_SPEECH = "no_speech"


# The question and its two buttons.
RATING = (FixedText.SATISFACTION, FixedText.SATISFIED, FixedText.UNSATISFIED)

OPTIONAL = frozenset({FixedText.DELAYED, FixedText.NPS})


# A wish to leave that is not sure; outside hours; when no agent could answer for long; when the person asks for the
# assistant again; a file that is not read.
INSTEAD = {
    FixedText.CONFIRM_OPT_OUT: FixedText.CLARIFY,
    FixedText.ESCALATED_CLOSED: FixedText.ESCALATED,
    FixedText.STILL_WAITING: FixedText.ESCALATED,
    FixedText.HANDED_BACK: FixedText.OPTED_IN,
    **dict.fromkeys((FixedText.FILE_AGAIN, FixedText.FILE_TOO_LARGE, FixedText.FILE_TYPE), FixedText.UNREADABLE),
    **dict.fromkeys((FixedText.FILE_PROTECTED, FixedText.NO_SPEECH), FixedText.UNREADABLE),
}


# In the text of a timer, and the parameter of its template.
NAME = "{name}"


class Timer(Kept):
    """Words to a person who has written nothing for `after`, in a state and on a line, at most so often in an episode.

    `template` is name, language and category of the platform's template that says the same outside its window.
    """

    id: str
    after: timedelta
    state: State = State.AWAITING_USER
    line: str | None = None
    at_most: int = 1
    text: str
    template: tuple[str, str, str] | None = None

    def as_template(self, name: str = "") -> Template:
        """Return the template with its parameter, the person's name, where the text has it."""
        assert self.template is not None  # noqa: S101 - asked of timers with a template
        called, language, category = self.template
        parameters = (name,) if NAME in self.text else ()
        return Template(name=called, language=language, parameters=parameters, category=category)


# Texts that a newer release published are passed over, as its fields are.
Texts = Annotated[
    dict[FixedText, str],
    BeforeValidator(lambda texts: {key: text for key, text in texts.items() if key in frozenset(FixedText)}),
]

# What is said of a file that is not read where the institution says nothing, by language.
FILE_TEXTS = read_yaml(Path(__file__).with_name("file_texts.yaml"), RootModel[dict[str, Texts]]).value.root

# Languages of which a message of a person can be recognised (`contracts/language.py`).
RECOGNISED_LANGUAGES = ("en", "es", "pt")


class Translation(Kept):
    """Texts of the institution in another language than its own: texts, answers and options of intents, reminders."""

    texts: Texts = Field(default_factory=dict)
    answers: dict[str, str] = Field(default_factory=dict)
    options: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    timers: dict[str, str] = Field(default_factory=dict)


class Institution(Kept):
    """Everything that a prompt or the guardrail gate may take as true.

    `version` is a hash of the documents' content, `documents` their raw text by file name. `prompt_core` is the stable
    text that opens every prompt, and `passages` is what a reply can cite.
    """

    name: str
    language: str
    version: str
    documents: dict[str, str]
    principles: tuple[Principle, ...]
    lines: tuple[BusinessLine, ...]
    intents: tuple[Intent, ...]
    fields: tuple[FieldSpec, ...]
    assets: tuple[Asset, ...] = ()
    never: tuple[str, ...]
    texts: Texts
    opt_out_words: tuple[str, ...]
    opt_in_words: tuple[str, ...]
    allowed_domains: tuple[str, ...]
    prompt_core: str
    passages: tuple[Passage, ...] = ()
    # The team's; None: always open.
    hours: Hours | None = None
    timer_hours: Hours | None = None
    timers: tuple[Timer, ...] = ()
    # An agent's silence after which the assistant answers again, and messages that ask for it as a whole.
    hand_back_after: timedelta = timedelta(hours=12)
    assistant_words: tuple[str, ...] = ()
    # Whether voice notes are answered in speech, where the process can.
    speaks: bool = Field(True, exclude_if=lambda speaks: speaks)
    translations: dict[str, Translation] = Field(default_factory=dict, exclude_if=lambda translations: not translations)

    def speaking(self, language: str | None) -> "Institution":
        """Return it with the texts, answers and reminders of a language, as far as its documents have them."""
        return self.translated.get(language or "", self)

    @cached_property
    def translated(self) -> dict[str, "Institution"]:
        """The institution by each language of its translations."""
        found = {}
        for language, said in self.translations.items():
            timers = [one.model_copy(update={"text": said.timers.get(one.id, one.text)}) for one in self.timers]
            intents = [
                one.model_copy(
                    update={
                        "answer": said.answers.get(one.id, one.answer),
                        "options": said.options.get(one.id, one.options),
                    }
                )
                for one in self.intents
            ]
            texts = self.texts | FILE_TEXTS.get(language, {}) | said.texts
            changes = {"language": language, "texts": texts, "timers": tuple(timers), "intents": tuple(intents)}
            found[language] = self.model_copy(update=changes)
        return found

    def line(self, line_id: str | None) -> BusinessLine | None:
        return next((line for line in self.lines if line.id == line_id), None)

    def intent(self, intent_id: str | None) -> Intent | None:
        return next((intent for intent in self.intents if intent.id == intent_id), None)

    def field(self, field_id: str) -> FieldSpec | None:
        return next((field for field in self.fields if field.id == field_id), None)

    def asset(self, asset_id: str | None) -> Asset | None:
        return next((asset for asset in self.assets if asset.id == asset_id), None)

    def line_view(self, line_id: str | None) -> str:
        """Return the section of a business line as a prompt shows it: each passage after its id, below its heading."""
        return self.line_views.get(line_id or "", "")

    @cached_property
    def line_views(self) -> dict[str, str]:
        """The sections of all business lines."""
        views = {}
        for line in self.lines:
            shown, heading = list[str](), ""
            for passage in self.passages:
                if passage.id.startswith(f"line.{line.id}."):
                    if passage.heading != heading:
                        heading = passage.heading
                        shown.append(f"## {heading}")
                    shown.append(f"[{passage.id}] {passage.text}")
            views[line.id] = "\n".join(shown)
        return views

    def text(self, which: FixedText) -> str:
        """Return a text, or the one in its place: for a file that is not read a built-in one where there is one."""
        known = FILE_TEXTS.get(self.language.partition("-")[0], {}) | self.texts
        return known[which if which in known else INSTEAD.get(which, which)]
