"""How long a platform waits for our answer is measured, by the class of its status."""

import pytest
from webhook_bed import ANA, WebhookBed

from observability.metrics import REGISTRY
from sandbox.whatsapp_webhooks import envelope, inbound_text, to_bytes

BODY = to_bytes(envelope(inbound_text(ANA, "Olá", id="wamid.A1")))


def answers() -> dict[str, float]:
    labels = ({"channel": "whatsapp", "answer": f"{digit}xx"} for digit in (2, 4, 5))
    return {one["answer"]: REGISTRY.get_sample_value("webhook_ack_seconds_count", one) or 0 for one in labels}


@pytest.mark.parametrize(("case", "answer"), [("good", "2xx"), ("forged", "4xx"), ("away", "5xx")])
async def test_every_post_of_a_platform_is_timed(bed: WebhookBed, case: str, answer: str) -> None:
    before = answers()
    bed.inbox.is_down = case == "away"
    await bed.post_bytes(BODY, **({"secret": "other"} if case == "forged" else {}))
    assert {name: number - before[name] for name, number in answers().items() if number != before[name]} == {answer: 1}
