"""Sensible answers to the three tasks, out of the institution's documents and nothing else."""

import re
from dataclasses import dataclass, replace
from typing import Any

from contracts.conversation import State, TaskName, WaitingFor
from contracts.institution import FieldSpec, FixedText, Institution, Intent
from contracts.messages import MessageType
from sandbox.cheating import cheats_for
from sandbox.collecting import answered, kind_of, mentioned, without_introduction
from sandbox.language import fold
from sandbox.matching import LEAST_CONFIDENCE, MOST_CONFIDENCE, IntentIndex, Match
from sandbox.prompted import Prompted, read_prompt
from sandbox.spam import looks_like_spam

UNCLEAR = 0.5
SURE_ENOUGH_TO_CHANGE_SUBJECT = 0.74
CERTAIN_ENOUGH_FOR_SHORT_ANSWERS = 0.58
MAX_BUTTONS = 3
MAX_OPTIONS = 10

_GOING_ON = (
    State.PROCESSING,
    State.GENERATING_RESPONSE,
    State.AWAITING_USER,
    State.UNDERSTANDING_INTENT,
    State.IDENTIFYING,
)
_ORDINALS = {
    "1": 0, "2": 1, "3": 2, "4": 3, "5": 4, "6": 5, "7": 6, "8": 7, "9": 8, "10": 9,
    "primeira": 0, "primeiro": 0, "segunda": 1, "segundo": 1, "terceira": 2, "terceiro": 2,
    "first": 0, "second": 1, "third": 2,
}  # fmt: skip
_ASKED = {
    WaitingFor.IDENTIFICATION,
    WaitingFor.FIELD,
    WaitingFor.CHOICE,
    WaitingFor.ANYTHING,
}
_WORDS = {
    "pt": {
        "thanks_name": "Obrigado, {name}!",
        "noted": "Obrigado, já anotei.",
        "by_name": "Certo, {name}.",
        "more": "Posso ajudar em mais alguma coisa?",
        "how": "Em que posso ajudar?",
    },
    "en": {
        "thanks_name": "Thank you, {name}.",
        "noted": "Thank you, I have noted that.",
        "by_name": "All right, {name}.",
        "more": "Is there anything else I can help with?",
        "how": "How can I help?",
    },
}
_OPENING_GREETING = re.compile(r"^(Olá|Oi|Oie|Hello|Hi|Hey)\b(?=[!,. ])")
_LAST_SENTENCE = re.compile(r"[^.!?]*\?\s*$")


@dataclass(frozen=True)
class Understanding:
    """Task 1 before it is put into words of the schema."""

    intent: Intent | None
    line: str | None
    confidence: float
    collected: dict[str, str]
    waiting_for: WaitingFor = WaitingFor.ANYTHING
    ask_field: str | None = None
    options: tuple[str, ...] = ()
    is_spam: bool = False


