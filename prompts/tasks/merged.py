"""State, response and message type in one answer, for the merged architecture of a turn.

Each part is held against the view as its own task would be; when it is unusable, the three tasks are asked.
"""

from dataclasses import replace
from operator import attrgetter
from typing import Any

import orjson
from pydantic import TypeAdapter
from pydantic_core import from_json

from contracts.conversation import State, TaskName
from contracts.decisions import StateDecision, TurnAnswer
from contracts.errors import UnusableModelOutputError
from prompts.execution.quality import Scores
from prompts.request import TurnView, turn_input
from prompts.tasks import message_type, response, state
from prompts.tasks.task import Schema, Task, enum, enum_or_null, object_of, require
from prompts.templating.source import TurnInput

_PARTS = TypeAdapter(dict[str, dict[str, Any]])


def merged_input(view: TurnView) -> TurnInput:
    """Return the input of Task 1, with the most probable business line in full: the reply may cite it."""
    likely = state.likely_decision(view)
    line = turn_input(replace(view, decision=likely)).line
    return turn_input(view).model_copy(update={"line": line})


def schema(view: TurnView) -> Schema:
    """Return the schemas of the three tasks as one; every asset is offered, as the intent is not known yet."""
    form = message_type.schema(view)
    form["properties"] |= {
        "type": enum(kind.value for kind in message_type.OFFERED_TYPES if message_type.is_carried(kind, view)),
        "asset": enum_or_null(one.id for one in view.institution.assets if message_type.is_carried(one.type, view)),
    }
    return object_of({"state": state.schema(view), "response": response.schema(view), "message_type": form})


def check(answer: str, view: TurnView) -> TurnAnswer:
    """Parse the answer and check its parts; those of a reply only where the conversation goes on.

    Raises:
        ValidationError: it does not have the schema's shape.
        UnusableModelOutputError: a part names what is not allowed now.
    """
    parts = {name: orjson.dumps(part).decode() for name, part in _PARTS.validate_json(answer).items()}
    require(set(TurnAnswer.model_fields) <= parts.keys(), "the answer has state, response and message_type")
    decision = state.check(parts["state"], view)
    if decision.next_state is not State.PROCESSING:
        return TurnAnswer(state=decision)
    decided = replace(view, decision=decision)
    return TurnAnswer(
        state=decision,
        response=response.check(parts["response"], decided),
        message_type=message_type.check(parts["message_type"], decided),
    )


def state_so_far(answer: str, view: TurnView) -> StateDecision | None:
    """Return the state of an answer that still forms, once its part is complete and usable and a reply follows."""
    try:
        parts = from_json(answer, allow_partial=True)
        if not isinstance(parts, dict) or "state" not in list(parts)[:-1]:
            return None
        decision = state.check(orjson.dumps(parts["state"]).decode(), view)
    except (ValueError, UnusableModelOutputError):
        return None
    return decision if decision.next_state is State.PROCESSING else None


def scores(answer: TurnAnswer, view: TurnView) -> Scores:
    return response.scores(answer.response, view) if answer.response else {}


TASK = Task(
    name=TaskName.MERGED,
    template="answer_turn",
    answer=TurnAnswer,
    schema_name="turn_answer",
    model_setting="model_response",
    input=merged_input,
    files=attrgetter("files"),
    schema=schema,
    check=check,
    scores=scores,
    gated=True,
    repairs=False,
)
