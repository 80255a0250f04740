"""Telegram inbound: a secret token, and one update a post. Source: Bot API 10.2 (July 2026).

A message id is unique in its chat only, so the product's platform id is `chat:message`.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import orjson

from adapters.channels.reading import (
    Content,
    Reader,
    dict_in,
    dicts_in,
    is_equal,
    list_in,
    moment_of,
    required,
    text_of,
)
from contracts.channels import OriginRefusedError, Post, Received
from contracts.errors import MalformedMessageError
from contracts.media import InboundMedia
from contracts.messages import ChannelName, InboundKind

# Updates that are counted and not read; every other name is counted as "other".
OTHER_UPDATES = frozenset(
    {
        *("channel_post", "edited_channel_post", "my_chat_member", "chat_member", "message_reaction_count", "poll"),
        *("business_connection", "business_message", "edited_business_message", "deleted_business_messages"),
        *("inline_query", "chosen_inline_result", "poll_answer", "chat_join_request", "chat_boost", "guest_message"),
    }
)
# The kinds of content, the more telling first: an animation comes with a document, a venue with a location.
MEDIA = {
    "video": InboundKind.VIDEO,
    "animation": InboundKind.VIDEO,
    "video_note": InboundKind.VIDEO,
    "voice": InboundKind.AUDIO,
    "audio": InboundKind.AUDIO,
    "sticker": InboundKind.STICKER,
    "document": InboundKind.DOCUMENT,
}
UNSUPPORTED = ("poll", "dice", "game", "story", "invoice", "paid_media", "rich_message", "live_photo", "checklist")


class TelegramInbound:
    """Satisfies the `ChannelInbound` port. `bot` is the bot's id."""

    max_body = 1024 * 1024

    def __init__(self, secret_token: str, *, bot: str, id_salt: str, answers_groups: bool = False) -> None:
        self._secret_token = secret_token
        self._bot, self._id_salt, self._answers_groups = bot, id_salt, answers_groups

    def handshake(self, query: Mapping[str, str]) -> str:
        raise OriginRefusedError("Telegram has no handshake: `prosa channels setup telegram` gives it the address.")

    def verify(self, post: Post, *, at: datetime) -> None:
        if not is_equal(post.header(b"x-telegram-bot-api-secret-token") or "", self._secret_token):
            raise OriginRefusedError("X-Telegram-Bot-Api-Secret-Token is not TELEGRAM_SECRET_TOKEN.")

    def parse(self, post: Post, *, at: datetime) -> Received:
        reader = _Update(self._bot, self._id_salt, at, answers_groups=self._answers_groups)
        update = reader.envelope(post.body, lambda envelope: "update_id" in envelope, "not an update of Telegram")
        return reader.received(reader.read(update) if update is not None else "ok")


