"""Privacy by person: what is kept of one is found, exported and erased by a conversation, a number or an id."""

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import phonenumbers
from pydantic import BaseModel

from contracts.conversation import Conversation
from contracts.delivery import Erasure, Record, TurnCommit
from contracts.errors import ConversationConflictError
from contracts.messages import address_digests, digest
from contracts.paging import all_conversations, all_records, thread_of
from contracts.turn import EXCHANGES, exchanges_of
from contracts.values import ConversationId
from worker.analyses.requests import analyses_of
from worker.dependencies import OperatorDependencies
from worker.media import HEARD
from worker.people.threads import CONFLICT_RETRIES

ALL_LETTERS = 1_000_000
# Shorter digits are no phone number, nor an id of a platform.
NUMBER_DIGITS = range(7, 21)
INTERNATIONAL_DIGITS = 12


def names_of(person: str, *, region: str | None) -> frozenset[str]:
    """Return the forms in which platforms know a person given by number, formatted or not, or by id.

    A number without a country is one of `region` (ISO 3166). WhatsApp knows some Brazilian mobile numbers without
    their ninth digit (Anatel, resolution 553/2010).
    """
    names = {person.strip()}
    if re.fullmatch(r"[+\d\s().-]+", person) and len(digits := re.sub(r"\D", "", person)) in NUMBER_DIGITS:
        names.add(digits)
        try:
            number = phonenumbers.parse(person, region)
            names.add(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)[1:])
        except phonenumbers.NumberParseException:
            pass
    for name in tuple(names):
        if mobile := re.fullmatch(r"55(\d\d)9?([6-9]\d{7})", name):
            names |= {f"55{mobile[1]}{mobile[2]}", f"55{mobile[1]}9{mobile[2]}"}
    return frozenset(names)


async def threads_of(person: str, deps: OperatorDependencies) -> list[ConversationId]:
    """Return the threads of a person given by number or id, on any channel: it reads every head, for a rare question.

    One that was erased, or that only waits in the inbox, is found where its account has any other conversation.
    """
    names, found = _names_of(person, deps), dict[ConversationId, None]()
    accounts: set[tuple[str, str]] = set()
    async for head in all_conversations(deps.store.conversations):
        if head.address is not None:
            accounts.add((head.id.partition(":")[0], head.address.account))
            if names & {head.address.person, *head.address.aliases}:
                found[head.id] = None
    for prefix, account in accounts:
        for name in names:
            # As the channels make it (`adapters/channels/reading.py`).
            named = ConversationId(f"{prefix}:{digest(deps.id_salt, account, name, size=12)}")
            thread = await thread_of(named, deps.store.conversations)
            if thread.version or await deps.inbox.pending(named):
                found[thread.id] = None
    return list(found)


async def erase_person(person: str, deps: OperatorDependencies) -> Erasure:
    """Erase every thread of a person given by number or id, and the dead letters that are in no conversation."""
    names = _names_of(person, deps)
    erased = Erasure(dead_letters=await _erase_letters(names, address_digests(deps.id_salt, *names), deps))
    for thread in await threads_of(person, deps):
        erased += await erase(thread, deps)
    return erased


async def erase(conversation_id: ConversationId, deps: OperatorDependencies) -> Erasure:
    """Delete everything of a thread and of those joined into it; a worker that thinks about it cannot write it back.

    Before it go the dead letters of no conversation that hold a name of the person, while the names are known. Digests
    of them stay with the empty head, for letters that come later. Erasing twice, or again after a crash in the middle,
    is harmless. Returns what there was in each place.
    """
    thread = await thread_of(conversation_id, deps.store.conversations)
    names = {name for one in thread.threads for name in await _names_in(one, deps)}
    digests = {*thread.name_digests, *address_digests(deps.id_salt, *names)}
    erased = Erasure(dead_letters=await _erase_letters(names, digests, deps), names=len(names))
    if digests - {*thread.name_digests}:
        await _keep_digests(thread, tuple(sorted(digests)), deps)
    for one in thread.threads:
        erased += await _erase_one(one, deps)
    return erased


async def _erase_one(conversation_id: ConversationId, deps: OperatorDependencies) -> Erasure:
    """Erase one conversation; the inbox goes first: a worker that re-reads it after a refused commit finds nothing."""
    store = deps.store
    waiting = await deps.inbox.pending(conversation_id)
    letters = await store.dead_letters.letters(conversation_id=conversation_id, limit=ALL_LETTERS)
    rows = await store.outbox.rows(conversation_id)
    analyses = await analyses_of(conversation_id, store.records, at=deps.clock.now())
    heard = await store.records.get(HEARD, conversation_id, at=deps.clock.now())
    prompts = [one async for one in _prompts_of(conversation_id, deps)]
    cached = await deps.answers.forget(conversation_id) if deps.answers else 0
    last_sequence = await deps.inbox.forget(conversation_id)
    await deps.faults.reach("erase.inbox_gone")
    turns = await store.conversations.turns(conversation_id)
    # Whoever took messages before and has not loaded the head yet finds them answered.
    erased = await store.conversations.erase(conversation_id, at=deps.clock.now(), answered_up_to=last_sequence)
    deps.ledger.book_erased(turns)
    await deps.variants.forget(conversation_id)
    return Erasure(
        inbox=len(waiting),
        conversation=len(turns) or int(erased),
        outbox=len(rows),
        dead_letters=len(letters),
        records=len(analyses) + int(heard is not None),
        prompts=len(prompts),
        caches=cached,
    )


