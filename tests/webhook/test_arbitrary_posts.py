"""Whatever Telegram, Slack, Messenger or Instagram posts: parsing never raises, and nothing is lost in silence."""

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_arbitrary_input import MANY, places, values
from webhook_bed import START

from adapters.channels.chatwoot.inbound import ChatwootInbound
from adapters.channels.messenger.inbound import MessengerInbound
from adapters.channels.slack.inbound import SlackInbound
from adapters.channels.telegram.inbound import TelegramInbound
from contracts.channels import OriginRefusedError, Post, Received
from contracts.messages import ChannelName
from contracts.ports import ChannelInbound
from sandbox import chatwoot_api, messenger_api, slack_api, telegram_api
from sandbox.whatsapp_webhooks import to_bytes

INSTAGRAM = ChannelName("instagram")


def of_meta(name: ChannelName) -> MessengerInbound:
    return MessengerInbound(name, app_secret="s", verify_token="v", id_salt="salt")


KEYBOARD = {"inline_keyboard": [[{"text": "Sim", "callback_data": "option-1"}]]}
TELEGRAM_VALID = [
    telegram_api.update(1, message=telegram_api.message(1, 5, text="Oi", reply_to_message={"message_id": 4})),
    telegram_api.update(2, message=telegram_api.message(1, 6, photo=[{"file_id": "a"}], caption="c")),
    telegram_api.update(3, edited_message=telegram_api.message(1, 5, text="Olá", edit_date=1_790_000_060)),
    telegram_api.update(
        4,
        callback_query={
            "id": "4",
            "from": {"id": 1},
            "message": telegram_api.message(1, 7, reply_markup=KEYBOARD),
            "data": "option-1",
        },
    ),
]
SLACK_VALID = [
    slack_api.event(text="Oi <@UBOT> <https://a.b|c>", files=[{"id": "F1", "mimetype": "image/png", "name": "a.png"}]),
    slack_api.event(channel="C1", type="app_mention", text="<@UBOT> Oi", thread_ts="1.1"),
    slack_api.event(subtype="message_changed", message={"user": "U", "ts": "1.2", "text": "b"}, previous_message={}),
    slack_api.chosen("option-1", "Sábado"),
]
META_VALID = [
    messenger_api.envelope(
        messenger_api.event("2", message={"mid": "m_1", "text": "Oi", "quick_reply": {"payload": "option-1"}}),
        messenger_api.event("2", message={"mid": "m_2", "attachments": [{"type": "image", "payload": {"url": "u"}}]}),
        messenger_api.event("2", postback={"title": "Começar", "payload": "start", "referral": {"ref": "r"}}),
        messenger_api.event("2", delivery={"mids": ["m_3"], "watermark": 1}),
        messenger_api.echo("2", {"mid": "m_4", "text": "Oi"}),
        object=name,
    )
    for name in ("page", "instagram")
]
CHOSEN = {"submitted_values": [{"title": "Sim", "value": "option-1"}]}
CHATWOOT_VALID = [
    chatwoot_api.message(1, "Oi", attachments=[{"file_type": "image", "data_url": "https://a.b/c"}]),
    chatwoot_api.message(2, "Ok?", event="message_updated", message_type="outgoing", content_attributes=CHOSEN),
    chatwoot_api.message(3, "Sou a Rita", message_type="outgoing", sender={"type": "user", "name": "Rita"}),
]
CASES: dict[str, tuple[ChannelInbound, list[Any]]] = {
    "telegram": (TelegramInbound("token", bot="1", id_salt="salt"), TELEGRAM_VALID),
    "slack": (SlackInbound("s", id_salt="salt"), SLACK_VALID),
    "chatwoot": (ChatwootInbound("s", account="1", id_salt="salt"), CHATWOOT_VALID),
    "messenger": (of_meta(ChannelName.MESSENGER), META_VALID[:1]),
    "instagram": (of_meta(INSTAGRAM), META_VALID[1:]),
}
each_platform = pytest.mark.parametrize("name", CASES)


def parse(name: str, body: bytes, *, is_form: bool = False) -> Received:
    kind = b"application/x-www-form-urlencoded" if is_form else b"application/json"
    received = CASES[name][0].parse(Post(body, [(b"content-type", kind)]), at=START)
    for value in (*received.messages, *received.statuses):
        value.model_dump_json().encode()
    for piece in received.unreadable:
        piece.raw.encode()
    for kind_ignored in received.ignored:
        assert kind_ignored.isidentifier()
    assert len(received.answer) <= 2048
    return received


@each_platform
@MANY
@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_kept(name: str, body: bytes, is_form: bool) -> None:
    received = parse(name, body, is_form=is_form)
    assert received.unreadable or received.ignored


@each_platform
@MANY
@given(values)
def test_any_json_is_kept(name: str, content: Any) -> None:
    received = parse(name, to_bytes(content))
    assert received.unreadable or received.ignored


@each_platform
@MANY
@given(st.data())
def test_a_valid_post_with_pieces_replaced_or_missing(name: str, data: st.DataObject) -> None:
    content = copy.deepcopy(data.draw(st.sampled_from(CASES[name][1])))
    for path in data.draw(st.lists(st.sampled_from(places(content)), min_size=1, max_size=3)):
        value = data.draw(values | st.just(...))
        try:
            holder = content
            for key in path[:-1]:
                holder = holder[key]
            if value is ...:
                del holder[path[-1]]
            else:
                holder[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    parse(name, to_bytes(content))
    interaction = to_bytes({"payload": ""}) if name != "slack" else slack_api.signed({}, "s", is_form=True)[0]
    parse(name, interaction, is_form=name == "slack")


@each_platform
@MANY
@given(st.binary(max_size=100), st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.binary(max_size=40))))
def test_no_header_makes_the_check_raise_another_error(
    name: str, body: bytes, given_headers: list[tuple[str, bytes]]
) -> None:
    names = {
        "a": b"x-telegram-bot-api-secret-token",
        "b": b"x-slack-request-timestamp",
        "c": b"x-slack-signature",
    }
    headers = [(names[key], value) for key, value in given_headers]
    with pytest.raises(OriginRefusedError):
        CASES[name][0].verify(Post(body, headers), at=START)


def test_what_is_valid_is_read() -> None:
    for name, (_, contents) in CASES.items():
        for content in contents:
            is_interaction = content.get("type") == "block_actions"
            body = slack_api.signed(content, "s", is_form=True)[0] if is_interaction else orjson.dumps(content)
            received = parse(name, body, is_form=is_interaction)
            assert received.messages
            assert received.unreadable == ()
