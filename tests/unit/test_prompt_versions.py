"""Which version of a template a conversation gets, and that it keeps it."""

import sqlite3
from pathlib import Path

import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cli.settings import read_settings
from contracts.conversation import Conversation, State, TaskName, TurnRecord
from contracts.errors import ConfigurationError, PromptNotFoundError
from contracts.ports import ModelRequest
from contracts.settings import Settings
from prompts.prompter import TURN_TEMPLATES
from prompts.templating.registry import STRUCTURED, Chooser, PromptVersions, fixed, versions_for
from sandbox.brain import Brain
from tests.builders import (
    ROOT,
    EngineBed,
    agreeable,
    analyst,
    conversation_id,
    decision,
    engine_bed,
    inbound,
    memory_inbox,
    memory_store,
    pyloto,
    registry,
    scripted,
)
from tests.scripted import ScriptedModel
from worker.drain import drain

PROSE = dict.fromkeys(TURN_TEMPLATES, 1)
SECOND = dict.fromkeys(TURN_TEMPLATES, 2) | {"judge": 1}  # the judge has one version
STRUCTURED_SWITCH = fixed(STRUCTURED)
NO_OPINION = fixed({})


def bed_of(*choosers: Chooser, after: EngineBed | None = None, model: ScriptedModel | None = None) -> EngineBed:
    """An engine; `after` another one it is the same installation, started again with other settings."""
    inbox, store = (after.inbox, after.store) if after else (memory_inbox(), memory_store())
    return engine_bed(inbox, store, model=model, choosers=choosers)


async def say(bed: EngineBed, text: str = "Oi", conversation: str = "c-1") -> TurnRecord:
    message = inbound(text, conversation=conversation, at=bed.clock.now())
    await bed.inbox.append([message])
    await drain(message.conversation_id, bed.engine.drain)
    turn = (await bed.store.conversations.turns(message.conversation_id))[-1]
    assert message.id in turn.message_ids
    return turn


def versions_in(turn: TurnRecord) -> set[str]:
    return {task.template.partition("@")[0].rpartition("_")[2] for task in turn.tasks if task.task != TaskName.JUDGE}


async def stored(bed: EngineBed) -> Conversation:
    head = await bed.store.conversations.load(conversation_id())
    assert head is not None
    return head


# Choosing


@given(st.none() | st.sampled_from([1, 2, 9]), st.none() | st.sampled_from([1, 2, 9]))
def test_the_experiment_goes_before_the_flag_and_the_flag_before_the_default(
    experiment: int | None, flag: int | None
) -> None:
    versions = PromptVersions(registry(), [lambda *_: experiment, lambda *_: flag])
    there = [version for version in (experiment, flag) if version in (1, 2)]
    assert versions.choose("select_state", "c") == (there[0] if there else 1)


def test_a_chooser_is_asked_with_the_template_and_the_conversation() -> None:
    asked: list[tuple[str, str]] = []
    versions = PromptVersions(registry(), [lambda name, targeting: asked.append((name, targeting))])
    assert versions.chosen(["select_state", "generate_response"], "web:ana") == {
        "select_state": 1,
        "generate_response": 1,
    }
    assert asked == [("select_state", "web:ana"), ("generate_response", "web:ana")]


def test_what_a_conversation_keeps_and_is_gone_falls_back_to_the_default() -> None:
    versions = PromptVersions(registry(), [NO_OPINION])
    assert versions.template("select_state", {"select_state": 2}).version == 2
    assert versions.template("select_state", {"select_state": 9}).version == 1
    assert versions.template("select_state", {}).version == 1
    with pytest.raises(PromptNotFoundError, match="there are: answer_turn v1"):
        versions.template("nothing", {"nothing": 2})


def test_every_second_version_is_there_and_the_switches_choose_it() -> None:
    for name in STRUCTURED:
        assert versions_for(registry(), choice=True, structured=True).for_everybody(name).version == 2
        assert versions_for(registry(), choice=True, structured=False).for_everybody(name).version == 1
        assert versions_for(registry(), choice=False, structured=False).for_everybody(name).version == 1
    assert versions_for(registry(), choice=True, structured=True).for_everybody("conversation_review").version == 1


