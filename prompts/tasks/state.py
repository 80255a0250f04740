"""Task 1: the next state of the conversation, and what was understood."""

import re
from operator import attrgetter

from contracts.conversation import Speaker, State, TaskName, WaitingFor
from contracts.decisions import MAX_OPTIONS, StateDecision, Wish
from contracts.institution import Intent
from observability.metrics import FALLBACKS
from prompts.caching.content import WORDS, folded
from prompts.request import TurnView, turn_input
from prompts.tasks.task import Schema, Task, enum, enum_or_null, list_of, object_of, require, text

SHORT_ANSWER_WORDS = 4
TELLING_LETTERS = 3
# Letters by which two forms of a word are known to be the same.
BEGINNING = 4
# Share of the words that message and trigger have in common, in [0, 1], from which an intent is probable.
PROBABLE = 0.3
# Below the confidence from which answers to a decision are kept for others (`prompts/caching/questions.py`).
UNSURE = 0.7
DESCRIPTION = "what the files show, in at most three sentences, for later turns, which do not see them"
_TOKEN = re.compile(r"\d+|[^\W\d_]+")


def schema(view: TurnView) -> Schema:
    """Return the schema with the legal destinations of the state and the ids of the institution alone."""
    institution = view.institution
    collected = object_of({"name": enum(field.id for field in institution.fields), "value": text()})
    described = {"description": text(DESCRIPTION)} if view.files else {}
    return object_of(
        {
            "next_state": enum(state.value for state in view.allowed_states),
            "confidence": {"type": "number", "description": "from 0 to 1"},
            "business_line": enum_or_null(line.id for line in institution.lines),
            "intent": enum_or_null(intent.id for intent in institution.intents),
            "waiting_for": enum(waiting.value for waiting in WaitingFor),
            "collected": list_of(collected),
            "ask_field": enum_or_null(view.askable_fields),
            "options": list_of(text()),
            "wish": enum_or_null(Wish),
            **described,
        }
    )


def check(answer: str, view: TurnView) -> StateDecision:
    """Parse the answer and hold it against the state table and the institution.

    Of the collected values those are kept that the person wrote; one that was heard with little confidence is asked for
    instead.

    Raises:
        ValidationError: it does not have the schema's shape.
        UnusableModelOutputError: it names a state, line, intent or field that is not allowed now.
    """
    decision, institution = StateDecision.model_validate_json(answer), view.institution
    allowed = ", ".join(state.value for state in view.allowed_states)
    require(decision.next_state in view.allowed_states, f"next_state must be one of {allowed}")
    require(
        decision.business_line is None or institution.line(decision.business_line) is not None,
        "business_line must be an id of the institution's lines or null",
    )
    require(
        decision.intent is None or institution.intent(decision.intent) is not None,
        "intent must be an id of the taxonomy or null",
    )
    require(
        all(institution.field(collected.name) is not None for collected in decision.collected),
        "collected may only name ids of the institution's fields",
    )
    require(
        decision.ask_field is None or decision.ask_field in view.askable_fields,
        "ask_field must be one of askable_fields or null",
    )
    collected = tuple(one for one in decision.collected if was_written(one.value, view))
    if len(collected) < len(decision.collected):
        FALLBACKS.labels(reason="collected_unsaid").inc()
    sure = tuple(one for one in collected if was_written(one.value, view, surely=True))
    doubtful = [one.name for one in collected if one not in sure]
    if not doubtful:
        return decision.model_copy(update={"collected": collected})
    FALLBACKS.labels(reason="collected_unsure").inc()
    asked = {"ask_field": doubtful[0], "waiting_for": WaitingFor.FIELD}
    return decision.model_copy(update={"collected": sure, **asked})


