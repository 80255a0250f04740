"""`/widget.js` and the page in its frame: web chat on the pages of `PROSA_WEB_ORIGINS`."""

from fastapi import APIRouter
from starlette.responses import FileResponse, Response

from adapters.http.problems import Problem
from webhook.console.rendering import STATIC_FOLDER
from webhook.settings import WebhookDependencies

FILES = {
    "widget.js": ("widget.js", "text/javascript"),
    "widget": ("widget.html", "text/html"),
    "widget/chat.js": ("widget-chat.js", "text/javascript"),
    "widget/chat.css": ("widget-chat.css", "text/css"),
}


def widget_routes(deps: WebhookDependencies) -> APIRouter:
    """Make the routes of the widget, which are open as the chat is."""
    router = APIRouter(tags=["web chat"])
    # Only the listed pages may show the frame; inside of it nothing of another origin is loaded or run.
    ancestors = " ".join(["'self'", *sorted(deps.allowed_origins)])
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; "
        f"form-action 'none'; frame-ancestors {ancestors}"
    )
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}

    def served(path: str) -> Response:
        name, media_type = FILES[path]
        return FileResponse(STATIC_FOLDER / name, media_type=media_type, headers=headers)

    @router.get("/widget.js", summary="Script of the chat for other pages, by one tag")
    async def script() -> Response:
        return served("widget.js")

    @router.get("/widget", include_in_schema=False)
    async def frame() -> Response:
        return served("widget")

    @router.get("/widget/{name}", include_in_schema=False)
    async def part(name: str) -> Response:
        if f"widget/{name}" not in FILES:
            raise Problem(404, "Not found", "There is no such file.")
        return served(f"widget/{name}")

    return router
