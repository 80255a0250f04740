"""The callback of an ended analysis to the one configured receiver: signed, in five seconds or not at all.

The address comes from the settings alone: one that a caller gave would let them reach into our network. The signature
is that of Standard Webhooks (https://www.standardwebhooks.com). docs/analyses.md describes the receiver.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson

from adapters.http.client import HttpError, ask, open_client
from contracts.errors import CallbackRefusedError, ConfigurationError

TIMEOUT = timedelta(seconds=5)
VERSION, SECRET_PREFIX = "v1", "whsec_"


class HttpCallback:
    """Satisfies the `Callback` port. `secret` is `whsec_` and base64, or any other text; `named` is its variable.

    Raises:
        ConfigurationError: what follows `whsec_` is not base64.
    """

    def __init__(self, url: str, *, secret: str, named: str = "PROSA_ANALYSIS_CALLBACK_SECRET") -> None:
        self._url = url
        self._key = signing_key(secret, named=named)
        self._client = open_client(within=TIMEOUT, headers={"Content-Type": "application/json"})

    async def send(self, content: Mapping[str, Any], *, delivery_id: str, at: datetime) -> None:
        body = orjson.dumps(content)
        timestamp = str(int(at.timestamp()))
        headers = {
            "webhook-id": delivery_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"{VERSION},{signature(self._key, delivery_id, timestamp, body)}",
        }
        try:
            # Of the receiver's answer only the status is read, however long the body is.
            answer = await ask(
                self._client, "POST", self._url, within=TIMEOUT, max_bytes=0, content=body, headers=headers
            )
        except HttpError as exc:
            raise CallbackRefusedError(str(exc)) from exc
        if not answer.is_success:
            raise CallbackRefusedError(f"status {answer.status}", retry_after=answer.retry_after)

    async def close(self) -> None:
        await self._client.aclose()


def signing_key(secret: str, *, named: str) -> bytes:
    """Return the bytes that sign: those that a `whsec_` secret encodes, or the text itself.

    Raises:
        ConfigurationError: what follows `whsec_` is not base64.
    """
    if not secret.startswith(SECRET_PREFIX):
        return secret.encode()
    encoded = secret.removeprefix(SECRET_PREFIX).rstrip("=")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError as exc:
        raise ConfigurationError(f"{named} begins with whsec_, and base64 has to follow") from exc
    if not key:
        raise ConfigurationError(f"{named} is whsec_ alone: base64 has to follow")
    return key


def signature(key: bytes, delivery_id: str, timestamp: str, body: bytes) -> str:
    """Return the HMAC-SHA256 over `id.timestamp.body`, in base64. Source: Standard Webhooks 1.0, "Signature scheme"."""
    signed = b".".join((delivery_id.encode(), timestamp.encode(), body))
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
