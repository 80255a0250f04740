"""Posts of Meta to a WhatsApp webhook, byte for byte and signed: messages, statuses, the rest."""

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
        element["context"] = {"from": DEFAULT_DISPLAY_NUMBER, "id": reply_to}
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
    return _change("messages", phone_number_id, contacts=contacts or None, messages=[element])


def other(
    field: str,
    phone_number_id: str = DEFAULT_PHONE_NUMBER_ID,
    **value: Any,
) -> Change:
    """A change of another field that reaches the same URL."""
    return _change(field, phone_number_id, **value)


def inbound_text(person: str, text: str, id: str | None = None, **known: Any) -> Change:
    return message(person, "text", {"body": text}, id=id, **known)


def inbound_list_reply(
    person: str, choice_id: str, title: str, description: str = "", id: str | None = None, **known: Any
) -> Change:
    row = {"id": choice_id, "title": title} | ({"description": description} if description else {})
    return message(person, "interactive", {"type": "list_reply", "list_reply": row}, id=id, **known)


def inbound_audio(person: str, media_id: str = "1234567892", *, voice: bool = True, **known: Any) -> Change:
    return message(person, "audio", {**media_content(media_id, "audio/ogg; codecs=opus"), "voice": voice}, **known)


def echo(person: str, text: str, id: str | None = None) -> Change:
    """The business wrote from its phone app."""
    element = {"from": DEFAULT_DISPLAY_NUMBER, "to": person, "id": id or wamid(), "timestamp": str(int(time.time()))}
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
    return _change("messages", phone_number_id, contacts=contacts or None, statuses=list(elements))


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


def _change(field: str, phone_number_id: str, **value: Any) -> Change:
    metadata = {"display_phone_number": DEFAULT_DISPLAY_NUMBER, "phone_number_id": phone_number_id}
    present = {key: each for key, each in value.items() if each is not None}
    return {"field": field, "value": {"messaging_product": "whatsapp", "metadata": metadata, **present}}


def media_content(media_id: str, mime_type: str, caption: str = "") -> dict[str, Any]:
    content = {"id": media_id, "mime_type": mime_type, "sha256": hashlib.sha256(media_id.encode()).hexdigest()}
    return content | ({"caption": caption} if caption else {})
