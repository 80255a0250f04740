"""Limits of a message on WhatsApp. Source: Meta, "Send messages" and the pages of its message types, May 2026."""

from contracts.messages import MessageType
from contracts.ports import ChannelLimits, Markup

LIMITS = ChannelLimits(
    types=frozenset(MessageType),
    text=4096,
    # Source: WhatsApp, "How to format your messages".
    markup=Markup(bold="*", italic="_", strike="~", code="`", block="```"),
    button_body=1024,
    buttons=3,
    button_title=20,
    list_body=4096,
    rows=10,
    row_title=24,
    row_description=72,
    list_label=20,
    caption=1024,
)
