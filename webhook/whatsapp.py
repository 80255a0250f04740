"""`/webhooks/whatsapp`: Meta's handshake and events."""

import hmac
from collections.abc import Sequence

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from adapters.channels.whatsapp_inbound import Parsed, is_signed, parse
from adapters.http.inbound import BodyReader
from adapters.http.problems import Problem
from contracts.messages import ChannelName
from observability.metrics import REFUSED
from webhook.dependencies import WebhookDependencies, WhatsAppSecrets
from webhook.platforms import Intake, Outcomes, Post
from webhook.receive import apply_statuses, count_ignored, keep_broken, make_durable, side_by_side

# Meta's limit is 3 MB; a little more is accepted so that the limit is theirs and not ours.
MAX_BODY = 4 * 1024 * 1024
WHATSAPP_PATH = "/webhooks/whatsapp"


def whatsapp_intake(deps: WebhookDependencies) -> Intake:
    return Intake(ChannelName.WHATSAPP, WhatsAppReceiver(deps), BodyReader(MAX_BODY, deps.read_within))


def whatsapp_routes(deps: WebhookDependencies) -> APIRouter:
    """The handshake; posts go to the intake."""
    router = APIRouter(prefix=WHATSAPP_PATH, tags=["platform webhooks"])

    @router.get("", summary="Meta's handshake")
    async def handshake(request: Request) -> Response:
        secrets = _secrets(deps)
        query = request.query_params
        token = query.get("hub.verify_token", "")
        if query.get("hub.mode") != "subscribe" or not _equal(token, secrets.verify_token):
            REFUSED.labels(channel="whatsapp", reason="handshake").inc()
            raise Problem(403, "Handshake refused", "hub.verify_token is not WHATSAPP_VERIFY_TOKEN.")
        return PlainTextResponse(query.get("hub.challenge", ""))

    return router


class WhatsAppReceiver:
    """Satisfies `Receiver`: what is not durable is not taken, and comes again."""

    def __init__(self, deps: WebhookDependencies) -> None:
        self._deps = deps

    async def __call__(self, posts: Sequence[Post]) -> Outcomes:
        secrets = _secrets(self._deps)
        read = [self._read(post, secrets) for post in posts]
        unavailable = await self._keep_messages(read)
        outcomes = [one if isinstance(one, Problem) else unavailable if one.messages else None for one in read]
        more = {
            number: self._keep_more(one)
            for number, one in enumerate(read)
            if outcomes[number] is None and isinstance(one, Parsed) and one.has_more
        }
        for number, outcome in zip(more, await side_by_side(list(more.values())), strict=True):
            outcomes[number] = outcome
        await self._deps.faults.reach("ingest.before_answer")
        return outcomes

    def _read(self, post: Post, secrets: WhatsAppSecrets) -> Parsed | Problem:
        if not is_signed(post.body, post.header(b"x-hub-signature-256"), secrets.app_secrets):
            REFUSED.labels(channel="whatsapp", reason="signature").inc()
            return Problem(401, "Bad signature", "X-Hub-Signature-256 is not the body's HMAC under the app secret.")
        return parse(post.body, id_salt=self._deps.id_salt, at=self._deps.clock.now())

    async def _keep_messages(self, read: Sequence[Parsed | Problem]) -> Problem | None:
        messages = [message for one in read if isinstance(one, Parsed) for message in one.messages]
        try:
            await make_durable(messages, self._deps)
        except Problem as exc:
            return exc
        return None

    async def _keep_more(self, parsed: Parsed) -> Problem | None:
        """What of a post is no message."""
        try:
            await apply_statuses(parsed.statuses, self._deps)
            await keep_broken(ChannelName.WHATSAPP, parsed.broken, self._deps)
        except Problem as exc:
            return exc
        count_ignored(ChannelName.WHATSAPP, parsed.ignored)
        return None


def _secrets(deps: WebhookDependencies) -> WhatsAppSecrets:
    if deps.whatsapp is None:
        raise Problem(404, "No WhatsApp here", "Set the WHATSAPP_* variables and start again.")
    return deps.whatsapp


def _equal(given: str, expected: str) -> bool:
    """Constant time; an empty expectation never matches."""
    return bool(expected) and hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())
