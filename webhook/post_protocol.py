"""HTTP connections on which a platform's post is answered without a request, a task and a cycle of its own.

A post that comes in one piece, as nearly all do, goes to its intake where it is read, and its answer is written where
it is settled. Everything else goes uvicorn's way to the app, also a post in pieces, one that waits for `100 Continue`,
and one behind another that is not answered yet: the app's route gives them to the same intake.

It builds on uvicorn's protocol, whose attributes are not a public interface: `tests/webhook/test_post_protocol.py` has
a real server show what is relied on.
"""

import asyncio
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from adapters.http.problems import answer_to
from webhook.platform_posts import TAKEN, Intake, Post

# uvicorn wakes a cycle's reader when the connection ends. A post has been read.
NOBODY_READS = asyncio.Event()


class _Cycle:
    """A post that is not answered yet, as far as uvicorn asks for it when a connection or the server ends."""

    __slots__ = ("disconnected", "keep_alive", "message_event", "response_complete")

    def __init__(self, *, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False
        self.message_event = NOBODY_READS


class PostProtocol(HttpToolsProtocol):
    """`intakes` by path."""

    def __init__(self, *, intakes: Mapping[str, Intake], **given: Any) -> None:
        super().__init__(**given)
        self._intakes = {path.encode(): intake for path, intake in intakes.items()}
        # The intake of the post whose headers were read, and what there is of its body.
        self._intake: Intake | None = None
        self._body: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._intake is not None:
            self._go_on_in_pieces()

    def on_headers_complete(self) -> None:
        self._intake = self._intakes.get(self.url)
        if self._intake is None or not self._is_simple():
            self._intake = None
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._intake is None:
            super().on_body(body)
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._intake is None:
            super().on_message_complete()
            return
        intake, self._intake = self._intake, None
        post = Post(self.headers, b"".join(self._body), time.perf_counter())
        self._body.clear()
        keep_alive = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        cycle = _Cycle(keep_alive=keep_alive)
        self.cycle = cycle  # type: ignore[assignment]  # it has what uvicorn asks for
        intake.take(post, lambda error: self._answer(cycle, error))

    def _is_simple(self) -> bool:
        return (
            self.parser.get_method() == b"POST"
            and not self.expect_100_continue
            and not self.parser.should_upgrade()
            and (self.cycle is None or self.cycle.response_complete)
            and (self.limit_concurrency is None or len(self.connections) < self.limit_concurrency)
        )

    def _go_on_in_pieces(self) -> None:
        """The post is not whole: what is there of it becomes a request, which is read as it comes."""
        self._intake, pieces = None, list(self._body)
        self._body.clear()
        if self.transport.is_closing():
            return
        super().on_headers_complete()
        for piece in pieces:
            super().on_body(piece)

    def _answer(self, cycle: _Cycle, error: BaseException | None) -> None:
        cycle.response_complete = True
        if self.transport.is_closing():
            return
        if error is not None and not isinstance(error, Exception):
            self.transport.close()
            return
        if error is None:
            closes = not cycle.keep_alive
            answer = TAKEN_BYTES[closes]
        else:
            response = answer_to(error)
            closes = not cycle.keep_alive or response.headers.get("connection") == "close"
            answer = _encoded(response, closes=closes)
        self.transport.write(answer)
        if closes:
            self.transport.close()
        self.on_response_complete()


def _encoded(response: Response, *, closes: bool) -> bytes:
    lines = [b"HTTP/1.1 %d %b" % (response.status_code, HTTPStatus(response.status_code).phrase.encode())]
    lines += [b"%b: %b" % header for header in response.raw_headers if header[0] != b"connection"]
    if closes:
        lines.append(b"connection: close")
    return b"\r\n".join([*lines, b"", bytes(response.body)])


TAKEN_BYTES = {closes: _encoded(TAKEN, closes=closes) for closes in (False, True)}
