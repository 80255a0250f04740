"""Posts of Meta to a WhatsApp webhook, byte for byte and signed: messages of every kind, statuses, the rest."""

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

DEFAULT_WABA = "102290129340398"
DEFAULT_PHONE_NUMBER_ID = "106540352242922"
DEFAULT_DISPLAY_NUMBER = "15550783881"

Change = dict[str, Any]


def sign(body: bytes, secret: str) -> str:
    """The value of `X-Hub-Signature-256` for these bytes."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def to_bytes(content: Mapping[str, Any]) -> bytes:
    """JSON as Meta writes it: what is not ASCII as lower-case `\\uXXXX`, slashes escaped."""
    return json.dumps(content, separators=(",", ":")).replace("/", "\\/").encode("ascii")


def signed(content: Mapping[str, Any], secret: str) -> tuple[bytes, dict[str, str]]:
    """Body and headers of one webhook request."""
    body = to_bytes(content)
    return body, {"content-type": "application/json", "x-hub-signature-256": sign(body, secret)}


def envelope(*changes: Change, waba: str = DEFAULT_WABA) -> dict[str, Any]:
    """One POST; changes that were made for different accounts may be given as several envelopes' entries."""
    return {"object": "whatsapp_business_account", "entry": [{"id": waba, "changes": list(changes)}]}


def wamid() -> str:
    return f"wamid.{secrets.token_hex(20).upper()}"


def message(
    person: str,
    kind: str,
    content: Any = None,
    *,
    id: str | None = None,
    name: str | None = "Ana",
    phone_number_id: str = DEFAULT_PHONE_NUMBER_ID,
    display_number: str = DEFAULT_DISPLAY_NUMBER,
    timestamp: int | None = None,
    user_id: str | None = None,
    reply_to: str | None = None,
    **more: Any,
) -> Change:
    """A change of the field `messages` with one message; `content` is under the key of its type.

    `name=None` leaves `contacts` out, as for system messages. `more` is put beside the type, `referral` for one.
    """
    element: dict[str, Any] = {"id": id or wamid(), "timestamp": str(timestamp or int(time.time())), "type": kind}
    if person:
        element["from"] = person
    if user_id:
        element["from_user_id"] = user_id
    if reply_to:
        element["context"] = {"from": display_number, "id": reply_to}
    if content is not None:
        element[kind] = content
    element.update(more)
    contacts = []
    if name is not None:
        contact: dict[str, Any] = {"profile": {"name": name}}
        if person:
            contact["wa_id"] = person
        contact["user_id"] = user_id or f"BR.{person}"
        contacts.append(contact)
    return _change("messages", phone_number_id, display_number, contacts=contacts or None, messages=[element])


def other(
    field: str,
    phone_number_id: str = DEFAULT_PHONE_NUMBER_ID,
    display_number: str = DEFAULT_DISPLAY_NUMBER,
    **value: Any,
) -> Change:
    """A change of another field that reaches the same URL."""
    return _change(field, phone_number_id, display_number, **value)


def inbound_text(person: str, text: str, id: str | None = None, **known: Any) -> Change:
    return message(person, "text", {"body": text}, id=id, **known)


def inbound_button_reply(person: str, choice_id: str, title: str, id: str | None = None, **known: Any) -> Change:
    """A tap on one of our reply buttons; `reply_to` is the id of our message."""
    reply = {"type": "button_reply", "button_reply": {"id": choice_id, "title": title}}
    return message(person, "interactive", reply, id=id, **known)


def inbound_list_reply(
    person: str, choice_id: str, title: str, description: str = "", id: str | None = None, **known: Any
) -> Change:
    row = {"id": choice_id, "title": title} | ({"description": description} if description else {})
    return message(person, "interactive", {"type": "list_reply", "list_reply": row}, id=id, **known)


def inbound_form_reply(person: str, answers: Mapping[str, Any] | str, id: str | None = None, **known: Any) -> Change:
    """A submitted form; a string is put in as it is, parseable or not."""
    response = answers if isinstance(answers, str) else json.dumps(answers)
    reply = {"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent", "response_json": response}}
    return message(person, "interactive", reply, id=id, **known)


def inbound_template_button(person: str, payload: str, text: str, id: str | None = None, **known: Any) -> Change:
    """A tap on a quick-reply button of a template."""
    return message(person, "button", {"payload": payload, "text": text}, id=id, **known)


