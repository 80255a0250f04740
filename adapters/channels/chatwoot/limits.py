"""Limits of a message through Chatwoot: those that most of the platforms behind it take; its own are far higher."""

from contracts.messages import MessageType
from contracts.ports import ChannelLimits, Markup

# The attribute of a message that names its row; the platform keeps it and returns it in the event of the message.
REFERENCE = "prosa_reference"
LIMITS = ChannelLimits(
    types=frozenset(kind for kind in MessageType if kind not in (MessageType.TEMPLATE, MessageType.REACTION)),
    text=2000,
    # Chatwoot converts CommonMark into the marks of the platform behind it.
    markup=Markup(bold="**", italic="_", code="`", block="```"),
    button_body=1024,
    buttons=3,
    button_title=20,
    list_body=1024,
    rows=10,
    row_title=24,
    caption=1024,
)
