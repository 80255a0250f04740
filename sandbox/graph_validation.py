"""Refusals of the Graph API: every type of message with its limits, each refusal with the platform's code."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contracts.values import Value
from contracts.yaml_file import read_yaml
from sandbox.transport import Refusal

MAX_BODY, MAX_INTERACTIVE_BODY, MAX_CAPTION, MAX_SMALL_TEXT = 4096, 1024, 1024, 60
MAX_BUTTONS, MAX_BUTTON_TITLE, MAX_BUTTON_ID = 3, 20, 256
MAX_SECTIONS, MAX_ROWS, MAX_ROW_TITLE, MAX_ROW_ID, MAX_DESCRIPTION = 10, 10, 24, 200, 72
MAX_CONTACTS, MAX_TEMPLATE_NAME, MAX_REFERENCE = 257, 512, 512


class Errors(Value):
    """Titles and HTTP statuses of errors, by their code."""

    titles: dict[int, str]
    statuses: dict[int, int]


ERRORS = read_yaml(Path(__file__).with_name("graph_errors.yaml"), Errors).value
_PHONE = re.compile(r"\+?[1-9][\d\s().-]{5,24}")
_LINK = re.compile(r"https?://[^\s/]+\.[^\s]+|https?://(?:localhost|127\.0\.0\.1)\S*")


class GraphError(Refusal):
    """A refusal in the platform's form; throttling arrives as 400 too, so the status says little."""

    def __init__(
        self,
        code: int,
        details: str = "",
        status: int | None = None,
        *,
        message: str = "",
        subcode: int | None = None,
        kind: str = "OAuthException",
    ) -> None:
        super().__init__(f"({code}) {details}")
        self.code = code
        self.status = status or ERRORS.statuses.get(code, 400)
        self.details = details or ERRORS.titles.get(code, "Unknown error")
        self.message = message
        self.subcode = subcode
        self.kind = kind

    def body(self, trace: str) -> dict[str, Any]:
        """The form of the whole Graph API where there is a message, else that of WhatsApp's part with its details."""
        error: dict[str, Any] = {"message": self.message, "type": self.kind, "code": self.code}
        if not self.message:
            error["message"] = f"(#{self.code}) {ERRORS.titles.get(self.code, 'Unknown error')}"
            error["error_data"] = {"messaging_product": "whatsapp", "details": self.details}
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        return {"error": error | {"fbtrace_id": trace}}


def check_message(request: dict[str, Any]) -> None:
    """Raises GraphError for a send the platform would refuse at once."""
    if request.get("messaging_product") != "whatsapp":
        raise GraphError(100, "The parameter messaging_product is required and must be whatsapp.")
    recipient = request.get("to") or request.get("recipient")
    if not recipient:
        raise GraphError(131008, "Parameter to is required.")
    if not isinstance(recipient, str) or (request.get("to") and not _PHONE.fullmatch(recipient)):
        raise GraphError(131009, "Parameter to is not a valid phone number.")
    if request.get("recipient_type", "individual") not in ("individual", "group"):
        raise GraphError(131009, "recipient_type must be individual or group.")
    kind = request.get("type", "text")
    check = _CHECKS.get(kind)
    if check is None:
        raise GraphError(131051, f"Message type {kind!r} is not supported.")
    content = request.get(kind)
    if content is None:
        raise GraphError(131008, f"Parameter {kind} is required.")
    check(content)
    context = request.get("context")
    if context is not None and not (isinstance(context, dict) and isinstance(context.get("message_id"), str)):
        raise GraphError(131009, "context.message_id must be a message id.")
    reference = request.get("biz_opaque_callback_data")
    if reference is not None:
        _text(reference, "biz_opaque_callback_data", MAX_REFERENCE)