class _Update(Reader):
    def __init__(self, bot: str, id_salt: str, at: datetime, *, answers_groups: bool) -> None:
        super().__init__(ChannelName.TELEGRAM, "tg", id_salt, at)
        self._bot, self._answers_groups = bot, answers_groups

    def read(self, update: dict[str, Any]) -> str:
        """Read what the update carries; return the answer to its post."""
        readers: dict[str, Callable[[dict[str, Any]], None]] = {
            "message": self._read_message,
            "edited_message": self._read_message,
            "callback_query": self._read_callback,
            "message_reaction": self._read_reaction,
        }
        name = next((name for name in readers if name in update), None)
        if name is None:
            known = next((name for name in update if name in OTHER_UPDATES), "other")
            self.ignored.append(known)
            return "ok"
        self.one(name, update[name], readers[name])
        query = dict_in(update, "callback_query").get("id")
        if not isinstance(query, str) or not self.messages:
            return "ok"
        # The answer to a post may be one call of a method: this one ends the spinning of the button.
        return orjson.dumps({"method": "answerCallbackQuery", "callback_query_id": query}).decode()

    def _read_message(self, message: dict[str, Any]) -> None:
        chat, sender = dict_in(message, "chat"), dict_in(message, "from")
        chat_id, number = required(chat, "id"), required(message, "message_id")
        if sender.get("is_bot") is True:
            self.ignored.append("bot")
            return
        content = _content(message)
        if content is None:
            self.ignored.append("service")
            return
        edited_at = text_of(message.get("edit_date"))
        place = f"{chat_id}:{number}"
        reply_to = text_of(dict_in(message, "reply_to_message").get("message_id"))
        if edited_at:
            content = Content(InboundKind.EDIT, content.text, data={"to": place})
        self._put(
            content,
            chat,
            sender,
            place=f"{place}:{edited_at}" if edited_at else place,
            reply_to=f"{chat_id}:{reply_to}" if reply_to else "",
            revises=place if edited_at else "",
            sent_at=moment_of(edited_at or message.get("date")),
        )

    def _read_callback(self, query: dict[str, Any]) -> None:
        """Read a tap on a button: the person is `from`, for the message is the bot's."""
        message, chosen = dict_in(query, "message"), text_of(query.get("data"))
        rows = list_in(dict_in(message, "reply_markup"), "inline_keyboard")
        buttons = [button for row in rows if isinstance(row, list) for button in row if isinstance(button, dict)]
        title = next((text_of(one.get("text")) for one in buttons if text_of(one.get("callback_data")) == chosen), "")
        if not chosen:
            raise MalformedMessageError("a callback without data")
        self._put(
            Content(InboundKind.CHOICE, title or chosen, chosen),
            dict_in(message, "chat"),
            dict_in(query, "from"),
            place=f"callback:{required(query, 'id')}",
        )

    def _read_reaction(self, reaction: dict[str, Any]) -> None:
        chat, place = dict_in(reaction, "chat"), required(reaction, "message_id")
        place = f"{required(chat, 'id')}:{place}"
        shown = [text_of(one.get("emoji")) for one in dicts_in(reaction, "new_reaction")]
        date = text_of(reaction.get("date"))
        content = Content(InboundKind.REACTION, "".join(shown), data={"to": place})
        self._put(content, chat, dict_in(reaction, "user"), place=f"{place}:reaction:{date}", sent_at=moment_of(date))

    def _put(
        self,
        content: Content,
        chat: dict[str, Any],
        sender: dict[str, Any],
        *,
        place: str,
        reply_to: str = "",
        revises: str = "",
        sent_at: datetime | None = None,
    ) -> None:
        chat_id, person = required(chat, "id"), text_of(sender.get("id"))
        is_group = chat.get("type") != "private"
        names = [text_of(sender.get(key)).strip() for key in ("first_name", "last_name")]
        self.add(
            content,
            account=self._bot,
            person=chat_id,
            platform_id=place,
            aliases=[person] if person and is_group else [],
            person_name=" ".join(name for name in names if name),
            reply_to=reply_to,
            revises=revises,
            recorded_only=is_group and not self._answers_groups,
            sent_at=sent_at,
        )


def _content(message: dict[str, Any]) -> Content | None:
    """Read the content by the key that is there; None for a message of the service, `unsupported` for a new kind."""
    caption = text_of(message.get("caption"))
    if "text" in message:
        command, _, payload = text_of(message["text"]).partition(" ")
        # The payload of a deep link says where the person comes from, and is none of their words.
        if command == "/start" and payload:
            return Content(InboundKind.TEXT, command, data={"start": payload[:64]})
        return Content(InboundKind.TEXT, text_of(message["text"]))
    if sizes := dicts_in(message, "photo"):
        return Content(InboundKind.IMAGE, caption, media=InboundMedia(reference=text_of(sizes[-1].get("file_id"))))
    for key, kind in MEDIA.items():
        if key in message:
            file = dict_in(message, key)
            media = InboundMedia(
                reference=text_of(file.get("file_id")),
                mime_type=text_of(file.get("mime_type")),
                filename=text_of(file.get("file_name")),
            )
            return Content(kind, caption, media=media)
    if "location" in message:
        place, spot = dict_in(message, "venue"), dict_in(message, "location")
        coordinates = f"{text_of(spot.get('latitude'))}, {text_of(spot.get('longitude'))}"
        named = " - ".join(part for part in (text_of(place.get("title")), text_of(place.get("address"))) if part)
        return Content(InboundKind.LOCATION, named or coordinates, data={"coordinates": coordinates})
    if "contact" in message:
        card = dict_in(message, "contact")
        names = [text_of(card.get(key)) for key in ("first_name", "last_name", "phone_number")]
        return Content(InboundKind.CONTACTS, " ".join(name for name in names if name))
    if "web_app_data" in message:
        return Content(InboundKind.FORM, text_of(dict_in(message, "web_app_data").get("data")))
    if unsupported := next((key for key in UNSUPPORTED if key in message), None):
        return Content(InboundKind.UNSUPPORTED, data={"type": unsupported})
    return None
