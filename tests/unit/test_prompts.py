"""Templates and requests: the stable prefix to the byte, and a person's words as data."""

import hashlib
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from context.loader import load_institution
from contracts.conversation import Conversation, State
from contracts.decisions import StateDecision
from contracts.errors import ConfigurationError, PromptNotFoundError
from contracts.messages import ChannelName
from contracts.ports import ModelRequest
from contracts.values import ConversationId
from prompts.registry import PromptRegistry
from prompts.render import TurnView, build_request
from tests.builders import DOCUMENTS, inbound, pyloto

TASKS = ("select_state", "generate_response", "select_message_type")
ANALYSES = ("handoff_summary", "conversation_review")


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
    template = PromptRegistry.read().get(task)
    return build_request(template, view, model="m", schema_name="s", schema={}, timeout=timedelta(seconds=1))


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


def test_a_change_of_a_template_is_meant() -> None:
    """The hash stands in every turn's record; whoever changes a template's words changes its version, or this line."""
    labels = {template.source.name: template.label for template in PromptRegistry.read().all()}
    assert set(labels) == {*TASKS, *ANALYSES}
    for name, label in labels.items():
        source = PromptRegistry.read().get(name).source
        assert label == f"{name}_v{source.version}@{hashlib.sha256(source.model_dump_json().encode()).hexdigest()[:8]}"


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
    line = pyloto().line("crm")
    assert line
    assert line.body in user
    assert user.count("<business_line") == 1


def test_an_unknown_template_is_named_with_what_there_is() -> None:
    with pytest.raises(PromptNotFoundError, match=r"no template 'greet'.*select_state v1"):
        PromptRegistry.read().get("greet")
    with pytest.raises(PromptNotFoundError, match="version 9"):
        PromptRegistry.read().get("select_state", 9)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("x_v1.yaml", "name: x\nversion: 1\n", "system"),
        ("x_v1.yaml", "name: [", "x_v1.yaml"),
        ("x_v2.yaml", "name: x\nversion: 1\ndescription: d\nmax_tokens: 1\nsystem: s\nuser: u\n", "rename one"),
        ("x_v1.yaml", "name: x\nversion: 1\ndescription: d\nmax_tokens: 1\nsystem: s\nuser: '{{ x '\n", "x_v1.yaml"),
        ("x_v1.yaml", "name: x\nversion: 1\ndescription: d\nmax_tokens: 1\nsystem: s\nuser: u\nmore: 1\n", "more"),
    ],
)
def test_a_bad_template_stops_the_start(tmp_path: Path, name: str, content: str, expected: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=expected):
        PromptRegistry.read(tmp_path)


def test_a_template_that_names_an_unknown_value_is_an_error_not_a_gap(tmp_path: Path) -> None:
    text = "name: x\nversion: 1\ndescription: d\nmax_tokens: 1\nsystem: s\nuser: '{{ nothing }}'\n"
    (tmp_path / "x.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="nothing"):
        PromptRegistry.read(tmp_path).get("x").render_user({})
