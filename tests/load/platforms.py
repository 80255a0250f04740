"""Traffic and accepted sends of each channel, in the place of WhatsApp's."""

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx
import orjson

from adapters.channels.chatwoot import Chatwoot
from adapters.channels.chatwoot.outbound import REFERENCE
from cli.load import Collector, Reply
from cli.traffic import QUESTION, Planned, Post, Poster, Traffic
from contracts.delivery import OutboxRow
from contracts.messages import ChannelName
from sandbox import chatwoot_api, messenger_api, slack_api, telegram_api
from sandbox.whatsapp_webhooks import signed, to_bytes

INSTAGRAM, CHATWOOT = ChannelName("instagram"), Chatwoot.name
JSON = {"content-type": "application/json"}
# Of a client that reads the events of its conversation: it connects again after this long.
WATCHED_SECONDS = 2.0


class TelegramTraffic(Traffic):
    """Updates of private chats, with the secret token."""

    def post_of(self, person: str, message: Planned) -> Post:
        text = QUESTION.format(number=message.number)
        spoken = telegram_api.message(int(person), message.number, text=text, date=int(time.time()))
        update = telegram_api.update(message.person * 10_000 + message.number, message=spoken)
        return to_bytes(update), {**JSON, "x-telegram-bot-api-secret-token": self.secret}


class SlackTraffic(Traffic):
    """Signed events of direct channels."""

    def person(self, number: int) -> str:
        return f"D{super().person(number)}"

    def post_of(self, person: str, message: Planned) -> Post:
        event = slack_api.event(
            f"Ev{person}{message.number}",
            user=f"U{person}",
            channel=person,
            ts=f"{int(time.time())}.{message.number:06d}",
            text=QUESTION.format(number=message.number),
        )
        return slack_api.signed(event, self.secret)


class MessengerTraffic(Traffic):
    """Signed events of a page."""

    object = "page"

    def post_of(self, person: str, message: Planned) -> Post:
        content = {"mid": f"m_{person}.{message.number}", "text": QUESTION.format(number=message.number)}
        event = messenger_api.event(person, timestamp=int(time.time() * 1000), message=content)
        return signed(messenger_api.envelope(event, object=self.object), self.secret)


class InstagramTraffic(MessengerTraffic):
    object = "instagram"


class ChatwootTraffic(Traffic):
    """Events of an agent bot: each conversation is one person's. Its numbers of messages are the account's."""

    def post_of(self, person: str, message: Planned) -> Post:
        number = int(f"{person}{message.number:04d}")
        text, now = QUESTION.format(number=message.number), int(time.time())
        return to_bytes(chatwoot_api.message(number, text, conversation=int(person), created_at=now)), JSON


class WebTraffic(Traffic):
    """Messages of web clients, each to the address of its conversation; `people` are those that have written."""

    people: set[str]

    def post_of(self, person: str, message: Planned) -> Post:
        self.people.add(person)
        text = QUESTION.format(number=message.number)
        return to_bytes({"id": f"{person}.{message.number}", "text": text, "name": person}), JSON

    async def post(self, poster: Poster, post: Post) -> str:
        body, headers = post
        person = orjson.loads(body)["name"]
        try:
            async with httpx.AsyncClient(base_url=self.urls[0], timeout=10) as client:
                answer = await client.post(f"/{person}/messages", content=body, headers=headers)
        except httpx.HTTPError as exc:
            return type(exc).__name__
        return "200" if answer.status_code == 202 else str(answer.status_code)


def reply(reference: str, accepted: Mapping[str, Any]) -> Reply:
    return Reply(reference, accepted["to"], datetime.fromisoformat(accepted["at"]).timestamp())


class TelegramCollector(Collector):
    """Sends that carry no reference of ours: the chat and the number that Telegram gave is all that names one."""

    platform = "telegram"

    def reply_of(self, accepted: dict[str, Any]) -> Reply:
        return reply(f"{accepted['to']}:{accepted['number']}", accepted)


