"""Two bubbles of one reply, sent to a platform that shows what is on its way together in another order."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from test_webhook_to_reply import Whole, opened

from adapters.channels.whatsapp import SANDBOX_PHONE_NUMBER_ID
from tests import whatsapp_kinds as meta

PEOPLE = [f"55119000000{number:02}" for number in range(8)]


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[Whole]:
    async with opened(tmp_path) as whole:
        yield whole


async def shown(whole: Whole, statuses: dict[str, Any]) -> list[list[str]]:
    """Let people of half an hour ago be answered, in two bubbles each; return what each sees, in the order seen."""
    graph = f"{whole.runtime.sandbox_url}/graph/sandbox"
    behaviour = {"reorders": True, "statuses": statuses}
    assert (await whole.http.put(f"{graph}/behaviour", json=behaviour)).status_code == 200
    written = round(time.time()) - 1800
    known = {"phone_number_id": SANDBOX_PHONE_NUMBER_ID, "timestamp": written}
    await whole.post(*(meta.inbound_text(person, "que horas abre?", **known) for person in PEOPLE))
    async with asyncio.timeout(60):
        while len(sent := await whole.sent()) < 2 * len(PEOPLE):  # noqa: ASYNC110 - statuses come by the clock
            await asyncio.sleep(0.05)
    of_each = ([one for one in sent if one["wa_id"] == person] for person in PEOPLE)
    return [
        [message["client_reference"] for message in sorted(messages, key=lambda message: message["shown"])]
        for messages in of_each
    ]


@pytest.mark.parametrize(
    "statuses",
    [
        {"after_ms": {"sent": 300.0, "delivered": 350.0}},
        {"after_ms": {"sent": 200.0}, "shuffled": 1, "duplicated": 1},
        {"kinds": ["delivered"]},
        {"before_response": True},
        {"kinds": []},
    ],
    ids=["late", "disordered", "without sent", "before the answer", "never"],
)
async def test_people_see_the_bubbles_in_their_order(whole: Whole, statuses: dict[str, Any]) -> None:
    for first, second in await shown(whole, statuses):
        assert (first[-2:], second[-2:]) == ("/0", "/1")