def check_read_mark(request: dict[str, Any]) -> None:
    if request.get("status") != "read":
        raise GraphError(131009, "status must be read.")
    message_id = request.get("message_id")
    if not isinstance(message_id, str) or not message_id:
        raise GraphError(131008, "Parameter message_id is required.")
    if not message_id.startswith("wamid."):
        raise GraphError(131009, "message_id is not an id of a message.")
    indicator = request.get("typing_indicator")
    if indicator is not None and indicator != {"type": "text"}:
        raise GraphError(131009, "typing_indicator.type must be text.")


def _check_media(kind: str, *, caption: bool) -> Callable[[Any], None]:
    def check(content: Any) -> None:
        _object(content, kind)
        if ("id" in content) == ("link" in content):
            raise GraphError(131009, f"{kind} needs exactly one of id and link.")
        if "link" in content and not _LINK.fullmatch(str(content["link"])):
            raise GraphError(131009, f"{kind}.link is not a valid URL.")
        if "caption" in content:
            if not caption:
                raise GraphError(100, f"{kind} takes no caption.")
            _text(content["caption"], f"{kind}.caption", MAX_CAPTION, empty=True)

    return check


def _check_location(content: Any) -> None:
    for name, limit in (("latitude", 90), ("longitude", 180)):
        value = _member(content, "location", name)
        try:
            inside = -limit <= float(value) <= limit
        except (TypeError, ValueError):
            inside = False
        if not inside:
            raise GraphError(131009, f"location.{name} must be between -{limit} and {limit}.")


def _check_contacts(content: Any) -> None:
    if not isinstance(content, list) or not content:
        raise GraphError(131008, "Parameter contacts is required.")
    if len(content) > MAX_CONTACTS:
        raise GraphError(131009, f"At most {MAX_CONTACTS} contacts.")
    for card in content:
        name = _member(card, "contacts", "name")
        _text(_member(name, "contacts.name", "formatted_name"), "formatted_name", 1024)
        if len(name.keys() - {"formatted_name"}) < 1:
            raise GraphError(131009, "contacts.name needs a part beside formatted_name.")


def _check_reaction(content: Any) -> None:
    _text(_member(content, "reaction", "message_id"), "reaction.message_id", 1024)
    if not isinstance(content.get("emoji"), str):
        raise GraphError(131008, "Parameter reaction.emoji is required; empty takes it back.")


def _check_template(content: Any) -> None:
    _text(_member(content, "template", "name"), "template.name", MAX_TEMPLATE_NAME)
    language = _member(content, "template", "language")
    _text(_member(language, "template.language", "code"), "template.language.code", 20)
    for component in content.get("components") or ():
        if str(_member(component, "template.components", "type")).lower() not in ("header", "body", "button", "footer"):
            raise GraphError(131009, "template.components.type must be header, body or button.")


def _check_interactive(content: Any) -> None:
    kind = _member(content, "interactive", "type")
    check = _INTERACTIVE.get(kind)
    if check is None:
        raise GraphError(131009, f"interactive.type {kind!r} is not supported.")
    body = _member(_member(content, "interactive", "body"), "interactive.body", "text")
    _text(body, "interactive.body.text", MAX_BODY if kind == "list" else MAX_INTERACTIVE_BODY)
    if "footer" in content:
        _text(_member(content["footer"], "interactive.footer", "text"), "footer.text", MAX_SMALL_TEXT)
    if "header" in content:
        header_kind = _member(content["header"], "interactive.header", "type")
        if header_kind == "text":
            _text(_member(content["header"], "interactive.header", "text"), "header.text", MAX_SMALL_TEXT)
        elif kind == "list" or header_kind not in ("image", "video", "document"):
            raise GraphError(131009, f"interactive.header.type {header_kind!r} is not allowed here.")
    check(_object(_member(content, "interactive", "action"), "interactive.action"))


