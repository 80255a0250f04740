"""Slack's incoming webhook, against a stand-in with Slack's rules; the address is a secret that no error tells."""

from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest

from adapters.http.slack import SlackWebhook, SlackWebhookError
from tests.slack_webhooks import BURST, MAX_TEXT, SlackWebhooks

PATH = "T000/B000/a-secret"
URL = f"https://hooks.slack.com/services/{PATH}"


def webhook(double: SlackWebhooks, url: str = URL) -> SlackWebhook:
    return SlackWebhook(url, transport=httpx.ASGITransport(double.app()))


async def test_a_text_is_posted() -> None:
    double = SlackWebhooks({PATH})
    await webhook(double).post("*Relatório* 1 < 2")
    assert double.posted == {PATH: ["*Relatório* 1 < 2"]}


@pytest.mark.parametrize(
    ("url", "text", "says"),
    [
        (URL.replace("a-secret", "an-old-secret"), "x", "404 no_service: the webhook was removed"),
        (URL, "", "400 invalid_payload: the message is not one"),
        (URL, "x" * (MAX_TEXT + 1), "400 invalid_payload"),
    ],
)
async def test_a_refusal_says_what_to_do_and_not_the_address(url: str, text: str, says: str) -> None:
    with pytest.raises(SlackWebhookError, match=says) as refused:
        await webhook(SlackWebhooks({PATH}), url).post(text)
    assert "secret" not in str(refused.value)


async def test_too_many_at_once_are_told_when_to_come_again() -> None:
    double = SlackWebhooks({PATH}, monotonic=lambda: 0.0)
    for _ in range(BURST):
        await webhook(double).post("x")
    with pytest.raises(SlackWebhookError, match="again in 1 s") as refused:
        await webhook(double).post("x")
    assert refused.value.retry_after == timedelta(seconds=1)
    assert len(double.posted[PATH]) == BURST


def away(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError(f"no route to {request.url}")


def strange(_: httpx.Request) -> httpx.Response:
    return httpx.Response(500, text="<html>a-secret</html>")


def endless(_: httpx.Request) -> httpx.Response:
    return httpx.Response(429, headers={"Retry-After": "soon"})


@pytest.mark.parametrize(
    ("answer", "says"), [(away, r"no answer \(ConnectError\)"), (strange, "^500: see its"), (endless, "again in 30 s")]
)
async def test_what_a_network_may_do(answer: Callable[[httpx.Request], httpx.Response], says: str) -> None:
    with pytest.raises(SlackWebhookError, match=says) as failed:
        await SlackWebhook(URL, transport=httpx.MockTransport(answer)).post("x")
    assert "secret" not in str(failed.value)
    assert failed.value.__cause__ is None


async def test_an_address_that_is_none_is_no_answer() -> None:
    with pytest.raises(SlackWebhookError, match="no answer"):
        await SlackWebhook("https://[secret").post("x")
