"""Language models of every provider against the sandbox's doubles, and requests as the product sends them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette

from adapters.http.listener import listen
from adapters.models.anthropic import AnthropicModel, MessagesModel
from adapters.models.bedrock import BedrockModel
from adapters.models.vertex import VertexModel
from cli.serving import server_of
from contracts.conversation import State
from contracts.ports import ModelRequest, ModelResponse, StructuredOutput, SystemBlock
from prompts.tasks.schemas import state_schema
from sandbox.app import SandboxSettings, create_app
from sandbox.behaviour import ModelBehaviour
from tests.builders import pyloto

PROVIDERS = ("anthropic", "vertex", "bedrock")
MODELS = {"bedrock": "us.anthropic.claude-haiku-5-5-v1:0"}
CONVERSATION = (
    '<conversation>{"state":"UNDERSTANDING_INTENT","allowed_states":["PROCESSING","ESCALATING"],'
    '"waiting_for":"anything","person_name":null,"fields":{},"business_line":null,"intent":null,'
    '"first_conversation":true,"returning":false,"history":[],"askable_fields":[],'
    '"messages":[{"kind":"text","text":"Oi, bom dia","choice":null}]}</conversation>'
)


def schema() -> dict[str, Any]:
    return state_schema(
        states=[State.PROCESSING, State.ESCALATING],
        lines=[line.id for line in pyloto().lines],
        intents=[intent.id for intent in pyloto().intents],
        fields=["name"],
        askable=[],
    )


def request(**changes: Any) -> ModelRequest:
    base: dict[str, Any] = {
        "model": "claude-haiku-5-5",
        "system": (SystemBlock(text=pyloto().prompt_core, cached=True), SystemBlock(text="Decide.", cached=True)),
        "user": CONVERSATION,
        "schema_name": "state_decision",
        "output_schema": schema(),
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


def model_of(provider: str, url: str, *, key: str = "sandbox", **options: Any) -> MessagesModel:
    """A model of the provider whose API is at `url`."""
    match provider:
        case "vertex":
            return VertexModel(project="test", region="europe-west1", base_url=f"{url}/v1", **options)
        case "bedrock":
            return BedrockModel(region="eu-central-1", api_key=key, base_url=url, **options)
    return AnthropicModel(api_key=key, base_url=url, **options)


@dataclass
class Bed:
    """A model, and the sandbox that answers it."""

    model: MessagesModel
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
        model = model_of(provider, f"{url}/{provider}", output=output)
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