def _check_buttons(action: dict[str, Any]) -> None:
    buttons = action.get("buttons")
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= MAX_BUTTONS:
        raise GraphError(131009, f"action.buttons must have 1 to {MAX_BUTTONS} buttons.")
    ids, titles = [], []
    for button in buttons:
        if _member(button, "button", "type") != "reply":
            raise GraphError(131009, "Button type must be reply.")
        reply = _member(button, "button", "reply")
        ids.append(_text(_member(reply, "reply", "id"), "button id", MAX_BUTTON_ID))
        titles.append(_text(_member(reply, "reply", "title"), "button title", MAX_BUTTON_TITLE))
    _all_different(ids, "button ids")
    _all_different(titles, "button titles")


def _check_list(action: dict[str, Any]) -> None:
    _text(action.get("button"), "action.button", MAX_BUTTON_TITLE)
    sections = action.get("sections")
    if not isinstance(sections, list) or not 1 <= len(sections) <= MAX_SECTIONS:
        raise GraphError(131009, f"action.sections must have 1 to {MAX_SECTIONS} sections.")
    ids: list[str] = []
    for section in sections:
        _object(section, "section")
        if len(sections) > 1 or section.get("title"):
            _text(section.get("title"), "section title", MAX_ROW_TITLE)
        rows = section.get("rows")
        if not isinstance(rows, list) or not rows:
            raise GraphError(131009, "Every section needs rows.")
        for row in rows:
            ids.append(_text(_member(row, "row", "id"), "row id", MAX_ROW_ID))
            _text(_member(row, "row", "title"), "row title", MAX_ROW_TITLE)
            if "description" in row:
                _text(row["description"], "row description", MAX_DESCRIPTION, empty=True)
    if len(ids) > MAX_ROWS:
        raise GraphError(131009, f"Total row count exceeds the maximum allowed count of {MAX_ROWS}.")
    _all_different(ids, "row ids")


def _check_link_button(action: dict[str, Any]) -> None:
    parameters = _object(action.get("parameters"), "action.parameters")
    if action.get("name") != "cta_url":
        raise GraphError(131009, "action.name must be cta_url.")
    _text(parameters.get("display_text"), "display_text", MAX_BUTTON_TITLE)
    if not _LINK.fullmatch(_text(parameters.get("url"), "url", 2000)):
        raise GraphError(131009, "action.parameters.url is not a valid URL.")


def _check_named(name: str) -> Callable[[dict[str, Any]], None]:
    def check(action: dict[str, Any]) -> None:
        if action.get("name") != name:
            raise GraphError(131009, f"action.name must be {name}.")

    return check


_INTERACTIVE = {
    "button": _check_buttons,
    "list": _check_list,
    "cta_url": _check_link_button,
    "location_request_message": _check_named("send_location"),
    "flow": _check_named("flow"),
}
_CHECKS: dict[Any, Callable[[Any], object]] = {
    "text": lambda content: _text(_member(content, "text", "body"), "text.body", MAX_BODY),
    "interactive": _check_interactive,
    "image": _check_media("image", caption=True),
    "video": _check_media("video", caption=True),
    "audio": _check_media("audio", caption=False),
    "document": _check_media("document", caption=True),
    "sticker": _check_media("sticker", caption=False),
    "location": _check_location,
    "contacts": _check_contacts,
    "reaction": _check_reaction,
    "template": _check_template,
}


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise GraphError(131009, f"{where} must be an object.")
    return value


def _member(value: Any, where: str, name: str) -> Any:
    member = _object(value, where).get(name)
    if member is None:
        raise GraphError(131008, f"Parameter {where}.{name} is required.")
    return member


def _text(value: Any, where: str, limit: int, *, empty: bool = False) -> str:
    if value is None or (value == "" and not empty):
        raise GraphError(131008, f"Parameter {where} is required.")
    if not isinstance(value, str):
        raise GraphError(131009, f"{where} must be a string.")
    if not empty and not value.strip():
        raise GraphError(131009, f"{where} must not be blank.")
    if len(value) > limit:
        raise GraphError(131009, f"{where} must be at most {limit} characters long, it has {len(value)}.")
    return value


def _all_different(values: list[str], what: str) -> None:
    if len(set(values)) < len(values):
        raise GraphError(131009, f"Duplicated {what}.")
