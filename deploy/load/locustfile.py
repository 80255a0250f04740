"""Load on WhatsApp's webhook (signed), the web chat and statuses, with Locust; ends with 1 when a limit is crossed.

    uvx locust -f deploy/load/locustfile.py --headless --users 200 --spawn-rate 50 --run-time 5m --host http://127.0.0.1:8000

Several instances: --processes 4, or --master and --worker on other machines. WHATSAPP_APP_SECRET and
WHATSAPP_PHONE_NUMBER_ID as Prosa has them; without the secret only the web chat is driven. Limits: LIMIT_ACK_P99_MS,
LIMIT_REPLY_P95_MS, LIMIT_ERRORS (a share). A chat message without a reply within 30 s counts as lost.
"""

import hashlib
import hmac
import json
import os
import random
import sys
import time
import uuid
from typing import Any

from locust import FastHttpUser, constant_pacing, events, task

SECRET, NUMBER = os.environ.get("WHATSAPP_APP_SECRET", ""), os.environ.get("WHATSAPP_PHONE_NUMBER_ID", "")
ACK_P99_MS = float(os.environ.get("LIMIT_ACK_P99_MS", "100"))
REPLY_P95_MS = float(os.environ.get("LIMIT_REPLY_P95_MS", "2000"))
ERRORS = float(os.environ.get("LIMIT_ERRORS", "0.01"))
TEXTS = ("Oi, bom dia", "Quanto custa?", "Qual o horário?", "Obrigado")


def envelope(value: dict[str, Any]) -> bytes:
    given = {"messaging_product": "whatsapp", "metadata": {"display_phone_number": "1", "phone_number_id": NUMBER}}
    change = {"field": "messages", "value": given | value}
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}).encode()


class WhatsApp(FastHttpUser):
    """A person on WhatsApp, and the statuses of replies to somebody else."""

    wait_time = constant_pacing(2)
    weight = 3 if SECRET else 0
    abstract = not SECRET

    def on_start(self) -> None:
        self.person = f"55119{random.randrange(10**8):08}"

    @task(4)
    def message(self) -> None:
        text = {"type": "text", "text": {"body": random.choice(TEXTS)}}
        stamp = {"from": self.person, "id": f"wamid.{uuid.uuid4().hex}", "timestamp": str(int(time.time()))}
        contact = {"profile": {"name": "Ana"}, "wa_id": self.person}
        self.post("whatsapp", {"contacts": [contact], "messages": [stamp | text]})

    @task(1)
    def status(self) -> None:
        one = {"id": f"wamid.{uuid.uuid4().hex}", "status": "delivered", "recipient_id": self.person}
        self.post("whatsapp status", {"statuses": [one | {"timestamp": str(int(time.time()))}]})

    def post(self, name: str, value: dict[str, Any]) -> None:
        body = envelope(value)
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={signature}"}
        self.client.post("/webhooks/whatsapp", data=body, headers=headers, name=f"ack: {name}")


class WebChat(FastHttpUser):
    """A person on the web page, who waits for each reply."""

    wait_time = constant_pacing(3)
    network_timeout = 40

    def on_start(self) -> None:
        self.path, self.headers = f"/chat/load-{uuid.uuid4().hex}/messages", {}

    @task
    def message(self) -> None:
        id_, began = uuid.uuid4().hex, time.perf_counter()
        body = {"id": id_, "text": random.choice(TEXTS)}
        answer = self.client.post(self.path, json=body, headers=self.headers, name="ack: chat")
        if answer.status_code != 202:
            return
        if token := answer.json().get("token"):
            self.headers = {"Authorization": f"Bearer {token}"}
        with self.client.get(
            f"{self.path}/{id_}?wait=30", headers=self.headers, name="wait: chat", catch_response=True
        ) as answer:
            status = answer.json().get("status") if answer.status_code == 200 else answer.status_code
            if status == "escalated":
                # The team was called, and answers it.
                return
            if status != "replied":
                answer.failure(f"lost: {status}")
                return
        milliseconds = (time.perf_counter() - began) * 1000
        events.request.fire(
            request_type="REPLY",
            name="reply: chat",
            response_time=milliseconds,
            response_length=0,
            exception=None,
            context={},
        )


@events.quitting.add_listener
def judge(environment: Any, **_: Any) -> None:
    """Compare with the limits, and say each one that is crossed."""
    total, crossed = environment.stats.total, []
    if not total.num_requests:
        crossed.append("nothing was measured")
    if total.fail_ratio > ERRORS:
        crossed.append(f"errors {total.fail_ratio:.2%}, limit {ERRORS:.0%}")
    for entry in environment.stats.entries.values():
        share, limit = {"ack": (0.99, ACK_P99_MS), "reply": (0.95, REPLY_P95_MS)}.get(
            entry.name.partition(":")[0], (0, 0)
        )
        found = entry.get_response_time_percentile(share) if share and entry.num_requests else 0
        if found > limit:
            crossed.append(f"{entry.name} p{share * 100:.0f} {found:.0f} ms, limit {limit:.0f} ms")
        if entry.name == "wait: chat" and entry.num_failures:
            crossed.append(f"{entry.num_failures} chat messages without a reply")
    for one in crossed:
        sys.stderr.write(f"crossed: {one}\n")
    environment.process_exit_code = 1 if crossed else 0
