"""What every recogniser guarantees, on each of them over HTTP; and the synthesizer."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.google.token import CLOUD, GoogleToken
from adapters.speech.google import GoogleTranscriber
from adapters.speech.local import LocalTranscriber
from adapters.speech.openai import OpenAiSynthesizer, OpenAiTranscriber
from adapters.speech.service import CheckedTranscriber, SpeechUnavailableError, seconds_of, silence
from contracts.errors import ConfigurationError, TransientError
from contracts.media import MediaFault, MediaFile, MediaRefusedError, Transcriber
from sandbox.app import SandboxSettings, create_app
from sandbox.recordings import spoken_in, voice_note
from sandbox.speech_api import SpeechBehaviour, SpeechFault, SpeechSandbox
from tests.builders import pyloto
from tests.models import service_account
from tests.sandbox.conftest import served

WITHIN = timedelta(seconds=1)
LONGEST = timedelta(seconds=120)


@dataclass
class Bed:
    transcriber: Transcriber
    service: SpeechSandbox
    name: str

    async def hear(self, text: str, **spoken: Any) -> Any:
        return await self.transcriber.transcribe(ogg(voice_note(text, **spoken)), language="pt")

    async def refusal(self, file: MediaFile) -> MediaFault:
        with pytest.raises(MediaRefusedError) as refused:
            await self.transcriber.transcribe(file, language="pt")
        return refused.value.reason


def ogg(content: bytes) -> MediaFile:
    return MediaFile(content=content, mime_type="audio/ogg")


@asynccontextmanager
async def speech_served() -> AsyncIterator[tuple[str, SpeechSandbox]]:
    app = create_app(SandboxSettings(institution=pyloto()))
    async with served(app) as address:
        yield address, app.state.speech


@pytest.fixture(params=["openai", "google"])
async def bed(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bed]:
    async with speech_served() as (address, service):
        inner: Transcriber
        if request.param == "openai":
            inner = OpenAiTranscriber(f"{address}/speech/v1", key="k", model="whisper-1", within=WITHIN)
        else:
            keys = service_account(tmp_path, token_uri=f"{address}/vertex/token")
            monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(keys))
            inner = GoogleTranscriber(
                "p", location="global", model="long", token=GoogleToken(CLOUD), within=WITHIN, url=f"{address}/speech"
            )
        transcriber = CheckedTranscriber(inner, request.param, longest=LONGEST)
        yield Bed(transcriber, service, request.param)
        await transcriber.close()


async def test_words_come_with_their_length_confidence_and_language(bed: Bed) -> None:
    heard = await bed.hear("Quanto custa o plano Básico?", seconds=4, confidence=0.9)
    assert heard.text == "Quanto custa o plano Básico?"
    assert heard.seconds == pytest.approx(4)
    assert heard.confidence == pytest.approx(0.9, abs=0.01)
    assert heard.language.startswith("pt")
    assert heard.unsure == ()


async def test_numbers_names_and_addresses_heard_with_little_confidence_are_named(bed: Bed) -> None:
    said = "Oi, meu nome é Ana Souza e o telefone é 11 98765 4321, o e-mail é ana arroba pyloto ponto com"
    sure = await bed.hear(said)
    heard = await bed.hear(said, unsure=["Souza", "98765", "arroba"])
    assert sure.unsure == ()
    assert heard.unsure == ("Ana Souza", "11 98765 4321", "ana arroba pyloto ponto com")
    elsewhere = await bed.hear(said, unsure=["telefone", "nome"])
    assert elsewhere.unsure == ()


@pytest.mark.parametrize("fault", [SpeechFault.EMPTY, SpeechFault.SUBTITLES, SpeechFault.REPEATED])
async def test_what_a_recogniser_makes_up_is_no_speech(bed: Bed, fault: SpeechFault) -> None:
    bed.service.behave(SpeechBehaviour(fault=fault))
    assert await bed.refusal(ogg(voice_note("x"))) is MediaFault.NO_SPEECH


async def test_silence_is_no_speech(bed: Bed) -> None:
    assert await bed.refusal(silence()) is MediaFault.NO_SPEECH


async def test_another_language_than_asked_for_is_not_trusted(bed: Bed) -> None:
    bed.service.behave(SpeechBehaviour(fault=SpeechFault.WRONG_LANGUAGE))
    heard = await bed.hear("Quanto custa?")
    assert heard.language.startswith("en")
    assert heard.confidence is not None
    assert heard.confidence <= 0.3


@pytest.mark.parametrize(
    "fault",
    [
        SpeechFault.SERVER_ERROR,
        SpeechFault.RATE_LIMITED,
        SpeechFault.UNAUTHORIZED,
        SpeechFault.STALLED,
        SpeechFault.CUT,
        SpeechFault.PAGE,
        SpeechFault.WRONG_SHAPE,
    ],
)
async def test_failure_of_the_service_may_pass_and_shows_no_words(bed: Bed, fault: SpeechFault) -> None:
    bed.service.behave(SpeechBehaviour(fault=fault, times=1))
    with pytest.raises(SpeechUnavailableError) as failed:
        await bed.hear("segredo")
    assert "segredo" not in repr(failed.value)
    assert (await bed.hear("segredo")).text == "segredo"


async def test_recordings_that_cannot_be_heard_are_refused_by_reason(bed: Bed) -> None:
    assert await bed.refusal(ogg(voice_note("x", seconds=121))) is MediaFault.TOO_LONG
    assert await bed.refusal(MediaFile(content=b"x", mime_type="image/png")) is MediaFault.WRONG_TYPE
    bed.service.behave(SpeechBehaviour(fault=SpeechFault.REFUSED))
    assert await bed.refusal(ogg(b"OggS")) is MediaFault.DAMAGED
    bed.service.counters.clear()
    await bed.refusal(ogg(voice_note("x", seconds=121)))
    assert not bed.service.counters.all(), "a recording that is too long is not paid for"


async def test_google_hears_a_minute(bed: Bed) -> None:
    file = ogg(voice_note("x", seconds=61))
    if bed.name == "google":
        assert await bed.refusal(file) is MediaFault.TOO_LONG
    else:
        assert (await bed.transcriber.transcribe(file, language="pt")).seconds == 61


def test_length_of_other_files_is_not_guessed() -> None:
    assert seconds_of(voice_note("x", seconds=2.5)) == 2.5
    assert [seconds_of(content) for content in (b"", b"OggS", b"RIFF....WAVE", voice_note("x")[:40])] == [0] * 4


async def test_synthesizer_speaks_opus_or_fails() -> None:
    async with speech_served() as (address, service):
        speaker = OpenAiSynthesizer(f"{address}/speech/v1", key="k", model="tts-1", voice="alloy", within=WITHIN)
        file = await speaker.speak("Bom dia!", language="pt")
        assert file.mime_type == "audio/ogg"
        assert spoken_in(file.content)["text"] == "Bom dia!"
        for fault in (SpeechFault.PAGE, SpeechFault.REFUSED, SpeechFault.STALLED, SpeechFault.SERVER_ERROR):
            service.behave(SpeechBehaviour(fault=fault))
            with pytest.raises(TransientError):
                await speaker.speak("Bom dia!", language="pt")
        await speaker.close()


def test_a_folder_without_a_model_is_named_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"model\.bin, config\.json, tokenizer\.json missing"):
        LocalTranscriber(tmp_path, within=WITHIN)


@pytest.mark.skipif("PROSA_TEST_WHISPER" not in os.environ, reason="PROSA_TEST_WHISPER: the folder of a Whisper model")
async def test_the_model_of_this_machine_refuses_silence_and_damage() -> None:
    inner = LocalTranscriber(Path(os.environ["PROSA_TEST_WHISPER"]), within=timedelta(seconds=60))
    bed = Bed(CheckedTranscriber(inner, "local", longest=LONGEST), SpeechSandbox(), "local")
    assert await bed.refusal(silence()) is MediaFault.NO_SPEECH
    assert await bed.refusal(ogg(b"OggS" + bytes(200))) is MediaFault.DAMAGED
    await bed.transcriber.close()
