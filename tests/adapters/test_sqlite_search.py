"""What only SQLite's search has to get right: files of an earlier release, and nothing left in the file."""

from pathlib import Path

from adapters.sqlite.store import SqliteStore
from contracts.conversation import Conversation
from contracts.listing import ConversationQuery, words_of
from tests.builders import START, conversation_id, inbound, sqlite_database
from tests.contract.test_store import turn_commit

C1 = conversation_id("c-1")
MARKER = "zebrazul quatromil"


async def test_a_file_of_an_earlier_release_is_searched_from_its_first_opening(tmp_path: Path) -> None:
    database = sqlite_database(tmp_path / "x.sqlite")
    store = SqliteStore(database)
    head = Conversation(id=C1, person_name="Ana Lima")
    await store.conversations.commit(turn_commit(head.says(*turn_commit(head, inbound("orçamento")).utterances)))

    def as_before(c: object) -> None:
        for statement in ("DROP TABLE listing", "DROP TABLE words", "PRAGMA user_version = 0"):
            c.execute(statement)  # type: ignore[attr-defined]

    await database.run(as_before)
    database.close()
    database = sqlite_database(tmp_path / "x.sqlite")
    store = SqliteStore(database)
    for text in ("lima", "orcamento"):
        assert [one.id for one in (await store.conversations.find(ConversationQuery(text=text))).items] == [C1]
    database.close()


async def test_after_an_erasure_the_file_has_no_word_of_the_person(tmp_path: Path) -> None:
    database = sqlite_database(tmp_path / "x.sqlite")
    store = SqliteStore(database)
    head = Conversation(id=C1, person_name=MARKER)
    await store.conversations.commit(turn_commit(head, inbound(f"Sou {MARKER}", person_name=MARKER)))
    for number in range(20):
        other = Conversation(id=conversation_id(f"o-{number}"))
        await store.conversations.commit(turn_commit(other, inbound(conversation=f"o-{number}")))
    await store.conversations.erase(C1, at=START)
    assert (await store.conversations.find(ConversationQuery(text=MARKER))).items == ()
    database.close()
    content = (tmp_path / "x.sqlite").read_bytes()
    assert not [word for word in words_of(MARKER) if word.encode() in content]
