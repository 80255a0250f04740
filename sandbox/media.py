"""Files at a platform: uploaded ones and those people sent, with ids that end and links that end sooner."""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from email.parser import BytesParser
from email.policy import HTTP

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.graph_validation import GraphError
from sandbox.media_faults import LOOKUP_FAULTS, MEGABYTE, FileFault, download
from sandbox.transport import JSON, BodyTooLargeError, read_body

UPLOAD_LIFE_SECONDS = 30 * 86_400.0
INBOUND_LIFE_SECONDS = 7 * 86_400.0
LINK_LIFE_SECONDS = 300.0
MAX_KEPT_BYTES = 256 * MEGABYTE
MAX_UPLOAD_BYTES = 100 * MEGABYTE

_OFFICE = "application/vnd.openxmlformats-officedocument"
_DOCUMENTS = ["text/plain", *(f"application/{one}" for one in ("pdf", "msword", "vnd.ms-excel", "vnd.ms-powerpoint"))]
_OFFICE_KINDS = ("wordprocessingml.document", "spreadsheetml.sheet", "presentationml.presentation")
_LIMITS = {
    **dict.fromkeys(("image/jpeg", "image/png"), 5 * MEGABYTE),
    "image/webp": 500 * 1024,
    **dict.fromkeys(("video/mp4", "video/3gpp"), 16 * MEGABYTE),
    **dict.fromkeys([f"audio/{kind}" for kind in ("aac", "amr", "mpeg", "mp4", "ogg")], 16 * MEGABYTE),
    **dict.fromkeys((*_DOCUMENTS, *(f"{_OFFICE}.{kind}" for kind in _OFFICE_KINDS)), MAX_UPLOAD_BYTES),
}


@dataclass(frozen=True, slots=True)
class StoredFile:
    id: str
    mime_type: str
    content: bytes
    expires_at: float

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


