"""Plausible answers to every task, derived from the institution's documents alone."""

import re
from dataclasses import dataclass, replace
from typing import Any

from contracts.conversation import State, TaskName, WaitingFor
from contracts.decisions import Wish
from contracts.guardrails import PartKind
from contracts.institution import FieldSpec, FixedText, Institution, Intent
from contracts.messages import MessageType
from sandbox.analyses import question_of, review_of, summary_of
from sandbox.behaviour import JudgeMode
from sandbox.citing import Citer
from sandbox.collecting import answered, kind_of, mentioned, tidy, without_introduction
from sandbox.judging import Oracle, cheats_for
from sandbox.language import fold
from sandbox.matching import LEAST_CONFIDENCE, MOST_CONFIDENCE, IntentIndex, Match
from sandbox.prompted import Prompted, read_prompt
from sandbox.signs import (
    Bare,
    asks_again,
    bare_reply,
    begins_a_request,
    greets_again,
    looks_like_spam,
    says_thanks,
    shows,
    wish_to_leave,
)
from sandbox.vocabulary import SIGNS, VOCABULARY

UNCLEAR = 0.5
SURE_ENOUGH_TO_CHANGE_SUBJECT = 0.74
CERTAIN_ENOUGH_FOR_SHORT_ANSWERS = 0.58
CERTAIN_WHATEVER_WAS_ASKED = 0.9
WEAK = 0.38
SHORT_ANSWER_WORDS = 6
RECENT_REPLIES = 4
MAX_BUTTONS = 3
MAX_OPTIONS = 10

_GOING_ON = (
    State.PROCESSING,
    State.GENERATING_RESPONSE,
    State.AWAITING_USER,
    State.UNDERSTANDING_INTENT,
    State.IDENTIFYING,
)
_ASKED = {WaitingFor.IDENTIFICATION, WaitingFor.FIELD, WaitingFor.CHOICE, WaitingFor.ANYTHING}
_THINGS = frozenset({"location", "order"})
_PLACES = ("pickup", "destination", "city")
_LAST_SENTENCE = re.compile(r"[^.!?]*\?\s*$")


@dataclass(frozen=True)
class Understanding:
    """Result of Task 1 before it is fitted to the schema."""

    intent: Intent | None
    line: str | None
    confidence: float
    collected: dict[str, str]
    waiting_for: WaitingFor = WaitingFor.ANYTHING
    ask_field: str | None = None
    options: tuple[str, ...] = ()
    is_spam: bool = False
    wish: Wish | None = None


