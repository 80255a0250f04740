"""Slack's incoming webhook: one post, into one chat of the team."""

from datetime import timedelta

import httpx

from adapters.http.client import HttpError, ask, open_client
from contracts.errors import TransientError

TIMEOUT = timedelta(seconds=10)
# Slack's answers in words, and the next step for each. Source: Slack, Sending messages using incoming webhooks.
NEXT_STEPS = {
    "invalid_payload": "the message is not one that Slack reads; this is a mistake of ours",
    "no_service": "the webhook was removed or disabled: make a new one",
    "no_team": "the workspace is gone or the address is not whole",
    "channel_not_found": "the channel is gone: make a new webhook",
    "channel_is_archived": "the channel is archived: make a new webhook",
    "action_prohibited": "an administrator does not allow it",
    "posting_to_general_channel_denied": "an administrator does not allow posts to that channel",
    "user_not_found": "the person it posts to is gone: make a new webhook",
}


class SlackWebhookError(TransientError):
    """Slack did not take the message; the text never holds the address, which is the secret."""


class SlackWebhook:
    """One incoming webhook; `transport` is for tests of the network's failures."""

    def __init__(self, url: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url = url
        self._transport = transport

    async def post(self, text: str) -> None:
        """Post the text, in Slack's markup.

        Raises:
            SlackWebhookError: no answer, or none of 2xx; `retry_after` is Slack's own wish.
        """
        try:
            async with open_client(within=TIMEOUT, transport=self._transport) as client:
                answer = await ask(client, "POST", self._url, within=TIMEOUT, json={"text": text})
        except HttpError as exc:
            # Its cause may name the address.
            raise SlackWebhookError(f"no answer ({exc})") from None
        if answer.is_success:
            return
        word = answer.content.decode(errors="replace").strip()
        if answer.status == httpx.codes.TOO_MANY_REQUESTS:
            wait = timedelta(seconds=30) if answer.retry_after is None else answer.retry_after
            raise SlackWebhookError(f"too many messages; again in {wait.total_seconds():.0f} s", retry_after=wait)
        step = NEXT_STEPS.get(word, "see its documentation of incoming webhooks")
        known = word if word in NEXT_STEPS else ""
        raise SlackWebhookError(f"{answer.status} {known}: {step}".replace(" :", ":"))
