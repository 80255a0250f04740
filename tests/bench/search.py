"""Time of a list or search among many conversations: `python -m tests.bench.search [BACKEND...] [--conversations N]`.

The figure is p95 below 300 ms at 100,000 conversations. Firestore's emulator has no indexes: `--emulator` shows that
Google's own client, which asks a collection of small documents for the one with a word, waits in proportion to the
collection there. Its figure says nothing about Firestore, so that it runs only where it is named.
"""

import argparse
import asyncio
import os
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore import AsyncClient
from google.cloud.firestore_v1.base_query import FieldFilter
from rich.table import Table

from contracts.conversation import Conversation, Handoff, Owner, Speaker, State, Utterance
from contracts.delivery import TurnCommit
from contracts.listing import ConversationQuery, Order
from contracts.messages import Address, ChannelName
from contracts.ports import Store
from contracts.values import ConversationId
from tests.bench.engine import console
from tests.builders import START, open_backend
from tests.real_services import firestore_host

FIRST = [f"{start}{end}" for start in ("Ana", "Bia", "Cau", "Dan", "Edu", "Fla", "Gui", "Hel") for end in "abcdefghij"]
COMMON = ["bom", "dia", "quero", "saber", "o", "preço", "do", "orçamento", "para", "uma", "automação", "da", "loja"]
BATCH = 500
ROUNDS = 20


def commit(number: int, chance: random.Random) -> TurnCommit:
    at = START + timedelta(seconds=number)
    state = chance.choices((State.AWAITING_USER, State.COMPLETED, State.ESCALATING), (70, 28, 2))[0]
    rare = f"pedido{number}"
    lines = [" ".join(chance.sample(COMMON, 8)) + f" termo{chance.randrange(5_000)}" for _ in range(5)]
    said = tuple(Utterance(speaker=Speaker.PERSON, text=f"{line} {rare}", at=at) for line in lines)
    phone = f"5511{900_000_000 + number}"
    head = Conversation(
        id=ConversationId(f"whatsapp:{number:032x}"),
        address=Address(channel=ChannelName.WHATSAPP, account="1", person=phone),
        person_name=f"{chance.choice(FIRST)} Sobrenome{number % 9_000}",
        state=state,
        agent=f"agent-{number % 40}" if state is State.ESCALATING and number % 2 else None,
        handoff=Handoff(reason="asked", at=at) if state is State.ESCALATING else None,
        turns=5,
        updated_at=at,
        window=said,
    )
    return TurnCommit(conversation=head, utterances=said)


def queries(count: int, chance: random.Random) -> dict[str, ConversationQuery]:
    number = chance.randrange(count)
    middle = START + timedelta(seconds=number)
    given: dict[str, dict[str, Any]] = {
        "newest": {},
        "waiting": {"order": Order.WAITING},
        "of one agent": {"agent": f"agent-{1 + 2 * chance.randrange(20)}"},
        "escalated, before a date": {"states": {State.ESCALATING}, "until": middle},
        "a number": {"text": f"{900_000_000 + number}"},
        "a name": {"text": f"{chance.choice(FIRST)} sobrenome{number % 9_000}"},
        "beginning of a name": {"text": "hel"},
        "a common word": {"text": "orçamento"},
        "two common words, one agent": {"text": "orçamento preço", "agent": "agent-1"},
        "common and rare words": {"text": f"orçamento termo{chance.randrange(5_000)}"},
        "common words that no one said together": {"text": "hela bom anaa"},
        "nothing": {"text": "inexistente"},
        "waiting, by a word": {"order": Order.WAITING, "text": "loja", "owner": Owner.NOBODY},
    }
    return {name: ConversationQuery(**conditions) for name, conditions in given.items()}


async def fill(store: Store, count: int, chance: random.Random) -> None:
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        await asyncio.gather(*(store.conversations.commit(commit(number, chance)) for number in numbers))


async def measure(kind: str, count: int) -> list[tuple[str, ...]]:
    chance = random.Random(7)
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with open_backend(kind, Path(folder)) as (_, store):
            began = time.perf_counter()
            await fill(store, count, chance)
            console.print(f"{kind}: {count:,} conversations written in {time.perf_counter() - began:.0f} s")
            for _ in range(ROUNDS):
                for name, query in queries(count, chance).items():
                    began = time.perf_counter()
                    await store.conversations.find(query, limit=50)
                    times.setdefault(name, []).append((time.perf_counter() - began) * 1_000)
    every = [one for some in times.values() for one in some]
    return [(kind, name, *figures(some)) for name, some in (*times.items(), ("all", every))]


async def floor_of_the_emulator(sizes: Sequence[int]) -> list[tuple[str, ...]]:
    """Return the times of a query with one result, by the size of the collection, with the plain client."""
    client = AsyncClient("floor", credentials=AnonymousCredentials())
    rows = []
    for size in sizes:
        collection = client.collection(f"of-{size}")
        for start in range(0, size, BATCH):
            batch = client.batch()
            for number in range(start, min(start + BATCH, size)):
                batch.set(collection.document(f"{number:07}"), {"words": [f"w{number}"], "at": number})
            await batch.commit()
        times = []
        for _ in range(ROUNDS):
            number = random.randrange(size)
            began = time.perf_counter()
            found = await collection.where(filter=FieldFilter("words", "array_contains", f"w{number}")).limit(1).get()
            times.append((time.perf_counter() - began) * 1_000)
            assert [one.id for one in found] == [f"{number:07}"]
        rows.append(("emulator", f"one of {size:,}", *figures(times)))
    return rows


def figures(some: list[float]) -> tuple[str, ...]:
    parts = statistics.quantiles(some, n=20)
    return (f"{statistics.median(some):.1f}", f"{parts[-1]:.1f}", f"{max(some):.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("backends", nargs="*", default=["memory", "sqlite", "redis"])
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--emulator", action="store_true", help="the time of a bare query by the size of a collection")
    given = parser.parse_args()
    table = Table("store", "search", "p50 ms", "p95 ms", "max ms")
    if given.emulator:
        os.environ["FIRESTORE_EMULATOR_HOST"] = firestore_host()
        for row in asyncio.run(floor_of_the_emulator((1_000, 10_000, given.conversations))):
            table.add_row(*row)
        given.backends = []
    for kind in given.backends:
        for row in asyncio.run(measure(kind, given.conversations)):
            table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    main()
