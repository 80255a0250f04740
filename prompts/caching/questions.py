"""Cacheable questions, and their keys.

An answer may be given to another person only when neither question nor answer holds personal data. Where that cannot
be shown, the model is asked.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

import orjson

from contracts.conversation import Speaker, State, TaskName
from contracts.decisions import StateDecision
from contracts.institution import Institution
from contracts.messages import InboundKind
from prompts.caching.content import WORDS, Content, folded, names_a_moment, normalised, vocabulary
from prompts.request import TurnView, conversation_json

CONFIDENT = 0.8
"""Confidence below which nothing that follows a decision is cached; the engine itself asks again below 0.5."""

SAID_AGAIN = 0.6
"""Lowest share of the canonical answer's words in a wording of it; shorter words, such as articles, do not count."""
TELLING_LETTERS = 4

SEPARATOR = "|"
# Of greetings: "bom dia" is wrong in the evening.
_OF_THE_DAY = frozenset({"bom", "boa", "morning", "afternoon", "evening"})
_PERSONAL = re.compile(r"@|(?:\d[\s().+/-]{0,3}){7,}")
# Letters of Western Europe, figures, blanks, and at most three signs in a row. Whatever else a person types may say
# something to a model that is lost when the text is normalised: combining, invisible and compatible characters, signs.
_TYPED = re.compile(
    r"(?:[A-Za-z0-9\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff \n]"
    r"|[.,:;!?'\u2019\"()%/$&+=\u20ac\u00a3*#-]{1,3}(?![^A-Za-z0-9\u00c0-\u00ff \n]))*"
)
_DIGITS = re.compile(r"\d+")
_WORDS = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Place:
    """Scope and key of an entry. The scope is readable: level, task, institution, template, model."""

    scope: str
    key: str


@dataclass(frozen=True)
class SemanticPlace:
    """Scope and key on the semantic level; `text` is embedded, `signature` is its content."""

    scope: str
    key: str
    text: str
    signature: str


@dataclass(frozen=True)
class TemplatePlace(Place):
    """Scope and key of the wording of an answer; `canonical` is the institution's own text."""

    canonical: str


@dataclass(frozen=True)
class Question:
    """One question to a model in the cache's terms. A level that may not answer it is None.

    `private` are folded words and runs of digits that no shared answer may hold, words of a moment among them.
    """

    task: str
    exact: Place
    semantic: SemanticPlace | None = None
    template: TemplatePlace | None = None
    private: frozenset[str] = frozenset()


