"""Tells the one configured receiver that an analysis has ended: signed, in five seconds or not at all.

The address comes from the settings alone: one that a caller gave would let them reach into our network. For the same
reason no redirect is followed. docs/analyses.md says what the receiver does.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx
import orjson

from contracts.errors import CallbackRefusedError

TIMEOUT = timedelta(seconds=5)
VERSION = "v1"


class HttpCallback:
    """Satisfies the `Callback` port."""

    def __init__(self, url: str, *, secret: str) -> None:
        self._url = url
        self._secret = secret
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            timeout=TIMEOUT.total_seconds(),
            headers={"Content-Type": "application/json", "User-Agent": "Prosa"},
        )

    async def send(self, content: Mapping[str, Any], *, delivery_id: str, at: datetime) -> None:
        body = orjson.dumps(content)
        timestamp = str(int(at.timestamp()))
        headers = {
            "Prosa-Timestamp": timestamp,
            "Prosa-Signature": f"{VERSION}={signature(self._secret, timestamp, body)}",
            "Prosa-Delivery": delivery_id,
        }
        try:
            # The client's own time-out is for each read; a receiver that drips would never meet it.
            async with asyncio.timeout(TIMEOUT.total_seconds()):
                # What it answers beside its status is not read, however long it is.
                async with self._client.stream("POST", self._url, content=body, headers=headers) as response:
                    status = response.status_code
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as exc:
            raise CallbackRefusedError(type(exc).__name__) from exc
        if not 200 <= status <= 299:
            raise CallbackRefusedError(f"status {status}")

    async def close(self) -> None:
        await self._client.aclose()


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 over `timestamp.body`, in hexadecimal digits."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