class SlackCollector(Collector):
    """Sends that carry the row's reference as metadata."""

    platform = "slack"

    def reply_of(self, accepted: dict[str, Any]) -> Reply:
        return reply(accepted["body"]["metadata"]["event_payload"]["reference"], accepted)


class MessengerCollector(Collector):
    platform = "messenger"

    def reply_of(self, accepted: dict[str, Any]) -> Reply:
        return reply(accepted["body"]["message"]["metadata"], accepted)


class InstagramCollector(MessengerCollector):
    platform = "instagram"


class ChatwootCollector(Collector):
    platform = "chatwoot"

    def reply_of(self, accepted: dict[str, Any]) -> Reply:
        return reply(accepted["body"]["content_attributes"][REFERENCE], accepted)


class WebCollector(Collector):
    """Replies that web clients see: each reads the events of its conversation, from the last one that it has seen."""

    def __init__(self, chat_url: str, people: set[str]) -> None:
        self._chat_url, self._people = chat_url, people
        self._seen: dict[str, str] = {}
        self.replies: list[Reply] = []

    async def look(self) -> None:
        """Read what each client has missed."""
        await self._read(until_connected=True)

    async def look_forever(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            await self._read(until_connected=False)

    async def _read(self, *, until_connected: bool) -> None:
        async with httpx.AsyncClient(base_url=self._chat_url, timeout=10, limits=httpx.Limits()) as client:
            watching = [self._watch(client, person, until_connected) for person in sorted(self._people)]
            for outcome in await asyncio.gather(*watching, return_exceptions=True):
                # A server that is being killed ends its streams; the client comes back.
                if isinstance(outcome, BaseException) and not isinstance(outcome, httpx.HTTPError | TimeoutError):
                    raise outcome

    async def _watch(self, client: httpx.AsyncClient, person: str, until_connected: bool) -> None:
        headers = {"last-event-id": self._seen.get(person, "0")}
        async with (
            asyncio.timeout(None if until_connected else WATCHED_SECONDS),
            client.stream("GET", f"/{person}/events", headers=headers) as answer,
        ):
            fields: dict[str, str] = {}
            async for line in answer.aiter_lines():
                if line.startswith(": connected") and until_connected:
                    return
                name, _, value = line.partition(": ")
                fields[name] = value
                if not line:
                    if fields.get("event") == "reply":
                        self._seen[person] = fields["id"]
                        self.replies.append(Reply(orjson.loads(fields["data"])["id"], person, time.time()))
                    fields = {}


TRAFFIC: dict[ChannelName, type[Traffic]] = {
    ChannelName.WHATSAPP: Traffic,
    ChannelName.TELEGRAM: TelegramTraffic,
    ChannelName.SLACK: SlackTraffic,
    ChannelName.MESSENGER: MessengerTraffic,
    INSTAGRAM: InstagramTraffic,
    CHATWOOT: ChatwootTraffic,
    ChannelName.WEB: WebTraffic,
}
COLLECTORS: dict[ChannelName, type[Collector]] = {
    ChannelName.WHATSAPP: Collector,
    ChannelName.TELEGRAM: TelegramCollector,
    ChannelName.SLACK: SlackCollector,
    ChannelName.MESSENGER: MessengerCollector,
    INSTAGRAM: InstagramCollector,
    CHATWOOT: ChatwootCollector,
}


def webhook_of(channel: ChannelName, url: str, secret: str) -> str:
    """Return the address that the channel's platform posts to."""
    token = f"?token={Chatwoot().imitated(url, secret).webhook_token}" if channel == CHATWOOT else ""
    return f"{url}/webhooks/{channel}{token}"


def reference_of(row: OutboxRow) -> str:
    """Return what names the row among the accepted sends."""
    return row.platform_message_id or "" if row.address.channel is ChannelName.TELEGRAM else row.id