@pytest.mark.parametrize(
    ("environ", "choice", "structured"),
    [
        ({}, True, False),
        ({"PROMPTER_USE_TEMPLATES": "false"}, False, False),
        ({"PROMPTER_USE_STRUCTURED_TEMPLATES": "true"}, True, True),
        ({"PROMPTER_USE_TEMPLATES": "true", "PROMPTER_USE_STRUCTURED_TEMPLATES": "1"}, True, True),
    ],
)
def test_the_switches_are_settings(environ: dict[str, str], choice: bool, structured: bool) -> None:
    settings: Settings = read_settings(environ, env_file=None)
    assert (settings.use_templates, settings.use_structured_templates) == (choice, structured)


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        (
            {"PROMPTER_USE_TEMPLATES": "false", "PROMPTER_USE_STRUCTURED_TEMPLATES": "true"},
            "PROMPTER_USE_STRUCTURED_TEMPLATES",
        ),
        ({"PROMPTER_USE_TEMPLATE": "true"}, "did you mean PROMPTER_USE_TEMPLATES?"),
    ],
)
def test_switches_that_contradict_each_other_stop_the_start(environ: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        read_settings(environ, env_file=None)
    assert named in str(error.value)


# Keeping


async def test_a_conversation_keeps_its_versions_when_the_switch_moves() -> None:
    before = bed_of(STRUCTURED_SWITCH)
    assert versions_in(await say(before)) == {"v2"}
    assert (await stored(before)).prompt_versions == SECOND
    after = bed_of(NO_OPINION, after=before)
    assert versions_in(await say(after)) == {"v2"}
    assert versions_in(await say(after, conversation="c-2")) == {"v1"}


async def test_the_next_episode_is_chosen_for_again() -> None:
    closing = scripted(state=[decision(next_state="PROCESSING"), decision(next_state="COMPLETED"), decision()])
    bed = bed_of(STRUCTURED_SWITCH, model=closing)
    await say(bed)
    await say(bed, "só isso")
    assert (await stored(bed)).state is State.COMPLETED
    assert (await stored(bed)).prompt_versions == SECOND
    after = bed_of(NO_OPINION, after=bed)
    assert versions_in(await say(after, "voltei")) == {"v1"}
    assert (await stored(after)).prompt_versions == PROSE


async def test_the_kill_switch_reaches_running_conversations() -> None:
    before = bed_of(STRUCTURED_SWITCH)
    await say(before)
    assert versions_in(await say(bed_of(after=before))) == {"v1"}


async def test_a_conversation_of_the_release_before_goes_on_as_it_was() -> None:
    bed = bed_of(NO_OPINION)
    await say(bed)
    head = await stored(bed)
    older = head.model_dump_json(exclude={"prompt_versions"})
    assert Conversation.model_validate_json(older).prompt_versions == {}

    def overwrite(c: sqlite3.Connection) -> None:
        assert c.execute("UPDATE conversations SET head = ? WHERE id = ?", (older, head.id)).rowcount == 1

    await bed.store._database.run(overwrite)  # type: ignore[attr-defined]
    after = bed_of(STRUCTURED_SWITCH, after=bed)
    assert versions_in(await say(after)) == {"v1"}


def test_an_analysis_is_asked_with_the_chosen_version() -> None:
    model = ScriptedModel(agreeable)
    assert {analyst(model).label(kind).partition("@")[0] for kind in analyst(model)._templates} == {
        "handoff_summary_v1",
        "conversation_review_v1",
        "interview_question_v1",
    }


# Behaving alike, as far as a stand-in can tell

TASKS = {
    "state_decision": TaskName.STATE,
    "response_draft": TaskName.RESPONSE,
    "message_type_choice": TaskName.MESSAGE_TYPE,
    "judge_verdict": TaskName.JUDGE,
}


def thinking() -> ScriptedModel:
    """The sandbox's answers: it reads the conversation out of a prompt, and of the task only which one it is."""
    brain = Brain(pyloto())

    async def answer(request: ModelRequest) -> str:
        return orjson.dumps(brain.answer(TASKS[request.schema_name], request.user)).decode()

    return ScriptedModel(answer)


@pytest.mark.parametrize(
    "sample",
    yaml.safe_load(Path(ROOT / "cli" / "samples" / "pt-BR.yaml").read_text(encoding="utf-8")),
    ids=lambda sample: str(sample["title"]),
)
async def test_recorded_conversations_go_the_same_way_with_both_versions(sample: dict[str, list[str]]) -> None:
    """The stand-in obeys no instruction, so this shows that both prompts carry the same conversation, and no more."""
    ways = []
    for chooser in (NO_OPINION, STRUCTURED_SWITCH):
        bed = bed_of(chooser, model=thinking())
        turns = [await say(bed, text) for text in sample["says"]]
        ways.append([(turn.path, turn.intent, turn.waiting_for, turn.replies, turn.reason) for turn in turns])
        used = {version for turn in turns for version in versions_in(turn)}
        assert used == ({"v1"} if chooser is NO_OPINION else {"v2"})
    assert ways[0] == ways[1]
    assert any(turn[3] for turn in ways[0]) or "SPAM" in {state for turn in ways[0] for state in turn[0]}