def _names_of(person: str, deps: OperatorDependencies) -> frozenset[str]:
    return names_of(person, region=deps.rulebook().institution.language.partition("-")[2].upper() or None)


async def _names_in(conversation_id: ConversationId, deps: OperatorDependencies) -> set[str]:
    """Return every name that the platform has given to the person, now or earlier."""
    head = await deps.store.conversations.load(conversation_id)
    receipts = await deps.store.conversations.receipts(conversation_id)
    known = [receipt.message.address for receipt in receipts]
    known += [entry.message.address for entry in await deps.inbox.pending(conversation_id)]
    if head is not None and head.address is not None:
        known.append(head.address)
    return {name for address in known for name in (address.person, *address.aliases)}


async def _keep_digests(thread: Conversation, digests: tuple[str, ...], deps: OperatorDependencies) -> None:
    """Write the digests into the head, which keeps them when it is emptied."""
    for _ in range(CONFLICT_RETRIES):
        head = thread.model_copy(update={"name_digests": digests})
        try:
            await deps.store.conversations.commit(TurnCommit(conversation=head))
        except ConversationConflictError:
            thread = await thread_of(thread.id, deps.store.conversations)
        else:
            return
    raise ConversationConflictError(thread.id)


async def _erase_letters(names: Iterable[str], digests: Iterable[str], deps: OperatorDependencies) -> int:
    """Drop the dead letters of no conversation that hold one of the names; those of before have no digests."""
    letters, mentioned = deps.store.dead_letters, _mentions(names)
    dropped = await letters.forget(sorted(digests))
    if mentioned is not None:
        for letter in await letters.letters(limit=ALL_LETTERS):
            if letter.conversation_id is None and mentioned.search(letter.raw or ""):
                dropped += await letters.drop(letter.id)
    return dropped


def _mentions(names: Iterable[str]) -> re.Pattern[str] | None:
    """Return a pattern of the names in a text; of a number in any format, also without its country."""
    forms: list[str] = []
    for name in names:
        digits = name.lstrip("+")
        if digits.isdecimal() and len(digits) in NUMBER_DIGITS:
            national = [digits[2:]] if len(digits) >= INTERNATIONAL_DIGITS else []
            forms += [rf"(?<!\d){r'[^0-9A-Za-z]{0,3}'.join(one)}(?!\d)" for one in (digits, *national)]
        elif len(name) >= NUMBER_DIGITS.start:
            forms.append(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])")
    return re.compile("|".join(forms)) if forms else None


async def expire(conversation_id: ConversationId, deps: OperatorDependencies) -> None:
    """Forget what was said; a message that waits or is being thought about begins a new conversation."""
    head = await deps.store.conversations.load(conversation_id)
    for thread in head.threads if head else (conversation_id,):
        await deps.store.conversations.erase(thread, at=deps.clock.now())


async def export(conversation_id: ConversationId, deps: OperatorDependencies) -> dict[str, Any] | None:
    """Return all that is kept of a thread and of those joined into it, as JSON values; None when nothing is."""
    thread = await thread_of(conversation_id, deps.store.conversations)
    content = await _content_of(thread.id, deps)
    if content is not None and thread.joins:
        content["joined"] = [await _content_of(join.id, deps) for join in thread.joins]
    return content


async def _content_of(conversation_id: ConversationId, deps: OperatorDependencies) -> dict[str, Any] | None:
    head = await deps.store.conversations.load(conversation_id)
    waiting = await deps.inbox.pending(conversation_id)
    if (head is None or head.turns == 0) and not waiting:
        return None
    store, at = deps.store, deps.clock.now()
    kept: dict[str, Sequence[BaseModel]] = {
        "waiting": waiting,
        "messages": await store.conversations.receipts(conversation_id),
        "transcript": await store.conversations.transcript(conversation_id),
        "transitions": await store.conversations.transitions(conversation_id),
        "turns": await store.conversations.turns(conversation_id),
        "outbox": await store.outbox.rows(conversation_id),
        "dead_letters": await store.dead_letters.letters(conversation_id=conversation_id, limit=10_000),
        "analyses": await analyses_of(conversation_id, store.records, at=at),
    }
    content: dict[str, Any] = {"conversation": head.model_dump(mode="json") if head else None}
    content |= {name: [one.model_dump(mode="json") for one in values] for name, values in kept.items()}
    return content | {"prompts": [record.body async for record in _prompts_of(conversation_id, deps)]}


def _prompts_of(conversation_id: ConversationId, deps: OperatorDependencies) -> AsyncIterator[Record]:
    return all_records(deps.store.records, EXCHANGES, at=deps.clock.now(), prefix=exchanges_of(conversation_id))
