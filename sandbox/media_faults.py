"""Named faults of files at a platform, and the answers that show them.

A test puts a file at a platform with a fault, in the same process by `app.state.graph.media.add(content, "audio/ogg",
id="7", fault=FileFault.CUT, times=1)` (or `app.state.platforms["slack"].media`), over HTTP by `PUT
/{platform}/sandbox/files/7?fault=cut&times=1` with the file as the body. `times` is how many requests meet the fault
before the file is whole; without it all do. `LOOKUP_FAULTS` belong to the call that asks for a link (of WhatsApp, and
Telegram's `getFile`; Messenger and Instagram have one for addresses that have expired), the others to the download; a
platform without a lookup answers to them as for a file that is gone. `STALE` is of those two: the address that came
with the message has expired, one that is asked for works.
"""

import gzip
import random
from collections.abc import AsyncIterator
from enum import StrEnum
from functools import cache
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sandbox.transport import JSON, Chunked, Cut, in_pieces

MEGABYTE = 1024 * 1024
HUGE_BYTES = 100 * MEGABYTE
STALLED_SECONDS = 60.0
ELSEWHERE = "http://169.254.169.254/latest/meta-data"
LOGIN_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><form>Sign in</form></body></html>"


# Ways in which a file cannot be had, or is not what it should be.
FileFault = StrEnum(
    "FileFault",
    "STALE GONE LOOKUP_UNAVAILABLE LOOKUP_PAGE LOOKUP_WITHOUT_LINK LOOKUP_ELSEWHERE EXPIRED UNAUTHORIZED FORBIDDEN "
    "RATE_LIMITED SERVER_ERROR UNAVAILABLE NO_ANSWER CUT SHORT STALLED DRIPPED EMPTY NO_CONTENT HUGE HUGE_DECLARED "
    "WRONG_TYPE WITHOUT_TYPE PAGE REDIRECT_INSIDE REDIRECT_ELSEWHERE REDIRECT_LOOP GZIP_BOMB BROKEN_GZIP CORRUPT",
)
LOOKUP_FAULTS = frozenset(fault for fault in FileFault if fault is FileFault.GONE or fault.startswith("lookup_"))
_STATUSES = {
    FileFault.EXPIRED: 404,
    FileFault.UNAUTHORIZED: 401,
    FileFault.FORBIDDEN: 403,
    FileFault.RATE_LIMITED: 429,
    FileFault.SERVER_ERROR: 500,
    FileFault.UNAVAILABLE: 503,
    FileFault.NO_CONTENT: 204,
}
_REDIRECTS = {FileFault.REDIRECT_INSIDE: ELSEWHERE, FileFault.REDIRECT_ELSEWHERE: "https://elsewhere.example/file.ogg"}


def looked_up(fault: FileFault | None, answer: dict[str, Any], link: str, *, within: str | None = None) -> Response:
    """Return the answer of a call for a link, whose key is `link`; `within` is the key that the platform puts it in."""
    match fault:
        case FileFault.LOOKUP_UNAVAILABLE:
            return Response(LOGIN_PAGE, status_code=503, media_type="text/html")
        case FileFault.LOOKUP_PAGE:
            return Response(LOGIN_PAGE, media_type="text/html")
        case FileFault.LOOKUP_WITHOUT_LINK:
            answer = {key: value for key, value in answer.items() if key != link}
        case FileFault.LOOKUP_ELSEWHERE:
            answer = {**answer, link: ELSEWHERE} if link else answer
    return JSON({"ok": True, within: answer} if within else answer)


def download(request: Request, content: bytes, mime_type: str, fault: FileFault | None) -> Response:
    """Return a file, or what the fault makes of it. Nothing of a huge one is held."""
    if fault is None:
        return Response(content, media_type=mime_type)
    if fault in _STATUSES:
        headers = {"retry-after": "1"} if fault is FileFault.RATE_LIMITED else None
        return Response(status_code=_STATUSES[fault], headers=headers)
    if fault in _REDIRECTS or fault is FileFault.REDIRECT_LOOP:
        return RedirectResponse(_REDIRECTS.get(fault, str(request.url)), status_code=302)
    half = content[: len(content) // 2]
    match fault:
        case FileFault.NO_ANSWER:
            return Cut()
        case FileFault.CUT:
            return Chunked(in_pieces(half), media_type=mime_type, headers={}, cut_at_end=True)
        case FileFault.SHORT:
            whole = len(content)
            return Chunked(in_pieces(half), media_type=mime_type, headers={}, cut_at_end=True, length=whole)
        case FileFault.STALLED | FileFault.DRIPPED:
            pause = STALLED_SECONDS if fault is FileFault.STALLED else 1.0
            return Chunked(in_pieces(content, size=1, pause=pause), media_type=mime_type, headers={})
        case FileFault.HUGE | FileFault.HUGE_DECLARED:
            length = HUGE_BYTES if fault is FileFault.HUGE_DECLARED else None
            return Chunked(_endless(content), media_type=mime_type, headers={}, length=length)
        case FileFault.GZIP_BOMB | FileFault.BROKEN_GZIP:
            packed = _bomb() if fault is FileFault.GZIP_BOMB else content
            return Response(packed, media_type=mime_type, headers={"content-encoding": "gzip"})
        case FileFault.EMPTY:
            return Response(b"", media_type=mime_type)
        case FileFault.WRONG_TYPE:
            return Response(content, media_type="application/x-msdownload")
        case FileFault.WITHOUT_TYPE:
            return Response(content)
        case FileFault.CORRUPT:
            noise = random.Random(0).randbytes(len(content) - len(half))
            return Response(half + noise, media_type=mime_type)
    return Response(LOGIN_PAGE, media_type="text/html")


@cache
def _bomb() -> bytes:
    return gzip.compress(bytes(HUGE_BYTES), 1)


async def _endless(content: bytes) -> AsyncIterator[bytes]:
    """Yield the file, then zeros up to `HUGE_BYTES`."""
    yield content
    left = HUGE_BYTES - len(content)
    while left > 0:
        yield bytes(min(left, 65_536))
        left -= 65_536
