"""Two releases side by side: what the newer one added to a stored value does not stop the older one."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from contracts import analysis, conversation, delivery, institution, messages
from contracts.conversation import Conversation
from contracts.delivery import InboxEntry, Record
from contracts.institution import Institution
from contracts.values import ConversationId, Kept, Value
from tests.builders import START, inbound, pyloto

STORED = [
    one
    for module in (conversation, messages, delivery, analysis, institution)
    for one in vars(module).values()
    if isinstance(one, type) and issubclass(one, Kept) and one is not Kept
]


def test_every_value_that_stands_in_a_store_is_known() -> None:
    names = {one.__name__ for one in STORED}
    assert {"Conversation", "TurnRecord", "InboundMessage", "InboxEntry", "OutboxRow", "Record", "Institution"} <= names


@pytest.mark.parametrize("stored", STORED, ids=lambda one: one.__name__)
def test_what_a_newer_release_added_is_passed_over(stored: type[BaseModel]) -> None:
    assert stored.model_config["extra"] == "ignore"
    assert stored.model_config["frozen"]


@pytest.mark.parametrize(
    "value",
    [
        Conversation(id=ConversationId("c")),
        InboxEntry(sequence=1, attempts=0, message=inbound("Olá")),
        Record(collection="c", key="k", body={}, updated_at=START),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_newer_document_reads_as_the_value_it_was(value: Kept) -> None:
    newer: dict[str, Any] = value.model_dump(mode="json") | {"added_in_a_later_release": {"deep": [1]}}
    assert type(value).model_validate(newer) == value


def test_a_text_that_a_newer_release_published_is_passed_over() -> None:
    published = pyloto().model_dump(mode="json")
    published["texts"]["added_in_a_later_release"] = "Um momento."
    assert Institution.model_validate_json(json.dumps(published)) == pyloto()


def test_other_values_take_nothing_they_do_not_know() -> None:
    class Other(Value):
        known: int = 0

    with pytest.raises(ValidationError):
        Other.model_validate({"unknown": 1})
