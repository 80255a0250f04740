"""Whole turns with every provider and form of structured output, over HTTP."""

from pathlib import Path

import httpx
import pytest

from adapters.channels.web import web_conversation_id, web_message
from adapters.waiting import wait_for_receipt
from cli.runtime import open_runtime
from cli.settings import read_settings
from contracts.conversation import TurnRecord
from contracts.values import MessageId
from tests.collector import collecting
from tests.models import MODELS, sandboxed_model

TASKS = ("STATE", "RESPONSE", "MESSAGE_TYPE", "ANALYSIS")


async def turn_of(folder: Path, behaviour: dict[str, bool] | None = None, **environ: str) -> TurnRecord:
    """The turn of a first message."""
    settings = read_settings({"PROSA_DATA_DIR": str(folder), "PORT": "0"} | environ, env_file=None)
    async with open_runtime(settings) as runtime:
        if behaviour is not None:
            async with httpx.AsyncClient() as client:
                await client.put(f"{runtime.sandbox_url}/anthropic/sandbox/behaviour", json=behaviour)
        backend = runtime.backend
        message = web_message("m", MessageId("m-1"), "Oi, bom dia", at=runtime.engine.drain.clock.now())
        await backend.inbox.append([message])
        await runtime.queue.wake(message.conversation_id)
        receipt = await wait_for_receipt(
            backend.store.conversations, backend.events, web_conversation_id("m"), message.id, seconds=30
        )
        assert receipt is not None
        turn = await backend.store.conversations.turn_of(receipt)
        assert turn is not None
        return turn


@pytest.mark.parametrize("form", ["tool", "prompt"])
async def test_a_server_without_output_config_and_token_counts_answers_turns(tmp_path: Path, form: str) -> None:
    local = {"without_output_config": True, "without_usage": True, "fenced": True}
    turn = await turn_of(tmp_path, local, PROSA_STRUCTURED_OUTPUT=form)
    assert turn.replies
    assert not turn.fallback
    assert {task.outcome for task in turn.tasks} == {"ok"}
    assert turn.cost_usd is None


async def test_in_the_wrong_form_a_person_still_gets_a_reply(tmp_path: Path) -> None:
    turn = await turn_of(tmp_path, {"without_output_config": True})
    assert turn.replies
    assert turn.fallback


async def test_bedrock_answers_turns_at_its_own_price_and_is_named_in_spans(tmp_path: Path) -> None:
    with collecting() as collector:
        async with sandboxed_model("bedrock") as bed:
            turn = await turn_of(
                tmp_path,
                PROSA_MODEL_PROVIDER="bedrock",
                AWS_REGION="eu-central-1",
                AWS_BEARER_TOKEN_BEDROCK="sandbox",
                ANTHROPIC_BEDROCK_BASE_URL=f"{bed.url}/bedrock",
                PROMPTER_USE_TRACING="true",
                OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
                **{f"PROSA_MODEL_{task}": MODELS["bedrock"] for task in TASKS},
            )
    assert turn.replies
    assert not turn.fallback
    assert turn.cost_usd is not None
    called = [span for span in collector.spans if span.name == "ai.execute"]
    assert {span.attributes["gen_ai.provider.name"] for span in called} == {"aws.bedrock"}
