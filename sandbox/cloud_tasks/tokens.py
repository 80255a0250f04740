"""Tokens in the form of Google's for a service account, and the keys that verify them."""

import hashlib
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt import PyJWS
from jwt.algorithms import RSAAlgorithm

from sandbox.cloud_tasks.behaviour import TokenFault

ISSUER = "https://accounts.google.com"
LIFETIME = timedelta(hours=1)
KEY_BITS = 2048


class TokenSigner:
    """Signer with a key made at its start. Older keys stay published until the second rotation, as Google's do."""

    def __init__(self) -> None:
        self._keys: list[tuple[str, rsa.RSAPrivateKey]] = []
        self.rotate()

    def rotate(self) -> None:
        """Sign with a new key from now on."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        self._keys = [(_key_id(key), key), *self._keys[:1]]

    def keys(self) -> dict[str, Any]:
        """Return the public keys as a JWK set, in the shape of https://www.googleapis.com/oauth2/v3/certs."""
        return {"keys": [_public(key_id, key) for key_id, key in self._keys]}

    def token(self, *, email: str, audience: str, at: datetime, fault: TokenFault | None = None) -> str:
        """Return an OIDC token of the service account, valid for an hour, wrong in the way of `fault`."""
        key_id, key = self._keys[0]
        shifts = {TokenFault.EXPIRED: -LIFETIME - timedelta(minutes=1), TokenFault.NOT_YET_VALID: timedelta(minutes=5)}
        issued = at + shifts.get(fault, timedelta(0)) if fault else at
        # The account's number: 21 digits, the same for the same account.
        subject = "1" + str(int.from_bytes(hashlib.sha256(email.encode()).digest()))[:20]
        claims = {
            "aud": "https://somewhere.else.example" if fault is TokenFault.WRONG_AUDIENCE else audience,
            "azp": subject,
            "email": f"not-{email}" if fault is TokenFault.WRONG_EMAIL else email,
            "email_verified": fault is not TokenFault.UNVERIFIED_EMAIL,
            "exp": int((issued + LIFETIME).timestamp()),
            "iat": int(issued.timestamp()),
            "iss": "https://accounts.example.com" if fault is TokenFault.WRONG_ISSUER else ISSUER,
            "sub": subject,
        }
        match fault:
            case TokenFault.UNSIGNED:
                return jwt.encode(claims, "", algorithm="none", headers={"kid": key_id})
            case TokenFault.SYMMETRIC:
                # Algorithm confusion: the public key, which is known, as the secret of an HMAC.
                return jwt.encode(claims, _public(key_id, key)["n"], algorithm="HS256", headers={"kid": key_id})
            case TokenFault.FOREIGN_KEY:
                key = _foreign_key()
            case TokenFault.UNKNOWN_KEY_ID:
                key, key_id = _foreign_key(), _key_id(_foreign_key())
        return sign(key, key_id, claims)


def sign(key: rsa.RSAPrivateKey, key_id: str, claims: dict[str, Any]) -> str:
    """Sign any claims as an RS256 token."""
    return PyJWS().encode(orjson.dumps(claims), key, algorithm="RS256", headers={"kid": key_id})


@cache
def _foreign_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)


def _public(key_id: str, key: rsa.RSAPrivateKey) -> dict[str, Any]:
    numbers = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {"kid": key_id, "kty": "RSA", "alg": "RS256", "use": "sig", "n": numbers["n"], "e": numbers["e"]}


def _key_id(key: rsa.RSAPrivateKey) -> str:
    return hashlib.sha256(str(key.public_key().public_numbers().n).encode()).hexdigest()[:40]
