"""Tokens of the queue's service account: the right one passes, everything else does not, and says nothing of itself."""

import asyncio
import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import httpx
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from adapters.google.oidc import (
    BETWEEN_FETCHES,
    LONGEST_CACHING,
    MAX_TOKEN_LENGTH,
    SHORTEST_CACHING,
    ForbiddenCallerError,
    KeysUnavailableError,
    OidcVerifier,
    UnauthenticatedError,
)
from contracts.errors import WorkerError
from sandbox.cloud_tasks.behaviour import TokenFault
from sandbox.cloud_tasks.tokens import LIFETIME, TokenSigner, sign
from tests.builders import START, SteppingClock

AUDIENCE = "https://worker.example.run.app"
EMAIL = "queue@p.iam.gserviceaccount.com"
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


@cache
def signer() -> TokenSigner:
    return TokenSigner()


@cache
def own_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class KeyServer:
    """Serves key sets as Google does, in the transport; counts how often it was asked."""

    def __init__(self, keys: Callable[[], Any] | None = None) -> None:
        self.keys = keys or (lambda: signer().keys())
        self.cache_control = "public, max-age=21600, must-revalidate, no-transform"
        self.asked = 0
        self.error: Exception | None = None
        self.status = 200

    async def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        return httpx.Response(self.status, json=self.keys(), headers={"Cache-Control": self.cache_control})


def verifier(server: KeyServer | None = None, clock: SteppingClock | None = None) -> OidcVerifier:
    http = httpx.AsyncClient(transport=httpx.MockTransport((server or KeyServer()).answer))
    return OidcVerifier(audience=AUDIENCE, email=EMAIL, clock=clock or SteppingClock(), http=http)


def token(*, at: datetime = START, fault: TokenFault | None = None, email: str = EMAIL) -> str:
    return signer().token(email=email, audience=AUDIENCE, at=at, fault=fault)


def claims(**changes: Any) -> dict[str, Any]:
    now = int(START.timestamp())
    given = {
        "iss": "https://accounts.google.com",
        "aud": AUDIENCE,
        "email": EMAIL,
        "email_verified": True,
        "iat": now,
        "exp": now + 3600,
    }
    return {name: value for name, value in (given | changes).items() if value is not ...}


def signed(**changes: Any) -> str:
    """A token with any claims, by the key that the server shows as "mine"."""
    return sign(own_key(), "mine", claims(**changes))


def jwk(key: rsa.RSAPrivateKey, **changes: Any) -> dict[str, Any]:
    numbers = key.public_key().public_numbers()
    shown = {
        "kid": "mine",
        "kty": "RSA",
        "n": _encoded(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8)),
        "e": _encoded(numbers.e.to_bytes(3)),
    }
    return shown | changes


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


async def verify_own(token: str) -> None:
    await verifier(KeyServer(lambda: {"keys": [jwk(own_key())]})).verify(token)


async def test_the_token_of_the_queue_passes() -> None:
    await verifier().verify(token())


@pytest.mark.parametrize("issuer", ["https://accounts.google.com", "accounts.google.com"])
async def test_google_is_known_by_both_its_names(issuer: str) -> None:
    await verify_own(signed(iss=issuer))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (TokenFault.FOREIGN_KEY, "the signature does not match"),
        (TokenFault.UNKNOWN_KEY_ID, "no such key"),
        (TokenFault.WRONG_AUDIENCE, "wrong audience"),
        (TokenFault.WRONG_ISSUER, "wrong issuer"),
        (TokenFault.EXPIRED, "expired"),
        (TokenFault.NOT_YET_VALID, "issued in the future"),
        (TokenFault.UNSIGNED, "wrong algorithm"),
        (TokenFault.SYMMETRIC, "wrong algorithm"),
    ],
)
async def test_a_token_that_is_wrong_is_refused_with_its_reason(fault: TokenFault, reason: str) -> None:
    with pytest.raises(UnauthenticatedError) as refused:
        await verifier().verify(token(fault=fault))
    assert str(refused.value) == reason


@pytest.mark.parametrize("fault", [TokenFault.WRONG_EMAIL, TokenFault.UNVERIFIED_EMAIL])
async def test_a_genuine_token_of_another_account_is_forbidden(fault: TokenFault) -> None:
    with pytest.raises(ForbiddenCallerError):
        await verifier().verify(token(fault=fault))


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": [AUDIENCE]},
        {"aud": f"{AUDIENCE}/"},
        {"aud": AUDIENCE.upper()},
        {"aud": ...},
        {"iss": ...},
        {"iss": "https://accounts.google.com/"},
        {"exp": ...},
        {"exp": str(int(START.timestamp()) + 3600)},
        {"exp": True},
        {"exp": None},
        {"iat": ...},
        {"iat": True},
        {"nbf": int(START.timestamp()) + 11},
        {"nbf": "now"},
        {"email": EMAIL.upper()},
        {"email": f"{EMAIL}.example.com"},
        {"email": ...},
        {"email_verified": "true"},
        {"email_verified": 1},
        {"email_verified": ...},
    ],
    ids=repr,
)
async def test_every_claim_must_be_there_and_be_exact(changes: dict[str, Any]) -> None:
    await verify_own(signed())
    with pytest.raises((UnauthenticatedError, ForbiddenCallerError)):
        await verify_own(signed(**changes))


