"""Task 3: the form of the reply."""

from contracts.conversation import TaskName
from contracts.decisions import MessageTypeChoice, StateDecision
from contracts.messages import MessageType
from prompts.request import TurnView, turn_input
from prompts.tasks.json_schema import Schema, enum, enum_or_null, object_of, text
from prompts.tasks.task import Task

# Templates and reactions are sent by rules of the engine, not chosen by the model.
OFFERED_TYPES = tuple(kind for kind in MessageType if kind not in (MessageType.TEMPLATE, MessageType.REACTION))


def schema(view: TurnView) -> Schema:
    """Return the schema with the types of the channel alone, and of the assets those that it can carry."""
    carried = view.limits.types if view.limits is not None else frozenset(MessageType)
    return object_of(
        {
            "type": enum(kind.value for kind in OFFERED_TYPES if kind in carried),
            "asset": enum_or_null(asset.id for asset in view.institution.assets if asset.type in carried),
            "list_label": text("at most 20 characters"),
        }
    )


def check(answer: str, _view: TurnView) -> MessageTypeChoice:
    return MessageTypeChoice.model_validate_json(answer)


def fallback_message_type(decision: StateDecision) -> MessageTypeChoice:
    """Return the form for when the task has no answer: the one it would most often choose."""
    if not decision.options:
        return MessageTypeChoice(type=MessageType.TEXT)
    return MessageTypeChoice(type=MessageType.BUTTON if len(decision.options) <= 3 else MessageType.LIST)


TASK = Task(
    name=TaskName.MESSAGE_TYPE,
    template="select_message_type",
    answer=MessageTypeChoice,
    schema_name="message_type_choice",
    model_setting="model_message_type",
    input=turn_input,
    schema=schema,
    check=check,
)
