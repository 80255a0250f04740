"""Speech services: OpenAI's audio API, and Google's Speech-to-Text v2. They hear what a recording's tags say.

Sources: https://platform.openai.com/docs/api-reference/audio and
https://cloud.google.com/speech-to-text/v2/docs/reference/rest/v2/projects.locations.recognizers/recognize
"""

import asyncio
import math
from base64 import b64decode
from enum import StrEnum
from typing import Annotated, Any

import orjson
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sandbox.behaviour import AnyLatency, Counters, Latency, Setting
from sandbox.graph_validation import GraphError
from sandbox.media import read_form
from sandbox.media_faults import LOGIN_PAGE, STALLED_SECONDS
from sandbox.recordings import spoken_in, voice_note
from sandbox.transport import JSON, Cut, behaviour_route

UNSURE = 0.2
SECONDS_OF_A_CHARACTER = 0.07


# Ways in which a speech service fails, or hears what was not said.
SpeechFault = StrEnum(
    "SpeechFault",
    "SERVER_ERROR RATE_LIMITED UNAUTHORIZED REFUSED STALLED CUT PAGE WRONG_SHAPE EMPTY SUBTITLES REPEATED "
    "WRONG_LANGUAGE",
)
_STATUSES = {
    SpeechFault.SERVER_ERROR: 500,
    SpeechFault.RATE_LIMITED: 429,
    SpeechFault.UNAUTHORIZED: 401,
    SpeechFault.REFUSED: 400,
}
_HEARD: dict[SpeechFault, dict[str, Any]] = {
    SpeechFault.EMPTY: {"text": ""},
    SpeechFault.SUBTITLES: {"text": "Legendas pela comunidade Amara.org", "confidence": 0.9},
    SpeechFault.REPEATED: {"text": "Obrigado. " * 30, "confidence": 0.9},
    SpeechFault.WRONG_LANGUAGE: {"text": "How much is it?", "language": "english"},
}


class SpeechBehaviour(Setting):
    """Behaviour of the service; the next `times` requests, or all, whose path ends with `on` meet the fault."""

    latency: AnyLatency = Latency()
    fault: SpeechFault | None = None
    on: str = ""
    times: Annotated[int, Field(ge=1)] | None = None


class SpeechSandbox:
    """`/v1/audio/transcriptions`, `/v1/audio/speech`, `/v2/...:recognize`."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.behave(SpeechBehaviour())

    def behave(self, behaviour: SpeechBehaviour) -> None:
        self.behaviour = behaviour
        self._faults_left = behaviour.times

    def routes(self) -> list[BaseRoute]:
        recognize = "/v2/projects/{project}/locations/{location}/recognizers/{recognizer}"
        return [
            behaviour_route(self, SpeechBehaviour(), lambda: {"counters": self.counters.all()}),
            Route("/v1/audio/transcriptions", self._transcribe, methods=["POST"]),
            Route("/v1/audio/speech", self._speak, methods=["POST"]),
            Route(recognize, self._recognize, methods=["POST"]),
        ]

    async def _transcribe(self, request: Request) -> Response:
        try:
            fields, content, _ = read_form(await request.body(), request.headers.get("content-type", ""))
        except GraphError:
            return JSON({"error": {"message": "multipart/form-data is needed"}}, status_code=400)
        if content is None or not fields.get("model"):
            return JSON({"error": {"message": "file and model are required"}}, status_code=400)
        spoken = await self._hear(request, content)
        if isinstance(spoken, Response):
            return spoken
        text, seconds = spoken.get("text", ""), spoken.get("seconds", 1.0)
        segment = {"id": 0, "start": 0, "end": seconds, "text": text, "no_speech_prob": spoken.get("silence", 0.01)}
        segment["avg_logprob"] = math.log(spoken.get("confidence", 0.95))
        if "unsure" in spoken:
            segment["words"] = [{"word": word, "start": 0, "probability": sure} for word, sure in _words(spoken)]
        answer = {"task": "transcribe", "language": spoken.get("language", "portuguese"), "duration": seconds}
        return JSON({**answer, "text": text, "segments": [segment] if text else []})

    async def _recognize(self, request: Request) -> Response:
        asked = orjson.loads(await request.body())
        spoken = await self._hear(request, b64decode(asked["content"]))
        if isinstance(spoken, Response):
            return spoken
        seconds = spoken.get("seconds", 1.0)
        if seconds > 60:
            return JSON({"error": {"code": 400, "message": "Audio duration must be at most 60 s"}}, status_code=400)
        best = {"transcript": spoken.get("text", ""), "confidence": spoken.get("confidence", 0.95)}
        best["words"] = [{"word": word, "confidence": sure} for word, sure in _words(spoken)]
        language = {"english": "en-us"}.get(spoken.get("language", ""), asked["config"]["languageCodes"][0].lower())
        result = {"alternatives": [best], "resultEndOffset": f"{seconds:g}s", "languageCode": language}
        return JSON({"results": [result]} if best["transcript"] else {"metadata": {}})

    async def _speak(self, request: Request) -> Response:
        asked = orjson.loads(await request.body())
        if isinstance(failed := await self._hear(request, b""), Response):
            return failed
        seconds = len(asked["input"]) * SECONDS_OF_A_CHARACTER
        return Response(voice_note(asked["input"], seconds=seconds), media_type="audio/ogg")

    async def _hear(self, request: Request, content: bytes) -> dict[str, Any] | Response:
        """Return what is spoken, or what is heard in its place, after the time that it takes; or the failure."""
        self.counters.add("requests")
        await asyncio.sleep(self.behaviour.latency.median_ms / 1000)
        if request.headers.get("authorization", "").endswith("invalid"):
            return Response(status_code=401)
        is_met = (self._faults_left is None or self._faults_left > 0) and request.url.path.endswith(self.behaviour.on)
        fault = self.behaviour.fault if is_met else None
        if fault is not None and self._faults_left is not None:
            self._faults_left -= 1
        match fault:
            case None:
                return spoken_in(content)
            case SpeechFault.STALLED:
                await asyncio.sleep(STALLED_SECONDS)
            case SpeechFault.CUT:
                return Cut()
            case SpeechFault.PAGE:
                return Response(LOGIN_PAGE, media_type="text/html")
            case SpeechFault.WRONG_SHAPE:
                return JSON({"text": ["not", "a", "text"], "results": {"alternatives": 1}})
        status = _STATUSES.get(fault)
        return JSON({"error": {"message": fault}}, status_code=status) if status else _HEARD.get(fault, {})


def _words(spoken: dict[str, Any]) -> list[tuple[str, float]]:
    unsure = {word for phrase in spoken.get("unsure", ()) for word in phrase.split()}
    sure = spoken.get("confidence", 0.95)
    return [(word, UNSURE if word.strip(".,?!") in unsure else sure) for word in spoken.get("text", "").split()]