@dataclass(frozen=True)
class CachePolicy:
    """Levels that are on. `embedder` is the name of the embedder, None: no semantic level."""

    semantic_tasks: frozenset[str] = frozenset()
    template: bool = False
    embedder: str | None = None

    def narrowed(self, *, semantic: bool | None, template: bool | None) -> "CachePolicy":
        """Return the policy with levels turned off; one that is off here cannot be turned on."""
        return replace(
            self,
            semantic_tasks=frozenset() if semantic is False else self.semantic_tasks,
            template=self.template and template is not False,
        )

    def question(self, task: str, label: str, model: str, view: TurnView) -> Question | None:
        """Return the question, or None where nothing may be kept; `label` is the template's, with its hash.

        Task 1 stays within its own conversation, and Tasks 2 and 3 follow a sure decision that collected nothing.
        """
        if not _is_impersonal(view):
            return None
        private, view = frozenset(_private(view)), shown(task, view)
        scope = _Scope(task, label, model, view.institution)
        if task == TaskName.STATE:
            key = f"{keys_of(view.conversation.id)}{_digest(_context(view))}"
            return Question(task, Place(scope.of("exact"), key))
        if not _is_shared(task, view):
            return None
        place = Place(scope.of("exact"), _digest(_context(view)))
        question = Question(task, place, private=private)
        content = _sole_content(view)
        if task is not TaskName.RESPONSE or content is None:
            return question
        return replace(
            question, semantic=self._semantic(task, scope, content, view), template=self._template(scope, content, view)
        )

    def _semantic(self, task: str, scope: "_Scope", content: Content, view: TurnView) -> SemanticPlace | None:
        """Return the place of an FAQ-like question: a first message of known words, to which nothing is asked back."""
        is_open = task in self.semantic_tasks and self.embedder is not None
        decision = view.decision
        if not (is_open and content.is_common and decision and decision.ask_field is None):
            return None
        text = view.messages[0].text
        unsaid = _digest(_context(replace(view, messages=())))
        place = scope.of("semantic", str(self.embedder), unsaid)
        return SemanticPlace(place, _digest(normalised(text)), content.text, content.signature)

    def _template(self, scope: "_Scope", content: Content, view: TurnView) -> TemplatePlace | None:
        """Return the place of an intent with a canonical answer, for a message that adds nothing to the intent."""
        decision, conversation = view.decision, view.conversation
        intent = view.institution.intent(decision.intent if decision else None)
        if not (self.template and content.is_plain and decision and intent):
            return None
        kind = {
            "decision": _decided(decision),
            "line": conversation.business_line,
            "state": conversation.state,
            "channel": view.channel,
            "first": not conversation.previous_episodes,
            "open": view.is_open,
            "advertisement": conversation.advertisement,
        }
        return TemplatePlace(scope.of("template"), _digest(kind), intent.answer)


def keys_of(conversation: str) -> str:
    """Return the beginning of the keys of answers that stay within a conversation."""
    return f"{_digest(conversation)}:"


def shown(task: str, view: TurnView) -> TurnView:
    """Return what the model may see of a turn: without the person's name where others may be given the answer."""
    if not (_is_shared(task, view) and _is_impersonal(view)):
        return view
    name = _name_words(view.conversation.person_name)

    def unnamed(text: str) -> str:
        return _WORDS.sub(lambda found: "" if folded(found[0]) in name else found[0], text) if name else text

    window = tuple(
        one if one.speaker is Speaker.PERSON else one.model_copy(update={"text": unnamed(one.text)})
        for one in view.conversation.window
    )
    return replace(view, conversation=view.conversation.model_copy(update={"window": window, "person_name": None}))


def _is_shared(task: str, view: TurnView) -> bool:
    return task in (TaskName.RESPONSE, TaskName.MESSAGE_TYPE) and may_stand(view.decision)


def may_stand(decision: StateDecision | None) -> bool:
    """Whether answers that follow the decision may be kept: it is sure, continues, and collected nothing."""
    return (
        decision is not None
        and decision.next_state is State.PROCESSING
        and decision.confidence >= CONFIDENT
        and not decision.collected
    )


@dataclass(frozen=True)
class ScopeParts:
    """Parts of a scope's name; `more` distinguishes scopes of the semantic level."""

    level: str
    task: str
    institution: str
    version: str
    language: str
    template: str
    model: str
    more: str = ""

    @classmethod
    def read(cls, scope: str) -> "ScopeParts":
        parts = [*scope.split(SEPARATOR, 7), *[""] * 7]
        return cls(*parts[:8])

    def fits(self, wanted: Mapping[str, str]) -> bool:
        """Whether each part is as wanted; a template also by its label without the hash, or without the version."""
        return all(
            (given := getattr(self, name)) == value
            or (name == "template" and given.startswith((f"{value}@", f"{value}_v")))
            for name, value in wanted.items()
        )


@dataclass(frozen=True)
class _Scope:
    task: str
    label: str
    model: str
    institution: Institution

    def of(self, level: str, *more: str) -> str:
        house = self.institution
        parts = (level, self.task, house.name, house.version, house.language, self.label, self.model, *more)
        return SEPARATOR.join(part.replace(SEPARATOR, "/") for part in parts)