async def test_ten_seconds_of_another_clock_are_forgiven_and_no_more() -> None:
    clock = SteppingClock()
    server = KeyServer()
    checked = verifier(server, clock)
    once = token()
    for offset in (-10 * SECOND, timedelta(0), LIFETIME, LIFETIME + 9.9 * SECOND):
        clock.at = START + offset
        await checked.verify(once)
    for offset in (-10.1 * SECOND, LIFETIME + 10 * SECOND):
        clock.at = START + offset
        with pytest.raises(UnauthenticatedError):
            await checked.verify(once)
    await verify_own(signed(nbf=int(START.timestamp()) + 10))


@given(text=st.text(max_size=60))
@settings(deadline=None)
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(UnauthenticatedError):
        asyncio.run(verifier().verify(text))


PARTS = st.sampled_from(
    [b"{}", b"[]", b"1", b"null", b"{", b"\xff", b'{"alg":"RS256"}', b'{"alg":"RS256","kid":1}', b'{"alg":"none"}']
)


@given(parts=st.lists(PARTS, min_size=1, max_size=4))
@settings(deadline=None)
def test_parts_that_decode_to_anything_are_refused(parts: list[bytes]) -> None:
    with pytest.raises(UnauthenticatedError):
        asyncio.run(verifier().verify(".".join(_encoded(part) for part in parts)))


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_no_token_that_was_changed_in_any_place_passes(data: st.DataObject) -> None:
    """Not one character may be replaced, added or left out, the unused bits at the end of the base64 included."""
    genuine = token()
    place = data.draw(st.integers(0, len(genuine) - 1))
    character = data.draw(st.sampled_from("ABCXYZabcxyz0129-_.=!+/ \n\u00e9"))
    change = data.draw(st.sampled_from(["replace", "insert", "remove", "cut", "append"]))
    changed = {
        "replace": genuine[:place] + character + genuine[place + 1 :],
        "insert": genuine[:place] + character + genuine[place:],
        "remove": genuine[:place] + genuine[place + 1 :],
        "cut": genuine[:place],
        "append": genuine + character,
    }[change]
    assume(changed != genuine)
    with pytest.raises(WorkerError) as refused:
        asyncio.run(verifier().verify(changed))
    assert isinstance(refused.value, UnauthenticatedError)


async def test_every_twin_of_the_signature_s_last_character_is_refused() -> None:
    """A signature of 256 bytes leaves four bits of its last character unused: sixteen texts, one meaning."""
    genuine = token()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    passed = []
    for last in alphabet:
        try:
            await verifier().verify(genuine[:-1] + last)
            passed.append(last)
        except UnauthenticatedError:
            continue
    assert passed == [genuine[-1]]


@given(
    changes=st.dictionaries(st.sampled_from([*claims(), "nbf"]), st.none() | st.booleans() | st.text() | st.floats())
)
@settings(max_examples=60, deadline=None)
def test_claims_of_any_type_never_raise_anything_else(changes: dict[str, Any]) -> None:
    try:
        asyncio.run(verify_own(signed(**changes)))
    except (UnauthenticatedError, ForbiddenCallerError):
        return
    assert claims(**changes) | {"nbf": 0, "exp": 0, "iat": 0} == claims() | {"nbf": 0, "exp": 0, "iat": 0}


@pytest.mark.parametrize(
    "extension", [{"crit": ["b64"], "b64": False}, {"crit": ["exp"]}, {"crit": []}, {"crit": None}]
)
@pytest.mark.parametrize("detached", [False, True])
async def test_a_header_with_critical_extensions_is_refused(extension: dict[str, Any], detached: bool) -> None:
    _, body, signature = signed().split(".")
    extended = _encoded(orjson.dumps({"alg": "RS256", "kid": "mine"} | extension))
    with pytest.raises(UnauthenticatedError, match=r"unknown extension|not a token"):
        await verify_own(f"{extended}.{'' if detached else body}.{signature}")


@pytest.mark.parametrize("fault", [fault for fault in TokenFault if fault is not TokenFault.ABSENT])
async def test_the_reason_holds_nothing_of_the_token(fault: TokenFault) -> None:
    wrong = token(fault=fault)
    with pytest.raises(WorkerError) as refused:
        await verifier().verify(wrong)
    chain = [refused.value, refused.value.__cause__]
    told = " ".join(str(one) for one in chain if one is not None)
    assert not any(part in told for part in (EMAIL, AUDIENCE, *wrong.split(".")) if part)


async def test_a_token_that_is_too_long_is_not_even_read() -> None:
    server = KeyServer(lambda: {"keys": [jwk(own_key())]})
    with pytest.raises(UnauthenticatedError):
        await verifier(server).verify(signed(filling="x" * MAX_TOKEN_LENGTH))
    assert server.asked == 0


