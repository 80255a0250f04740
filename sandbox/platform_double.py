"""Doubles of chat platforms: what all of them share. A platform adds its address, its rules and its refusals."""

import asyncio
import itertools
import time
from abc import ABC, abstractmethod
from collections import deque
from datetime import UTC, datetime
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sandbox.behaviour import Counters, PlatformBehaviour, Script, ScriptedSend, SendFault
from sandbox.chance import Chance
from sandbox.graph_statuses import WebhookSender
from sandbox.media import MediaShelf
from sandbox.transport import JSON, BodyTooLargeError, Cut, Refusal, behaviour_route, page_of, parsed, read_body

KEPT_MESSAGES = 10_000
MAX_JSON_BYTES = 1024 * 1024
ERROR_PAGE = "<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"


class Refused(Refusal):
    """Refusal by a rule of the platform: its code, and what it says."""

    def __init__(self, code: int | str, text: str = "") -> None:
        super().__init__(text or str(code))
        self.code = code


class PlatformDouble(ABC):
    """A platform that takes messages by `POST`; `messages` are those that it took, oldest first.

    `media` are the files that people sent.

    A subclass has its routes, which end in `accept`, checks a message with `check`, answers with `accepted`, and
    refuses with `refused`. The token `invalid` is refused everywhere. Where it has an `echo`, the post follows each
    message, and is repeated until it is taken.
    """

    name: ClassVar[str]
    echoes: ClassVar[bool] = False
    """Whether a message may carry a reference of its sender."""

    def __init__(self, *, seed: int = 0) -> None:
        self._seed = seed
        self._numbers = itertools.count(1)
        self.counters = Counters()
        self.media = MediaShelf(time.monotonic)
        self.messages: deque[dict[str, Any]] = deque(maxlen=KEPT_MESSAGES)
        self.webhooks = WebhookSender(None, "", self.counters)
        self.behave(PlatformBehaviour())

    def post_to(self, url: str, app_secret: str) -> None:
        """Post to the product's webhooks there, signed as Meta signs."""
        self.webhooks = WebhookSender(f"{url}/{self.name}", app_secret, self.counters)

    def behave(self, behaviour: PlatformBehaviour) -> None:
        """From now on do this; the chance starts over."""
        self.behaviour = behaviour
        self.webhooks.behaviour = behaviour.statuses
        self._script: Script[ScriptedSend] = Script(behaviour.script)
        self._chance = Chance(self._seed if behaviour.seed is None else behaviour.seed)

    def routes(self) -> list[BaseRoute]:
        return [
            behaviour_route(self, PlatformBehaviour(), lambda: {"script_left": len(self._script)}),
            Route("/sandbox/messages", self._show_messages, methods=["GET", "DELETE"]),
            self.media.route(),
            *self.platform_routes(),
        ]

    @abstractmethod
    def platform_routes(self) -> list[BaseRoute]: ...

    @abstractmethod
    def check(self, method: str, content: dict[str, Any]) -> str:
        """Return the recipient of a message. Raises Refused: a rule of the platform is broken."""

    @abstractmethod
    def accepted(self, number: int, method: str, content: dict[str, Any]) -> dict[str, Any]: ...

    def text_of(self, content: dict[str, Any]) -> str:
        return str(content.get("text", ""))

    def reference_of(self, content: dict[str, Any]) -> str:
        return ""

    def echo(self, answer: dict[str, Any], content: dict[str, Any]) -> dict[str, Any] | None:
        """Return the post about a message that was accepted with `answer`; None: the platform posts none."""
        return None

    @abstractmethod
    def refused(self, refusal: Refused) -> Response: ...

    async def accept(self, request: Request, method: str, content: dict[str, Any]) -> Response:
        """Take the message, refuse it, or fail, as the behaviour has it."""
        self.counters.add("requests")
        try:
            to = self.check(method, content)
            scripted = self._script.take(lambda entry: entry.matches(to))
            dice, _ = self._chance.dice(repr((method, content)).encode())
            fault = scripted.fault if scripted else self.behaviour.fault(dice)
            waited_ms = dice.lognormal("latency", self.behaviour.latency.median_ms, self.behaviour.latency.sigma)
            await asyncio.sleep(waited_ms / 1000)
            if fault in (SendFault.SERVER_ERROR_PAGE, SendFault.UNAVAILABLE):
                self.counters.add(fault.value)
                return Response(ERROR_PAGE, status_code=502 if fault is SendFault.SERVER_ERROR_PAGE else 503)
            if fault is SendFault.CUT_BEFORE_ACCEPTING:
                return Cut()
            code = scripted.code if scripted else self.behaviour.error_code(dice)
            if code is not None:
                raise Refused(code)
        except Refused as exc:
            self.counters.add(f"code_{exc.code}")
            return self.refused(exc)
        number = next(self._numbers)
        taken = {"number": number, "to": to, "method": method, "at": datetime.now(UTC).isoformat(), "body": content}
        answer = self.accepted(number, method, content)
        self.messages.append(taken)
        self.counters.add("accepted")
        if echo := self.echo(answer, content):
            self.webhooks.post_soon(echo)
        return Cut() if fault is SendFault.CUT_AFTER_ACCEPTING else JSON(answer)

    async def content_of(self, request: Request) -> dict[str, Any]:
        """Return the JSON object of a request. Raises Refused: it is none."""
        try:
            content = parsed(await read_body(request, MAX_JSON_BYTES))
        except BodyTooLargeError as exc:
            raise Refused(413, "Request Entity Too Large") from exc
        if content is None:
            raise Refused(400, "Bad Request: the body is no JSON object")
        return content

    async def _show_messages(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.messages.clear()
            self.counters.clear()
        return JSON(page_of(self.messages, request) | {"counters": self.counters.all()})


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
