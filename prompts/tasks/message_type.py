"""Task 3: the form of the reply."""

from contracts.conversation import TaskName
from contracts.decisions import MessageTypeChoice, StateDecision
from contracts.institution import Asset
from contracts.messages import MessageType
from prompts.request import TurnView, turn_input
from prompts.tasks.task import Schema, Task, enum, enum_or_null, object_of, text

# Templates and reactions are sent by rules of the engine, not chosen by the model.
OFFERED_TYPES = tuple(kind for kind in MessageType if kind not in (MessageType.TEMPLATE, MessageType.REACTION))


def schema(view: TurnView) -> Schema:
    """Return the schema with the types of the channel alone, and the asset of the intent, where it has one."""
    asset = offered_asset(view)
    kinds = {MessageType.TEXT, MessageType.BUTTON, MessageType.LIST, *([asset.type] if asset else [])}
    return object_of(
        {
            "type": enum(kind.value for kind in OFFERED_TYPES if kind in kinds and is_carried(kind, view)),
            "asset": enum_or_null([asset.id] if asset else []),
            "list_label": text("at most 20 characters"),
        }
    )


def offered_asset(view: TurnView) -> Asset | None:
    """Return the asset of the intent, where the channel can carry it."""
    intent = view.institution.intent(view.decision.intent if view.decision else None)
    asset = view.institution.asset(intent.asset if intent else None)
    return asset if asset is not None and is_carried(asset.type, view) else None


def is_carried(kind: MessageType, view: TurnView) -> bool:
    return view.limits is None or kind in view.limits.types


def check(answer: str, view: TurnView) -> MessageTypeChoice:
    """Parse the answer; an asset that the intent does not have is left out, with its type."""
    choice, asset = MessageTypeChoice.model_validate_json(answer), offered_asset(view)
    if choice.asset is None or (asset is not None and choice.asset == asset.id):
        return choice
    return fallback_message_type(view.decision) if view.decision else MessageTypeChoice(type=MessageType.TEXT)


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
