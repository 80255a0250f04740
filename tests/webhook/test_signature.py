"""Proof of origin: the HMAC of the raw bytes, under the secret of now or of before."""

import hmac
import json

import pytest
from webhook_bed import ANA, HOOK, PREVIOUS_SECRET, SECRET, WebhookBed, assert_problem

from adapters.channels import meta
from adapters.channels.meta import is_signed
from sandbox.whatsapp_webhooks import envelope, inbound_text, sign, to_bytes

BODY = to_bytes(envelope(inbound_text(ANA, "Olá, é possível? http://exemplo.com/ä", id="wamid.S1")))
SECRETS = (SECRET, PREVIOUS_SECRET)


@pytest.mark.parametrize("secret", SECRETS)
async def test_the_secret_of_now_and_the_one_before_are_good(bed: WebhookBed, secret: str) -> None:
    response = await bed.post_bytes(BODY, secret=secret)
    assert (response.status_code, response.text) == (200, "ok")
    assert [message.text for message in bed.kept] == ["Olá, é possível? http://exemplo.com/ä"]


def bad_headers() -> dict[str, str | bytes | None]:
    right = sign(BODY, SECRET)
    digest = right.removeprefix("sha256=")
    return {
        "missing": None,
        "empty": "",
        "another secret": sign(BODY, "other"),
        "an empty secret": sign(BODY, ""),
        "no prefix": digest,
        "the old algorithm's prefix": f"sha1={digest}",
        "prefix in capitals": f"SHA256={digest}",
        # Meta documents lower-case digits; a second spelling of one signature has no use.
        "digits in capitals": f"sha256={digest.upper()}",
        "cut short": right[:-1],
        "too long": right + "0",
        "only the prefix": "sha256=",
        "spaces": f" sha256 = {digest}",
        "not ASCII": "sha256=é".encode("latin-1"),
        "not a digest": "sha256=" + "z" * 64,
        "of the empty body": sign(b"", SECRET),
    }


@pytest.mark.parametrize("case", bad_headers())
async def test_a_wrong_signature_is_refused_and_nothing_is_read(bed: WebhookBed, case: str) -> None:
    header = bad_headers()[case]
    headers = {} if header is None else {b"x-hub-signature-256": header}
    response = await bed.http.post(HOOK, content=BODY, headers=headers)  # type: ignore[arg-type]
    assert_problem(response, 401)
    assert not bed.kept
    assert not bed.queue.woken
    assert await bed.raw_letters() == []


@pytest.mark.parametrize("position", [0, len(BODY) // 2, len(BODY) - 1])
async def test_one_changed_byte_is_refused(bed: WebhookBed, position: int) -> None:
    changed = bytearray(BODY)
    changed[position] ^= 1
    response = await bed.http.post(HOOK, content=bytes(changed), headers={"x-hub-signature-256": sign(BODY, SECRET)})
    assert_problem(response, 401)


async def test_the_escaped_form_is_what_is_signed(bed: WebhookBed) -> None:
    r"""Meta signs `\u00e4` and `\/` as it sends them: the same content written in another way has another signature."""
    assert b"\\u00e4" in BODY
    assert b"\\/" in BODY
    written_again = json.dumps(json.loads(BODY), ensure_ascii=False).encode()
    assert json.loads(written_again) == json.loads(BODY)
    headers = {"x-hub-signature-256": sign(written_again, SECRET)}
    assert_problem(await bed.http.post(HOOK, content=BODY, headers=headers), 401)
    assert (await bed.post_bytes(BODY)).status_code == 200


async def test_an_empty_body_needs_a_signature_too(bed: WebhookBed) -> None:
    assert_problem(await bed.http.post(HOOK), 401)
    assert (await bed.post_bytes(b"")).status_code == 200
    assert await bed.raw_letters() == [""]


async def test_without_any_secret_nothing_is_signed() -> None:
    assert not is_signed(BODY, sign(BODY, ""), ())
    assert not is_signed(BODY, sign(BODY, ""), ("",))


async def test_every_secret_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []

    def compare(a: str, b: str) -> bool:
        compared.append((len(a), len(b)))
        return hmac.compare_digest(a, b)

    class Recorder:
        digest = staticmethod(hmac.digest)
        compare_digest = staticmethod(compare)

    monkeypatch.setattr(meta, "hmac", Recorder)
    assert is_signed(BODY, sign(BODY, SECRET), SECRETS)
    assert not is_signed(BODY, "sha256=short", SECRETS)
    assert compared == [(64, 64), (64, 64), (64, 5), (64, 5)]
