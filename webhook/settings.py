"""Ports, secrets and time limits of the HTTP side, gathered once when the process starts."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, timedelta, tzinfo

from adapters.dead_letters import retry_dead_letter
from adapters.http.access import Access
from adapters.http.inbound import Problem
from contracts.conversation import Conversation
from contracts.messages import ChannelName
from contracts.paging import thread_of
from contracts.ports import Analyses, ChannelInbound, Clock, Events, Faults, Inbox, Operators, Reports, Store, WakeUps
from contracts.values import ConversationId


@dataclass(frozen=True)
class SendableTemplate:
    """Approved template of the platform; `parameters` are those of its body."""

    name: str
    language: str
    parameters: int


async def no_templates() -> Sequence[SendableTemplate]:
    return ()


@dataclass(frozen=True)
class WebhookDependencies:
    """`inbound` holds the platforms that are set up.

    A body that has not come in `read_within` is answered 408, what is not durable in `durable_within` 503. A stream of
    events without news for `look_again` looks into the store for replies, and sends a sign of life. The console shows
    times in `zone`, and `links` to other places by their names; `templates` lists those that an agent may send, none
    where the platform does not say. `chat_key` signs the web chat's tokens; without it none is needed.
    `template_text` gives the system part of a template by its label, None where it is not installed as it was.
    `switches` are the `PROMPTER_USE_*` that were said.
    """

    inbox: Inbox
    store: Store
    queue: WakeUps
    operators: Operators
    analyses: Analyses
    reports: Reports
    events: Events
    clock: Clock
    faults: Faults
    inbound: Mapping[ChannelName, ChannelInbound]
    access: Access = field(default_factory=Access)
    allowed_origins: frozenset[str] = field(default=frozenset())
    has_chat: bool = True
    chat_key: bytes | None = None
    is_sandbox_model: bool = False
    zone: tzinfo = UTC
    links: Mapping[str, str] = field(default_factory=dict)
    templates: Callable[[], Awaitable[Sequence[SendableTemplate]]] = no_templates
    template_text: Callable[[str], str | None] = lambda label: None
    switches: Mapping[str, bool] = field(default_factory=dict)
    read_within: timedelta = timedelta(seconds=10)
    durable_within: timedelta = timedelta(seconds=2)
    look_again: timedelta = timedelta(seconds=15)

    async def conversation(self, conversation_id: str) -> Conversation:
        """Return the head of a conversation with turns, or of its thread. Raises Problem: 404, there is none."""
        head = await thread_of(ConversationId(conversation_id), self.store.conversations)
        if head.turns == 0:
            raise Problem(404, "No such conversation", "Nothing has been answered under that id yet.")
        return head

    async def retry(self, letter_id: str) -> ConversationId:
        """Put a dead letter back and wake its conversation. Raises Problem: 404, there is none to retry."""
        conversation_id = await retry_dead_letter(letter_id, self.inbox, self.store.dead_letters, at=self.clock.now())
        if conversation_id is None:
            raise Problem(404, "Not retried", "There is no such dead letter, or it was never a readable message.")
        await self.queue.wake(conversation_id)
        return conversation_id
