"""A model that fails as the real one does, over HTTP: every message is answered, hardly anybody notices."""

from pathlib import Path

import httpx
import pytest

from cli.demo import read_samples
from cli.runtime import open_runtime
from cli.settings import read_settings
from contracts.conversation import State
from contracts.institution import FixedText
from tests.builders import pyloto
from tests.playing import play_all

CONVERSATIONS = 120
# Of every hundred calls: ten overloaded or rate limited, two cut, one invalid or illegal.
FAULTS = {
    "rate_limited": 0.05,
    "overloaded": 0.05,
    "cut_before_headers": 0.01,
    "cut_after_headers": 0.01,
    "invalid_json": 0.003,
    "wrong_schema": 0.003,
    "illegal_state": 0.004,
    "retry_after_seconds": 0.2,
    "stream_error": 0.01,
}


@pytest.mark.slow
async def test_less_than_one_turn_in_a_hundred_shows_it(tmp_path: Path) -> None:
    settings = read_settings({"PROSA_DATA_DIR": str(tmp_path), "PORT": "0"}, env_file=None)
    async with open_runtime(settings) as runtime, httpx.AsyncClient() as client:
        behaviour = f"{runtime.sandbox_url}/anthropic/sandbox/behaviour"
        (await client.put(behaviour, json=FAULTS)).raise_for_status()
        samples = [sample.says for sample in read_samples("pt-BR") if len(sample.says) > 1]
        turns = await play_all(runtime, [samples[number % len(samples)] for number in range(CONVERSATIONS)])
        seen = (await client.get(f"{runtime.sandbox_url}/anthropic/sandbox/requests?limit=1")).json()["counters"]
    failures = sum(count for name, count in seen.items() if name.startswith("fault_"))
    assert failures > 0.1 * seen["requests"], "the model did not fail as often as it was told to"

    away = pyloto().text(FixedText.MODEL_AWAY)
    asked = [turn for turn in turns if turn.tasks]
    assert len(asked) > 2 * CONVERSATIONS
    assert all(turn.replies or turn.state is State.SPAM for turn in asked)
    visible = [turn for turn in asked if any(reply.text == away for reply in turn.replies)]
    assert len(visible) < 0.01 * len(asked)
    assert all(turn.state is State.ESCALATING for turn in visible)
