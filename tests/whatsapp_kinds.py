"""Every inbound kind of a WhatsApp webhook, in Meta's bytes: those of the sandbox, and those that only tests send."""

import json
from collections.abc import Mapping
from typing import Any

from sandbox.whatsapp_webhooks import *  # noqa: F403
from sandbox.whatsapp_webhooks import Change, media_content, message


def inbound_button_reply(person: str, choice_id: str, title: str, id: str | None = None, **known: Any) -> Change:
    """A tap on one of our reply buttons; `reply_to` is the id of our message."""
    reply = {"type": "button_reply", "button_reply": {"id": choice_id, "title": title}}
    return message(person, "interactive", reply, id=id, **known)


def inbound_form_reply(person: str, answers: Mapping[str, Any] | str, id: str | None = None, **known: Any) -> Change:
    """A submitted form; a string is put in as it is, parseable or not."""
    response = answers if isinstance(answers, str) else json.dumps(answers)
    reply = {"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent", "response_json": response}}
    return message(person, "interactive", reply, id=id, **known)


def inbound_template_button(person: str, payload: str, text: str, id: str | None = None, **known: Any) -> Change:
    """A tap on a quick-reply button of a template."""
    return message(person, "button", {"payload": payload, "text": text}, id=id, **known)


def inbound_image(person: str, media_id: str = "1234567890", caption: str = "", **known: Any) -> Change:
    return message(person, "image", media_content(media_id, "image/jpeg", caption=caption), **known)


def inbound_video(person: str, media_id: str = "1234567891", caption: str = "", **known: Any) -> Change:
    return message(person, "video", media_content(media_id, "video/mp4", caption=caption), **known)


def inbound_document(
    person: str, media_id: str = "1234567893", filename: str = "file.pdf", caption: str = "", **known: Any
) -> Change:
    content = {**media_content(media_id, "application/pdf", caption=caption), "filename": filename}
    return message(person, "document", content, **known)


def inbound_sticker(person: str, media_id: str = "1234567894", *, animated: bool = False, **known: Any) -> Change:
    return message(person, "sticker", {**media_content(media_id, "image/webp"), "animated": animated}, **known)


def inbound_location(
    person: str, latitude: float, longitude: float, place: str = "", address: str = "", **known: Any
) -> Change:
    content: dict[str, Any] = {"latitude": latitude, "longitude": longitude}
    content |= {key: value for key, value in (("name", place), ("address", address)) if value}
    return message(person, "location", content, **known)


def inbound_contacts(person: str, formatted_name: str, phone: str, **known: Any) -> Change:
    card = {"name": {"formatted_name": formatted_name}, "phones": [{"phone": phone, "type": "CELL"}]}
    return message(person, "contacts", [card], **known)


def inbound_reaction(person: str, message_id: str, emoji: str | None, **known: Any) -> Change:
    """`emoji=None` takes the reaction back."""
    content = {"message_id": message_id} | ({"emoji": emoji} if emoji is not None else {})
    return message(person, "reaction", content, **known)


def inbound_order(person: str, product: str, quantity: int | str = 1, text: str = "", **known: Any) -> Change:
    item = {"product_retailer_id": product, "quantity": quantity, "item_price": 10, "currency": "BRL"}
    return message(person, "order", {"catalog_id": "cat-1", "text": text, "product_items": [item]}, **known)


def inbound_system(person: str, kind: str, body: str, **content: Any) -> Change:
    """`user_changed_number` and its like; they come without contacts."""
    return message(person, "system", {"body": body, "type": kind, **content}, name=None)


def inbound_unsupported(person: str, kind: str = "poll", **known: Any) -> Change:
    error = {"code": 131051, "title": "Message type unknown", "message": "Message type unknown"}
    error |= {"error_data": {"details": "Message type is currently not supported."}}
    return message(person, "unsupported", {"type": kind}, errors=[error], **known)


def inbound_edit(person: str, original_message_id: str, text: str, **known: Any) -> Change:
    content = {"original_message_id": original_message_id, "message": {"type": "text", "text": {"body": text}}}
    return message(person, "edit", content, **known)


def inbound_revoke(person: str, original_message_id: str, **known: Any) -> Change:
    return message(person, "revoke", {"original_message_id": original_message_id}, **known)


def inbound_welcome(person: str, **known: Any) -> Change:
    return message(person, "request_welcome", **known)
