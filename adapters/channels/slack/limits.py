"""Limits of a message on Slack. Source: Slack, chat.postMessage and the reference of Block Kit.

A text is cut at 40,000 characters; about 4,000 are recommended, and are the limit here. Files and places go as their
links and names; reactions need names of emoji that not every workspace has.
"""

from contracts.messages import MessageType
from contracts.ports import ChannelLimits, Markup

LIMITS = ChannelLimits(
    types=frozenset(kind for kind in MessageType if kind not in (MessageType.TEMPLATE, MessageType.REACTION)),
    text=4000,
    markup=Markup(bold="*", italic="_", strike="~", code="`", block="```"),
    button_body=3000,
    buttons=25,
    button_title=75,
    list_body=3000,
    rows=100,
    row_title=75,
    row_description=75,
    list_label=150,
    caption=2000,
)
