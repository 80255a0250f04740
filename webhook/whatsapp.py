"""`/webhooks/whatsapp`: Meta's handshake and events."""

import hmac

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from adapters.channels.whatsapp_inbound import is_signed, parse
from contracts.messages import ChannelName
from observability.metrics import REFUSED
from webhook.dependencies import WebhookDependencies, WhatsAppSecrets
from webhook.ingest import apply_statuses, count_ignored, keep_broken, make_durable
from webhook.platform_posts import Receiver
from webhook.problems import Problem
from webhook.request_body import BodyReader

# Meta's limit is 3 MB; a little more is accepted so that the limit is theirs and not ours.
MAX_BODY = 4 * 1024 * 1024
WHATSAPP_PATH = "/webhooks/whatsapp"
TAKEN = PlainTextResponse("ok")


def whatsapp_routes(deps: WebhookDependencies) -> APIRouter:
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

    router.post("", summary="Messages and statuses, signed by Meta")(whatsapp_receiver(deps))
    return router


def whatsapp_receiver(deps: WebhookDependencies) -> Receiver:
    read_body = BodyReader(MAX_BODY, deps.read_within)

    async def receive(request: Request) -> Response:
        secrets = _secrets(deps)
        body = await read_body(request)
        if not is_signed(body, request.headers.get("x-hub-signature-256"), secrets.app_secrets):
            REFUSED.labels(channel="whatsapp", reason="signature").inc()
            raise Problem(401, "Bad signature", "X-Hub-Signature-256 is not the body's HMAC under the app secret.")
        parsed = parse(body, id_salt=deps.id_salt, at=deps.clock.now())
        await make_durable(parsed.messages, deps)
        await apply_statuses(parsed.statuses, deps)
        await keep_broken(ChannelName.WHATSAPP, parsed.broken, deps)
        count_ignored(ChannelName.WHATSAPP, parsed.ignored)
        await deps.faults.reach("ingest.before_answer")
        return TAKEN

    return receive


def _secrets(deps: WebhookDependencies) -> WhatsAppSecrets:
    if deps.whatsapp is None:
        raise Problem(404, "No WhatsApp here", "Set the WHATSAPP_* variables and start again.")
    return deps.whatsapp


def _equal(given: str, expected: str) -> bool:
    """Constant time; an empty expectation never matches."""
    return bool(expected) and hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())
