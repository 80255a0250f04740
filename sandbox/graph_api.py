"""WhatsApp's part of Meta's Graph API: sends with every limit, statuses that follow, media, and its ways to fail."""

import asyncio
import base64
import hmac
import itertools
import re
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from math import inf
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from adapters.channels.whatsapp import SANDBOX_PHONE_NUMBER_ID
from sandbox.behaviour import AccessToken, Counters, GraphBehaviour, Script, ScriptedSend, SendFault
from sandbox.chance import Chance, Dice
from sandbox.graph_statuses import WebhookSender
from sandbox.graph_validation import GraphError, check_message, check_read_mark
from sandbox.media import MAX_UPLOAD_BYTES, MediaShelf
from sandbox.media_faults import FileFault, looked_up
from sandbox.recordings import voice_note
from sandbox.transport import JSON, BodyTooLargeError, Cut, behaviour_route, page_of, parsed, read_body, refusing
from sandbox.whatsapp_webhooks import (
    envelope,
    inbound_audio,
    inbound_text,
    media_content,
    message,
    status_element,
)

APP_ID, BUSINESS_ACCOUNT_ID = "670843887433847", "102289599326934"
EXPIRED_AT, EXPIRES_AT = 1_767_225_600, 4_102_444_800
SCOPES = ("whatsapp_business_management", "whatsapp_business_messaging")
PATHS = "cannot be loaded due to missing permissions, or does not support this operation"


def check_token(token: str, behaviour: GraphBehaviour) -> None:
    """Raises GraphError for a token that the platform does not take."""
    if not token or token == "invalid" or behaviour.token is AccessToken.REFUSED:
        raise GraphError(190, "Invalid OAuth access token - Cannot parse access token")
    if behaviour.token is AccessToken.EXPIRED:
        raise GraphError(
            190,
            message="Error validating access token: Session has expired on Wednesday, 31-Dec-25 16:00:00 PST. "
            "The current time is Monday, 30-Nov-26 08:00:00 PST.",
            subcode=463,
        )


def check_proof(proof: str | None, *, token: str, app_secret: str) -> None:
    """Raises GraphError for a proof that was not made of this token under the app's secret; none is fine."""
    expected = hmac.new(app_secret.encode(), token.encode(), sha256).hexdigest()
    if proof is not None and not hmac.compare_digest(proof, expected):
        raise GraphError(
            100, message="Invalid appsecret_proof provided in the API argument", kind="GraphMethodException"
        )


def debugged(behaviour: GraphBehaviour) -> dict[str, Any]:
    scopes = [scope for scope in SCOPES if scope not in behaviour.missing_scopes]
    return {
        "data": {
            "app_id": APP_ID,
            "type": "SYSTEM_USER",
            "application": "Prosa sandbox",
            "data_access_expires_at": 0,
            "expires_at": EXPIRES_AT if behaviour.token is AccessToken.TEMPORARY else 0,
            "is_valid": True,
            "scopes": [*scopes, "public_profile"],
            "granular_scopes": [{"scope": scope, "target_ids": [BUSINESS_ACCOUNT_ID]} for scope in scopes],
            "user_id": "10222270944537964",
        }
    }


def number(phone_number_id: str, fields: str, behaviour: GraphBehaviour) -> dict[str, Any]:
    """The asked fields of a number. Raises GraphError: the token sees no such number."""
    if phone_number_id in behaviour.unknown_numbers or SCOPES[0] in behaviour.missing_scopes:
        raise unknown_object(phone_number_id)
    known = {
        "verified_name": "Prosa sandbox",
        "display_phone_number": "+55 19 5550-0100",
        "quality_rating": behaviour.quality_rating,
        "code_verification_status": behaviour.code_verification_status,
        "messaging_limit_tier": behaviour.messaging_limit_tier,
    }
    asked = {name: known[name] for name in fields.split(",") if name in known}
    return {**asked, "id": phone_number_id}


