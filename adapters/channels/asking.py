"""Questions to a platform about its settings, for the doctor and the set-up."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, NamedTuple

import httpx

from adapters.channels.platform import Refusal
from adapters.channels.sending import object_of
from adapters.http.client import HttpError, ask, open_client

WITHIN = timedelta(seconds=10)


class Reply(NamedTuple):
    """Answer to a question, whatever its status."""

    status: int
    headers: Mapping[str, str]
    content: dict[str, Any]


class Question:
    """One API of a platform; errors hold the server and not the whole address, which may have the token."""

    def __init__(self, client: httpx.AsyncClient, setting: str) -> None:
        self._client, self._setting, self._server = client, setting, client.base_url.netloc.decode()

    async def __call__(self, method: str, path: str, **given: Any) -> Reply:
        """Return the answer. Raises Refusal: none came, or it is no JSON."""
        try:
            answer = await ask(self._client, method, path, within=WITHIN, **given)
        except HttpError as exc:
            raise Refusal(f"{self._server}: {exc}", f"check {self._setting}, proxy and network") from exc
        if not (content := object_of(answer)):
            raise Refusal(f"{self._server} answers {answer.status} without JSON", f"check {self._setting}")
        return Reply(answer.status, answer.headers, content)


@asynccontextmanager
async def questions(api_url: str, setting: str, **headers: str) -> AsyncIterator[Question]:
    async with open_client(within=WITHIN, base_url=api_url.rstrip("/"), headers=headers) as client:
        yield Question(client, setting)
