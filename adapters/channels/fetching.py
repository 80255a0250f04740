"""Files that people send, fetched from a platform's own hosts."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta

import httpx

from adapters.channels.files import file_of
from adapters.http.client import Answer, HttpError, TooLongAnswerError, ask, open_client
from contracts.errors import ChannelUnavailableError
from contracts.media import InboundMedia, MediaFault, MediaFile, MediaLimits, MediaRefusedError

IDLE_WITHIN = timedelta(seconds=10)
CONNECTIONS = 20
MOST_REDIRECTS = 3
# Of an address that was signed for a while, each means that the while is over.
EXPIRED = frozenset({400, 401, 403, 404, 410})


class Downloads:
    """Download of files, over https from `hosts` and their subdomains, or from the origin of `api_url` as it is set.

    No other address is asked, whatever a message or a redirect names. `headers`, which may hold a token, go to the
    first address alone. Needs a running event loop.
    """

    def __init__(self, api_url: str, *, hosts: Sequence[str] = (), headers: Mapping[str, str] | None = None) -> None:
        self._api, self._hosts, self._headers = httpx.URL(api_url), tuple(hosts), dict(headers or {})
        self._client: httpx.AsyncClient | None = None

    async def fetch(
        self, media: InboundMedia, limits: MediaLimits, find: Callable[[], Awaitable[str]] | None = None
    ) -> MediaFile:
        """Fetch the file at its reference, or where `find` says; it is asked once more when that address has expired.

        Raises:
            MediaRefusedError: the file is gone, not at the platform, too large, or none that can be read.
            ChannelUnavailableError: it did not come; it may later.
        """
        for _ in range(2):
            answer = await self._get(await find() if find else media.reference, limits)
            if answer.is_success:
                return file_of(answer.content, media.filename)
            if answer.status not in EXPIRED:
                raise ChannelUnavailableError(f"the file's address answers {answer.status}")
        raise MediaRefusedError(MediaFault.EXPIRED)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def _get(self, address: str, limits: MediaLimits) -> Answer:
        if self._client is None:
            self._client = open_client(within=IDLE_WITHIN, connections=CONNECTIONS)
        url, headers = self._allowed(address), self._headers
        for _ in range(MOST_REDIRECTS + 1):
            try:
                answer = await ask(
                    self._client, "GET", str(url), within=limits.within, max_bytes=limits.max_bytes, headers=headers
                )
            except TooLongAnswerError as exc:
                raise MediaRefusedError(MediaFault.TOO_LARGE) from exc
            except HttpError as exc:
                raise ChannelUnavailableError(str(exc)) from exc
            target = answer.headers.get("location")
            if answer.status not in (301, 302, 303, 307, 308) or target is None:
                return answer
            url, headers = self._allowed(target, url), {}
        raise MediaRefusedError(MediaFault.FORBIDDEN_ADDRESS)

    def _allowed(self, address: str, base: httpx.URL | None = None) -> httpx.URL:
        try:
            url = base.join(address) if base else httpx.URL(address)
        except httpx.InvalidURL as exc:
            raise MediaRefusedError(MediaFault.FORBIDDEN_ADDRESS) from exc
        is_api = (url.scheme, url.host, url.port) == (self._api.scheme, self._api.host, self._api.port)
        is_known = any(url.host == host or url.host.endswith(f".{host}") for host in self._hosts)
        if url.userinfo or not (is_api or (is_known and url.scheme == "https" and url.port is None)):
            raise MediaRefusedError(MediaFault.FORBIDDEN_ADDRESS)
        return url
