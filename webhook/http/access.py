"""Who may come in: everything but platform webhooks, the chat and `/healthz` is closed unless opened."""

from collections.abc import Callable

from starlette.requests import Request

from adapters.http.inbound import has_token, is_local
from adapters.http.problems import Problem


def console_guard(token: str | None) -> Callable[[Request], None]:
    """Make the check of the console's routes.

    With a token: `Authorization: Bearer TOKEN`, or Basic with the token as password, which a browser can ask for.
    Without one (development): only from this machine, not through a proxy, and only under a loopback name, so that no
    page of another site can reach it through a name that resolves here.
    """

    def check(request: Request) -> None:
        if token is not None:
            _require_token(request, token)
        elif not is_local(request):
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
    if not has_token(request, token):
        challenge = {"WWW-Authenticate": 'Basic realm="Prosa", charset="UTF-8"'}
        raise Problem(401, "Token needed", "Send PROSA_CONSOLE_TOKEN as bearer token.", headers=challenge)
