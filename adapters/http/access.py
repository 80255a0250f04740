"""Access to closed routes: the console, its API, `/metrics` of every process, and the origins of the web chat."""

import base64
import binascii
import hmac
from collections.abc import Callable

from starlette.requests import Request

from adapters.http.problems import Problem
from contracts.settings import LOOPBACK

# Headers of a proxy or a tunnel, which speaks for another machine.
FORWARDING = (
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "cf-connecting-ip",
)


def access_check(token: str | None) -> Callable[[Request], None]:
    """Make the check of closed routes; it raises `Problem`, 401 or 403.

    With a token: `Authorization: Bearer TOKEN`, or Basic with the token as password, which a browser can ask for.
    Without one (development): only from this machine, not through a proxy, and only under a loopback name, so that no
    page of another site reaches it through a name that resolves here.
    """

    def check(request: Request) -> None:
        if token is None:
            if not _is_local(request):
                detail = "Open from this machine only; set PROSA_CONSOLE_TOKEN to open it to others."
                raise Problem(403, "Closed", detail)
        # An empty token would be matched by giving none.
        elif not token or not _is_equal(_given_token(request), token):
            challenge = {"WWW-Authenticate": 'Basic realm="Prosa", charset="UTF-8"'}
            raise Problem(401, "Token needed", "Send PROSA_CONSOLE_TOKEN as bearer token.", headers=challenge)

    return check


def require_allowed_origin(request: Request, allowed: frozenset[str]) -> None:
    """Refuse a page of another origin. Browsers name the origin of a page; programs send none and may pass.

    Raises:
        Problem: 403.
    """
    origin = request.headers.get("origin")
    if origin is None or origin.rstrip("/") in allowed:
        return
    own = request.headers.get("host", "")
    if origin.partition("://")[2] != own:
        raise Problem(403, "Origin not allowed", "List the page's origin in PROSA_WEB_ORIGINS.")


def _is_equal(given: str, expected: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def _given_token(request: Request) -> str:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


def _is_local(request: Request) -> bool:
    """Whether the request comes from this machine, through no proxy, and under a loopback name."""
    if any(name in request.headers for name in FORWARDING):
        return False
    host = request.headers.get("host", "")
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return request.client is not None and request.client.host in LOOPBACK and name in LOOPBACK
