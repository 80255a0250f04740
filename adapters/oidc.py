"""Checks the tokens that Google signs for a service account: who calls, whom the call is for, and until when.

`google.auth.jwt.decode` is not enough here: it takes ES256 beside RS256, tries every key when a token names none, reads
base64 that no encoder writes, knows no `nbf`, no issuer and no e-mail, asks the machine for the time, and puts pieces
of the token into its errors.
"""

import asyncio
import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from contracts.errors import PermanentError, TransientError
from contracts.ports import Clock
from observability.logs import logger

log = logger(__name__)

GOOGLE_CERTS_URL = "https://www.googleapis.com/oauth2/v3/certs"
ISSUERS = frozenset({"https://accounts.google.com", "accounts.google.com"})
LEEWAY = timedelta(seconds=10)
MAX_TOKEN_LENGTH = 8192
MIN_KEY_BITS = 2048

SHORTEST_CACHING = timedelta(minutes=5)
LONGEST_CACHING = timedelta(hours=24)
# Forged key ids, and a key server that is away, make us ask at most this often.
BETWEEN_FETCHES = timedelta(seconds=30)
AFTER_FAILED_FETCH = timedelta(seconds=5)
FETCH_TIMEOUT_SECONDS = 2.0
MAX_KEYS_BYTES = 256 * 1024

_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=(\d{1,9})(?:$|[,\s])", re.IGNORECASE)


class UnauthenticatedError(PermanentError):
    """The token does not show that Google speaks; the text says what is wrong with it and quotes nothing of it."""


class ForbiddenCallerError(PermanentError):
    """The token is genuine and somebody else's."""


class KeysUnavailableError(TransientError):
    """Google's public keys could not be fetched and none are known."""


class OidcVerifier:
    """Verifies tokens of one service account for one audience."""

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
        self._http = http or httpx.AsyncClient(timeout=FETCH_TIMEOUT_SECONDS)
        self._keys = _KeySet(certs_url, self._http, clock)

    async def verify(self, token: str) -> None:
        """Return when the token is genuine, in time, and meant for us from the one account that may call.

        Raises:
            UnauthenticatedError: it is not genuine, expired, not yet valid, or for somebody else.
            ForbiddenCallerError: it is of another account.
            KeysUnavailableError: nothing can be said about it now.
        """
        parsed = _parse(token)
        key = await self._keys.find(parsed.key_id)
        if key is None:
            raise UnauthenticatedError("no such key")
        try:
            key.verify(parsed.signature, parsed.signed, PKCS1v15(), SHA256())
        except InvalidSignature as exc:
            raise UnauthenticatedError("the signature does not match") from exc
        self._check_claims(parsed.claims)

    async def close(self) -> None:
        await self._http.aclose()

    def _check_claims(self, claims: Mapping[str, Any]) -> None:
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


class _KeySet:
    """The public keys by id, kept as long as their server says; old ones are better than none when it is away."""

    def __init__(self, url: str, http: httpx.AsyncClient, clock: Clock) -> None:
        self._url = url
        self._http = http
        self._clock = clock
        self._keys: Mapping[str, RSAPublicKey] = {}
        self._fresh_until: datetime | None = None
        self._not_before: datetime | None = None
        self._fetching = asyncio.Lock()

    async def find(self, key_id: str) -> RSAPublicKey | None:
        if self._needs_fetch(key_id):
            async with self._fetching:
                # Another request may have fetched them while this one waited.
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
            response = await self._http.get(self._url)
            response.raise_for_status()
            keys = _read_keys(response.content)
        except (httpx.HTTPError, _UnreadableKeysError) as exc:
            self._not_before = self._clock.now() + AFTER_FAILED_FETCH
            log.warning("oidc.keys_unavailable", error=type(exc).__name__)
            return
        now = self._clock.now()
        self._keys = keys
        self._fresh_until = now + _caching(response.headers.get("cache-control", ""))
        self._not_before = now + BETWEEN_FETCHES


class _UnreadableKeysError(Exception):
    """What came is not a set of keys."""


@dataclass(frozen=True)
class _Token:
    key_id: str
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes


def _parse(token: str) -> _Token:
    """Take the token apart without believing it."""
    if len(token) > MAX_TOKEN_LENGTH or not token.isascii() or token.count(".") != 2:
        raise UnauthenticatedError("not a token")
    head, body, signature = token.split(".")
    header, claims = _json_object(head), _json_object(body)
    if header.get("alg") != "RS256":
        raise UnauthenticatedError("wrong algorithm")
    if "crit" in header:
        # It lists what a verifier must understand; Google's tokens have none.
        raise UnauthenticatedError("unknown extension")
    key_id = header.get("kid")
    if not isinstance(key_id, str) or not key_id:
        raise UnauthenticatedError("no key id")
    return _Token(key_id, claims, f"{head}.{body}".encode(), _decode(signature))


def _json_object(part: str) -> Mapping[str, Any]:
    try:
        value = orjson.loads(_decode(part))
    except orjson.JSONDecodeError as exc:
        raise UnauthenticatedError("not a token") from exc
    if not isinstance(value, dict):
        raise UnauthenticatedError("not a token")
    return value


def _decode(part: str) -> bytes:
    """Decode base64url as it is written by the standard: one text for each value, so no token has a twin."""
    try:
        decoded = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except binascii.Error as exc:
        raise UnauthenticatedError("not a token") from exc
    if _encode(decoded) != part:
        raise UnauthenticatedError("not a token")
    return decoded


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnauthenticatedError(f"no {name}")
    return float(value)


def _read_keys(content: bytes) -> Mapping[str, RSAPublicKey]:
    """The RSA keys of a JWK set; keys of other kinds are left out.

    Raises:
        _UnreadableKeysError: it is no such set, or has no usable key.
    """
    if len(content) > MAX_KEYS_BYTES:
        raise _UnreadableKeysError("too large")
    try:
        listed = orjson.loads(content)["keys"]
        keys = {one["kid"]: _public_key(one) for one in listed if _is_ours(one)}
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, UnauthenticatedError) as exc:
        raise _UnreadableKeysError("not a set of keys") from exc
    if not keys:
        raise _UnreadableKeysError("no usable key")
    return keys


def _is_ours(key: Mapping[str, Any]) -> bool:
    return key.get("kty") == "RSA" and key.get("alg", "RS256") == "RS256" and key.get("use", "sig") == "sig"


def _public_key(key: Mapping[str, str]) -> RSAPublicKey:
    modulus, exponent = (int.from_bytes(_decode(key[name])) for name in ("n", "e"))
    if modulus.bit_length() < MIN_KEY_BITS:
        raise ValueError("the key is too short")
    return RSAPublicNumbers(exponent, modulus).public_key()


def _caching(cache_control: str) -> timedelta:
    """How long keys are kept: what their server says, within bounds."""
    found = _MAX_AGE.search(cache_control)
    said = timedelta(seconds=int(found[1])) if found else SHORTEST_CACHING
    return min(LONGEST_CACHING, max(SHORTEST_CACHING, said))
