"""Matching of the replies that a sandbox accepted with the sent messages: latencies, losses, duplicates."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import orjson

from adapters.http.client import HttpError, ask, open_client
from cli.traffic import Sent

PAGE = 1000
LOOK_EVERY_SECONDS = 0.5
ANSWER_WITHIN, MAX_PAGE_BYTES = timedelta(seconds=60), 16 * 1024 * 1024


@dataclass(frozen=True)
class Reply:
    """One send that the sandbox accepted. `reference` is the outbox row's id, `at` seconds of the wall clock."""

    reference: str
    person: str
    at: float


class Collector:
    """Poller of a sandbox's accepted sends, of which it keeps only the newest thousands."""

    platform = "graph"

    def __init__(self, sandbox_url: str) -> None:
        self._url = f"{sandbox_url.rstrip('/')}/{self.platform}/sandbox/messages"
        self._after = 0
        self.replies: list[Reply] = []

    async def skip_to_now(self) -> None:
        """Skip the sends accepted so far."""
        await self.look()
        self.replies.clear()

    async def look(self) -> None:
        """Read the new sends."""
        async with open_client(within=ANSWER_WITHIN, is_direct=True) as client:
            while True:
                params = {"after": self._after, "limit": PAGE}
                answer = await ask(client, "GET", self._url, max_bytes=MAX_PAGE_BYTES, params=params)
                if not answer.is_success:
                    raise HttpError(f"status {answer.status}", was_sent=True)
                if not (found := orjson.loads(answer.content)["messages"]):
                    return
                self._after = found[-1]["number"]
                self.replies += [self.reply_of(each) for each in found]

    async def look_forever(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    def reply_of(self, accepted: dict[str, Any]) -> Reply:
        at = datetime.fromisoformat(accepted["at"]).timestamp()
        return Reply(accepted["client_reference"] or accepted["id"], accepted["wa_id"], at)


@dataclass(frozen=True)
class Matched:
    """Result of the matching.

    `seconds` are from the intended time of a message to its reply. A message written while an earlier one of the same
    person waited is `overlapping` and has no time of its own, since one reply may answer both. `lost` have no reply of
    their person after them, `doubled` are repeated sends of one reply, `reordered` replies that overtook an earlier one
    of the same person.
    """

    seconds: tuple[float, ...]
    answered: int
    overlapping: int
    lost: int
    doubled: int
    reordered: int


def match(sent: Iterable[Sent], replies: Iterable[Reply]) -> Matched:
    """Match each person's messages with the replies they got, by time; only the first send of each reply counts."""
    times = Counter(reply.reference for reply in replies)
    got: defaultdict[str, dict[str, Reply]] = defaultdict(dict)
    for reply in replies:
        got[reply.person].setdefault(reply.reference, reply)
    written: defaultdict[str, list[Sent]] = defaultdict(list)
    for one in sent:
        if one.planned.measured:
            written[one.person].append(one)
    people = [_match_person(messages, list(got[person].values())) for person, messages in written.items()]
    return Matched(
        seconds=tuple(seconds for person in people for seconds in person.seconds),
        answered=sum(person.answered for person in people),
        overlapping=sum(person.overlapping for person in people),
        lost=sum(person.lost for person in people),
        doubled=sum(count - 1 for count in times.values()),
        reordered=sum(_reordered(list(replies.values())) for replies in got.values()),
    )


def _match_person(messages: Sequence[Sent], replies: Sequence[Reply]) -> Matched:
    seconds: list[float] = []
    answered = overlapping = 0
    waiting: list[Sent] = []
    moments = [(one.left_at, one) for one in messages] + [(reply.at, None) for reply in replies]
    for at, one in sorted(moments, key=lambda moment: moment[0]):
        if one is not None:
            overlapping += bool(waiting)
            waiting.append(one)
        elif waiting:
            if len(waiting) == 1:
                seconds.append(at - waiting[0].intended_at)
            answered += len(waiting)
            waiting.clear()
    return Matched(tuple(seconds), answered, overlapping, len(waiting), doubled=0, reordered=0)


def _reordered(replies: Sequence[Reply]) -> int:
    # An outbox row's id ends with the place of the turn in its conversation, and of the reply in the turn.
    places = [
        tuple(int(part) for part in reply.reference.split("/")[-2:] if part.isdigit())
        for reply in sorted(replies, key=lambda reply: reply.at)
    ]
    return sum(following < place for place, following in pairwise(places))
