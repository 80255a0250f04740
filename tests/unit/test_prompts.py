"""Templates and requests: the stable prefix to the byte, and a person's words as data."""

from datetime import timedelta

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from context.loader import load_institution
from contracts.conversation import Conversation, State
from contracts.decisions import StateDecision
from contracts.errors import PromptNotFoundError
from contracts.messages import ChannelName
from contracts.ports import ModelRequest
from contracts.values import ConversationId
from prompts.request import TurnView
from prompts.tasks.registry import task_of
from prompts.templating.registry import PromptRegistry
from tests.builders import DOCUMENTS, inbound, pyloto

REGISTRY = PromptRegistry.read()
TASKS = ("select_state", "generate_response", "select_message_type")


def request(task: str, text: str = "Oi", **changes: object) -> ModelRequest:
    base = {
        "institution": pyloto(),
        "conversation": Conversation(id=ConversationId("c"), state=State.UNDERSTANDING_INTENT),
        "messages": (inbound(text),),
        "channel": ChannelName.WEB,
        "allowed_states": (State.PROCESSING,),
        "askable_fields": ("name",),
    }
    view = TurnView(**(base | changes))  # type: ignore[arg-type]
    return task_of(task).request(view, REGISTRY.get(task), model="m", timeout=timedelta(seconds=1))


def test_the_three_tasks_and_all_conversations_share_the_first_bytes() -> None:
    requests = [request(task, text) for task in TASKS for text in ("Oi", "Quero outra coisa")]
    assert len({one.system[0].text for one in requests}) == 1
    for task in TASKS:
        assert len({one.system for one in (request(task, "a"), request(task, "b"))}) == 1
    assert all(block.cached for one in requests for block in one.system)


def test_the_prefix_is_the_same_bytes_whenever_it_is_built() -> None:
    again = load_institution(DOCUMENTS / "pyloto")
    assert again.prompt_core.encode() == pyloto().prompt_core.encode()
    assert request("select_state", institution=again).system == request("select_state").system


# The hash stands in every turn's record: whoever changes what a template says changes its line here, on purpose.
LABELS = {
    "answer_turn_v1@84b35e1c",
    "conversation_review_v1@3367d591",
    "generate_response_v1@429064c9",
    "generate_response_v2@784103be",
    "handoff_summary_v1@7dee6cb7",
    "handoff_summary_v2@1ae3cb9b",
    "interview_question_v1@2d7238cc",
    "interview_question_v2@2d5c5e5c",
    "judge_v1@115a93f3",
    "select_message_type_v1@8a4f6822",
    "select_message_type_v2@72f9ca5d",
    "select_state_v1@e83def92",
    "select_state_v2@daa193a6",
}


def test_a_change_of_a_template_is_meant() -> None:
    assert {template.label for template in REGISTRY.all()} == LABELS


@settings(deadline=None)
@given(st.text(max_size=300))
def test_no_text_of_a_person_can_leave_its_tag(text: str) -> None:
    user = request("select_state", text.encode("utf-8", "replace").decode()).user
    assert user.count("<conversation>") == user.count("</conversation>") == 1
    inner = user.split("<conversation>")[1].split("</conversation>")[0]
    assert "<" not in inner
    assert orjson.loads(inner)["messages"][0]["kind"] == "text"


def test_only_the_line_in_question_is_there_in_full() -> None:
    assert "<business_line" not in request("select_state").user
    decision = StateDecision(next_state=State.PROCESSING, confidence=1, business_line="crm")
    user = request("generate_response", decision=decision).user
    for passage in pyloto().passages:
        assert (f"[{passage.id}] {passage.text}" in user) == passage.id.startswith("line.crm.")
    assert user.count("<business_line") == 1


def test_an_unknown_template_is_named_with_what_there_is() -> None:
    with pytest.raises(PromptNotFoundError, match=r"no template 'greet'.*select_state v1"):
        REGISTRY.get("greet")
    with pytest.raises(PromptNotFoundError, match="version 9"):
        REGISTRY.get("select_state", 9)