def _is_impersonal(view: TurnView) -> bool:
    """Whether the turn has no rewrite, field or quote, only texts and choices, no word of an operator or of the name.

    Nor does it name a moment: what is true today is not kept for tomorrow.
    """
    conversation = view.conversation
    if view.rewrite or view.quoted or conversation.fields or not view.messages:
        return False
    if any(names_a_moment(message.text) for message in view.messages):
        return False
    if any(message.kind not in (InboundKind.TEXT, InboundKind.CHOICE) or message.media for message in view.messages):
        return False
    if any(said.speaker is Speaker.OPERATOR for said in conversation.window):
        return False
    texts = list(_written(view))
    if any(_PERSONAL.search(text) for text in texts):
        return False
    return not (_name_words(conversation.person_name) & {word for text in texts for word in _words(text)})


def _sole_content(view: TurnView) -> Content | None:
    """Return the content of the only message of a conversation; None where the model sees more than its words.

    That are a history, several messages, a choice, and signs that are no usual typing.
    """
    if len(view.messages) != 1 or view.messages[0].kind is not InboundKind.TEXT or view.conversation.window:
        return None
    if not _TYPED.fullmatch(view.messages[0].text):
        return None
    return vocabulary(tuple(view.institution.documents.values())).content(
        view.messages[0].text, language=view.institution.language
    )


def _context(view: TurnView) -> str:
    """Return all that the request depends on, with the person's words in one typing."""
    said = tuple(
        one.model_copy(update={"text": _in_one_typing(one.text)}) if one.speaker is Speaker.PERSON else one
        for one in view.conversation.window
    )
    conversation = view.conversation.model_copy(update={"window": said})
    messages = tuple(one.model_copy(update={"text": _in_one_typing(one.text)}) for one in view.messages)
    shown = replace(view, conversation=conversation, messages=messages, decision=None, at=None)
    return f"{_decided(view.decision) if view.decision else ''}{conversation_json(shown)}"


def _in_one_typing(text: str) -> str:
    """Return the text normalised; as it is, where that would hide from the key what the model sees."""
    return normalised(text) if _TYPED.fullmatch(text) else text


def _decided(decision: StateDecision) -> str:
    # The confidence varies between answers; whether it suffices is checked before.
    return decision.model_dump_json(exclude={"confidence"})


def _written(view: TurnView) -> Iterator[str]:
    yield from (message.text for message in view.messages)
    yield from (said.text for said in view.conversation.window if said.speaker is Speaker.PERSON)


def _private(view: TurnView) -> Iterator[str]:
    intent = view.institution.intent(view.decision.intent if view.decision else None)
    yield from (WORDS.moments | _OF_THE_DAY) - set(_words(intent.answer if intent else ""))
    yield from _name_words(view.conversation.person_name)
    for text in _written(view):
        yield from _DIGITS.findall(folded(text))


def holds_any(text: str, private: frozenset[str]) -> bool:
    """Whether the text has one of the words or runs of digits."""
    flat = folded(text)
    return bool(private) and not private.isdisjoint((*_WORDS.findall(flat), *_DIGITS.findall(flat)))


def says_again(text: str, canonical: str) -> bool:
    """Whether a text is a wording of the canonical answer, and not the answer to one way of asking.

    Most of its words are canonical, all of its numbers are, and it adds no yes, no or negation.
    """
    said, known = normalised(text).split(), set(normalised(canonical).split())
    telling = [word for word in said if len(word) >= TELLING_LETTERS]
    if any(word not in known for word in said if word[0].isdigit() or word in WORDS.answers or word in WORDS.negations):
        return False
    return bool(telling) and sum(word in known for word in telling) >= SAID_AGAIN * len(telling)


def _words(text: str) -> list[str]:
    return _WORDS.findall(folded(text))


def _name_words(name: str | None) -> frozenset[str]:
    return frozenset(_words(name or ""))


def _digest(*parts: object) -> str:
    return sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:40]
