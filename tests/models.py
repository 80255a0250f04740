"""Language models of every provider against the sandbox's doubles, and requests as the product sends them."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette

from adapters.http.listener import listen
from adapters.models.anthropic import AnthropicModel
from adapters.models.bedrock import BedrockModel
from adapters.models.vertex import VertexModel
from cli.serving import server_of
from contracts.conversation import Conversation, State
from contracts.messages import ChannelName
from contracts.ports import ChannelLimits, LanguageModel, ModelRequest, ModelResponse, StructuredOutput, SystemBlock
from contracts.values import ConversationId
from prompts.execution.policies import (
    Breakers,
    CircuitModel,
    DeferredModel,
    MeteredModel,
    RetryingModel,
    SharingModel,
    compose,
)
from prompts.request import TurnView
from prompts.tasks.registry import ANALYSES, task_of
from prompts.tasks.transcript import AnalysisView
from sandbox.app import SandboxSettings, create_app
from sandbox.behaviour import ModelBehaviour
from tests.builders import inbound, meter, pyloto

PROVIDERS = ("anthropic", "vertex", "bedrock")


def _policies(model: LanguageModel) -> LanguageModel:
    return compose(model, meter=meter(), breakers=_breakers(), fallback_model=None, monotonic=time.monotonic, **_RETRY)


def _breakers() -> Breakers:
    return Breakers(monotonic=time.monotonic)


_RETRY: dict[str, Any] = {"chance": lambda: 0.0, "sleep": lambda _: asyncio.sleep(0)}
# Every wrapper of the port, around Anthropic's model.
WRAPPERS: Mapping[str, Callable[[LanguageModel], LanguageModel]] = {
    "retrying": lambda model: RetryingModel(model, fallback_model=None, breakers=_breakers(), **_RETRY),
    "metered": lambda model: MeteredModel(model, meter(), provider="anthropic"),
    "circuit": lambda model: CircuitModel(model, _breakers()),
    "sharing": lambda model: SharingModel(model, monotonic=time.monotonic),
    "policies": _policies,
    "deferred": lambda model: DeferredModel(lambda: model),
}
MODELS = {"bedrock": "us.anthropic.claude-haiku-5-5-v1:0"}
CONVERSATION = (
    '<conversation>{"state":"UNDERSTANDING_INTENT","allowed_states":["PROCESSING","ESCALATING"],'
    '"waiting_for":"anything","person_name":null,"fields":{},"business_line":null,"intent":null,'
    '"first_conversation":true,"returning":false,"history":[],"askable_fields":[],'
    '"messages":[{"kind":"text","text":"Oi, bom dia","choice":null}]}</conversation>'
)


def schema_of(template: str = "select_state", *, limits: ChannelLimits | None = None, **head: Any) -> dict[str, Any]:
    """The schema of a task's answer, for a first message or a conversation that consists of it."""
    task, turn = task_of(template), turn_view(limits=limits, **head)
    return task.schema(AnalysisView(pyloto(), turn.conversation, ()) if task in ANALYSES else turn)


def turn_view(*, limits: ChannelLimits | None = None, **head: Any) -> TurnView:
    return TurnView(
        institution=pyloto(),
        conversation=Conversation(id=ConversationId("c"), **head),
        messages=(inbound(),),
        channel=ChannelName.WEB,
        allowed_states=(State.PROCESSING, State.ESCALATING),
        askable_fields=(),
        limits=limits,
    )


def request(**changes: Any) -> ModelRequest:
    base: dict[str, Any] = {
        "model": "claude-haiku-5-5",
        "system": (SystemBlock(text=pyloto().prompt_core, cached=True), SystemBlock(text="Decide.", cached=True)),
        "user": CONVERSATION,
        "schema_name": "state_decision",
        "output_schema": schema_of(),
        "max_tokens": 1024,
        "timeout": timedelta(seconds=5),
    }
    return ModelRequest(**(base | changes))


def service_account(folder: Path, *, token_uri: str) -> Path:
    """The file of a service account whose access tokens come from `token_uri`."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "service-account.json"
    content = {
        "type": "service_account",
        "client_email": "prosa@test.iam.gserviceaccount.com",
        "private_key": pem.decode(),
        "token_uri": token_uri,
    }
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def model_of(provider: str, url: str, *, key: str = "sandbox", **options: Any) -> LanguageModel:
    """A model of the provider whose API is at `url`, or one of Anthropic in a wrapper."""
    if provider in WRAPPERS:
        return WRAPPERS[provider](AnthropicModel(api_key=key, base_url=url, **options))
    match provider:
        case "vertex":
            return VertexModel(project="test", region="europe-west1", base_url=f"{url}/v1", **options)
        case "bedrock":
            return BedrockModel(region="eu-central-1", api_key=key, base_url=url, **options)
    return AnthropicModel(api_key=key, base_url=url, **options)


@dataclass
class Bed:
    """A model, and the sandbox that answers it."""

    model: LanguageModel
    provider: str
    url: str
    app: Starlette
    pieces: list[str] = field(default_factory=list)

    def behave(self, **behaviour: Any) -> None:
        self.app.state.model.behave(ModelBehaviour(**behaviour))

    def request(self, **changes: Any) -> ModelRequest:
        return request(**({"model": MODELS.get(self.provider, "claude-haiku-5-5")} | changes))

    async def ask(self, *, streamed: bool = False, **changes: Any) -> ModelResponse:
        """The answer; what was heard of a stream is in `pieces`."""
        self.pieces.clear()
        return await self.model.complete(self.request(**changes), on_text=self._hear if streamed else None)

    async def _hear(self, piece: str) -> None:
        self.pieces.append(piece)


@asynccontextmanager
async def sandboxed_model(
    provider: str = "anthropic", output: StructuredOutput = StructuredOutput.OUTPUT_CONFIG
) -> AsyncIterator[Bed]:
    app = create_app(SandboxSettings(institution=pyloto()))
    async with server_of(app).running(listen("127.0.0.1", 0)) as url:
        platform = "anthropic" if provider in WRAPPERS else provider
        model = model_of(provider, f"{url}/{platform}", output=output)
        try:
            yield Bed(model, provider, url, app)
        finally:
            await model.close()


@asynccontextmanager
async def model_before(answer: Any, provider: str = "anthropic", **options: Any) -> AsyncIterator[Bed]:
    """A model whose provider is the ASGI application `answer`."""
    async with server_of(answer).running(listen("127.0.0.1", 0)) as url:
        model = model_of(provider, url, **options)
        try:
            yield Bed(model, provider, url, Starlette())
        finally:
            await model.close()
