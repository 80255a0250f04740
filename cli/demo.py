"""`make demo`: sample conversations through the real webhook path, turn by turn."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import yaml

from adapters.channels.whatsapp import SANDBOX_PHONE_NUMBER_ID
from adapters.channels.whatsapp.inbound import parse
from adapters.clock import SystemClock
from adapters.http.client import open_client
from adapters.waiting import wait_for_receipt
from cli.output import console, print_table
from cli.runtime import Runtime
from cli.sandboxed import SANDBOX_SECRET
from contracts.conversation import TurnRecord
from contracts.errors import WorkerError
from contracts.messages import ChannelName
from contracts.paging import thread_of
from contracts.values import ConversationId, MessageId
from sandbox.whatsapp_webhooks import envelope, inbound_list_reply, inbound_text, media_content, message, signed

SAMPLES = Path(__file__).parent / "samples"
TURN_SECONDS = 30.0
ANSWER_WITHIN = timedelta(seconds=10)


@dataclass(frozen=True)
class Sample:
    """One conversation to play: channel, person and messages; `title` says what to look for.

    `files` are pictures among the samples, by the message that is their caption. `then` is the same person on another
    channel, whose conversation the team joins to this one after the first message.
    """

    title: str
    channel: ChannelName
    person: str
    name: str
    says: tuple[str, ...]
    then: "Sample | None" = None
    files: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, given: dict[str, Any]) -> "Sample":
        then = cls.of({"title": given["title"], "name": given["name"], **given["then"]}) if "then" in given else None
        channel = ChannelName(given["channel"])
        return cls(
            given["title"], channel, given["person"], given["name"], tuple(given["says"]), then, given.get("files", {})
        )


class DemoFailedError(WorkerError):
    """A message of the demonstration got no turn."""


def read_samples(language: str) -> list[Sample]:
    """The samples of a language, or the English ones."""
    path = SAMPLES / f"{language}.yaml"
    content = yaml.safe_load((path if path.is_file() else SAMPLES / "en.yaml").read_text(encoding="utf-8"))
    return [Sample.of(one) for one in content]


async def play_demo(runtime: Runtime, url: str, samples: Sequence[Sample] = ()) -> None:
    """Play the samples, or all of the institution's language, and print their turns.

    Raises:
        DemoFailedError: a message was refused or got no turn.
    """
    institution = runtime.engine.rulebooks.current().institution
    console.print(f"{institution.name} at {url} - the model and WhatsApp are the sandbox's\n")
    turns: list[TurnRecord] = []
    async with open_client(within=ANSWER_WITHIN, base_url=url, is_direct=True) as client:
        for sample in samples or read_samples(institution.language):
            console.rule(f"{sample.title} ({sample.channel})", align="left")
            turns += await _play(sample, runtime, client)
            if sample.then is not None:
                turns += await _play(sample.then, runtime, client, joining=turns[-1].conversation_id)
    times = sorted(turn.ms.total for turn in turns)
    totals = (
        len(turns),
        f"{times[len(times) // 2]:.0f} ms",
        f"{times[-1]:.0f} ms",
        sum(turn.tokens.input for turn in turns),
        sum(turn.tokens.cache_read for turn in turns),
        sum(turn.tokens.output for turn in turns),
    )
    print_table(("turns", "median", "slowest", "tokens in", "from cache", "tokens out"), [totals])


async def _play(
    sample: Sample, runtime: Runtime, client: httpx.AsyncClient, *, joining: ConversationId | None = None
) -> list[TurnRecord]:
    """Play one conversation; after its first turn the team joins it to that of `joining`."""
    turns: list[TurnRecord] = []
    for text in sample.says:
        offered = [option.title for reply in turns[-1].replies for option in reply.options] if turns else []
        conversation_id, message_id = await _post(sample, text, runtime, client, tapped=text in offered)
        conversations = runtime.backend.store.conversations
        thread = (await thread_of(conversation_id, conversations)).id
        receipt = await wait_for_receipt(
            conversations, runtime.backend.events, thread, message_id, seconds=TURN_SECONDS
        )
        turn = await conversations.turn_of(receipt) if receipt else None
        if turn is None:
            raise DemoFailedError(f"no turn within {TURN_SECONDS:g} s for message {message_id}")
        _print_turn(text, turn, tapped=text in offered)
        turns.append(turn)
        if joining is not None and turn.conversation_id != joining:
            one = await runtime.engine.operators.threads.merge(joining, turn.conversation_id, by="demo")
            console.print(
                f"\n  the team attests one person: {turn.conversation_id} goes on in {one.id}", style="yellow"
            )
    await _settled(turns[-1].conversation_id, runtime)
    states = [row.state.value for row in await runtime.backend.store.outbox.rows(turns[-1].conversation_id)]
    if states:
        counted = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
        console.print(f"\n  delivery: {counted}\n", style="dim")
    return turns


async def _post(
    sample: Sample, text: str, runtime: Runtime, client: httpx.AsyncClient, *, tapped: bool
) -> tuple[ConversationId, MessageId]:
    """Send the message as its platform does: a signed webhook, or the web client's POST."""
    if sample.channel is ChannelName.WEB:
        response = await client.post(f"/chat/{sample.person}/messages", json={"text": text, "name": sample.name})
        response.raise_for_status()
        return ConversationId(f"web:{sample.person}"), MessageId(response.json()["message_id"])
    known: dict[str, Any] = {"name": sample.name, "phone_number_id": SANDBOX_PHONE_NUMBER_ID}
    event = inbound_text(sample.person, text, **known)
    if tapped:
        event = inbound_list_reply(sample.person, "chosen", text, **known)
    elif file := sample.files.get(text):
        shelf = f"{runtime.sandbox_url}/graph/sandbox/files/{file}"
        (await client.put(shelf, content=(SAMPLES / file).read_bytes())).raise_for_status()
        event = message(sample.person, "image", media_content(file, "image/png", text), **known)
    body, headers = signed(envelope(event), SANDBOX_SECRET)
    (await client.post("/webhooks/whatsapp", content=body, headers=headers)).raise_for_status()
    salt = runtime.settings.id_salt.get_secret_value()
    (read,) = parse(body, id_salt=salt, at=SystemClock().now()).messages
    return read.conversation_id, read.id


async def _settled(conversation_id: ConversationId, runtime: Runtime) -> None:
    """Wait a moment for the statuses of the last replies."""
    for _ in range(40):
        rows = await runtime.backend.store.outbox.rows(conversation_id)
        if all(row.state in ("delivered", "read", "failed") for row in rows):
            return
        if all(row.address.channel is ChannelName.WEB and not row.is_unsent for row in rows):
            return
        await asyncio.sleep(0.05)


def _print_turn(text: str, turn: TurnRecord, *, tapped: bool) -> None:
    console.print(f"\n> {'(taps) ' if tapped else ''}{text}", style="cyan")
    for reply in turn.replies:
        console.print(f"  {reply.text or reply.type}", style="green")
        if reply.options:
            console.print(f"  [{'] ['.join(option.title for option in reply.options)}]")
    if not turn.replies:
        console.print("  (no reply)", style="dim")
    kind = "+".join(reply.type for reply in turn.replies) or "-"
    sure = f"{turn.confidence:.2f}" if turn.confidence is not None else "-"
    cost = f"USD {turn.cost_usd}" if turn.cost_usd is not None else "price unknown"
    console.print(f"  {' > '.join(turn.path)}", style="dim")
    details = f"  {kind} · intent {turn.intent or '-'} ({sure}) · {turn.ms.total:.0f} ms · {cost}"
    console.print(details, style="dim")
