"""Attempts that an outage ended, to be taken back when the inbox answers again."""

from collections.abc import Sequence

from contracts.errors import InboxUnavailableError
from contracts.ports import Inbox
from contracts.values import ConversationId

MOST_NOTED = 10_000


class AttemptRefunds:
    """Attempts to take back; lost with the process, which costs a message one attempt of five."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._noted: dict[ConversationId, Sequence[int]] = {}

    @property
    def conversations(self) -> list[ConversationId]:
        return list(self._noted)

    def note(self, conversation_id: ConversationId, sequences: Sequence[int]) -> None:
        if len(self._noted) < MOST_NOTED:
            self._noted[conversation_id] = sequences

    async def refund(self, conversation_id: ConversationId) -> None:
        """Take back what is noted of the conversation. Raises InboxUnavailableError: it stays noted."""
        sequences = self._noted.pop(conversation_id, None)
        if sequences is None:
            return
        try:
            await self._inbox.refund_attempts(conversation_id, sequences)
        except InboxUnavailableError:
            self.note(conversation_id, sequences)
            raise
