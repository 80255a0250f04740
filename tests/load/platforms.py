"""Traffic and accepted sends of Telegram and Slack, in the place of WhatsApp's."""

import time
from datetime import datetime
from typing import Any

from cli.replies import Collector, Reply
from cli.traffic import QUESTION, Planned, Post, Traffic
from contracts.delivery import OutboxRow
from contracts.messages import ChannelName
from sandbox import slack_api, telegram_api
from sandbox.whatsapp_webhooks import to_bytes


class TelegramTraffic(Traffic):
    """Updates of private chats, with the secret token."""

    def post_of(self, person: str, message: Planned) -> Post:
        text = QUESTION.format(number=message.number)
        spoken = telegram_api.message(int(person), message.number, text=text, date=int(time.time()))
        update = telegram_api.update(message.person * 10_000 + message.number, message=spoken)
        return to_bytes(update), {
            "content-type": "application/json",
            "x-telegram-bot-api-secret-token": self.secret,
        }


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


def reply(reference: str, accepted: dict[str, Any]) -> Reply:
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
        reference = accepted["body"]["metadata"]["event_payload"]["reference"]
        return reply(reference, accepted)


TRAFFIC: dict[ChannelName, type[Traffic]] = {
    ChannelName.WHATSAPP: Traffic,
    ChannelName.TELEGRAM: TelegramTraffic,
    ChannelName.SLACK: SlackTraffic,
}
COLLECTORS: dict[ChannelName, type[Collector]] = {
    ChannelName.WHATSAPP: Collector,
    ChannelName.TELEGRAM: TelegramCollector,
    ChannelName.SLACK: SlackCollector,
}


def reference_of(row: OutboxRow) -> str:
    """Return what names the row among the accepted sends."""
    return row.platform_message_id or "" if row.address.channel is ChannelName.TELEGRAM else row.id
