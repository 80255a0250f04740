"""Limits of a message on Messenger and Instagram. Source: Meta, Send API, quick replies and button template (2026).

A file has no caption. Instagram counts 1,000 bytes: a third as many UTF-16 units always fit.
"""

from datetime import timedelta

from contracts.messages import MessageType
from contracts.ports import ChannelLimits

TYPES = frozenset(kind for kind in MessageType if kind not in (MessageType.TEMPLATE, MessageType.REACTION))

MESSENGER_LIMITS = ChannelLimits(
    types=TYPES,
    text=2000,
    button_body=640,
    buttons=3,
    button_title=20,
    list_body=2000,
    rows=13,
    row_title=20,
    agent_window=timedelta(days=7),
)
INSTAGRAM_LIMITS = MESSENGER_LIMITS.model_copy(update={"text": 333, "button_body": 333, "list_body": 333})