class Brain:
    """One institution's answers. The same prompt gets the same answer."""

    def __init__(self, institution: Institution) -> None:
        self._institution = institution
        self._index = IntentIndex(institution)
        self._language = self._index.language
        self._words = _WORDS[self._language]
        self._cheats = cheats_for(institution)

    def answer(self, task: TaskName | None, prompt: str) -> dict[str, Any]:
        """The answer to a task, before it is fitted to the schema that was sent along."""
        prompted = read_prompt(prompt)
        match task:
            case TaskName.STATE:
                return self._state(prompted)
            case TaskName.MESSAGE_TYPE:
                return self._message_type(prompted)
        return {"text": self._response(prompted)}

    def cheat(self, prompt: str, number: int, cheats: tuple[str, ...]) -> dict[str, Any]:
        """A reply that breaks the rules: the `number`-th of `cheats`, or of the built-in ones."""
        chosen = cheats or self._cheats
        name = read_prompt(prompt).person_name or "Maria"
        return {"text": chosen[number % len(chosen)].replace("{name}", name)}

    # Task 1

    def _state(self, prompted: Prompted) -> dict[str, Any]:
        understood = self._understand(prompted)
        return {
            "next_state": self._next_state(understood, prompted),
            "confidence": understood.confidence,
            "business_line": understood.line,
            "intent": understood.intent.id if understood.intent else None,
            "waiting_for": understood.waiting_for.value,
            "collected": [{"name": name, "value": value} for name, value in understood.collected.items()],
            "ask_field": understood.ask_field,
            "options": list(understood.options),
        }

    def _next_state(self, understood: Understanding, prompted: Prompted) -> str:
        allowed = prompted.allowed_states
        wanted: list[str] = []
        if understood.is_spam:
            wanted.append(State.SPAM)
        elif understood.intent is not None and understood.confidence >= UNCLEAR:
            if understood.intent.escalate:
                wanted.append(State.ESCALATING)
            elif understood.intent.conclude:
                wanted.append(State.COMPLETED)
        wanted.extend(_GOING_ON)
        return next((state for state in wanted if state in allowed), allowed[0] if allowed else State.PROCESSING)

    def _understand(self, prompted: Prompted) -> Understanding:
        if looks_like_spam(prompted) or self._matches_spam(prompted):
            return Understanding(self._index.spam, None, 0.93, {}, is_spam=True)
        if prompted.is_wordless:
            return Understanding(
                self._institution.intent(prompted.intent),
                prompted.business_line,
                0.6,
                {},
                WaitingFor.CLARIFICATION,
            )
        title = _chosen_title(prompted)
        if title is not None:
            intent, line = self._index.chosen(title, line=prompted.business_line, previous=prompted.intent)
            return self._with_next_step(Understanding(intent, line, MOST_CONFIDENCE, {}), prompted)
        if self._index.human is not None and self._index.asks_for_a_human(prompted.text):
            return Understanding(self._index.human, prompted.business_line, 0.94, self._mentioned(prompted, None))
        match = self._best_match(prompted)
        told = self._told(prompted, match)
        if told:
            collected = {**told, **self._mentioned(prompted, prompted.intent)}
            intent = self._institution.intent(prompted.intent)
            return self._with_next_step(Understanding(intent, prompted.business_line, 0.9, collected), prompted)
        return self._from_match(match, prompted)

    def _told(self, prompted: Prompted, match: Match | None) -> dict[str, str]:
        """The answer to what was asked, or to another open question of the same intent that shares its words."""
        asked = self._asked_field(prompted)
        if asked is None:
            return {}
        certain = SURE_ENOUGH_TO_CHANGE_SUBJECT if kind_of(asked) == "need" else CERTAIN_ENOUGH_FOR_SHORT_ANSWERS
        if match is not None and match.score >= certain:
            return {}
        value = answered(asked, prompted.text)
        if value is not None:
            return {asked.id: value}
        intent = self._institution.intent(prompted.intent)
        said = set(self._index.stems(prompted.text))
        for field in self._missing(intent, {asked.id: ""}, prompted) if intent else ():
            if said & set(self._index.stems(field.question)) and (other := answered(field, prompted.text)):
                return {field.id: other}
        return {}

    def _from_match(self, match: Match | None, prompted: Prompted) -> Understanding:
        greeting = self._index.greeting
        main = self._index.main_intent(prompted.business_line) if prompted.business_line else None
        if main and (match is None or match.score < 0.5) and self._index.is_about(main.line, prompted.text):
            match = Match(main, 0.5)
        if match is None and greeting is not None and fold(prompted.text) and not self._index.stems(prompted.text):
            match = Match(greeting, 0.5)
        if match is None or match.confidence < UNCLEAR:
            line = self._index.line_of(prompted.text)
            main = self._index.main_intent(line) if line else None
            if main is None:
                collected = self._mentioned(prompted, prompted.intent)
                if collected:
                    intent = self._institution.intent(prompted.intent) or greeting
                    return self._with_next_step(Understanding(intent, prompted.business_line, 0.7, collected), prompted)
                confidence = match.confidence if match else LEAST_CONFIDENCE
                return Understanding(
                    None,
                    prompted.business_line,
                    confidence,
                    {},
                    WaitingFor.CLARIFICATION,
                    options=self._lines_to_choose_from(),
                )
            match = Match(main, 0.4)
        intent = match.intent
        line = intent.line or (prompted.business_line if intent is not greeting else None)
        if line is None and intent is not greeting:
            line = self._index.line_of(prompted.text)
        collected = self._mentioned(prompted, intent.id)
        return self._with_next_step(Understanding(intent, line, match.confidence, collected), prompted)

    def _with_next_step(self, understood: Understanding, prompted: Prompted) -> Understanding:
        """What to offer or to ask next: the options of the intent, else its first field that is still unknown."""
        intent = understood.intent
        if intent is None or intent.escalate or intent.conclude:
            return understood
        repeated = _was_said(intent.answer, prompted)
        if intent.options and not (understood.collected and repeated):
            return replace(understood, waiting_for=WaitingFor.CHOICE, options=intent.options[:MAX_OPTIONS])
        missing = self._missing(intent, understood.collected, prompted)
        if not missing:
            return understood
        ends_with_question = intent.answer.rstrip().endswith("?") and not repeated
        field = (self._closest(intent.answer, missing) if ends_with_question else None) or missing[0]
        waiting_for = WaitingFor.IDENTIFICATION if kind_of(field) == "name" else WaitingFor.FIELD
        return replace(understood, waiting_for=waiting_for, ask_field=field.id)

    def _best_match(self, prompted: Prompted) -> Match | None:
        texts = [without_introduction(message.text) for message in prompted.messages if message.text.strip()]
        if len(texts) > 1:
            texts.append(" ".join(texts))
        matches = [match for text in texts if (match := self._index.best(text, line=prompted.business_line))]
        matters = [match for match in matches if match.score >= 0.4 and match.intent.id not in self._index.courtesies]
        return max(matters or matches, key=lambda match: match.score, default=None)

    def _matches_spam(self, prompted: Prompted) -> bool:
        match = self._best_match(prompted)
        return match is not None and match.intent.spam and match.score >= 0.5

    def _mentioned(self, prompted: Prompted, intent_id: str | None) -> dict[str, str]:
        intent = self._institution.intent(intent_id)
        wanted = intent.fields if intent else ()
        texts = [message.text for message in prompted.messages]
        said = mentioned(self._institution, texts, wanted)
        return {name: value for name, value in said.items() if prompted.fields.get(name) != value}

    def _missing(self, intent: Intent, collected: dict[str, str], prompted: Prompted) -> list[FieldSpec]:
        missing = []
        for field_id in intent.fields:
            field = self._institution.field(field_id)
            if field is None or field_id in prompted.fields or field_id in collected:
                continue
            if prompted.askable_fields is not None:
                if field_id not in prompted.askable_fields:
                    continue
            elif _was_said(field.question, prompted) or (kind_of(field) == "name" and prompted.person_name):
                continue
            missing.append(field)
        return missing

    def _asked_field(self, prompted: Prompted) -> FieldSpec | None:
        """The field that the assistant's last words asked for."""
        last = prompted.last_reply
        if last is None or prompted.waiting_for not in _ASKED:
            return None
        unknown = [field for field in self._institution.fields if field.id not in prompted.fields]
        for field in unknown:
            if fold(field.question) in fold(last.text):
                return field
        waits_for_one = prompted.waiting_for in (WaitingFor.FIELD, WaitingFor.IDENTIFICATION)
        if not waits_for_one and not last.text.rstrip().endswith("?"):
            return None
        intent = self._institution.intent(prompted.intent)
        candidates = [field for field in unknown if intent is not None and field.id in intent.fields]
        closest = self._closest(last.text, candidates)
        if closest is not None or prompted.waiting_for == WaitingFor.CHOICE:
            return closest
        if prompted.waiting_for == WaitingFor.IDENTIFICATION:
            return next((field for field in unknown if kind_of(field) == "name"), None)
        return candidates[0] if candidates and prompted.waiting_for == WaitingFor.FIELD else None

    def _closest(self, text: str, fields: list[FieldSpec]) -> FieldSpec | None:
        """The field whose question shares most words with the question at the end of `text`."""
        question = _LAST_SENTENCE.search(text)
        if question is None:
            return None
        said = set(self._index.stems(question[0]))
        best, most = None, 0
        for field in fields:
            shared = len(said & set(self._index.stems(f"{field.question} {field.label}")))
            if shared > most:
                best, most = field, shared
        return best

    def _lines_to_choose_from(self) -> tuple[str, ...]:
        greeting = self._index.greeting
        if greeting is not None and greeting.options:
            return greeting.options[:MAX_OPTIONS]
        return tuple(line.name for line in self._institution.lines)[:MAX_OPTIONS]

    # Task 2

    def _response(self, prompted: Prompted) -> str:
        decision = prompted.decision
        intent = self._institution.intent(decision.get("intent"))
        if prompted.rewrite:
            return intent.answer if intent else self._institution.text(FixedText.CLARIFY)
        if prompted.is_wordless:
            return self._institution.text(FixedText.UNREADABLE)
        collected = {each["name"]: each["value"] for each in decision.get("collected") or ()}
        question = self._question(decision, intent, collected, prompted)
        if decision.get("waiting_for") == WaitingFor.CLARIFICATION or intent is None:
            return self._institution.text(FixedText.WELCOME_BACK if prompted.returning else FixedText.CLARIFY)
        body = self._body(intent, collected, prompted)
        if question and not body.rstrip().endswith("?"):
            body = f"{body} {question}"
        return body.strip()

    def _body(self, intent: Intent, collected: dict[str, str], prompted: Prompted) -> str:
        said = _was_said(intent.answer, prompted)
        if prompted.returning and intent is self._index.greeting:
            return self._institution.text(FixedText.WELCOME_BACK)
        if said and collected:
            return self._thanks(collected, prompted, has_question=self._asks_something(prompted))
        if intent is self._index.greeting and prompted.replies and not prompted.returning:
            question = _LAST_SENTENCE.search(intent.answer)
            return question[0].strip() if question else self._words["how"]
        if said:
            return self._something_new(intent, prompted)
        answer = self._by_name(intent.answer, collected, prompted)
        if prompted.returning:
            return f"{_first_sentence(self._institution.text(FixedText.WELCOME_BACK))} {answer}"
        return answer

    def _thanks(self, collected: dict[str, str], prompted: Prompted, *, has_question: bool) -> str:
        name = self._name_in(collected)
        thanks = self._words["thanks_name"].format(name=name) if name else self._words["noted"]
        return thanks if has_question else f"{thanks} {self._words['more']}"

    def _asks_something(self, prompted: Prompted) -> bool:
        return bool(prompted.decision.get("ask_field")) or prompted.decision.get("waiting_for") in (
            WaitingFor.FIELD,
            WaitingFor.IDENTIFICATION,
        )

    def _something_new(self, intent: Intent, prompted: Prompted) -> str:
        """Said before: what the line's own section says about the words of now, else the same again."""
        line = self._institution.line(prompted.decision.get("business_line") or intent.line)
        said = fold(" ".join(prompted.replies))
        passage = self._index.passage(line, prompted.text, said) if line else None
        return passage or intent.answer

    def _by_name(self, answer: str, collected: dict[str, str], prompted: Prompted) -> str:
        """The name is used once: when it was just told, or in the first reply to a person who is known."""
        name = self._name_in(collected) or self._name_in(prompted.fields) or _first_name(prompted.person_name)
        if name is None or any(name.casefold() in reply.casefold() for reply in prompted.replies):
            return answer
        if _OPENING_GREETING.match(answer):
            return _OPENING_GREETING.sub(rf"\1, {name}", answer, count=1)
        return f"{self._words['by_name'].format(name=name)} {answer}"

    def _name_in(self, values: dict[str, str]) -> str | None:
        field = next((field for field in self._institution.fields if kind_of(field) == "name"), None)
        return _first_name(values.get(field.id)) if field else None

    def _question(
        self, decision: dict[str, Any], intent: Intent | None, collected: dict[str, str], prompted: Prompted
    ) -> str:
        if decision.get("ask_field"):
            field = self._institution.field(decision["ask_field"])
            return field.question if field else ""
        if "ask_field" in decision or decision.get("waiting_for") not in (WaitingFor.FIELD, WaitingFor.IDENTIFICATION):
            return ""
        missing = self._missing(intent, collected, prompted) if intent else []
        return missing[0].question if missing else ""

    # Task 3

    def _message_type(self, prompted: Prompted) -> dict[str, Any]:
        options = prompted.decision.get("options") or ()
        intent = self._institution.intent(prompted.decision.get("intent"))
        asset = self._institution.asset(intent.asset) if intent else None
        kind = MessageType.TEXT
        if options:
            kind = MessageType.BUTTON if len(options) <= MAX_BUTTONS else MessageType.LIST
        elif asset is not None:
            kind = asset.type
        label = self._institution.text(FixedText.LIST_LABEL) if kind is MessageType.LIST else ""
        return {
            "type": kind.value,
            "asset": asset.id if asset is not None and kind is asset.type else None,
            "list_label": label,
        }


def _chosen_title(prompted: Prompted) -> str | None:
    """The title that was tapped, or typed as it stands or by its number."""
    for message in reversed(prompted.messages):
        if message.choice or message.kind == "choice":
            return message.text or message.choice
    last = prompted.last_reply
    if last is None or not last.options or not prompted.messages:
        return None
    said = fold(prompted.messages[-1].text)
    by_title = {fold(title): title for title in last.options}
    if said in by_title:
        return by_title[said]
    if prompted.waiting_for != WaitingFor.CHOICE:
        return None
    for word in said.split() if len(said.split()) <= 3 else ():
        number = _ORDINALS.get(word)
        if number is not None and number < len(last.options):
            return last.options[number]
    return None


def _was_said(text: str, prompted: Prompted) -> bool:
    """Whether the heart of `text` stands in an earlier reply: its end, as a name may have changed its beginning."""
    heart = fold(text)[-60:]
    return any(heart in fold(reply) for reply in prompted.replies)


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.!?])\s", text, maxsplit=1)[0]


def _first_name(name: str | None) -> str | None:
    first = (name or "").split()[0] if (name or "").split() else ""
    return first if first.isalpha() and len(first) > 1 else None
