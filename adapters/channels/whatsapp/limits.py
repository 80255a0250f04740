"""Limits of a message on WhatsApp. Source: Meta, "Send messages" and the pages of its message types, May 2026."""

from datetime import timedelta

from contracts.messages import MessageType
from contracts.ports import ChannelLimits, Markup, Rate

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
    # Source: Meta, "Error codes", 131056: one in 6 s, and 45 at once on credit. A few are left to other processes.
    pair=Rate(every=timedelta(seconds=6), burst=40),
)
