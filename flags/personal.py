"""Values for one person alone, kept in the conversation's head: forced flags, and the integrator's attributes."""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from contracts.conversation import Conversation
from contracts.delivery import TurnCommit
from contracts.errors import ChangeRefusedError, ConversationConflictError
from contracts.ports import ConversationStore
from contracts.values import ConversationId, Scalar
from flags.definitions import AttributeName, Flag
from flags.experiments.definitions import PREFIX, Experiment

ATTEMPTS, MAX_ATTRIBUTES = 5, 50
ENGINE_ATTRIBUTES = frozenset({"channel", "language", "returning", "business_line"})
# A value for which the engine takes its default.
_DEFAULTS: Mapping[type, Scalar] = {int: 0, str: "", float: -1.0}


def _are_not_the_engine_s(attributes: dict[str, Any]) -> dict[str, Any]:
    if taken := sorted(ENGINE_ATTRIBUTES & attributes.keys()):
        raise ValueError(f"{', '.join(taken)}: the engine sets it")
    return attributes


Attributes = Annotated[
    dict[AttributeName, Scalar | None], Field(max_length=MAX_ATTRIBUTES), AfterValidator(_are_not_the_engine_s)
]
"""Attributes to set, by name; None removes one."""


def did_you_mean(key: str, known: Iterable[str]) -> str:
    close = get_close_matches(key, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def forced_by(
    key: str,
    variant: str,
    *,
    flags: Mapping[str, Flag],
    experiments: Mapping[str, Experiment],
    asked: Mapping[str, type],
) -> dict[str, Scalar]:
    """Return the values that a variant of a flag, an arm of an experiment, or a plain value of a key has, by key.

    Raises:
        ChangeRefusedError: there is no such key, variant or value.
    """
    if experiment := experiments.get(key.removeprefix(PREFIX)):
        arms = {arm.name: arm for arm in experiment.arms}
        if variant not in arms:
            raise ChangeRefusedError(f"{experiment.key} has no arm {variant}; it has: {', '.join(arms)}")
        return {experiment.flag_key: variant, **arms[variant].config}
    if key not in asked:
        known = [*asked, *experiments]
        raise ChangeRefusedError(f"nothing asks for {key}{did_you_mean(key, known)}")
    kind, flag = asked[key], flags.get(key)
    if flag is not None and (found := next((one for one in flag.answers if one.name == variant), None)):
        plain = found.name != flag.control_variant.name if kind is bool else _DEFAULTS[kind]
        return {key: plain if found.value is None else found.value, **found.config}
    try:
        return {
            key: {"true": True, "on": True, "false": False, "off": False}[variant] if kind is bool else kind(variant)
        }
    except (KeyError, ValueError) as exc:
        names = f", or one of {', '.join(one.name for one in flag.answers)}" if flag else ""
        raise ChangeRefusedError(f"{key} takes a value of the type {kind.__name__}{names}; not {variant}") from exc


async def force(
    conversation_id: ConversationId, values: Mapping[str, Scalar] | None, conversations: ConversationStore
) -> Conversation:
    """Force more values from the next message on; None: no value is forced any more."""
    return await _change(
        conversation_id, lambda head: {"forced": {} if values is None else {**head.forced, **values}}, conversations
    )


async def set_attributes(
    conversation_id: ConversationId, attributes: Mapping[str, Scalar | None], conversations: ConversationStore
) -> Conversation:
    """Set attributes, which segments see from the next episode on; before the first message they are seen at once.

    Raises:
        ChangeRefusedError: the person would have too many.
    """

    def changed(head: Conversation) -> dict[str, Any]:
        kept = {name: value for name, value in {**head.attributes, **attributes}.items() if value is not None}
        if len(kept) > MAX_ATTRIBUTES:
            raise ChangeRefusedError(f"a person has at most {MAX_ATTRIBUTES} attributes")
        return {"attributes": kept}

    return await _change(conversation_id, changed, conversations)


async def _change(
    conversation_id: ConversationId, change: Callable[[Conversation], dict[str, Any]], conversations: ConversationStore
) -> Conversation:
    for _ in range(ATTEMPTS):
        head = await conversations.load(conversation_id) or Conversation(id=conversation_id)
        try:
            return await conversations.commit(TurnCommit(conversation=head.model_copy(update=change(head))))
        except ConversationConflictError:
            continue
    raise ConversationConflictError(conversation_id)
