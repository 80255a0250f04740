"""Meta's part of every channel over the Graph API: handshake, signature, and the code of an error."""

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime

import orjson

from adapters.channels.reading import is_equal
from adapters.http.client import Answer
from contracts.channels import OriginRefusedError, Post


class MetaInbound:
    """Handshake and signature of the `ChannelInbound` port.

    `app_secrets` are the current one and, while it is being changed, the previous one. `id_salt` keeps numbers and
    names out of the ids made from them; `setting` is the name of the verify token's variable.
    """

    # Meta's limit is 3 MB; with a little more the limit is theirs and not ours.
    max_body = 4 * 1024 * 1024

    def __init__(self, *, app_secrets: Sequence[str], verify_token: str, id_salt: str, setting: str = "") -> None:
        self._app_secrets = app_secrets
        self._verify_token = verify_token
        self._id_salt = id_salt
        self._setting = setting or "WHATSAPP_VERIFY_TOKEN"

    def handshake(self, query: Mapping[str, str]) -> str:
        token = query.get("hub.verify_token", "")
        if query.get("hub.mode") != "subscribe" or not is_equal(token, self._verify_token):
            raise OriginRefusedError(f"hub.verify_token is not {self._setting}.")
        return query.get("hub.challenge", "")

    def verify(self, post: Post, *, at: datetime) -> None:
        if not is_signed(post.body, post.header(b"x-hub-signature-256"), self._app_secrets):
            raise OriginRefusedError("X-Hub-Signature-256 is not the body's HMAC under the app secret.")


def is_signed(body: bytes, header: str | None, secrets: Sequence[str]) -> bool:
    """Check that `X-Hub-Signature-256` is the HMAC-SHA256 of the raw body under one of the secrets."""
    prefix, _, given = (header or "").partition("=")
    if prefix != "sha256" or not given.isascii():
        return False
    expected = [hmac.digest(secret.encode(), body, "sha256").hex() for secret in secrets if secret]
    # Every secret is tried: an early return would reveal their number.
    matches = [hmac.compare_digest(candidate, given) for candidate in expected]
    return any(matches)


def code_of(answer: Answer, key: str = "code") -> int | None:
    """Return the code, or under `key` another number, of an error; None where a gateway answered for the platform."""
    try:
        return int(orjson.loads(answer.content)["error"][key])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, OverflowError):
        return None
