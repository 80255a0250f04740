"""Carrier inbound: a signature with a clock, a challenge by POST, messages and receipts."""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from adapters.http.inbound import parse_json
from contracts.channels import OriginRefusedError, Post, Received, Unreadable
from contracts.errors import MalformedMessageError
from contracts.messages import Address, ChannelName, DeliveryState, InboundMessage, StatusUpdate, digest
from contracts.values import ConversationId, MessageId

LATEST = timedelta(minutes=5)
STATES = {"delivered": DeliveryState.DELIVERED, "failed": DeliveryState.FAILED}


def signature(secret: str, timestamp: str, body: bytes) -> str:
    return hmac.digest(secret.encode(), timestamp.encode() + b":" + body, "sha256").hex()


class CarrierInbound:
    """Satisfies the `ChannelInbound` port."""

    max_body = 64 * 1024

    def __init__(self, secret: str, name: ChannelName) -> None:
        self._secret = secret
        self._name = name

    def handshake(self, query: Mapping[str, str]) -> str:
        raise OriginRefusedError("Carrier sends its challenge by POST.")

    def verify(self, post: Post, *, at: datetime) -> None:
        timestamp, given = post.header(b"x-carrier-timestamp") or "", post.header(b"x-carrier-signature") or ""
        is_now = timestamp.isdecimal() and abs(at - datetime.fromtimestamp(int(timestamp[:12]), UTC)) <= LATEST
        expected = signature(self._secret, timestamp, post.body).encode()
        if not is_now or not hmac.compare_digest(given.encode("utf-8", "replace"), expected):
            raise OriginRefusedError("X-Carrier-Signature is not the HMAC of the body and a timestamp of now.")

    def parse(self, post: Post, *, at: datetime) -> Received:
        try:
            content = parse_json(post.body)
        except MalformedMessageError as exc:
            return Received(unreadable=(Unreadable(str(exc), post.body.decode("utf-8", "replace")),))
        match content:
            case {"challenge": str(challenge)}:
                return Received(answer=challenge)
            case {"account": str(account), "events": list(events)}:
                return self._read(account, events, at)
        return Received(unreadable=(Unreadable("not an envelope", orjson.dumps(content).decode()),))

    def _read(self, account: str, events: list[Any], at: datetime) -> Received:
        messages, statuses, unreadable, ignored = [], [], [], []
        for event in events:
            match event:
                case {"kind": "message", "id": str(id), "from": str(person), "text": str(text)}:
                    messages.append(self._message(account, id, person, text, at))
                case {"kind": "receipt", "id": str(id), "state": str(state)} if state in STATES:
                    reference = event.get("reference")
                    statuses.append(self._status(account, id, STATES[state], reference, at))
                case {"kind": "typing"}:
                    ignored.append("typing")
                case _:
                    unreadable.append(Unreadable("unknown event", orjson.dumps(event).decode()))
        return Received(tuple(messages), tuple(statuses), tuple(unreadable), tuple(ignored))

    def _message(self, account: str, id: str, person: str, text: str, at: datetime) -> InboundMessage:
        return InboundMessage(
            id=MessageId("carrier-" + digest(account, id, size=12)),
            conversation_id=ConversationId("carrier:" + digest(account, person, size=12)),
            address=Address(channel=self._name, account=account, person=person),
            platform_id=id,
            text=text,
            received_at=at,
        )

    def _status(self, account: str, id: str, state: DeliveryState, reference: str | None, at: datetime) -> StatusUpdate:
        return StatusUpdate(
            channel=self._name, account=account, platform_message_id=id, state=state, client_reference=reference, at=at
        )
