"""Verification of the tokens that Google signs for a service account: caller, audience and validity.

PyJWT reads the token, the keys and the signature. Its own checks of the claims are off: they read the system clock,
accept a list of audiences, and quote the token in their errors.
"""

import asyncio
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx
import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.types import Options

from adapters.http.client import HttpError, ask, open_client
from contracts.errors import PermanentError, TransientError
from contracts.ports import Clock
from observability.logs import logger

log = logger(__name__)

GOOGLE_CERTS_URL = "https://www.googleapis.com/oauth2/v3/certs"
ISSUERS = frozenset({"https://accounts.google.com", "accounts.google.com"})
ALGORITHM = "RS256"
LEEWAY = timedelta(seconds=10)
MAX_TOKEN_LENGTH = 8192
MIN_KEY_BITS = 2048

SHORTEST_CACHING = timedelta(minutes=5)
LONGEST_CACHING = timedelta(hours=24)
# Shortest time between two fetches, against forged key ids and an unavailable key server.
BETWEEN_FETCHES = timedelta(seconds=30)
AFTER_FAILED_FETCH = timedelta(seconds=5)
FETCH_WITHIN = timedelta(seconds=2)
MAX_KEYS_BYTES = 256 * 1024

_SIGNATURE_ALONE: Options = {
    "verify_signature": True,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=(\d{1,9})(?:$|[,\s])", re.IGNORECASE)


class UnauthenticatedError(PermanentError):
    """The token is not a valid one of Google; the text names the reason and quotes nothing of the token."""


class ForbiddenCallerError(PermanentError):
    """The token is genuine and of another service account."""


class KeysUnavailableError(TransientError):
    """Google's public keys could not be fetched and none are known."""


class OidcVerifier:
    """Verifier of one service account's tokens for one audience."""

    def __init__(
        self,
        *,
        audience: str,
        email: str,
        clock: Clock,
        certs_url: str = GOOGLE_CERTS_URL,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._audience = audience
        self._email = email
        self._clock = clock
        self._http = http or open_client(within=FETCH_WITHIN)
        self._keys = _KeySet(certs_url, self._http, clock)

    async def verify(self, token: str) -> None:
        """Accept a genuine, current token for this audience of the one account that may call.

        Raises:
            UnauthenticatedError: it is not genuine, expired, not yet valid, or for another audience.
            ForbiddenCallerError: it is of another account.
            KeysUnavailableError: it cannot be verified now.
        """
        key = await self._keys.find(_key_id(token))
        if key is None:
            raise UnauthenticatedError("no such key")
        try:
            # Times and names are checked by the passed clock, without PyJWT's texts, which quote the token.
            claims = jwt.decode(token, key, algorithms=[ALGORITHM], options=_SIGNATURE_ALONE)
        except jwt.InvalidSignatureError as exc:
            raise UnauthenticatedError("the signature does not match") from exc
        except jwt.PyJWTError as exc:
            raise UnauthenticatedError("not a token") from exc
        if claims.get("iss") not in ISSUERS:
            raise UnauthenticatedError("wrong issuer")
        if claims.get("aud") != self._audience:
            raise UnauthenticatedError("wrong audience")
        now = self._clock.now().timestamp()
        leeway = LEEWAY.total_seconds()
        if _seconds(claims, "exp") + leeway <= now:
            raise UnauthenticatedError("expired")
        if _seconds(claims, "iat") - leeway > now:
            raise UnauthenticatedError("issued in the future")
        if "nbf" in claims and _seconds(claims, "nbf") - leeway > now:
            raise UnauthenticatedError("not yet valid")
        if claims.get("email") != self._email or claims.get("email_verified") is not True:
            raise ForbiddenCallerError("wrong account")

    async def close(self) -> None:
        await self._http.aclose()


class _KeySet:
    """Public keys by id, cached as long as their server allows; stale ones are used while it is unavailable."""

    def __init__(self, url: str, http: httpx.AsyncClient, clock: Clock) -> None:
        self._url = url
        self._http = http
        self._clock = clock
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fresh_until: datetime | None = None
        self._not_before: datetime | None = None
        self._fetching = asyncio.Lock()

    async def find(self, key_id: str) -> jwt.PyJWK | None:
        if self._needs_fetch(key_id):
            async with self._fetching:
                # Another request may have fetched them during the wait for the lock.
                if self._needs_fetch(key_id):
                    await self._fetch()
        if not self._keys:
            raise KeysUnavailableError("the keys of the token's issuer are not known", retry_after=AFTER_FAILED_FETCH)
        return self._keys.get(key_id)

    def _needs_fetch(self, key_id: str) -> bool:
        now = self._clock.now()
        if self._not_before is not None and now < self._not_before:
            return False
        return key_id not in self._keys or self._fresh_until is None or now >= self._fresh_until

    async def _fetch(self) -> None:
        try:
            answer = await ask(self._http, "GET", self._url, within=FETCH_WITHIN, max_bytes=MAX_KEYS_BYTES)
            if not answer.is_success:
                raise _UnreadableKeysError(f"status {answer.status}")
            keys = _read_keys(answer.content)
        except (HttpError, _UnreadableKeysError) as exc:
            self._not_before = self._clock.now() + AFTER_FAILED_FETCH
            log.warning("oidc.keys_unavailable", error=type(exc).__name__)
            return
        now = self._clock.now()
        self._keys = keys
        max_age = _MAX_AGE.search(answer.headers.get("cache-control", ""))
        caching = timedelta(seconds=int(max_age[1])) if max_age else SHORTEST_CACHING
        self._fresh_until = now + min(LONGEST_CACHING, max(SHORTEST_CACHING, caching))
        self._not_before = now + BETWEEN_FETCHES


class _UnreadableKeysError(Exception):
    """The response is not a set of keys."""


def _key_id(token: str) -> str:
    """Return the key id in the token's header; nothing else of it is trusted yet."""
    if len(token) > MAX_TOKEN_LENGTH or not token.isascii() or "=" in token:
        raise UnauthenticatedError("not a token")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as exc:
        raise UnauthenticatedError("not a token") from exc
    if header.get("alg") != ALGORITHM:
        raise UnauthenticatedError("wrong algorithm")
    if "crit" in header:
        # It lists extensions that a verifier must understand; Google's tokens have none.
        raise UnauthenticatedError("unknown extension")
    key_id = header.get("kid")
    if not isinstance(key_id, str) or not key_id:
        raise UnauthenticatedError("no key id")
    return key_id


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnauthenticatedError(f"no {name}")
    return float(value)


def _read_keys(content: bytes) -> Mapping[str, jwt.PyJWK]:
    """Return the RSA keys of a JWK set by id, without keys of other kinds.

    Raises:
        _UnreadableKeysError: it is no such set, or has no usable key.
    """
    try:
        keys = jwt.PyJWKSet.from_dict(orjson.loads(content)).keys
    except (orjson.JSONDecodeError, jwt.PyJWTError, AttributeError) as exc:
        raise _UnreadableKeysError("not a set of keys") from exc
    ours = {
        key.key_id: key
        for key in keys
        if key.key_id and key.public_key_use in (None, "sig") and key.algorithm_name == ALGORITHM
        if isinstance(key.key, RSAPublicKey) and key.key.key_size >= MIN_KEY_BITS
    }
    if not ours:
        raise _UnreadableKeysError("no usable key")
    return ours
