"""One person, one thread: conversations that a message or an agent says are one person's are joined into the older.

Every name of a person (phone number, user id, parent id, web id) names a conversation. A join seals the younger
one by the same compare-and-set that protects every commit, merges its head into the older one, and leads the inbox from
the one to the other; every step may be repeated after a crash. What the sealed one keeps stays where it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.conversation import RECENT_ARRIVALS, RECENT_EPISODES, Conversation, Join, Owner, State
from contracts.delivery import TurnCommit
from contracts.errors import ConversationConflictError, ConversationJoinedError, IllegalTransitionError
from contracts.messages import Address, DeliveryState, InboundMessage
from contracts.paging import thread_of
from contracts.ports import Clock, Inbox, Store
from contracts.turn import TurnReason
from contracts.values import ConversationId
from fsm.machine import migrate
from fsm.table import STATES
from observability.logs import logger
from observability.metrics import THREADS_JOINED
from worker.people.operators import OPTED_OUT, TAKEN, record_of_move

log = logger(__name__)

CONFLICT_RETRIES = 5
MAX_NAMES = 12
BY_MESSAGE = "message"
JOINED = "joined"
RESTING = (State.AWAITING_USER, State.ESCALATING)
LIMITS: dict[State, timedelta | None] = {row.state: row.limit for row in STATES if row.state in RESTING}


@dataclass(frozen=True)
class Threads:
    """Joins of conversations, and their undoing."""

    inbox: Inbox
    store: Store
    clock: Clock

    async def settle(self, mine: Conversation, messages: Sequence[InboundMessage]) -> Conversation:
        """Join the threads that the messages attest to be one person's; return the head as it then is.

        Raises:
            ConversationJoinedError: another thread survives, and answers the messages.
        """
        if mine.joined_to is not None:
            survivor = await self.join(mine.id, mine.joined_to, by=BY_MESSAGE)
            raise ConversationJoinedError(survivor.id)
        names = [(name, message) for message in messages for name in message.threads]
        while new := next((one for one in names if one[0] not in (*mine.threads, *mine.apart)), None):
            survivor = await self._settle_one(mine, *new)
            if survivor.id != mine.id:
                raise ConversationJoinedError(survivor.id)
            mine = survivor
        return mine

    async def _settle_one(self, mine: Conversation, name: ConversationId, message: InboundMessage) -> Conversation:
        """Return the head of the thread that the name belongs to from now on, as far as the turn needs it."""
        other = await thread_of(name, self.store.conversations)
        if other.id == mine.id:
            # It is sealed already, and the process ended before the rest.
            return await self.join(name, mine.id, by=BY_MESSAGE)
        if other.id in mine.apart or _is_another_person(other.address, message):
            return mine.model_copy(update={"apart": (*mine.apart, name)})
        if other.created_at is not None:
            younger, older = (mine, other) if _age(other) < _age(mine) else (other, mine)
            return await self.join(younger.id, older.id, by=BY_MESSAGE)
        # A name without a conversation: the turn's own commit writes the join, and no message has to move.
        sealed = await self._seal(other.id, mine.id)
        await self._lead(sealed, mine.id)
        return merged(mine, sealed, Join(id=sealed.id, by=BY_MESSAGE, at=self.clock.now()))

    async def join(self, loser: ConversationId, survivor: ConversationId, *, by: str) -> Conversation:
        """Join one conversation into another, or what is missing of it; return the head of the survivor.

        Raises:
            ConversationConflictError: they kept changing.
            ConversationMovedError: another store holds one of them.
        """
        survivor = (await thread_of(survivor, self.store.conversations)).id
        sealed = await self._seal(loser, survivor)
        turns = await self.store.conversations.turns(loser)
        said = await self.store.conversations.transcript(loser)
        moves = await self.store.conversations.transitions(loser)
        rows = await self.store.outbox.rows(loser)
        taken_back = [row for row in rows if row.state is DeliveryState.WITHDRAWN and row.error_code == JOINED]
        for _ in range(CONFLICT_RETRIES):
            head = migrate(await thread_of(survivor, self.store.conversations))
            if loser in head.threads:
                break
            whole = merged(head, sealed, Join(id=loser, by=by, at=self.clock.now()))
            number, at = whole.next_outbox_number, self.clock.now()
            may_speak = whole.owner is Owner.ASSISTANT and not whole.opted_out
            again = [row.moved(whole.id, number + n, at=at) for n, row in enumerate(taken_back if may_speak else ())]
            grown = {"turns": head.turns + len(turns), "next_outbox_number": number + len(again)}
            whole = whole.model_copy(update=grown)
            commit = TurnCommit(
                conversation=whole,
                # Where the joined one's state goes on, its history does: the last move leads to the present state.
                transitions=tuple(moves) if whole.state is not head.state else (),
                utterances=tuple(said),
                turn=record_of_move(whole, TurnReason.JOINED, at) if whole.turns else None,
                outbox=tuple(again),
            )
            if not may_speak:
                reason = OPTED_OUT if whole.owner is Owner.ASSISTANT else TAKEN
                commit = commit.withdrawing(await self.store.outbox.unsent(head.id), reason=reason, at=at)
            try:
                head = await self.store.conversations.commit(commit)
            except ConversationConflictError:
                continue
            THREADS_JOINED.labels(by="message" if by == BY_MESSAGE else "agent").inc()
            log.info("conversation.joined", conversation_id=head.id, joined=loser)
            break
        else:
            raise ConversationConflictError(survivor)
        await self._lead(sealed, head.id)
        return head

    async def merge(self, one: ConversationId, two: ConversationId, *, by: str) -> Conversation:
        """Join the younger of two threads into the older, as `by` says.

        Raises:
            IllegalTransitionError: they are one thread, or there is no such conversation.
        """
        older, younger = sorted([await thread_of(name, self.store.conversations) for name in (one, two)], key=_age)
        if older.id == younger.id:
            raise IllegalTransitionError(f"{one} and {two} are one conversation already")
        if younger.created_at is None:
            raise IllegalTransitionError(f"there is no conversation {younger.id}")
        return await self.join(younger.id, older.id, by=by)

    async def part(self, joined: ConversationId) -> Conversation:
        """Take a joined conversation out of its thread: it goes on from where it was, with the thread's consent.

        What was said since stays in the thread. The two are not joined by a message again.

        Raises:
            IllegalTransitionError: it is not joined.
        """
        for _ in range(CONFLICT_RETRIES):
            alone = await self._load(joined)
            if is_joined := alone.joined_to is not None:
                thread = migrate(await thread_of(joined, self.store.conversations))
                joins = tuple(one for one in thread.joins if one.id not in alone.threads)
                left = {"joins": joins, "apart": (*thread.apart, joined)}
                consent = {"opted_out": thread.opted_out, "consent_at": thread.consent_at}
                stay = {"turns": len(await self.store.conversations.turns(joined)), "times_out_at": _end_of_stay(alone)}
                again = {"joined_to": None, "apart": (*alone.apart, thread.id)}
                try:
                    # The thread first: what ends in between is done again.
                    await self._commit(thread.model_copy(update=left), TurnReason.PARTED)
                    alone = await self._commit(alone.model_copy(update=again | consent | stay), TurnReason.PARTED)
                except ConversationConflictError:
                    continue
            # Also of one that is apart: a process may have ended before the inbox knew.
            for name in alone.threads:
                await self.inbox.join(name, None if name == joined else joined)
            if is_joined:
                return alone
            raise IllegalTransitionError(f"{joined} is not joined to another conversation")
        raise ConversationConflictError(joined)

    async def _seal(self, loser: ConversationId, survivor: ConversationId) -> Conversation:
        """Close the conversation to turns; a worker that thinks about it cannot write it any more.

        Its unsent replies of the assistant are withdrawn with it: the thread sends them, if it may.
        """
        for _ in range(CONFLICT_RETRIES):
            head = await self._load(loser)
            if head.joined_to is not None:
                if (await thread_of(loser, self.store.conversations)).id != survivor:
                    break
                return head
            sealed = head.model_copy(update={"joined_to": survivor, "turns": 0, "times_out_at": None})
            unsent = await self.store.outbox.unsent(loser) if head.turns else ()
            commit = TurnCommit(conversation=sealed).withdrawing(unsent, reason=JOINED, at=self.clock.now())
            try:
                return await self.store.conversations.commit(commit)
            except ConversationConflictError:
                continue
        raise ConversationConflictError(loser)

    async def _lead(self, sealed: Conversation, survivor: ConversationId) -> None:
        """Lead the inbox to the survivor, with what waits: from then on nothing is appended behind its back."""
        for thread in sealed.threads:
            head = sealed if thread == sealed.id else await self._load(thread)
            await self.inbox.join(thread, survivor, after=head.last_sequence)

    async def _load(self, conversation_id: ConversationId) -> Conversation:
        stored = await self.store.conversations.load(conversation_id)
        return migrate(stored) if stored else Conversation(id=conversation_id)

    async def _commit(self, head: Conversation, reason: TurnReason) -> Conversation:
        record = record_of_move(head, reason, self.clock.now())
        return await self.store.conversations.commit(TurnCommit(conversation=head, turn=record))


def merged(head: Conversation, other: Conversation, join: Join) -> Conversation:
    """Return the head after a join: the state of one of them, the person's consent and knowledge of both.

    The state is that of the conversation that an agent owns or that waits for one, else of the newest. Of the words of
    consent the newest holds; where that is not known, an opt-out does.
    """
    lead, second = (other, head) if _weight(other) > _weight(head) else (head, other)
    gone, kept = (head, other) if head.opted_out else (other, head)
    is_back = kept.consent_at is not None and gone.consent_at is not None and kept.consent_at > gone.consent_at
    said = sorted((*head.window, *other.window), key=lambda one: one.at)
    episodes = sorted((*head.previous_episodes, *other.previous_episodes), key=lambda one: one.ended_at)
    arrivals = sorted((*head.recent_arrivals, *other.recent_arrivals))
    return lead.model_copy(
        update={
            "id": head.id,
            "version": head.version,
            "last_sequence": head.last_sequence,
            "next_outbox_number": max(head.next_outbox_number, other.next_outbox_number),
            "joined_to": None,
            "joins": (*head.joins, *other.joins, join),
            "apart": tuple(dict.fromkeys((*head.apart, *other.apart))),
            "address": known_names(lead.address, second.address),
            "turns": head.turns,
            "times_out_at": _end_of_stay(lead),
            "episode": max(head.episode, other.episode),
            "previous_episodes": tuple(episodes[-RECENT_EPISODES:]),
            "person_name": lead.person_name or second.person_name,
            "fields": {**second.fields, **lead.fields},
            "asked_fields": tuple(dict.fromkeys((*second.asked_fields, *lead.asked_fields))),
            "window": head.model_copy(update={"window": ()}).says(*said).window,
            "opted_out": gone.opted_out and (kept.opted_out or not is_back),
            "consent_at": max((one.consent_at for one in (head, other) if one.consent_at), default=None),
            "recent_arrivals": tuple(arrivals[-RECENT_ARRIVALS:]),
            "created_at": min((one.created_at for one in (head, other) if one.created_at), default=None),
        }
    )


def known_names(address: Address | None, earlier: Address | None) -> Address | None:
    """Return the address with the names that the person had before, so that the person is found by any of them."""
    if address is None or earlier is None or address == earlier:
        return address or earlier
    names = dict.fromkeys((*address.aliases, earlier.person, *earlier.aliases))
    names.pop(address.person, None)
    return address.model_copy(update={"aliases": tuple(names)[:MAX_NAMES], "user": address.user or earlier.user})


def _is_another_person(address: Address | None, message: InboundMessage) -> bool:
    """Whether a phone number has changed hands: its thread has a user id, the message another, and no id is in both.

    A renamed user id comes with the parent id of before.
    """
    if address is None or address.user is None or message.address.user is None:
        return False
    known, mine = ({one.person, *one.aliases} for one in (address, message.address))
    return all(name.isdecimal() for name in known & mine)


def _age(head: Conversation) -> tuple[bool, float, str]:
    """Order of survival; the same whoever looks, so that two workers do not join each the other's way."""
    return head.created_at is None, head.created_at.timestamp() if head.created_at else 0.0, head.id


def _weight(head: Conversation) -> tuple[bool, bool, float]:
    updated = head.updated_at.timestamp() if head.updated_at else 0.0
    return head.agent is not None, head.state is State.ESCALATING, updated


def _end_of_stay(head: Conversation) -> datetime | None:
    """Return the time at which its state ends by the table; a sealed conversation has no such time."""
    limit = LIMITS.get(head.state)
    return head.times_out_at or (head.updated_at + limit if head.updated_at and limit else None)
