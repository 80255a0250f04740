"""The sandbox as one application: models at /anthropic, /vertex and /bedrock, speech, WhatsApp at /graph, a page."""

import html
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from context.loader import load_institution
from contracts.institution import Institution
from sandbox.anthropic_api import ModelSandbox
from sandbox.behaviour import GraphBehaviour, ModelBehaviour
from sandbox.chatwoot_api import ChatwootSandbox
from sandbox.graph_api import GraphSandbox
from sandbox.messenger_api import InstagramSandbox, MessengerSandbox
from sandbox.model_platforms import bedrock_routes, vertex_routes
from sandbox.platform_double import PlatformDouble
from sandbox.slack_api import SlackSandbox
from sandbox.speech_api import SpeechSandbox
from sandbox.telegram_api import TelegramSandbox
from sandbox.transport import JSON, SandboxMark

NOTICE = (
    "This is the Prosa sandbox: a stand-in for Anthropic's and Meta's services. Nothing here reaches a real person."
)

# `$name` is filled in.
_PAGE = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class SandboxSettings:
    """Settings of a sandbox. `institution` is a folder of documents, or one that was read already."""

    institution: Path | Institution
    seed: int = 0
    webhook_url: str | None = None
    app_secret: str = "sandbox"
    model: ModelBehaviour = field(default_factory=ModelBehaviour)
    graph: GraphBehaviour = field(default_factory=GraphBehaviour)


MODEL_CALLS = "/anthropic/v1/messages"


class _Marked(Starlette):
    """Starlette with the sandbox's mark around everything, its own error pages included.

    Model calls go past its router: there are three for each turn, and a load test should not spend its machine here.
    """

    answer_model_call: Callable[[Request], Awaitable[Response]]

    def build_middleware_stack(self) -> ASGIApp:
        app = super().build_middleware_stack()

        async def model_calls_first(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["path"] == MODEL_CALLS and scope["method"] == "POST":
                await (await self.answer_model_call(Request(scope, receive)))(scope, receive, send)
            else:
                await app(scope, receive, send)

        return SandboxMark(model_calls_first)


def create_app(settings: SandboxSettings) -> Starlette:
    """The application. Its two halves are at `app.state.model` and `app.state.graph`, for tests in the same process.

    Raises:
        InstitutionError: the documents do not say what they must.
    """
    institution = settings.institution
    if isinstance(institution, Path):
        institution = load_institution(institution)
    model = ModelSandbox(institution, behaviour=settings.model, seed=settings.seed)
    graph = GraphSandbox(
        app_secret=settings.app_secret, webhook_url=settings.webhook_url, behaviour=settings.graph, seed=settings.seed
    )
    kinds: tuple[type[PlatformDouble], ...] = (
        TelegramSandbox,
        SlackSandbox,
        MessengerSandbox,
        InstagramSandbox,
        ChatwootSandbox,
    )
    doubles = [kind(seed=settings.seed) for kind in kinds]
    if settings.webhook_url is not None:
        for double in doubles:
            double.post_to(settings.webhook_url.rpartition("/")[0], settings.app_secret)
    speech = SpeechSandbox()
    name = institution.name

    async def front_page(request: Request) -> Response:
        counters = {"model": model.counters.all(), "whatsapp": graph.counters.all()}
        if "text/html" not in request.headers.get("accept", ""):
            return JSON({"sandbox": True, "notice": NOTICE, "institution": name, "counters": counters})
        page = _PAGE.substitute(
            notice=NOTICE,
            institution=html.escape(name),
            base=html.escape(str(request.base_url).rstrip("/")),
            model=_rows(counters["model"]),
            graph=_rows(counters["whatsapp"]),
        )
        return HTMLResponse(page)

    async def health(request: Request) -> Response:
        return JSON({"status": "ok", "sandbox": True})

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        for sender in (graph.webhooks, *(double.webhooks for double in doubles)):
            await sender.close()

    app = _Marked(
        routes=[
            Route("/", front_page),
            Route("/healthz", health),
            Mount("/anthropic", routes=model.routes()),
            Mount("/vertex", routes=vertex_routes(model.answered, model.counted)),
            Mount("/bedrock", routes=bedrock_routes(model.answered)),
            Mount("/graph", routes=graph.routes()),
            Mount("/speech", routes=speech.routes()),
            *(Mount(f"/{double.name}", routes=double.routes()) for double in doubles),
        ],
        lifespan=lifespan,
    )
    app.answer_model_call = model.create
    app.state.model = model
    app.state.graph = graph
    app.state.speech = speech
    app.state.platforms = {double.name: double for double in doubles}
    return app


def _rows(counters: dict[str, Any]) -> str:
    return "".join(f"<tr><td>{html.escape(each)}</td><td>{value}</td></tr>" for each, value in counters.items())