def inbound_image(person: str, media_id: str = "1234567890", caption: str = "", **known: Any) -> Change:
    return message(person, "image", _media(media_id, "image/jpeg", caption=caption), **known)


def inbound_video(person: str, media_id: str = "1234567891", caption: str = "", **known: Any) -> Change:
    return message(person, "video", _media(media_id, "video/mp4", caption=caption), **known)


def inbound_audio(person: str, media_id: str = "1234567892", *, voice: bool = True, **known: Any) -> Change:
    return message(person, "audio", {**_media(media_id, "audio/ogg; codecs=opus"), "voice": voice}, **known)


def inbound_document(
    person: str, media_id: str = "1234567893", filename: str = "file.pdf", caption: str = "", **known: Any
) -> Change:
    content = {**_media(media_id, "application/pdf", caption=caption), "filename": filename}
    return message(person, "document", content, **known)


def inbound_sticker(person: str, media_id: str = "1234567894", *, animated: bool = False, **known: Any) -> Change:
    return message(person, "sticker", {**_media(media_id, "image/webp"), "animated": animated}, **known)


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


def echo(person: str, text: str, id: str | None = None, business: str = DEFAULT_DISPLAY_NUMBER) -> Change:
    """The business wrote from its phone app."""
    element = {"from": business, "to": person, "id": id or wamid(), "timestamp": str(int(time.time()))}
    return other("smb_message_echoes", message_echoes=[{**element, "type": "text", "text": {"body": text}}])


def error(code: int, title: str = "Something went wrong", details: str = "") -> Change:
    """An error outside the messages, in `value.errors`."""
    return other("messages", errors=[error_object(code, title, details)])


def error_object(code: int, title: str, details: str) -> dict[str, Any]:
    return {
        "code": code,
        "title": title,
        "message": title,
        "error_data": {"details": details or title},
        "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
    }


def status_element(
    message_id: str,
    status: str,
    person: str,
    *,
    client_reference: str | None = None,
    timestamp: int | None = None,
    error_code: int | None = None,
) -> dict[str, Any]:
    """One element of `statuses`. `client_reference` comes back as `biz_opaque_callback_data`."""
    element: dict[str, Any] = {
        "id": message_id,
        "status": status,
        "timestamp": str(timestamp or int(time.time())),
        "recipient_id": person,
        "recipient_user_id": f"BR.{person}",
    }
    if client_reference is not None:
        element["biz_opaque_callback_data"] = client_reference
    if status in ("sent", "delivered"):
        element["pricing"] = {
            "billable": False,
            "pricing_model": "PMP",
            "type": "free_customer_service",
            "category": "service",
        }
    if error_code is not None:
        element["errors"] = [error_object(error_code, "Message undeliverable", "Message undeliverable")]
    return element


def statuses(*elements: dict[str, Any], phone_number_id: str = DEFAULT_PHONE_NUMBER_ID) -> Change:
    """A change with these statuses, and the contacts they belong to unless one failed."""
    people = {each["recipient_id"]: each for each in elements if each["status"] != "failed"}
    contacts = [{"wa_id": person, "user_id": each["recipient_user_id"]} for person, each in people.items()]
    return _change(
        "messages", phone_number_id, DEFAULT_DISPLAY_NUMBER, contacts=contacts or None, statuses=list(elements)
    )


def status(
    message_id: str,
    state: str,
    person: str,
    *,
    client_reference: str | None = None,
    error_code: int | None = None,
    phone_number_id: str = DEFAULT_PHONE_NUMBER_ID,
) -> Change:
    """A change with one status."""
    element = status_element(message_id, state, person, client_reference=client_reference, error_code=error_code)
    return statuses(element, phone_number_id=phone_number_id)


def _change(field: str, phone_number_id: str, display_number: str, **value: Any) -> Change:
    metadata = {"display_phone_number": display_number, "phone_number_id": phone_number_id}
    present = {key: each for key, each in value.items() if each is not None}
    return {"field": field, "value": {"messaging_product": "whatsapp", "metadata": metadata, **present}}


def _media(media_id: str, mime_type: str, caption: str = "") -> dict[str, Any]:
    content = {"id": media_id, "mime_type": mime_type, "sha256": hashlib.sha256(media_id.encode()).hexdigest()}
    return content | ({"caption": caption} if caption else {})