def was_written(value: str, view: TurnView, *, surely: bool = False) -> bool:
    """Whether the person wrote a value, or a form of it: most of its longer words by their beginnings, and its digits.

    Where the person wrote a number or a date in words, digits are not compared. A short message may agree with what our
    last line proposed, so that line's words count too. With `surely` numbers, names and addresses that were heard with
    little confidence count as not written.
    """
    window = view.conversation.window
    lines = [(one.text, one.content) for one in view.messages]
    lines += [(said.text, said.content) for said in window if said.speaker is Speaker.PERSON]
    unsure = [phrase for _, content in lines if content and surely for phrase in content.unsure]
    texts = [*(text for text, _ in lines), *view.quoted.values(), view.conversation.person_name or ""]
    if unsure:
        texts = [re.sub("|".join(map(re.escape, unsure)), " ", text) for text in texts]
    if sum(len(message.text.split()) for message in view.messages) <= SHORT_ANSWER_WORDS:
        texts += [" ".join((said.text, *said.options)) for said in window[-1:]]
    known = set(_TOKEN.findall(folded(" ".join(texts))))
    tokens = [token for token in _TOKEN.findall(folded(value)) if len(token) >= TELLING_LETTERS or token.isdigit()]
    words = [token for token in tokens if not token.isdigit()]
    beginnings = {token[:BEGINNING] for token in known | (WORDS.answers if known & WORDS.answers else set())}
    digits = "".join(token for token in tokens if token.isdigit())
    doubted = set(_TOKEN.findall(folded(" ".join(unsure))))
    is_spelled = not known.isdisjoint(spelled := WORDS.number_words | WORDS.dates) and doubted.isdisjoint(spelled)
    is_said = 2 * sum(word[:BEGINNING] in beginnings for word in words) >= len(words)
    return is_said and (is_spelled or digits in "".join(re.findall(r"\d", " ".join(texts))))


def clarification(decision: StateDecision, options: tuple[str, ...]) -> StateDecision:
    """Return the decision to ask what was meant, offering `options`."""
    return decision.model_copy(
        update={
            "next_state": State.PROCESSING,
            "waiting_for": WaitingFor.CLARIFICATION,
            "ask_field": None,
            "options": options[:MAX_OPTIONS],
        }
    )


def likely_decision(view: TurnView) -> StateDecision | None:
    """Return the most probable decision to go on, found without a model; None where none is probable.

    The intent is the one whose trigger has most words in common with the messages, by their beginnings; else the one
    in question.
    """
    institution, conversation = view.institution, view.conversation
    said = _beginnings(" ".join(message.text for message in view.messages))

    def likeness(intent: Intent) -> float:
        triggers = [_beginnings(trigger) for trigger in intent.triggers]
        return max((len(words & said) / len(words | said) for words in triggers if words), default=0)

    nearest = max(institution.intents, key=likeness, default=None)
    intent = nearest if nearest and likeness(nearest) >= PROBABLE else institution.intent(conversation.intent)
    if intent is None or intent.escalate or intent.conclude or intent.spam:
        return None
    is_new = intent.id != conversation.intent
    options = intent.options[:MAX_OPTIONS] if is_new else ()
    # The answer to a new intent often ends with the question for one of its fields.
    close = _beginnings(intent.answer.rpartition(". ")[2]) if is_new else set()
    fields = [one for id in intent.fields if id in view.askable_fields and (one := institution.field(id))]
    asked = None if options else max(fields, key=lambda field: len(_beginnings(field.question) & close), default=None)
    return StateDecision(
        next_state=State.PROCESSING,
        confidence=UNSURE,
        business_line=intent.line or conversation.business_line,
        intent=intent.id,
        waiting_for=WaitingFor.CHOICE if options else WaitingFor.FIELD if asked else WaitingFor.ANYTHING,
        ask_field=asked.id if asked else None,
        options=options,
    )


def _beginnings(text: str) -> set[str]:
    return {token[:BEGINNING] for token in _TOKEN.findall(folded(text)) if len(token) >= TELLING_LETTERS}


def foresees(likely: StateDecision, decision: StateDecision) -> bool:
    """Whether a reply to the likely decision is one to the decision: it has all that a reply depends on."""
    said = ("next_state", "business_line", "intent", "ask_field", "options", "wish")
    is_same = all(getattr(likely, name) == getattr(decision, name) for name in said)
    return is_same and decision.waiting_for is not WaitingFor.CLARIFICATION


TASK = Task(
    name=TaskName.STATE,
    template="select_state",
    answer=StateDecision,
    schema_name="state_decision",
    model_setting="model_state",
    input=turn_input,
    files=attrgetter("files"),
    schema=schema,
    check=check,
)
