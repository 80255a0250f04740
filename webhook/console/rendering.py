"""Pages of the console: one shell in the reader's language, colours and time zone; what people wrote is escaped."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import orjson
from fastapi import Query
from pydantic import BeforeValidator, Field
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from adapters.http.access import SESSION_COOKIE
from contracts.pages import ReportPage
from webhook.settings import WebhookDependencies

FOLDER = Path(__file__).parent
STATIC_FOLDER = FOLDER.parent / "static"
LANGUAGES = {"pt": "pt-BR", "en": "en"}
THEMES = ("light", "dark")
LANGUAGE_COOKIE, THEME_COOKIE = "prosa_language", "prosa_theme"
# A form sends the fields that are left empty, too.
OrNone = BeforeValidator(lambda given: given or None)
# The ends of the calendar leave no room for spans and zones.
Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2999, 12, 31))]
First = Annotated[Day | None, OrNone, Query(alias="from")]
Last = Annotated[Day | None, OrNone, Query(alias="to")]
# Nothing of another origin is loaded or run, whatever a person or a model wrote.
PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self'; object-src 'none'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
NOT_STORED = {"Cache-Control": "no-store"}
PAGE_HEADERS = NOT_STORED | {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


@dataclass(frozen=True)
class Reader:
    """Preferences of the person at the browser; an empty theme is the system's."""

    language: str
    theme: str = ""
    zone: tzinfo = UTC

    @classmethod
    def of(cls, request: Request, zone: tzinfo) -> "Reader":
        wanted = request.cookies.get(LANGUAGE_COOKIE) or request.headers.get("accept-language", "")
        language = LANGUAGES["pt" if wanted.lower().startswith("pt") else "en"]
        theme = request.cookies.get(THEME_COOKIE, "")
        return cls(language, theme if theme in THEMES else "", zone)

    def say(self, name: str, **given: object) -> str:
        """Return the phrase of that name; one that is none of ours, such as an institution's id, after its last dot."""
        return phrases(self.language).get(name, name.rpartition(".")[2]).format(**given)

    def moment(self, at: datetime | None) -> str:
        from babel.dates import format_datetime

        return format_datetime(at, "short", self.zone, self._locale) if at else "–"

    def age(self, since: datetime | None, now: datetime) -> str:
        from babel.dates import format_timedelta

        if since is None:
            return "–"
        return format_timedelta(now - since, granularity="minute", format="short", locale=self._locale)

    @property
    def _locale(self) -> str:
        return self.language.replace("-", "_")


@cache
def phrases(language: str) -> Mapping[str, str]:
    import yaml

    name = next(short for short, full in LANGUAGES.items() if full == language)
    read: dict[str, str] = yaml.safe_load((FOLDER / "locales" / f"{name}.yaml").read_text(encoding="utf-8"))
    return read


def wants_page(request: Request) -> bool:
    """Whether the client accepts HTML, as a browser does and a program does not."""
    return "text/html" in request.headers.get("accept", "")


def html(name: str, request: Request, deps: WebhookDependencies, *, status: int = 200, **content: Any) -> Response:
    """Answer with a page of the console; `here` names its place in the navigation."""
    return HTMLResponse(fragment(name, request, deps, **content), status, headers=PAGE_HEADERS)


def problem_page(answer: Response, request: Request, deps: WebhookDependencies) -> Response:
    """Return the problem document of the answer as a page, with the same status and challenge."""
    page = html("problem.html", request, deps, status=answer.status_code, here="", problem=orjson.loads(answer.body))
    page.headers.update(
        {name: value for name, value in answer.headers.items() if name in ("www-authenticate", "retry-after")}
    )
    return page


def fragment(name: str, request: Request, deps: WebhookDependencies, **content: Any) -> str:
    """Return a page, or a part of one that is shown live, as HTML."""
    reader, caller = Reader.of(request, deps.zone), getattr(request.state, "caller", None)
    shell = {"reader": reader, "say": reader.say, "now": deps.clock.now(), "links": deps.links, "url": request.url}
    shell |= {"caller": caller, "may": caller.role.includes if caller else lambda _: False}
    shell["has_session"] = SESSION_COOKIE in request.cookies
    text: str = environment().get_template(name).render(shell | content)
    return text


def standalone(page: ReportPage, language: str) -> str:
    """Return a report as one file: style, script and figures in it, nothing loaded from elsewhere."""
    reader = Reader(LANGUAGES["pt" if language.lower().startswith("pt") else "en"])
    text: str = environment().get_template("standalone.html").render(reader=reader, say=reader.say, page=page)
    return text


@cache
def environment() -> Any:
    # A process without pages does not load it: the webhook's cold start counts.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    found = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Our own files, for a page that loads none.
    found.globals["inlined"] = lambda name: Markup((STATIC_FOLDER / name).read_text(encoding="utf-8"))  # noqa: S704
    return found
