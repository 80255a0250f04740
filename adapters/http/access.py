"""Access to closed routes: the console, its API, `/metrics`, the web chat's origins; rate limits of clients."""

import base64
import hmac
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address, ip_network
from urllib.parse import quote

from starlette.requests import Request

from adapters.clock import SystemClock
from adapters.http.inbound import Problem
from contracts.access import Caller, Key, Role, TrustedProxy
from contracts.ports import Clock
from contracts.settings import LOOPBACK
from observability.logs import logger
from observability.metrics import ACCESS_REFUSALS

MAX_KEYS = 50_000


class RateLimit:
    """Token bucket for each key, in this process; the least recently used are forgotten first."""

    def __init__(self, *, burst: int, per_second: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._per_second = per_second
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> None:
        """Use one token. Raises Problem: 429 with `Retry-After` when there is none."""
        if seconds := self.wait(key):
            raise Problem(429, "Too many requests", "Wait a moment.", headers={"Retry-After": str(seconds)})

    def wait(self, key: str) -> int:
        """Use one token; without one, return the seconds until there is one."""
        now = self._monotonic()
        tokens, since = self._buckets.pop(key, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - since) * self._per_second)
        allowed = tokens >= 1
        self._buckets[key] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > MAX_KEYS:
            self._buckets.popitem(last=False)
        return 0 if allowed else math.ceil((1 - tokens) / self._per_second)

    def give_back(self, key: str) -> None:
        """Undo one use."""
        if key in self._buckets:
            tokens, since = self._buckets[key]
            self._buckets[key] = (tokens + 1, since)


log = logger(__name__)

# Headers of a proxy or a tunnel, which speaks for another machine.
FORWARDING = (
    "forwarded",
    "via",
    "x-real-ip",
    "cf-connecting-ip",
    *(f"x-forwarded-{of}" for of in ("for", "host", "proto")),
)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SESSION_COOKIE = "prosa_session"
SESSION = timedelta(hours=12)
LOGIN = "/console/login"


@dataclass(frozen=True)
class Access:
    """Check of closed routes. Its errors are `Problem`: 401, 403, or 303 to the login for a browser.

    With keys: `Authorization: Bearer TOKEN`, Basic with the token as password, or the cookie of a login. From a trusted
    proxy: its headers. With neither (development): only from this machine, not through a proxy, and only under a
    loopback name, so that no page of another site reaches it through a name that resolves here.
    """

    keys: tuple[Key, ...] = ()
    proxy: TrustedProxy | None = None
    clock: Clock = field(default_factory=SystemClock)
    guesses: RateLimit = field(default_factory=lambda: RateLimit(burst=10, per_second=0.2), compare=False)
    notes: RateLimit = field(default_factory=lambda: RateLimit(burst=1, per_second=1 / 60), compare=False)

    def require(self, role: Role = Role.READ) -> Callable[[Request], Caller]:
        """Make the check for a role, which leaves the caller in the request's state, for pages that show them.

        What changes something must come from a page of ours, or from a program.
        """

        def check(request: Request) -> Caller:
            caller = self.caller(request)
            if not caller.role.includes(role):
                raise _refused(Problem(403, "Role needed", f"This needs the role {role}, yours is {caller.role}."))
            is_program = request.headers.get("authorization", "").lower().startswith("bearer ")
            if request.method not in SAFE_METHODS and not is_program:
                require_own_page(request)
            request.state.caller = caller
            return caller

        return check

    def caller(self, request: Request) -> Caller:
        address = request.client.host if request.client else ""
        if self.proxy and self.proxy.is_at(address) and (user := request.headers.get(self.proxy.user_header)):
            groups = {one.strip() for one in request.headers.get(self.proxy.groups_header, "").split(",")}
            if roles := [role for role in Role if role in groups]:
                return Caller(name=user, role=roles[-1])
            raise _refused(Problem(403, "Role needed", f"{self.proxy.groups_header} names none of {', '.join(Role)}."))
        if not self.keys and not self.proxy:
            if not _is_local(request):
                detail = "Open from this machine only; set PROSA_CONSOLE_TOKEN to open it to others."
                raise _refused(Problem(403, "Closed", detail))
            return Caller(name="local", role=Role.ADMINISTER)
        given = _given_token(request)
        if found := self._of_session(request.cookies.get(SESSION_COOKIE, "")) or self.key_of(given, request):
            return found
        if not given:
            ACCESS_REFUSALS.labels("no_token").inc()
        accepted = request.headers.get("accept", "")
        is_live = "text/event-stream" in accepted
        if request.method == "GET" and "text/html" in accepted and not is_live:
            place = f"{request.url.path}?{request.url.query}".rstrip("?")
            raise Problem(303, "Log in", "A token opens it.", headers={"Location": f"{LOGIN}?next={quote(place)}"})
        # Basic lets a browser ask in a window of its own, over the page that it has.
        is_page = is_live or "text/html" in accepted
        challenge = {"WWW-Authenticate": "Bearer" if is_page else 'Basic realm="Prosa", charset="UTF-8"'}
        detail = "Send PROSA_CONSOLE_TOKEN, or one of PROSA_CONSOLE_TOKENS, as bearer token."
        raise Problem(401, "Token needed", detail, headers=challenge)

    def key_of(self, token: str, request: Request) -> Key | None:
        """Compare with every key, each in constant time. An empty token would be matched by giving none.

        Raises:
            Problem: 429 for a client that has guessed too often, whatever its token is now.
        """
        if not token:
            return None
        client, given = client_of(request), token.encode("utf-8", "replace")
        self.guesses.take(client)
        if found := [key for key, known in self._tokens() if hmac.compare_digest(given, known)]:
            self.guesses.give_back(client)
            return found[0]
        ACCESS_REFUSALS.labels("wrong_token").inc()
        if not self.notes.wait(client):
            log.warning("access.wrong_token", client=client)
        return None

    def session(self, key: Key) -> str:
        """Return the value of the cookie of a login, which ends after `SESSION`, or when the key is withdrawn."""
        ends = str(int((self.clock.now() + SESSION).timestamp()))
        return f"{ends}.{_signature(ends, key.token.get_secret_value().encode())}"

    def _of_session(self, cookie: str) -> Key | None:
        ends, _, signature = cookie.partition(".")
        is_number = ends.isascii() and ends.isdecimal() and len(ends) < 12
        if not is_number or int(ends) <= self.clock.now().timestamp():
            return None
        given = signature.encode("utf-8", "replace")
        found = [key for key, known in self._tokens() if hmac.compare_digest(given, _signature(ends, known).encode())]
        return found[0] if found else None

    def _tokens(self) -> Iterator[tuple[Key, bytes]]:
        for key in self.keys:
            if token := key.token.get_secret_value():
                yield key, token.encode()


