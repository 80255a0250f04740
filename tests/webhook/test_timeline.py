"""What was said, in order, with what became of each line and the turn that explains it."""

from datetime import timedelta

from webhook_bed import outbox_row

from contracts.conversation import Speaker, State, TurnRecord, Utterance
from contracts.values import ConversationId, MessageId, TurnId
from tests.builders import START
from webhook.console.conversations import timeline

C1 = ConversationId("web:c-1")
SECOND = timedelta(seconds=1)


def line(speaker: Speaker, text: str, seconds: int, message_id: str | None = None) -> Utterance:
    known = MessageId(message_id) if message_id else None
    return Utterance(speaker=speaker, text=text, at=START + seconds * SECOND, message_id=known)


def turn(name: str, seconds: int, *message_ids: str) -> TurnRecord:
    return TurnRecord(
        id=TurnId(name),
        conversation_id=C1,
        episode=1,
        message_ids=tuple(map(MessageId, message_ids)),
        path=(),
        state=State.AWAITING_USER,
        at=START + seconds * SECOND,
    )


def test_each_line_has_its_row_and_each_turn_is_shown_once() -> None:
    said = [
        line(Speaker.PERSON, "Olá", 0, "m-1"),
        line(Speaker.PERSON, "tudo bem?", 1, "m-2"),
        line(Speaker.ASSISTANT, "Oi!", 3),
        line(Speaker.ASSISTANT, "Tudo.", 3),
        line(Speaker.NOTE, "liga", 5),
        line(Speaker.OPERATOR, "Sou a Bia", 7),
        line(Speaker.PERSON, "Ok", 9, "m-3"),
    ]
    # The record of an agent's move is made a moment after the line.
    turns = [turn("t-1", 3, "m-1", "m-2"), turn("moved", 6), turn("by-bia", 8), turn("t-2", 10, "m-3")]
    rows = [
        outbox_row(C1, number, text).model_copy(update={"turn_id": turn_id, "created_at": START + at * SECOND})
        for number, text, turn_id, at in ((3, "Sou a Bia", "by-bia", 7), (1, "Oi!", "t-1", 3), (2, "Tudo.", "t-1", 3))
    ]
    shown = timeline(said, turns, rows)
    assert [(entry.kind, entry.said.text if entry.said else entry.turn and entry.turn.id) for entry in shown] == [
        ("person", "Olá"),
        ("person", "tudo bem?"),
        ("assistant", "Oi!"),
        ("assistant", "Tudo."),
        ("note", "liga"),
        ("event", "moved"),
        ("operator", "Sou a Bia"),
        ("person", "Ok"),
    ]
    assert [entry.row.number if entry.row else None for entry in shown] == [None, None, 1, 2, None, None, 3, None]
    assert [entry.turn.id if entry.turn else None for entry in shown] == [
        *(None, None, None, "t-1"),
        *(None, "moved", "by-bia", "t-2"),
    ]
