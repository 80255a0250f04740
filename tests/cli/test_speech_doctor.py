"""The doctor's check of the recogniser: over HTTP, against the double of a speech service."""

from pathlib import Path

import pytest

from adapters.http.listener import listen
from cli.doctor import examine
from cli.serving import server_of
from cli.settings import read_settings
from contracts.findings import Health
from sandbox.app import SandboxSettings, create_app
from sandbox.speech_api import SpeechBehaviour, SpeechFault
from tests.builders import pyloto


@pytest.mark.parametrize(
    ("fault", "health"),
    [
        (None, Health.OK),
        (SpeechFault.SUBTITLES, Health.OK),
        (SpeechFault.WRONG_LANGUAGE, Health.NOTE),
        (SpeechFault.UNAUTHORIZED, Health.FAILED),
        (SpeechFault.REFUSED, Health.FAILED),
        (SpeechFault.SERVER_ERROR, Health.FAILED),
        (SpeechFault.WRONG_SHAPE, Health.FAILED),
    ],
)
async def test_a_second_of_silence_shows_how_the_recogniser_is(
    tmp_path: Path, fault: SpeechFault | None, health: Health
) -> None:
    app = create_app(SandboxSettings(institution=pyloto()))
    async with server_of(app).running(listen("127.0.0.1", 0)) as url:
        app.state.speech.behave(SpeechBehaviour(fault=fault))
        speech = {"PROSA_TRANSCRIBER": "openai", "PROSA_TRANSCRIBER_URL": f"{url}/speech/v1"}
        settings = read_settings({"PROSA_DATA_DIR": str(tmp_path), "PORT": "0", **speech}, env_file=None)
        (found,) = [one for one in await examine(settings) if one.check == "transcriber"]
    assert found.health is health
    assert bool(found.next_step) is (health is not Health.OK)
    assert app.state.speech.counters.all()["requests"] == 1


async def test_without_a_recogniser_it_says_what_to_set(tmp_path: Path) -> None:
    settings = read_settings({"PROSA_DATA_DIR": str(tmp_path), "PORT": "0"}, env_file=None)
    (found,) = [one for one in await examine(settings) if one.check == "transcriber"]
    assert found.health is Health.NOTE
    assert "PROSA_TRANSCRIBER" in found.next_step