def require_allowed_origin(request: Request, allowed: frozenset[str]) -> None:
    """Refuse a page of another origin. Browsers name the origin of a page; programs send none and may pass.

    A name of another site may resolve to this machine ("DNS rebinding"), and its pages are then of one origin with what
    answers here: directly from this machine only loopback names and those of allowed origins are answered.

    Raises:
        Problem: 403.
    """
    origin, named = request.headers.get("origin"), {one.partition("://")[2] for one in allowed}
    if _is_direct(request) and not _is_local(request) and request.headers.get("host", "") not in named:
        raise _refused(Problem(403, "Origin not allowed", "List the page's origin in PROSA_WEB_ORIGINS."), "other_site")
    if origin is None or origin.rstrip("/") in allowed:
        return
    own = request.headers.get("host", "")
    if origin.partition("://")[2] != own:
        raise Problem(403, "Origin not allowed", "List the page's origin in PROSA_WEB_ORIGINS.")


def require_own_page(request: Request) -> None:
    """Refuse what a page of another site sends with the credentials of a browser.

    Raises:
        Problem: 403. Source: OWASP, Cross-Site Request Forgery Prevention: Fetch Metadata, then the origin.
    """
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    if site not in ("same-origin", "none") or (origin and origin.partition("://")[2] != request.headers.get("host")):
        raise _refused(Problem(403, "Origin not allowed", "Only pages of this address may do that."), "other_site")


def client_of(request: Request) -> str:
    """Return the client's address as the nearest proxy saw it; of IPv6 the network, whose addresses are all one's."""
    forwarded = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    given = forwarded or (request.client.host if request.client else "")
    try:
        address = ip_address(given)
    except ValueError:
        return given[:64]
    return str(ip_network((address, 64), strict=False)) if address.version == 6 else given


def _refused(problem: Problem, reason: str = "role") -> Problem:
    ACCESS_REFUSALS.labels(reason).inc()
    return problem


def _signature(ends: str, token: bytes) -> str:
    return hmac.digest(token, f"prosa session {ends}".encode(), "sha256").hex()


def _given_token(request: Request) -> str:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except ValueError:
            return ""
    return ""


def _is_local(request: Request) -> bool:
    """Whether the request comes from this machine, through no proxy, and under a loopback name."""
    host = request.headers.get("host", "")
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return _is_direct(request) and name in LOOPBACK


def _is_direct(request: Request) -> bool:
    """Whether the request comes from this machine, through no proxy."""
    is_forwarded = any(name in request.headers for name in FORWARDING)
    return not is_forwarded and request.client is not None and request.client.host in LOOPBACK
