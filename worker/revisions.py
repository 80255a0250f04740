"""Edits and deletions of earlier messages, as later prompts see them, and quotations of messages.

What a person took back is not repeated either: collected fields that came from it, and numbers and addresses of it in
the assistant's own words. The transcript keeps what was written, and that it was edited or deleted.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from operator import attrgetter

from contracts.conversation import RECENT_REVISIONS, REVISION_CHARACTERS, Conversation, Speaker, Utterance
from contracts.messages import InboundKind, Revision, newest_texts, whole_id
from contracts.ports import Store
from contracts.turn import Turn
from contracts.values import MessageId, shortened
from worker.turn import person_said

TAKEN_BACK = "[deleted by the person]"
# Four digits and more, however they are grouped (documents, phones, cards), and addresses of mail.
_NUMBER = re.compile(r"\d(?:[\s.,/()+-]{0,2}\d){3,}")
_MAIL = re.compile(r"(?<![^\s@<>(),;])[^\s@<>(),;]{1,64}@[^\s@<>(),;]{1,255}\w")


def revised(
    conversation: Conversation, revisions: Sequence[Revision], *, came: Collection[MessageId] = ()
) -> Conversation:
    """Return the conversation with its window and collected fields as they are after the revisions.

    A revision of a message that neither the window nor the turn has (`came`) is kept for when the message comes.
    """
    if not revisions:
        return conversation
    texts = newest_texts(revisions)
    window, removed = _revised(conversation.window, texts)
    known = {said.message_id for said in conversation.window} | set(came)
    # The head of a conversation is small.
    bounded = (
        one.model_copy(update={"text": one.text and shortened(one.text, REVISION_CHARACTERS)}) for one in revisions
    )
    early = [*conversation.early_revisions, *(one for one in bounded if one.of not in known)]
    said_still = _person_words(window)
    gone = [text for text in removed if text]
    fields = {
        name: value
        for name, value in conversation.fields.items()
        if not _came_from(value, gone) or _came_from(value, said_still)
    }
    return conversation.model_copy(
        update={"window": tuple(window), "fields": fields, "early_revisions": tuple(early[-RECENT_REVISIONS:])}
    )


def as_revised(transcript: Sequence[Utterance]) -> list[Utterance]:
    """Return the transcript with every edit and deletion made in the lines that they are about."""
    texts = newest_texts(said.revision for said in transcript if said.revision)
    return _revised([said for said in transcript if said.revision is None], texts)[0]


async def quoted_texts(turn: Turn, store: Store) -> dict[MessageId, str]:
    """Return the texts that messages of the turn reply to, by the replies' ids, as they are after the revisions.

    A tapped button needs none: its title says what it is.
    """
    quotes = {one.id: one.reply_to for one in turn.answerable if one.reply_to and one.kind is not InboundKind.CHOICE}
    if not quotes:
        return {}
    transcript = await store.conversations.transcript(turn.conversation_id)
    said = as_revised([*transcript, *person_said(turn.messages)])
    texts = {one.message_id: one.text for one in said if one.message_id}
    before = [receipt.message for receipt in await store.conversations.receipts(turn.conversation_id)]
    named = {one.platform_id: texts[one.id] for one in (*before, *turn.messages) if one.id in texts}
    # Replies of one commit have its moment, in the transcript and in the outbox, and are in the same order in both.
    ours = groupby((one for one in said if one.speaker is not Speaker.PERSON), key=attrgetter("at"))
    lines = {at: [one.text for one in group] for at, group in ours}
    for at, rows in groupby(await store.outbox.rows(turn.conversation_id), key=attrgetter("created_at")):
        named |= {row.platform_message_id or "": text for row, text in zip(rows, lines.get(at, ()), strict=False)}
    return {id: named[quoted] for id, quoted in quotes.items() if quoted in named}


def _revised(
    utterances: Sequence[Utterance], texts: Mapping[MessageId, str | None]
) -> tuple[list[Utterance], list[str]]:
    """Return the utterances after the revisions, and the texts that are no longer said."""
    kept: list[Utterance] = []
    removed: list[str] = []
    for said in utterances:
        id = said.message_id
        is_deleted = id is not None and texts.get(whole_id(id), "") is None
        if not is_deleted and id not in texts:
            kept.append(said)
            continue
        removed.append(said.text)
        if not is_deleted and id is not None:
            kept.append(said.model_copy(update={"text": texts[id]}))
    said_still = _details(*_person_words(kept))
    taken_back = _details(*removed) - said_still
    return [_without(said, taken_back) for said in kept], removed


def _person_words(utterances: Sequence[Utterance]) -> list[str]:
    return [said.text for said in utterances if said.speaker is Speaker.PERSON]


def _details(*texts: str) -> set[str]:
    """Return the numbers of the texts, digits only, and their addresses of mail."""
    numbers = {_digits(found) for text in texts for found in _NUMBER.findall(text)}
    return numbers | {found.casefold() for text in texts for found in _MAIL.findall(text)}


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _without(said: Utterance, details: Collection[str]) -> Utterance:
    """Return a line of ours without the details, whole or in part."""
    if not details or said.speaker is Speaker.PERSON:
        return said

    def covered(found: re.Match[str]) -> str:
        detail = _digits(found[0]) if found.re is _NUMBER else found[0].casefold()
        is_taken_back = any(detail in one or one in detail for one in details)
        return TAKEN_BACK if is_taken_back else found[0]

    def clean(text: str) -> str:
        return _NUMBER.sub(covered, _MAIL.sub(covered, text))

    return said.model_copy(update={"text": clean(said.text), "options": tuple(map(clean, said.options))})


def _came_from(value: str, texts: Sequence[str]) -> bool:
    """Whether a collected value was read from one of the texts."""
    words, details = " ".join(value.casefold().split()), _details(value)
    return bool(words) and any(words in " ".join(text.casefold().split()) or details & _details(text) for text in texts)
