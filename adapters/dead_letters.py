"""Retry of a dead letter, for the console and the commands."""

from datetime import datetime

from contracts.ports import DeadLetters, Inbox
from contracts.values import ConversationId


async def retry_dead_letter(
    letter_id: str, inbox: Inbox, dead_letters: DeadLetters, *, at: datetime
) -> ConversationId | None:
    """Put a dead letter back into its inbox under a new platform id; None when there is no such letter to retry."""
    letter = await dead_letters.get(letter_id)
    if letter is None or letter.message is None:
        return None
    message = letter.message
    again = f"{message.platform_id}#retry@{at.isoformat()}"
    await inbox.append([message.model_copy(update={"platform_id": again, "received_at": at})])
    await dead_letters.drop(letter_id)
    return message.conversation_id
