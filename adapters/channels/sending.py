"""Sending over HTTP: one client a channel, and the reading of answers that do not come."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import Any

import orjson

from adapters.channels.fetching import Downloads
from adapters.http.client import Answer, HttpError, ask, open_client
from contracts.errors import ChannelAccountError, ChannelUnavailableError, ConfigurationError, SendOutcomeUnknownError
from contracts.media import MediaFault, MediaRefusedError
from contracts.messages import Address, OutboundMessage
from observability.logs import logger

log = logger(__name__)

# A refused token or a wrong address is repaired by a person: until then the messages wait.
ACCOUNT_PAUSE = timedelta(minutes=5)
SEND_WITHIN, CONNECT_WITHIN = timedelta(seconds=5), timedelta(seconds=2)
CONNECTIONS = 200


class HttpChannel:
    """Part of the `Channel` port that is the same over every platform's API. Needs a running event loop.

    `token` is its bearer token, of the variable `setting`. `file_hosts` have the files that people send, and take the
    `file_headers`.

    Raises:
        ConfigurationError: `token` holds what a header cannot.
    """

    send_timeout = SEND_WITHIN
    # Without statuses nothing is worth waiting for after a send without an answer.
    settle_after = timedelta(0)
    is_watched = False
    shows_forming_text = False
    reply_window: timedelta | None = None

    def __init__(
        self,
        api_url: str,
        *,
        token: str = "",
        setting: str = "",
        headers: Mapping[str, str] | None = None,
        file_hosts: Sequence[str] = (),
        file_headers: Mapping[str, str] | None = None,
    ) -> None:
        self._api_url = api_url.rstrip("/")
        self._client = open_client(
            within=SEND_WITHIN,
            connect_within=CONNECT_WITHIN,
            connections=CONNECTIONS,
            headers={"Content-Type": "application/json", **bearer(token, setting), **(headers or {})},
            is_hot=True,
        )
        self._downloads = Downloads(api_url, hosts=file_hosts, headers=file_headers)
        self._background: set[asyncio.Task[None]] = set()

    def acknowledge(self, address: Address, platform_message_id: str) -> None:
        """Do nothing: the platform shows neither."""

    async def close(self) -> None:
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._downloads.close()
        await self._client.aclose()

    async def _post(self, path: str, content: Any) -> Answer:
        """Post JSON.

        Raises:
            SendOutcomeUnknownError: the bytes may have arrived: a status settles it, or the deadline passes.
            ChannelUnavailableError: nothing left.
        """
        try:
            return await ask(self._client, "POST", f"{self._api_url}{path}", content=orjson.dumps(content))
        except HttpError as exc:
            raise (SendOutcomeUnknownError if exc.was_sent else ChannelUnavailableError)(str(exc)) from exc

    async def _look_up(self, path: str, **params: str) -> dict[str, Any]:
        """Ask the platform where a file is, or for messages.

        Raises:
            MediaRefusedError: it knows no such thing any more.
            ChannelUnavailableError: it does not answer, or not to this account.
        """
        try:
            answer = await ask(self._client, "GET", f"{self._api_url}{path}", within=SEND_WITHIN, params=params)
        except HttpError as exc:
            raise ChannelUnavailableError(str(exc)) from exc
        require_account(answer)
        found = object_of(answer)
        if "too big" in str(found.get("description")):
            # Telegram, of files over 20 MB.
            raise MediaRefusedError(MediaFault.TOO_LARGE)
        if not answer.is_success or found.get("ok") is False:
            raise MediaRefusedError(MediaFault.EXPIRED)
        if not found:
            raise ChannelUnavailableError("an answer that is no JSON object, such as the page of a proxy")
        return found

    def _in_background(self, work: Coroutine[Any, Any, object]) -> None:
        """Do what nothing depends on."""

        async def attempt() -> None:
            try:
                await work
            except (SendOutcomeUnknownError, ChannelUnavailableError) as exc:
                log.info("channel.acknowledge_failed", channel=type(self).__name__, error=str(exc))

        task = asyncio.create_task(attempt())
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def require_account(answer: Answer) -> None:
    """Raise ChannelUnavailableError where the account is refused, or the platform takes nothing now."""
    if answer.status in (401, 403):
        raise ChannelAccountError(f"account {answer.status}", retry_after=ACCOUNT_PAUSE)
    if answer.is_busy:
        raise ChannelUnavailableError(f"status {answer.status}")


def bearer(token: str, setting: str) -> Mapping[str, str]:
    """Return the header of a token, without one where there is none.

    Raises:
        ConfigurationError: it holds what no header can; the text names the setting.
    """
    token = token.strip()
    if not (token.isascii() and token.isprintable()):
        raise ConfigurationError(f"{setting} holds what no header can: copy the token again, in one line")
    return {"Authorization": f"Bearer {token}"} if token else {}


def accepted_id(answer: Answer, *path: str | int, kind: type[str | int] = str) -> str:
    """Return the platform's id of an accepted message, at the path of its answer.

    Raises:
        SendOutcomeUnknownError: it has none.
    """
    try:
        found = orjson.loads(answer.content)
        for key in path:
            found = found[key]
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError) as exc:
        raise SendOutcomeUnknownError("accepted without an id") from exc
    if type(found) is not kind or not found:
        raise SendOutcomeUnknownError("accepted without an id")
    return str(found)


def object_of(answer: Answer) -> dict[str, Any]:
    """Return the JSON object of an answer, empty where it is none: the page of a gateway."""
    try:
        content = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}


def plain(message: OutboundMessage) -> str:
    """Return the message as text, for what a platform has no form for: a file as its link, a place by its name."""
    link = message.media.link if message.media is not None else None
    return "\n".join(part for part in (message.in_words or message.text, link) if part)