async def test_keys_are_fetched_once_for_as_long_as_their_server_says() -> None:
    clock, server = SteppingClock(), KeyServer()
    checked = verifier(server, clock)
    await asyncio.gather(*(checked.verify(token()) for _ in range(50)))
    clock.move(6 * HOUR - SECOND)
    await checked.verify(token(at=clock.now()))
    assert server.asked == 1
    clock.move(SECOND)
    await checked.verify(token(at=clock.now()))
    assert server.asked == 2


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("max-age=1", SHORTEST_CACHING),
        ("no-store", SHORTEST_CACHING),
        ("", SHORTEST_CACHING),
        ("public, s-max-age=99999, max-age=3600", HOUR),
        ("MAX-AGE=3600,must-revalidate", HOUR),
        ("max-age=999999999", LONGEST_CACHING),
    ],
)
async def test_the_time_keys_are_kept_has_bounds(said: str, kept: timedelta) -> None:
    clock, server = SteppingClock(), KeyServer()
    server.cache_control = said
    checked = verifier(server, clock)
    await checked.verify(token())
    clock.move(kept - SECOND)
    await checked.verify(token(at=clock.now()))
    assert server.asked == 1
    clock.move(SECOND)
    await checked.verify(token(at=clock.now()))
    assert server.asked == 2


async def test_a_new_key_is_found_by_its_id() -> None:
    clock, rotating = SteppingClock(), TokenSigner()
    server = KeyServer(rotating.keys)
    checked = verifier(server, clock)
    old = rotating.token(email=EMAIL, audience=AUDIENCE, at=START)
    await checked.verify(old)
    rotating.rotate()
    clock.move(BETWEEN_FETCHES)
    await checked.verify(rotating.token(email=EMAIL, audience=AUDIENCE, at=START))
    await checked.verify(old)
    assert server.asked == 2


async def test_forged_key_ids_do_not_make_us_hammer_the_server_of_the_keys() -> None:
    clock, server = SteppingClock(), KeyServer()
    checked = verifier(server, clock)

    async def forged(number: int) -> None:
        with pytest.raises(UnauthenticatedError):
            await checked.verify(sign(own_key(), f"forged-{number}", claims()))

    await checked.verify(token())
    await asyncio.gather(*(forged(number) for number in range(20)))
    assert server.asked == 1
    clock.move(BETWEEN_FETCHES)
    await asyncio.gather(*(forged(number) for number in range(20)))
    assert server.asked == 2
    await checked.verify(token())


@pytest.mark.parametrize("failure", ["timeout", "status", "not keys", "no keys", "too large", "short key"])
async def test_old_keys_are_kept_when_new_ones_cannot_be_had(failure: str) -> None:
    clock, server = SteppingClock(), KeyServer()
    checked = verifier(server, clock)
    await checked.verify(token())
    _break(server, failure)
    clock.move(25 * HOUR)
    for _ in range(10):
        await checked.verify(token(at=clock.now()))
    assert server.asked == 2
    clock.move(timedelta(seconds=5))
    await checked.verify(token(at=clock.now()))
    assert server.asked == 3


@pytest.mark.parametrize("failure", ["timeout", "status", "not keys", "no keys", "too large", "short key"])
async def test_without_any_key_nothing_is_said_and_it_is_tried_again_later(failure: str) -> None:
    clock, server = SteppingClock(), KeyServer()
    working = server.keys
    _break(server, failure)
    checked = verifier(server, clock)
    for _ in range(3):
        with pytest.raises(KeysUnavailableError) as unavailable:
            await checked.verify(token())
    assert server.asked == 1
    assert unavailable.value.retry_after
    server.keys, server.error, server.status = working, None, 200
    clock.move(unavailable.value.retry_after)
    await checked.verify(token())


def _break(server: KeyServer, failure: str) -> None:
    match failure:
        case "timeout":
            server.error = httpx.ReadTimeout("slow")
        case "status":
            server.status = 500
        case "not keys":
            server.keys = lambda: ["keys"]
        case "no keys":
            server.keys = lambda: {"keys": []}
        case "too large":
            server.keys = lambda: signer().keys() | {"filling": "x" * 300_000}
        case "short key":
            short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
            server.keys = lambda: {"keys": [jwk(short)]}


async def test_keys_of_other_kinds_are_left_out() -> None:
    numbers = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
    curve = {"kid": "ec", "kty": "EC", "crv": "P-256", "x": str(numbers.x), "y": str(numbers.y)}
    encrypting = jwk(own_key(), kid="enc", use="enc")
    other = jwk(own_key(), kid="512", alg="RS512")
    checked = verifier(KeyServer(lambda: {"keys": [curve, encrypting, other, jwk(own_key())]}))
    await checked.verify(signed())
    for key_id in ("ec", "enc", "512"):
        with pytest.raises(UnauthenticatedError):
            await checked.verify(sign(own_key(), key_id, claims()))


async def test_the_clock_of_the_machine_is_not_asked() -> None:
    """A token of 1999 passes in 1999."""
    then = datetime(1999, 12, 31, tzinfo=UTC)
    await verifier(clock=SteppingClock(then)).verify(token(at=then))
