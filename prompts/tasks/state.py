"""Task 1: the next state of the conversation, and what was understood."""

from contracts.conversation import State, TaskName, WaitingFor
from contracts.decisions import MAX_OPTIONS, StateDecision
from prompts.request import TurnView, turn_input
from prompts.tasks.json_schema import Schema, enum, enum_or_null, list_of, object_of, text
from prompts.tasks.task import Task, require


def schema(view: TurnView) -> Schema:
    """Return the schema with the legal destinations of the state and the ids of the institution alone."""
    institution = view.institution
    collected = object_of({"name": enum(field.id for field in institution.fields), "value": text()})
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
        }
    )


def check(answer: str, view: TurnView) -> StateDecision:
    """Parse the answer and hold it against the state table and the institution.

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
    return decision


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


TASK = Task(
    name=TaskName.STATE,
    template="select_state",
    answer=StateDecision,
    schema_name="state_decision",
    model_setting="model_state",
    input=turn_input,
    schema=schema,
    check=check,
)