class MediaShelf:
    """Files by id, the oldest dropped when they take too much room. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._files: OrderedDict[str, StoredFile] = OrderedDict()
        self._links: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._faults: dict[str, tuple[FileFault, int | None]] = {}
        self._messages: dict[str, dict[str, None]] = {}
        self._size = 0

    def route(self) -> Route:
        """`PUT /sandbox/files/{id}?fault=&times=&message=`: a person sends the file; the test posts its message."""
        return Route("/sandbox/files/{media_id}", self._put, methods=["PUT"])

    def add(
        self,
        content: bytes,
        mime_type: str,
        *,
        life_seconds: float = INBOUND_LIFE_SECONDS,
        id: str | None = None,
        fault: FileFault | None = None,
        times: int | None = None,
        message: str = "",
    ) -> StoredFile:
        """Keep a file, the next one of `message`. The next `times` requests meet its fault; None: all of them."""
        file = StoredFile(id or str(secrets.randbelow(10**15)), mime_type, content, self._clock() + life_seconds)
        self.remove(file.id)
        self._files[file.id] = file
        if fault is not None:
            self._faults[file.id] = fault, times
        if message:
            self._messages.setdefault(message, {})[file.id] = None
        self._size += len(content)
        while self._size > MAX_KEPT_BYTES:
            self.remove(next(iter(self._files)))
        return file

    def upload(self, body: bytes, content_type: str) -> StoredFile:
        """Raises GraphError when the form or the file is not what the platform takes."""
        fields, content, mime_type = read_form(body, content_type)
        if fields.get("messaging_product") != "whatsapp":
            raise GraphError(100, "The parameter messaging_product is required.")
        if content is None:
            raise GraphError(100, "The parameter file is required.")
        mime_type = (fields.get("type") or mime_type).split(";")[0].strip().lower()
        limit = _LIMITS.get(mime_type)
        if limit is None:
            raise GraphError(100, f"Param file must be a file with one of the supported types, not {mime_type!r}.")
        if len(content) > limit:
            raise GraphError(131053, f"The file is larger than {limit} bytes.")
        if not content:
            raise GraphError(100, "The file is empty.")
        return self.add(content, mime_type, life_seconds=UPLOAD_LIFE_SECONDS)

    def get(self, media_id: str) -> StoredFile | None:
        file = self._files.get(media_id)
        return file if file is not None and file.expires_at > self._clock() else None

    def of_message(self, message: str) -> list[StoredFile]:
        return [file for id in self._messages.get(message, ()) if (file := self.get(id)) is not None]

    def link(self, file: StoredFile) -> str:
        """A key for downloading the file, good for five minutes."""
        key = secrets.token_urlsafe(16)
        self._links[key] = (file.id, self._clock() + LINK_LIFE_SECONDS)
        if len(self._links) > 10_000:
            self._links.popitem(last=False)
        return key

    def behind(self, key: str) -> StoredFile | None:
        media_id, expires_at = self._links.get(key, ("", 0.0))
        return self.get(media_id) if expires_at > self._clock() else None

    def lookup_fault(self, media_id: str) -> FileFault | None:
        """Take the fault that a call for this file's link meets now."""
        return self._take(media_id, is_lookup=True)

    def download(self, request: Request, file: StoredFile | None) -> Response:
        """Return the file, or what its fault makes of it; 404 for none."""
        if file is None:
            return Response(status_code=404)
        return download(request, file.content, file.mime_type, self._take(file.id, is_lookup=False))

    async def open(self, request: Request) -> Response:
        """Download by `media_id` without a lookup: the faults of lookups are those of a file that is gone."""
        media_id = request.path_params["media_id"]
        is_stale = self._faults.get(media_id, ("",))[0] is FileFault.STALE
        return self.download(request, None if is_stale or self.lookup_fault(media_id) else self.get(media_id))

    def _take(self, media_id: str, *, is_lookup: bool) -> FileFault | None:
        fault, times = self._faults.get(media_id, (None, None))
        if fault in (None, FileFault.STALE) or (fault in LOOKUP_FAULTS) is not is_lookup:
            return None
        if times is not None:
            self._faults[media_id] = fault, times - 1
            if times <= 1:
                del self._faults[media_id]
        return fault

    async def _put(self, request: Request) -> Response:
        asked = request.query_params
        try:
            fault = FileFault(asked["fault"]) if "fault" in asked else None
            times = int(asked["times"]) if "times" in asked else None
            content = await read_body(request, MAX_UPLOAD_BYTES)
        except (ValueError, BodyTooLargeError):
            return JSON({"error": "no such fault, times is no number, or the file is too large"}, status_code=422)
        mime_type = request.headers.get("content-type", "application/octet-stream")
        id, message = request.path_params["media_id"], asked.get("message", "")
        file = self.add(content, mime_type, id=id, fault=fault, times=times, message=message)
        return JSON({"id": file.id, "size": len(content)})

    def remove(self, media_id: str) -> bool:
        self._faults.pop(media_id, None)
        file = self._files.pop(media_id, None)
        self._size -= len(file.content) if file else 0
        return file is not None


def read_form(body: bytes, content_type: str) -> tuple[dict[str, str], bytes | None, str]:
    """Return the text fields of a multipart form, its file, and the type that the file's part declares.

    Raises:
        GraphError: it is none.
    """
    if not content_type.startswith("multipart/form-data"):
        raise GraphError(100, "The request must be multipart/form-data.")
    form = BytesParser(policy=HTTP).parsebytes(b"content-type: " + content_type.encode() + b"\r\n\r\n" + body)
    fields: dict[str, str] = {}
    content, mime_type = None, ""
    for part in form.iter_parts():
        name = part.get_param("name", header="content-disposition")
        value = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(value, bytes):
            continue
        if name == "file":
            content, mime_type = value, part.get_content_type()
        else:
            fields[name] = value.decode("utf-8", "replace").strip()
    return fields, content, mime_type
