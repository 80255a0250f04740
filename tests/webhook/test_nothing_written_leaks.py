"""What a person wrote stands in the store and nowhere else: not in a log line, not in an error's text."""

import io
import logging
from collections.abc import Awaitable, Iterator
from typing import Any

import httpx
import pytest
import structlog
from prometheus_client import generate_latest
from webhook_bed import ANA, HOOK, WebhookBed

from observability.logs import configure_logs
from observability.metrics import REGISTRY
from sandbox.whatsapp_webhooks import Change, envelope, to_bytes
from tests import whatsapp_kinds as meta

MARK = "Xaropinho"


@pytest.fixture
def log_stream() -> Iterator[io.StringIO]:
    """The pipeline as production has it, at its most talkative."""
    root = logging.getLogger()
    before, handlers, level = structlog.get_config(), list(root.handlers), root.level
    stream = io.StringIO()
    configure_logs(level="DEBUG", stream=stream)
    yield stream
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


def marked() -> dict[str, Change]:
    """The mark in every place where a person or the platform can put words."""
    broken = meta.inbound_text(ANA, MARK, name=MARK)
    del broken["value"]["messages"][0]["id"]
    failed = meta.status("wamid.X", "failed", ANA, client_reference=MARK)
    failed["value"]["statuses"][0]["errors"] = [{"code": {"text": MARK}, "title": MARK, "message": MARK}]
    return {
        "text": meta.inbound_text(ANA, MARK, name=MARK),
        "choice": meta.inbound_button_reply(ANA, MARK, MARK),
        "form": meta.inbound_form_reply(ANA, {MARK: MARK}),
        "file": meta.inbound_document(ANA, "1", MARK, MARK),
        "place": meta.inbound_location(ANA, 1, 2, MARK, MARK),
        "card": meta.inbound_contacts(ANA, MARK, "1"),
        "order": meta.inbound_order(ANA, MARK, 1, MARK),
        "edit": meta.inbound_edit(ANA, "wamid.1", MARK),
        "a type": meta.message(ANA, MARK, {MARK: MARK}),
        "a field": meta.other(MARK, messages=[MARK]),
        "an error": meta.error(1, MARK, MARK),
        "an unknown state": meta.status("wamid.X", MARK, ANA),
        "a failure": failed,
        "a broken message": broken,
        "a broken value": {"field": "messages", "value": MARK},
    }


async def provoke(bed: WebhookBed) -> list[str]:
    """Send the mark by every way in, good and bad, with the backends up and down; return all that was answered."""
    answers: list[str] = []

    async def note(asked: Awaitable[httpx.Response]) -> None:
        answers.append((await asked).text)

    for is_down in (False, True):
        bed.inbox.is_down = bed.store.is_down = is_down
        for change in marked().values():
            await note(bed.post(change))
        for body in (MARK.encode(), f'{{"{MARK}": NaN}}'.encode(), to_bytes(envelope())[:-1] + MARK.encode()):
            await note(bed.post_bytes(body))
            await note(bed.http.post("/chat/c-1/messages", content=body))
            await note(bed.http.post(HOOK, content=body))
        await note(bed.write(MARK, name=MARK))
        for content in (
            {"text": {"deep": MARK}},
            {"text": MARK * 2000},
            {"text": "oi", "id": MARK + " !"},
            {"txt": MARK},
        ):
            await note(bed.http.post("/chat/c-1/messages", json=content))
        for path in (
            f"/chat/{MARK}!/messages/x",
            f"/chat/c-1/messages/x?wait={MARK}",
            f"/chat/c-1/events?after={MARK}",
            f"/console/reports/cost?from={MARK}",
            f"/{MARK}",
            f"/static/{MARK}",
            f"{HOOK}?hub.mode=subscribe&hub.verify_token={MARK}&hub.challenge={MARK}",
        ):
            await note(bed.http.get(path))
    assert len(bed.kept) > 8
    return answers


async def test_no_answer_repeats_it(bed: WebhookBed) -> None:
    for answer in await provoke(bed):
        assert MARK not in answer


async def test_no_line_holds_it_even_before_redaction(bed: WebhookBed, raw_lines: list[dict[str, Any]]) -> None:
    await provoke(bed)
    events = {line["event"] for line in raw_lines}
    assert {"message.received", "message.unreadable", "event.ignored"} <= events
    for line in raw_lines:
        assert MARK not in repr(line)
        assert ANA not in repr(line)


async def test_the_log_as_it_is_written_does_not_hold_it(bed: WebhookBed, log_stream: io.StringIO) -> None:
    await provoke(bed)
    written = log_stream.getvalue()
    assert "message.received" in written
    assert MARK not in written
    assert ANA not in written
    assert "[redacted]" not in written, "every key that is logged here is one that may be"


async def test_no_metric_holds_it(bed: WebhookBed) -> None:
    await provoke(bed)
    assert MARK.encode() not in generate_latest(REGISTRY)


async def test_a_defect_is_told_without_its_text(bed: WebhookBed, raw_lines: list[dict[str, Any]]) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError(MARK)

    bed.inbox.append = broken  # type: ignore[method-assign,assignment]
    bed.http._transport.raise_app_exceptions = False  # type: ignore[attr-defined]
    response = await bed.write("oi")
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert MARK not in response.text
    assert [line["event"] for line in raw_lines] == ["request.defect"]
    assert MARK not in repr(raw_lines)
