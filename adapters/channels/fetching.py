"""Files that people send: fetched from a platform's own hosts, typed and counted by their bytes.

Headers and names of files prove nothing. Only headers within the file are read: a decoder of pictures or documents
would run over hostile bytes in the process with the keys.
"""

import re
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from struct import error as StructError
from struct import unpack_from

import httpx

from adapters.http.client import Answer, HttpError, TooLongAnswerError, ask, open_client
from contracts.errors import ChannelUnavailableError
from contracts.media import InboundMedia, MediaFault, MediaFile, MediaLimits, MediaRefusedError

# The first bytes, or those behind the eight of a container's length and name. Source: the formats' specifications.
MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"OggS", "audio/ogg"),
    (0, b"#!AMR", "audio/amr"),
    (0, b"fLaC", "audio/flac"),
    (8, b"WAVE", "audio/wav"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\xff\xf2", "audio/mpeg"),
    (0, b"\xff\xf1", "audio/aac"),
    (0, b"\xff\xf9", "audio/aac"),
    (4, b"ftypM4A", "audio/mp4"),
    # Pictures of phones in the same container: no model takes them.
    *((4, b"ftyp" + brand, "application/octet-stream") for brand in (b"hei", b"hev", b"mif1", b"msf1", b"avi")),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
)
# Of the Messages API: 5 MB of base64, 8000 pixels a side, and what is smaller shows nothing.
# Source: https://platform.claude.com/docs/en/build-with-claude/vision
IMAGE_BYTES = 5 * 1024 * 1024 * 3 // 4
IMAGE_SIDES = range(8, 8_001)
PIXELS_PER_TOKEN, MOST_IMAGE_TOKENS = 750, 4_784
# A page is given as text and as picture: up to 3,000 and 1,600 tokens.
# Source: https://platform.claude.com/docs/en/build-with-claude/pdf-support
PAGE_TOKENS, MOST_PAGES = 4_600, 20
INFLATED_BYTES = 4 * 1024 * 1024
TEXT_BYTES = 64 * 1024
_JPEG_SIZES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
# Any sign of a name may be written as the number of its byte.
_PAGE = re.compile(rb"/(?:T|#54)(?:y|#79)(?:p|#70)(?:e|#65)\s*/(?:P|#50)(?:a|#61)(?:g|#67)(?:e|#65)(?![\w#])")
_OBJECTS = re.compile(rb"/ObjStm\b.{0,400}?stream\r?\n", re.DOTALL)


def file_of(content: bytes, filename: str = "") -> MediaFile:
    """Return the file with its type and the bound of its tokens.

    Raises:
        MediaRefusedError: it is empty, damaged, protected, or larger than a model takes.
    """
    if not content.strip(b"\0 \r\n\t"):
        raise MediaRefusedError(MediaFault.EMPTY)
    mime_type, tokens = type_of(content), 0
    if mime_type.startswith("image/"):
        tokens = _image_tokens(content, mime_type)
    elif mime_type == "application/pdf":
        tokens = _pdf_tokens(content)
    elif mime_type == "text/plain":
        tokens = len(content)
        if tokens > TEXT_BYTES:
            raise MediaRefusedError(MediaFault.TOO_LARGE)
    return MediaFile(content=content, mime_type=mime_type, filename=filename, tokens=tokens)


def type_of(content: bytes) -> str:
    """Return the MIME type by the bytes; `application/octet-stream` for what is none that Prosa reads."""
    for offset, magic, mime_type in MAGIC:
        if content.startswith(magic, offset):
            return mime_type
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return "application/octet-stream"
    if text.lstrip("\ufeff \r\n\t").startswith("<"):
        return "text/html"
    return (
        "text/plain"
        if all(sign.isprintable() or sign in "\ufeff\r\n\t\f" for sign in text)
        else "application/octet-stream"
    )


def _image_tokens(content: bytes, mime_type: str) -> int:
    """Return ceil(width * height / 750), at most the tokens of the largest picture that is not scaled down."""
    if len(content) > IMAGE_BYTES:
        raise MediaRefusedError(MediaFault.TOO_LARGE)
    try:
        width, height = _size(content, mime_type)
    except StructError as exc:
        raise MediaRefusedError(MediaFault.DAMAGED) from exc
    if not width or not height:
        raise MediaRefusedError(MediaFault.DAMAGED)
    if max(width, height) >= IMAGE_SIDES.stop:
        raise MediaRefusedError(MediaFault.TOO_LARGE)
    if min(width, height) < IMAGE_SIDES.start:
        raise MediaRefusedError(MediaFault.EMPTY)
    return min(-(-width * height // PIXELS_PER_TOKEN), MOST_IMAGE_TOKENS)


def _size(content: bytes, mime_type: str) -> tuple[int, int]:
    match mime_type:
        case "image/png":
            width, height = unpack_from(">II", content, 16)
        case "image/gif":
            width, height = unpack_from("<HH", content, 6)
        case "image/webp" if content[12:16] == b"VP8X":
            width, height = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (24, 27))
        case "image/webp" if content[12:16] == b"VP8L":
            (bits,) = unpack_from("<I", content, 21)
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case "image/webp":
            width, height = (side & 0x3FFF for side in unpack_from("<HH", content, 26))
        case _:
            at = 2
            while content[at + 1 : at + 2] and content[at + 1] not in _JPEG_SIZES:
                at += 2 + max(2, unpack_from(">H", content, at + 2)[0])
            height, width = unpack_from(">HH", content, at + 5)
    return width, height


def _pdf_tokens(content: bytes) -> int:
    if b"startxref" not in content[-2048:]:
        raise MediaRefusedError(MediaFault.DAMAGED)
    # In the trailer, or in the dictionary of a cross-reference stream: neither is compressed.
    if b"/Encrypt" in content:
        raise MediaRefusedError(MediaFault.PROTECTED)
    pages, left = len(_PAGE.findall(content)), INFLATED_BYTES
    for objects in _OBJECTS.finditer(content):
        try:
            inflated = zlib.decompressobj().decompress(memoryview(content)[objects.end() :], left)
        except zlib.error:
            continue
        pages, left = pages + len(_PAGE.findall(inflated)), left - len(inflated)
        if left <= 0:
            raise MediaRefusedError(MediaFault.TOO_LONG)
    if pages > MOST_PAGES:
        raise MediaRefusedError(MediaFault.TOO_LONG)
    return max(pages, 1) * PAGE_TOKENS


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
        self,
        media: InboundMedia,
        limits: MediaLimits,
        *,
        find: Callable[[], Awaitable[str]] | None = None,
        renew: Callable[[], Awaitable[str]] | None = None,
    ) -> MediaFile:
        """Fetch the file at its reference, or where `find` says; `renew`, or `find` again, replaces an expired address.

        Raises:
            MediaRefusedError: the file is gone, not at the platform, too large, or none that can be read.
            ChannelUnavailableError: it did not come; it may later.
        """
        for look_up in (find, renew or find):
            answer = await self._get(await look_up() if look_up else media.reference, limits)
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
