"""`/console/login`: a token for a session of the browser. The only page of the console that is open."""

import base64
import hashlib

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from adapters.http.access import LOGIN, SESSION, SESSION_COOKIE, require_own_page
from adapters.http.inbound import BodyReader
from webhook.console.rendering import PAGE_HEADERS, STATIC_FOLDER, html
from webhook.settings import WebhookDependencies

MAX_FORM = 4 * 1024
HOME = "/console"


def login_routes(deps: WebhookDependencies) -> APIRouter:
    read_body = BodyReader(MAX_FORM, deps.read_within)
    # The style sheet is closed: the page carries it, named by its hash.
    style = (STATIC_FOLDER / "style.css").read_bytes()
    policy = f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(style).digest()).decode()}'; "
    policy += "img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

    router = APIRouter(include_in_schema=False)

    def page(request: Request, place: str, *, status: int = 200) -> Response:
        response = html("login.html", request, deps, status=status, here="login", place=place, is_wrong=status != 200)
        response.headers.update(PAGE_HEADERS | {"Content-Security-Policy": policy})
        return response

    @router.get(LOGIN)
    async def ask(request: Request) -> Response:
        return page(request, _own(request.query_params.get("next", HOME)))

    @router.post(LOGIN)
    async def login(request: Request) -> Response:
        require_own_page(request)
        form = await read_body.form(request)
        place, key = _own(form.get("next", HOME)), deps.access.key_of(form.get("token", "").strip(), request)
        if key is None:
            return page(request, place, status=403)
        response = RedirectResponse(place, 303)
        is_https = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
        response.set_cookie(
            SESSION_COOKIE,
            deps.access.session(key),
            max_age=round(SESSION.total_seconds()),
            httponly=True,
            samesite="strict",
            secure=is_https,
        )
        return response

    @router.post("/console/logout")
    async def logout(request: Request) -> Response:
        require_own_page(request)
        response = RedirectResponse(LOGIN, 303)
        response.delete_cookie(SESSION_COOKIE)
        return response

    return router


def _own(place: str) -> str:
    """Return the place when it is on this site: an address such as //example.com or /\\example.com leaves it."""
    is_own = place.startswith("/") and not place.startswith(("//", "/\\")) and place.isprintable()
    return place if is_own else HOME
