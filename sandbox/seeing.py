"""Pictures and documents of a prompt, seen by the text that they carry: no eyes are needed to test what follows."""

import re
from base64 import b64decode
from binascii import Error as NotBase64Error
from typing import Any

from adapters.channels.fetching import file_of
from contracts.media import MediaRefusedError

_PNG_TEXT = re.compile(rb"tEXt[ -~]{1,79}\0([^\0]*?)(?=.{4}.{4}I(?:DAT|END))", re.DOTALL)
_PDF_TEXT = re.compile(rb"\(([^()]*)\)\s*Tj")


class UnseenError(Exception):
    """A block that the API refuses."""


def seen(block: dict[str, Any]) -> tuple[str, int]:
    """Return the text that a picture or document carries, and its tokens.

    Raises:
        UnseenError: it is none, damaged, or of another type than it says.
    """
    source = block.get("source") or {}
    if source.get("type") == "text":
        text = str(source.get("data"))
        return text, max(1, len(text) // 4)
    try:
        content = b64decode(source.get("data", ""), validate=True)
        file = file_of(content)
    except (NotBase64Error, MediaRefusedError) as exc:
        raise UnseenError("Could not process image") from exc
    if file.mime_type != source.get("media_type"):
        raise UnseenError("The file does not match the provided media type")
    if file.mime_type == "image/png" and b"IEND" not in content:
        raise UnseenError("Could not process image")
    found = _PDF_TEXT.findall(content) if file.mime_type == "application/pdf" else _PNG_TEXT.findall(content)
    return " ".join(each.decode("utf-8", "replace") for each in found), file.tokens
