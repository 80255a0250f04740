"""Timeline of a conversation: the lines of both sides in order, with the delivery and the why of each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from contracts.conversation import Speaker, TurnRecord, Utterance
from contracts.delivery import InboxEntry, OutboxRow
from contracts.values import MessageId, TurnId

NO_MESSAGE = MessageId("")


@dataclass(frozen=True)
class Entry:
    """One line, or a move without words. `turn` is shown below the last line that belongs to it."""

    at: datetime
    said: Utterance | None = None
    row: OutboxRow | None = None
    turn: TurnRecord | None = None

    @property
    def kind(self) -> str:
        return self.said.speaker.value if self.said else "event"


def timeline(
    transcript: Iterable[Utterance],
    turns: Sequence[TurnRecord],
    rows: Sequence[OutboxRow],
    pending: Iterable[InboxEntry] = (),
) -> list[Entry]:
    """Return the entries, oldest first; a line that waits for its turn comes last."""
    by_message = {message_id: turn for turn in turns for message_id in turn.message_ids}
    by_id, by_time = {turn.id: turn for turn in turns}, {turn.at: turn for turn in turns}
    sent: dict[datetime, list[OutboxRow]] = {}
    for row in sorted(rows, key=lambda row: row.number):
        sent.setdefault(row.created_at, []).append(row)
    entries = []
    for said in transcript:
        if said.speaker in (Speaker.ASSISTANT, Speaker.OPERATOR):
            # A line and its row are written in one step, at one time.
            same = sent.get(said.at)
            reply = same.pop(0) if same else None
            turn = by_id.get(reply.turn_id) if reply else by_time.get(said.at)
            entries.append(Entry(said.at, said, reply, turn))
        else:
            entries.append(Entry(said.at, said, turn=by_message.get(said.message_id or NO_MESSAGE)))
    shown = {entry.turn.id for entry in entries if entry.turn}
    entries += [Entry(turn.at, turn=turn) for turn in turns if turn.id not in shown]
    for entry in pending:
        said = Utterance(speaker=Speaker.PERSON, text=entry.message.text, at=entry.message.received_at)
        entries.append(Entry(said.at, said))
    return _with_last_turns(sorted(entries, key=lambda entry: entry.at))


def _with_last_turns(entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries with each turn at its last line only."""
    seen: set[TurnId] = set()
    found = []
    for entry in reversed(entries):
        turn = entry.turn if entry.turn and entry.turn.id not in seen else None
        if turn:
            seen.add(turn.id)
        found.append(replace(entry, turn=turn))
    return found[::-1]