class Brain:
    """One institution's answers. The same prompt gets the same answer."""

    def __init__(self, institution: Institution) -> None:
        self._institution = institution
        self._index = IntentIndex(institution)
        self._language = self._index.language
        self._words = VOCABULARY.replies[self._language]
        self._cheats = cheats_for(institution)
        self.citer = Citer(institution)
        self._oracle = Oracle(institution, self._cheats)

    def answer(self, task: TaskName | None, prompt: str, seen: str | None = None) -> dict[str, Any]:
        """Return the answer to a task, before it is fitted to the request's schema. `seen` is the text in its files."""
        prompted = read_prompt(prompt).seeing(seen)
        match task:
            case TaskName.STATE:
                return self._state(prompted)
            case TaskName.MESSAGE_TYPE:
                return self._message_type(prompted)
            case TaskName.MERGED:
                decision = self._state(prompted)
                decided = replace(prompted, decision=decision)
                written = {"parts": self.citer.parts(self._response(decided))}
                return {"state": decision, "response": written, "message_type": self._message_type(decided)}
            case TaskName.JUDGE:
                return self._oracle.verdict(prompted)
            case TaskName.HANDOFF_SUMMARY:
                return summary_of(prompted, self._institution)
            case TaskName.CONVERSATION_REVIEW:
                return review_of(prompted, self._institution)
            case TaskName.INTERVIEW_QUESTION:
                return question_of(prompted, self._institution)
        return {"parts": self.citer.parts(self._response(prompted))}

    def cheat(self, prompt: str, number: int, cheats: tuple[str, ...]) -> dict[str, Any]:
        """Return a reply that breaks the rules: the `number`-th of `cheats`, or of the built-in ones."""
        chosen = cheats or self._cheats
        name = read_prompt(prompt).person_name or "Maria"
        text = chosen[number % len(chosen)].replace("{name}", name)
        return {"parts": [{"says": PartKind.INFORM, "from": [self._institution.passages[0].id], "text": text}]}

    def verdict(self, prompt: str, cheats: tuple[str, ...], mode: JudgeMode, *, errs: bool) -> dict[str, Any]:
        """The judge's verdict; an oracle knows the built-in cheats and `cheats`."""
        oracle = Oracle(self._institution, (*self._cheats, *cheats)) if cheats else self._oracle
        return oracle.verdict(read_prompt(prompt), mode, errs=errs)

    # Task 1

    def _state(self, prompted: Prompted) -> dict[str, Any]:
        understood, allowed = self._understand(prompted), prompted.allowed_states
        wanted: list[str] = []
        if understood.is_spam:
            wanted.append(State.SPAM)
        elif understood.intent is not None and understood.confidence >= UNCLEAR:
            if understood.intent.escalate:
                wanted.append(State.ESCALATING)
            elif understood.intent.conclude:
                wanted.append(State.COMPLETED)
        wanted.extend(_GOING_ON)
        fallback = allowed[0] if allowed else State.PROCESSING
        return {
            "next_state": next((state for state in wanted if state in allowed), fallback),
            "confidence": understood.confidence,
            "business_line": understood.line,
            "intent": understood.intent.id if understood.intent else None,
            "waiting_for": understood.waiting_for.value,
            "collected": [{"name": name, "value": value} for name, value in understood.collected.items()],
            "ask_field": understood.ask_field,
            "options": list(understood.options),
            "wish": understood.wish,
            "description": prompted.seen or "",
        }

    def _understand(self, prompted: Prompted) -> Understanding:
        if looks_like_spam(prompted) or self._index.is_spam(prompted.text):
            return Understanding(self._index.spam, None, 0.93, {}, is_spam=True)
        if (rescue := self._index.rescue(prompted.text)) is not None:
            return Understanding(rescue, rescue.line or prompted.business_line, 0.95, {})
        asked, last = self._institution.texts.get(FixedText.CONFIRM_OPT_OUT), prompted.last_reply
        if asked and last and last.text == asked:
            sure = 0.95 if bare_reply(prompted.text, self._language) in (Bare.YES, Bare.OK) else None
        else:
            sure = wish_to_leave(prompted.text)
        if sure is not None:
            return replace(self._going_on(prompted, sure, {}), wish=Wish.OPT_OUT)
        if _is_thing(prompted):
            return self._with_next_step(self._going_on(prompted, 0.8, self._thing(prompted)), prompted)
        if prompted.is_wordless:
            return replace(self._going_on(prompted, 0.6, {}), waiting_for=WaitingFor.CLARIFICATION)
        title = _chosen_title(prompted) or self._index.title(prompted.messages[-1].text if prompted.messages else "")
        if title is not None:
            intent, line = self._index.chosen(title, line=prompted.business_line, previous=prompted.intent)
            return self._with_next_step(Understanding(intent, line, MOST_CONFIDENCE, {}), prompted)
        corrected = self._corrected(prompted)
        if corrected:
            going_on = self._going_on(prompted, 0.9, corrected)
            main = self._index.main_intent(prompted.business_line) if prompted.business_line else None
            if main is not None and not corrected.keys() <= {*(going_on.intent.fields if going_on.intent else ())}:
                going_on = replace(going_on, intent=main)
            return self._with_next_step(going_on, prompted)
        if self._index.machine is not None and shows("robot", prompted.text):
            return Understanding(self._index.machine, prompted.business_line, 0.95, {})
        if self._index.human is not None and self._index.asks_for_a_human(prompted.text):
            return Understanding(self._index.human, prompted.business_line, 0.94, self._mentioned(prompted, None))
        small = self._small_talk(prompted)
        if small is not None:
            return small
        texts = [without_introduction(message.text) for message in prompted.messages if message.text.strip()]
        if len(texts) > 1:
            texts.append(" ".join(texts))
        matches = [match for text in texts if (match := self._index.best(text, line=prompted.business_line))]
        matters = [match for match in matches if match.score >= 0.4 and match.intent.id not in self._index.courtesies]
        match = max(matters or matches, key=lambda match: match.score, default=None)
        if shows("trickery", prompted.text):
            rest = SIGNS["trickery"].sub(" ", fold(prompted.text))
            match = self._index.best(rest, line=prompted.business_line) if self._index.stems(rest) else None
            if match is not None and match.score >= UNCLEAR:
                return self._from_match(match, prompted)
            if self._index.trickery is None:
                return self._unclear(prompted, LEAST_CONFIDENCE)
            return Understanding(self._index.trickery, prompted.business_line, 0.9, {})
        told = self._told(prompted, match)
        if told:
            collected = {**told, **self._mentioned(prompted, prompted.intent)}
            return self._with_next_step(self._going_on(prompted, 0.9, collected), prompted)
        return self._from_match(match, prompted)

    def _corrected(self, prompted: Prompted) -> dict[str, str]:
        """Return the value of a field that is named ("o destino é Vinhedo"), or that a correction is about."""
        text = SIGNS["corrects"].sub("", prompted.text.strip())
        intent = self._institution.intent(prompted.intent)
        line = self._institution.line(prompted.business_line)
        wanted = [*prompted.fields, *(intent.fields if intent else ()), *(line.fields if line else ())]
        fields = [field for field in self._institution.fields if field.id in wanted]
        for field in fields:
            named = re.search(rf"(?i)\b{re.escape(field.label)}\s+(?:é|eh|seria|is|was)\s+(?P<value>.+)", text)
            if named is not None and (value := answered(field, named["value"])):
                return {field.id: value}
        known = [field for field in fields if field.id in prompted.fields]
        about = self._closest(f"{text}?", known) if text != prompted.text.strip() else None
        value = answered(about, text) if about else None
        return {about.id: value} if about and value else {}

    def _going_on(self, prompted: Prompted, confidence: float, collected: dict[str, str]) -> Understanding:
        """Keep the intent; one that was already carried out does not start again."""
        intent = self._institution.intent(prompted.intent)
        if intent is not None and (intent.escalate or intent.conclude or intent.spam):
            intent = self._index.greeting
        return Understanding(intent or self._index.greeting, prompted.business_line, confidence, collected)

    def _small_talk(self, prompted: Prompted) -> Understanding | None:
        """Interpret replies that depend on the previous message."""
        if shows("dropped", prompted.text) or shows("waiting", prompted.text):
            return self._going_on(prompted, 0.8, {})
        if self._index.thanks is not None and says_thanks(prompted.text):
            return Understanding(self._index.thanks, prompted.business_line, 0.9, {})
        if asks_again(prompted.text) and prompted.replies:
            return self._with_next_step(self._going_on(prompted, 0.8, {}), prompted)
        if greets_again(prompted.text, self._language) and self._index.greeting is not None:
            return self._with_next_step(Understanding(self._index.greeting, prompted.business_line, 0.9, {}), prompted)
        if shows("asks_next", prompted.text) and prompted.replies:
            return self._with_next_step(self._going_on(prompted, 0.85, {}), prompted, asking=True)
        bare = bare_reply(prompted.text, self._language)
        asked = self._asked_field(prompted)
        if asked is not None and shows("declines", prompted.text):
            return self._with_next_step(self._going_on(prompted, 0.85, {}), prompted, asking=True)
        last = prompted.last_reply
        if shows("seasonal", prompted.text) and self._index.greeting is not None:
            return self._with_next_step(Understanding(self._index.greeting, prompted.business_line, 0.8, {}), prompted)
        if bare is None:
            return None
        if last is None:
            return self._unclear(prompted, LEAST_CONFIDENCE)
        if bare is Bare.SMILE:
            return self._going_on(prompted, 0.8, {})
        question = _LAST_SENTENCE.search(last.text)
        # What asks for no information: yes or no would answer it.
        wants_yes_or_no = (
            question and not shows("asks_for_content", question[0]) and not SIGNS["offers_to_act"].search(question[0])
        )
        if asked is not None and wants_yes_or_no:
            value = {asked.id: " ".join(prompted.text.split()).strip(" .!,;") or bare.value}
            return self._with_next_step(self._going_on(prompted, 0.9, value), prompted)
        if bare is Bare.NO and question is not None and self._index.goodbye and SIGNS["offers_more"].search(last.text):
            return Understanding(self._index.goodbye, prompted.business_line, 0.9, {})
        if bare is Bare.NO and asked is None:
            return self._going_on(prompted, 0.8, {})
        return self._with_next_step(self._going_on(prompted, 0.85, {}), prompted, asking=True)

    def _unclear(self, prompted: Prompted, confidence: float) -> Understanding:
        greeting = self._index.greeting
        options = greeting.options if greeting is not None else ()
        options = (options or tuple(line.name for line in self._institution.lines))[:MAX_OPTIONS]
        return Understanding(None, prompted.business_line, confidence, {}, WaitingFor.CLARIFICATION, options=options)

    def _thing(self, prompted: Prompted) -> dict[str, str]:
        """Take a sent place or order as the answer to the open question, if that asks for a place or a thing."""
        kind = prompted.messages[-1].kind
        value = tidy(" ".join(prompted.text.split()))
        if not value:
            return {}
        asked = self._asked_field(prompted)
        intent = self._institution.intent(prompted.intent)
        wanted = intent.fields if intent else ()
        fields = [field for field in self._institution.fields if field.id in wanted and field.id not in prompted.fields]
        kinds = _PLACES if kind == "location" else ("item", "need")
        fitting = [field for field in ([asked] if asked else []) + fields if kind_of(field) in kinds]
        return {fitting[0].id: value} if fitting else {}

    def _told(self, prompted: Prompted, match: Match | None) -> dict[str, str]:
        """Return the answer to the question asked, or to another open question of the same intent that shares its
        words.
        """
        asked = self._asked_field(prompted)
        if asked is None:
            return {}
        describes = (
            match is not None
            and match.intent.id == prompted.intent
            and kind_of(asked) == "need"
            and not begins_a_request(prompted.text)
        )
        if match is not None and not describes and match.score >= self._certain(asked, match, prompted):
            return {}
        asked = self._field_by_shape(asked, prompted)
        value = answered(asked, prompted.text)
        if value is not None:
            return {asked.id: value}
        intent = self._institution.intent(prompted.intent)
        said = set(self._index.stems(prompted.text))
        for field in self._missing(intent, {asked.id: ""}, prompted) if intent else ():
            if said & set(self._index.stems(field.question)) and (other := answered(field, prompted.text)):
                return {field.id: other}
        return {}

    def _certain(self, asked: FieldSpec, match: Match, prompted: Prompted) -> float:
        """Return the score that another intent needs to take precedence over the open question."""
        text = prompted.text
        names_line = match.intent.line not in (None, prompted.business_line) and (
            self._index.line_of(text) == match.intent.line
        )
        short = len(text.split()) <= SHORT_ANSWER_WORDS and not begins_a_request(text)
        if short and not names_line:
            return CERTAIN_WHATEVER_WAS_ASKED
        return SURE_ENOUGH_TO_CHANGE_SUBJECT if kind_of(asked) == "need" else CERTAIN_ENOUGH_FOR_SHORT_ANSWERS

    def _field_by_shape(self, asked: FieldSpec, prompted: Prompted) -> FieldSpec:
        """Return the field that the answer fits: the company's for a company's name, the person's for a lone first
        name.
        """
        intent = self._institution.intent(prompted.intent)
        wanted = intent.fields if intent else ()
        open_fields = {
            kind_of(field): field
            for field in self._institution.fields
            if field.id in wanted and field.id not in prompted.fields
        }
        text = prompted.text.strip()
        if kind_of(asked) in ("name", "need") and "company" in open_fields and SIGNS["company_look"].search(text):
            return open_fields["company"]
        lone_name = text.istitle() and text.isalpha() and not self._index.best(text)
        if kind_of(asked) not in ("name", "company", *_PLACES) and lone_name and "name" in open_fields:
            return open_fields["name"] if answered(open_fields["name"], text) else asked
        return asked

    def _from_match(self, match: Match | None, prompted: Prompted) -> Understanding:
        greeting = self._index.greeting
        main = self._index.main_intent(prompted.business_line) if prompted.business_line else None
        if main and (match is None or match.score < 0.5) and self._index.is_about(main.line, prompted.text):
            match = Match(main, 0.5)
        if (
            self._index.price
            and shows("price_question", prompted.text)
            and (match is None or match.score < SURE_ENOUGH_TO_CHANGE_SUBJECT)
        ):
            match = Match(self._index.price, SURE_ENOUGH_TO_CHANGE_SUBJECT)
        is_vague = match is None or (match.score < WEAK and not prompted.replies)
        if is_vague and greeting is not None and fold(prompted.text) and not self._index.stems(prompted.text):
            match = Match(greeting, 0.5)
        if match is None or match.score < WEAK:
            line = (self._index.line_of if prompted.business_line else self._index.nearest_line)(prompted.text)
            main = self._index.main_intent(line) if line else None
            if main is None:
                collected = self._mentioned(prompted, prompted.intent)
                if collected:
                    intent = self._institution.intent(prompted.intent) or greeting
                    return self._with_next_step(Understanding(intent, prompted.business_line, 0.7, collected), prompted)
                confidence = min(match.confidence, UNCLEAR - 0.01) if match else LEAST_CONFIDENCE
                return self._unclear(prompted, confidence)
            match = Match(main, 0.4)
        intent = match.intent
        line = intent.line or (prompted.business_line if intent is not greeting else None)
        if line is None and intent is not greeting:
            line = self._index.nearest_line(prompted.text)
        collected = self._mentioned(prompted, intent.id)
        return self._with_next_step(Understanding(intent, line, match.confidence, collected), prompted)

    def _with_next_step(self, understood: Understanding, prompted: Prompted, *, asking: bool = False) -> Understanding:
        """Add the next step: the options of the intent, else its first field that is still unknown."""
        intent = understood.intent
        if intent is None or intent.escalate or intent.conclude:
            return understood
        repeated = _was_said(intent.answer, prompted)
        if intent.options and not (repeated and (understood.collected or asking)):
            return replace(understood, waiting_for=WaitingFor.CHOICE, options=intent.options[:MAX_OPTIONS])
        missing = self._missing(intent, understood.collected, prompted)
        if not missing:
            return understood
        ends_with_question = intent.answer.rstrip().endswith("?") and not repeated
        field = self._closest(intent.answer, missing) if ends_with_question else missing[0]
        if field is None:
            return replace(understood, waiting_for=WaitingFor.FIELD)
        waiting_for = WaitingFor.IDENTIFICATION if kind_of(field) == "name" else WaitingFor.FIELD
        return replace(understood, waiting_for=waiting_for, ask_field=field.id)

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
        """Return the field that the assistant's last message asked for."""
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
        if not candidates or prompted.waiting_for != WaitingFor.FIELD:
            return None
        return next((field for field in candidates if kind_of(field) not in ("name", "company")), candidates[0])

    def _closest(self, text: str, fields: list[FieldSpec]) -> FieldSpec | None:
        """Return the field whose question shares most words with the question at the end of `text`."""
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

    # Task 2

    def _response(self, prompted: Prompted) -> str:
        decision = prompted.decision
        intent = self._institution.intent(decision.get("intent"))
        if prompted.rewrite:
            return intent.answer if intent else self._institution.text(FixedText.CLARIFY)
        if prompted.is_wordless and not _is_thing(prompted):
            return self._institution.text(FixedText.UNREADABLE)
        if prompted.unsure:
            return self._words["heard"].format(unsure=", ".join(prompted.unsure))
        collected = {each["name"]: each["value"] for each in decision.get("collected") or ()}
        if decision.get("waiting_for") == WaitingFor.CLARIFICATION or intent is None:
            return self._institution.text(FixedText.WELCOME_BACK if prompted.returning else FixedText.CLARIFY)
        asked = self._institution.field(decision.get("ask_field") or "")
        if "ask_field" not in decision and self._asks_something(prompted):
            asked = next(iter(self._missing(intent, collected, prompted)), None)
        body = self._body(intent, collected, prompted)
        if asked is not None and asked.question and not body.rstrip().endswith("?"):
            body = f"{body} {asked.question}"
        body = body.strip()
        if intent.escalate or intent.conclude or fold(body) not in {fold(reply) for reply in prompted.replies[-1:]}:
            return body
        return intent.answer if intent.id in self._index.courtesies else self._institution.text(FixedText.CLARIFY)

    def _body(self, intent: Intent, collected: dict[str, str], prompted: Prompted) -> str:
        said = _was_said(intent.answer, prompted)
        small = self._small_answer(intent, collected, prompted)
        if small is not None:
            return small
        if prompted.returning and intent is self._index.greeting:
            return self._institution.text(FixedText.WELCOME_BACK)
        if said and collected:
            return self._thanks(collected, prompted, has_question=self._asks_something(prompted))
        if intent is self._index.greeting and prompted.replies and not prompted.returning:
            question = _LAST_SENTENCE.search(intent.answer)
            return question[0].strip() if question else self._words["how"]
        if said and _was_said(intent.answer, prompted, RECENT_REPLIES):
            return self._something_new(intent, prompted)
        answer = intent.answer
        # The person is addressed by name once: when it was just given, or in the first reply to a known person.
        name = self._name_in(collected) or self._name_in(prompted.fields) or _first_name(prompted.person_name)
        if name is not None and not any(name.casefold() in reply.casefold() for reply in prompted.replies):
            if SIGNS["opening_greeting"].match(answer):
                answer = SIGNS["opening_greeting"].sub(rf"\1, {name}", answer, count=1)
            else:
                answer = f"{self._words['by_name'].format(name=name)} {answer}"
        if prompted.returning:
            return f"{_first_sentence(self._institution.text(FixedText.WELCOME_BACK))} {answer}"
        return answer

    def _small_answer(self, intent: Intent, collected: dict[str, str], prompted: Prompted) -> str | None:
        """Return the reply to a message that only agrees, declines, continues, greets again or sends a place or an
        order.
        """
        if intent.escalate or intent.conclude or not prompted.messages:
            return None
        asks = self._asks_something(prompted)
        if _is_thing(prompted) and (collected or not prompted.text or _was_said(intent.answer, prompted)):
            return self._thanks(collected, prompted, has_question=asks)
        if _is_thing(prompted) and intent is self._index.greeting:
            return f"{self._words['noted']} {self._words['how']}"
        if shows("dropped", prompted.text):
            return f"{self._words['as_you_like']} {self._words['more']}"
        if shows("waiting", prompted.text):
            return self._words["whenever"]
        if asks_again(prompted.text) and prompted.last_reply is not None:
            question = _LAST_SENTENCE.search(prompted.last_reply.text)
            return self._words["again"].format(question=question[0].strip()) if question else self._words["said_above"]
        if greets_again(prompted.text, self._language) and prompted.replies:
            return self._institution.text(FixedText.WELCOME_BACK)
        if shows("asks_next", prompted.text) and prompted.replies:
            return self._words["right"] if asks else self._words["goes_on"]
        bare = Bare.NO if shows("declines", prompted.text) else bare_reply(prompted.text, self._language)
        last = prompted.last_reply
        if bare is None or last is None or collected:
            return None
        if bare is Bare.NO:
            return self._words["without"] if asks else f"{self._words['as_you_like']} {self._words['more']}"
        if asks:
            return self._words["right"]
        if bare is Bare.YES and SIGNS["offers_more"].search(last.text):
            return f"{self._words['right']} {self._words['how']}"
        return self._words["right"] if _was_said(self._words["whenever"], prompted, 1) else self._words["whenever"]

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
        """Return text not used lately: the matching part of the line's section, else that there is no more to it."""
        if intent.id in self._index.courtesies:
            return _first_sentence(intent.answer)
        line = self._institution.line(prompted.decision.get("business_line") or intent.line)
        said = fold(" ".join(prompted.replies))
        passage = self._index.passage(line, prompted.text, said) if line else None
        if passage:
            return passage
        if intent is self._index.trickery:
            return self._institution.text(FixedText.CLARIFY)
        return self._words["noted"] if self._asks_something(prompted) else self._words["said_above"]

    def _name_in(self, values: dict[str, str]) -> str | None:
        field = next((field for field in self._institution.fields if kind_of(field) == "name"), None)
        return _first_name(values.get(field.id)) if field else None

    # Task 3

    def _message_type(self, prompted: Prompted) -> dict[str, Any]:
        options = prompted.decision.get("options") or ()
        intent = self._institution.intent(prompted.decision.get("intent"))
        asset = self._institution.asset(intent.asset) if intent else None
        text = prompted.text
        asks_nothing = _is_thing(prompted) or shows("asks_next", text) or bare_reply(text, self._language) is not None
        kind = MessageType.TEXT
        if options:
            kind = MessageType.BUTTON if len(options) <= MAX_BUTTONS else MessageType.LIST
        elif asset is not None and not (prompted.replies and asks_nothing):
            kind = asset.type
        label = self._institution.text(FixedText.LIST_LABEL) if kind is MessageType.LIST else ""
        return {
            "type": kind.value,
            "asset": asset.id if asset is not None and kind is asset.type else None,
            "list_label": label,
        }


def _chosen_title(prompted: Prompted) -> str | None:
    """Return the title that was tapped, or typed verbatim or by its number."""
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
        number = VOCABULARY.ordinals.get(word)
        if number is not None and number < len(last.options):
            return last.options[number]
    return None


def _is_thing(prompted: Prompted) -> bool:
    """Return whether the newest message is a place or an order."""
    return bool(prompted.messages) and prompted.messages[-1].kind in _THINGS


def _was_said(text: str, prompted: Prompted, lately: int = 0) -> bool:
    """Return whether an earlier reply contains the end of `text`; a name may have changed its beginning."""
    heart = fold(text)[-60:]
    return any(heart in fold(reply) for reply in prompted.replies[-lately:])


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.!?])\s", text, maxsplit=1)[0]


def _first_name(name: str | None) -> str | None:
    first = (name or "").split()[0] if (name or "").split() else ""
    return first if first.isalpha() and len(first) > 1 else None