def subscribed_apps(business_account_id: str, behaviour: GraphBehaviour) -> dict[str, Any]:
    if business_account_id != BUSINESS_ACCOUNT_ID:
        raise unknown_object(business_account_id)
    app = {"id": APP_ID, "name": "Prosa sandbox", "link": f"https://www.facebook.com/games/?app_id={APP_ID}"}
    return {"data": [{"whatsapp_business_api_data": app}] if behaviour.subscribed else []}


def unknown_object(id: str) -> GraphError:
    message = f"Unsupported get request. Object with ID '{id}' does not exist, {PATHS}."
    return GraphError(100, message=message, subcode=33, kind="GraphMethodException")


KEPT_MESSAGES = 10_000
MAX_JSON_BYTES = 1024 * 1024
PAIR_BURST = 45
PAIR_INTERVAL_SECONDS = 6.0
# A message is on its way until its first status is due, at most so long.
LONGEST_WAY_SECONDS = 1.0

_VERSION = re.compile(r"v\d{1,2}\.\d")
_ERROR_PAGE = (
    "<!DOCTYPE html><html><head><title>Error</title></head><body><h1>Sorry, something went wrong.</h1></body></html>"
)


class GraphSandbox:
    """The platform's side. `clock` gives seconds for media and pair limits."""

    def __init__(
        self,
        *,
        app_secret: str,
        webhook_url: str | None = None,
        behaviour: GraphBehaviour | None = None,
        seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seed = seed
        self._app_secret = app_secret
        self._clock = clock
        self._initial = behaviour or GraphBehaviour()
        self._numbers = itertools.count(1)
        self._pairs: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._wrote: OrderedDict[str, None] = OrderedDict()
        self._on_the_way: dict[str, tuple[float, dict[str, Any]]] = {}
        self.counters = Counters()
        self.messages: deque[dict[str, Any]] = deque(maxlen=KEPT_MESSAGES)
        self.media = MediaShelf(clock)
        self.webhooks = WebhookSender(webhook_url, app_secret, self.counters)
        self.behave(self._initial)

    def behave(self, behaviour: GraphBehaviour) -> None:
        """From now on do this; the chance starts over."""
        self.behaviour = behaviour
        self.webhooks.behaviour = behaviour.statuses
        self._script: Script[ScriptedSend] = Script(behaviour.script)
        self._chance = Chance(self._seed if behaviour.seed is None else behaviour.seed)

    def routes(self) -> list[BaseRoute]:
        return [
            behaviour_route(self, self._initial, lambda: {"script_left": len(self._script)}),
            Route("/sandbox/messages", self._show_messages, methods=["GET", "DELETE"]),
            Route("/sandbox/inbound", self._write_as_person, methods=["POST"]),
            Route("/sandbox/media/{key}", self._download, methods=["GET"], name="download"),
            self.media.route(),
            # The platform takes paths without a version too; they mean the version set for the app.
            *(
                route
                for version in ("/{version}", "")
                for route in (
                    Route(version + "/{phone_number_id}/messages", self._send, methods=["POST"]),
                    Route(version + "/{phone_number_id}/media", self._upload, methods=["POST"]),
                    Route(version + "/debug_token", self._debug_token, methods=["GET"]),
                    Route(version + "/{account_id}/subscribed_apps", self._subscribed_apps, methods=["GET", "POST"]),
                    Route(version + "/{account_id}/message_templates", self._templates, methods=["GET"]),
                    Route(version + "/{media_id}", self._media, methods=["GET", "DELETE"]),
                )
            ),
        ]

    async def _send(self, request: Request) -> Response:
        self.counters.add("requests")
        body = b""
        try:
            self._check_access(request)
            body = await read_body(request, MAX_JSON_BYTES)
            content = parsed(body)
            if content is None:
                raise GraphError(100, "The request is not a JSON object.")
            if content.get("status") is not None and "type" not in content:
                if content.get("messaging_product") != "whatsapp":
                    raise GraphError(100, "The parameter messaging_product is required and must be whatsapp.")
                check_read_mark(content)
                self.counters.add("typing_indicators" if content.get("typing_indicator") else "read_marks")
                return JSON({"success": True})
            return await self._accept(request, content, body)
        except BodyTooLargeError:
            return self.refused(GraphError(100, "The request is too large.", status=413), body)
        except GraphError as exc:
            return self.refused(exc, body)

    async def _accept(self, request: Request, content: dict[str, Any], body: bytes) -> Response:
        dice, _ = self._chance.dice(body)
        latency = self.behaviour.latency
        waited_ms = dice.lognormal("latency", latency.median_ms, latency.sigma)
        if waited_ms > 0:
            await asyncio.sleep(waited_ms / 1000)
        to = str(content.get("to") or content.get("recipient") or "")
        scripted = self._script.take(lambda entry: entry.matches(to))
        fault = scripted.fault if scripted else self.behaviour.fault(dice)
        match fault:
            case SendFault.SERVER_ERROR_PAGE:
                self.counters.add("status_500")
                return Response(_ERROR_PAGE, status_code=500, media_type="text/html")
            case SendFault.UNAVAILABLE:
                raise GraphError(131016, status=503)
            case SendFault.CUT_BEFORE_ACCEPTING:
                self.counters.add("cut_before_accepting")
                return Cut()
        if scripted is not None and scripted.code is not None:
            raise GraphError(scripted.code)
        check_message(content)
        if scripted is None and (code := self.behaviour.error_code(dice)) is not None:
            raise GraphError(code)
        if self.behaviour.closed_windows and content.get("type") != "template":
            person, known = self._wa_id(to), {each.lstrip("+") for each in self.behaviour.known_people}
            if person not in self._wrote and person not in known:
                raise GraphError(131047, "More than 24 hours have passed since the recipient last replied.")
        self._check_pair(to)

        accepted = self._record(request.path_params["phone_number_id"], to, content)
        await self._follow_up(accepted, dice, scripted.failed_code if scripted else None)
        if fault is SendFault.CUT_AFTER_ACCEPTING:
            self.counters.add("cut_after_accepting")
            return Cut()
        contact = {"input": to, "wa_id": accepted["wa_id"]} if content.get("to") else {"input": to, "user_id": to}
        answer = {"messaging_product": "whatsapp", "contacts": [contact], "messages": [{"id": accepted["id"]}]}
        if content.get("type") == "template":
            answer["messages"] = [{"id": accepted["id"], "message_status": "accepted"}]
        self.counters.add("status_200")
        return JSON(answer)

    def _record(self, phone_number_id: str, to: str, content: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        wa_id = self._wa_id(to)
        token = base64.b64encode(f"{wa_id}\0{self._seed}\0{number:012d}".encode()).decode()
        accepted = {
            "number": number,
            "shown": number,
            "id": f"wamid.{token}",
            "phone_number_id": phone_number_id,
            "to": to,
            "wa_id": wa_id,
            "type": content.get("type", "text"),
            "client_reference": content.get("biz_opaque_callback_data"),
            "at": datetime.now(UTC).isoformat(),
            "body": content,
        }
        if self.behaviour.reorders:
            self._overtake(accepted)
        self.messages.append(accepted)
        self.counters.add("accepted")
        return accepted

    def _overtake(self, accepted: dict[str, Any]) -> None:
        """Let the message be shown before the one that is on its way to the same person."""
        now, plan = self._clock(), self.behaviour.statuses
        until, earlier = self._on_the_way.get(accepted["to"], (now, accepted))
        if now < until:
            accepted["shown"], earlier["shown"] = earlier["shown"], accepted["shown"]
        first_ms = min((plan.after_ms.get(kind, 100.0) for kind in plan.kinds), default=inf)
        self._on_the_way[accepted["to"]] = now + min(first_ms / 1000, LONGEST_WAY_SECONDS), accepted

    async def _follow_up(self, accepted: dict[str, Any], dice: Dice, failed_code: int | None) -> None:
        """Plan the statuses of a message; the first is posted here and now when it is to precede the response."""
        plan = self.behaviour.statuses
        if failed_code is None and plan.failed_codes and dice.happens("failed", plan.failed):
            failed_code = plan.failed_codes[dice.pick("failed code", len(plan.failed_codes))]
        kinds: list[str] = list(plan.kinds) if failed_code is None else [*plan.kinds[:1], "failed"]
        delays = [plan.after_ms.get(kind, 100.0) for kind in kinds]
        if len(kinds) > 1 and dice.happens("shuffled", plan.shuffled):
            turn = 1 + dice.pick("shuffle", len(kinds) - 1)
            kinds = kinds[turn:] + kinds[:turn]
            delays = sorted(delays)
        for position, (kind, delay) in enumerate(zip(kinds, delays, strict=True)):
            element = status_element(
                accepted["id"],
                kind,
                accepted["wa_id"],
                client_reference=accepted["client_reference"],
                error_code=failed_code if kind == "failed" else None,
            )
            if plan.before_response and position == 0:
                await self.webhooks.post_now(element, accepted["phone_number_id"])
            else:
                self.webhooks.schedule(element, delay, accepted["phone_number_id"])
            if dice.happens(f"duplicated {kind}", plan.duplicated):
                self.webhooks.schedule(element, delay + 5, accepted["phone_number_id"])

    def _check_access(self, request: Request) -> None:
        if not _VERSION.fullmatch(request.path_params.get("version", "v26.0")):
            raise GraphError(100, "Unknown path components: the version is written like v24.0.", status=404)
        authorization = request.headers.get("authorization", "")
        token = authorization.removeprefix("Bearer ").strip() if authorization.startswith("Bearer ") else ""
        check_token(token, self.behaviour)
        check_proof(request.query_params.get("appsecret_proof"), token=token, app_secret=self._app_secret)

    def _check_pair(self, to: str) -> None:
        """One message in six seconds to one person; a burst of 45 may be borrowed and is waited off."""
        if not self.behaviour.pair_rate:
            return
        now = self._clock()
        left, at = self._pairs.get(to, (float(PAIR_BURST), now))
        left = min(float(PAIR_BURST), left + (now - at) / PAIR_INTERVAL_SECONDS)
        if left < 1:
            raise GraphError(131056, "Too many messages sent from this phone number to the same phone number.")
        self._pairs[to] = (left - 1, now)
        self._pairs.move_to_end(to)
        if len(self._pairs) > KEPT_MESSAGES:
            self._pairs.popitem(last=False)

    def _wa_id(self, to: str) -> str:
        digits = re.sub(r"\D", "", to) if not to[:2].isalpha() else to
        if self.behaviour.brazilian_numbers_without_nine and re.fullmatch(r"55\d{2}9\d{8}", digits):
            return digits[:4] + digits[5:]
        return digits

    def refused(self, refusal: GraphError, body: bytes = b"") -> Response:
        self.counters.add(f"status_{refusal.status}")
        self.counters.add(f"code_{refusal.code}")
        trace = "A" + base64.urlsafe_b64encode(Chance(self._seed).dice(body)[0].draw("trace").hex().encode()).decode()
        return JSON(refusal.body(trace[:23]), status_code=refusal.status)

    @refusing
    async def _upload(self, request: Request) -> Response:
        self._check_access(request)
        try:
            body = await read_body(request, MAX_UPLOAD_BYTES + MAX_JSON_BYTES)
        except BodyTooLargeError as exc:
            raise GraphError(131053, "The file is too large.") from exc
        file = self.media.upload(body, request.headers.get("content-type", ""))
        self.counters.add("uploads")
        return JSON({"id": file.id})

    @refusing
    async def _debug_token(self, request: Request) -> Response:
        self._check_access(request)
        check_token(request.query_params.get("input_token", ""), self.behaviour)
        return JSON(debugged(self.behaviour))

    @refusing
    async def _subscribed_apps(self, request: Request) -> Response:
        self._check_access(request)
        if request.method == "POST":
            self.behaviour = self.behaviour.model_copy(update={"subscribed": True})
            return JSON({"success": True})
        return JSON(subscribed_apps(request.path_params["account_id"], self.behaviour))

    @refusing
    async def _templates(self, request: Request) -> Response:
        """One template a page, so that paging is met."""
        self._check_access(request)
        first = int(request.query_params.get("after") or 0)
        paging = {"cursors": {"after": str(first + 1)}}
        more = {"next": str(request.url)} if first + 1 < len(self.behaviour.templates) else {}
        return JSON({"data": list(self.behaviour.templates[first : first + 1]), "paging": paging | more})

    @refusing
    async def _media(self, request: Request) -> Response:
        """A file's link; with `fields` the same path reads a number."""
        media_id = request.path_params["media_id"]
        fields = request.query_params.get("fields")
        self._check_access(request)
        if fields is not None:
            return JSON(number(media_id, fields, self.behaviour))
        file, fault = self.media.get(media_id), self.media.lookup_fault(media_id)
        if file is None or fault is FileFault.GONE:
            raise GraphError(100, f"Unsupported request. Object with ID {media_id!r} does not exist.")
        if request.method == "DELETE":
            return JSON({"success": self.media.remove(media_id)})
        answer = {
            "messaging_product": "whatsapp",
            "url": str(request.url_for("download", key=self.media.link(file))),
            "mime_type": file.mime_type,
            "sha256": file.sha256,
            "file_size": len(file.content),
            "id": file.id,
        }
        return looked_up(fault, answer, "url")

    @refusing
    async def _download(self, request: Request) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not token or token == "invalid":
            raise GraphError(190)
        return self.media.download(request, self.media.behind(request.path_params["key"]))

    async def _show_messages(self, request: Request) -> Response:
        """Everything accepted, in order, with its place as `shown`; `?to=`, and pages by `?after=<number>&limit=`."""
        if request.method == "DELETE":
            self.messages.clear()
            self.webhooks.forget()
            self.counters.clear()
        return JSON(page_of(self.messages, request) | {"counters": self.counters.all()})

    async def _write_as_person(self, request: Request) -> Response:
        """A person writes, or speaks with `voice`: `{"person", "text" or "voice", "name"?, "id"?}`.

        With `?person=&text=&filename=` the body is a file that they send. It goes to the webhook, signed, and opens
        their window.
        """
        query = request.query_params
        try:
            body = await read_body(request, MAX_UPLOAD_BYTES)
            asked = {"text": "", **query} if "person" in query else parsed(body) or {}
        except BodyTooLargeError:
            return JSON({"error": "a JSON object with person and text is needed"}, status_code=422)
        person, voice = asked.get("person"), asked.get("voice")
        text = asked.get("text") if voice is None else voice
        if not isinstance(person, str) or not isinstance(text, str):
            return JSON({"error": "person and text or voice are needed"}, status_code=422)
        person = person.lstrip("+")
        self.person_wrote(person)
        number = asked.get("phone_number_id") or SANDBOX_PHONE_NUMBER_ID
        known: dict[str, Any] = {"id": asked.get("id"), "name": asked.get("name") or "Ana", "phone_number_id": number}
        if "person" in query:
            change = message(person, *self._file(body, request.headers.get("content-type", ""), text, asked), **known)
        elif voice is None:
            change = inbound_text(person, text, **known)
        else:
            change = inbound_audio(person, self.media.add(voice_note(voice), "audio/ogg").id, **known)
        taken = await self.webhooks.post(envelope(change))
        message_id = change["value"]["messages"][0]["id"]
        return JSON({"id": message_id, "taken": taken}, status_code=200 if taken else 502)

    def _file(self, body: bytes, mime_type: str, caption: str, asked: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Keep a file and return its kind of message, with the content."""
        kind = mime_type.partition("/")[0]
        kind = kind if kind in ("image", "audio", "video") else "document"
        content = media_content(self.media.add(body, mime_type).id, mime_type, caption if kind != "audio" else "")
        return kind, content | ({"filename": asked.get("filename", "")} if kind == "document" else {})

    def person_wrote(self, person: str) -> None:
        """Opens the 24-hour window of this person, where windows are checked."""
        self._wrote[person.lstrip("+")] = None
        if len(self._wrote) > KEPT_MESSAGES:
            self._wrote.popitem(last=False)
