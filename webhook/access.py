"""Who may come in: everything but platform webhooks, the chat and `/healthz` is closed unless opened."""

import base64
import binascii
import hmac
from collections.abc import Callable

from starlette.requests import Request

from contracts.settings import LOOPBACK
from webhook.problems import Problem

FORWARDING = (
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "cf-connecting-ip",
)


def console_guard(token: str | None) -> Callable[[Request], None]:
    """Make the check of the console's routes.

    With a token: `Authorization: Bearer TOKEN`, or Basic with the token as password, which a browser can ask for.
    Without one (development): only from this machine, not through a proxy, and only under a loopback name, so that no
    page of another site can reach it through a name that resolves here.
    """

    def check(request: Request) -> None:
        if token is not None:
            _require_token(request, token)
        elif not _is_local(request):
            raise Problem(403, "Closed", "Open from this machine only; set PROSA_CONSOLE_TOKEN to open it to others.")

    return check


def require_allowed_origin(request: Request, allowed: frozenset[str]) -> None:
    """A browser names the page's origin; it must be our own or a listed one. Programs send none and may pass.

    Raises:
        Problem: 403.
    """
    origin = request.headers.get("origin")
    if origin is None or origin.rstrip("/") in allowed:
        return
    own = request.headers.get("host", "")
    if origin.partition("://")[2] != own:
        raise Problem(403, "Origin not allowed", "List the page's origin in PROSA_WEB_ORIGINS.")


def _require_token(request: Request, token: str) -> None:
    # An empty token would be matched by giving none.
    if not token or not hmac.compare_digest(_given_token(request).encode("utf-8", "replace"), token.encode()):
        challenge = {"WWW-Authenticate": 'Basic realm="Prosa", charset="UTF-8"'}
        raise Problem(401, "Token needed", "Send PROSA_CONSOLE_TOKEN as bearer token.", headers=challenge)


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
    if any(name in request.headers for name in FORWARDING):
        # A proxy or a tunnel on this machine speaks for somebody elsewhere.
        return False
    host = request.headers.get("host", "")
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return request.client is not None and request.client.host in LOOPBACK and name in LOOPBACK
