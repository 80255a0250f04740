"""Limits of a reply in web chat; ours, close to those of platforms."""

from contracts.messages import MessageType
from contracts.ports import ChannelLimits

LIMITS = ChannelLimits(
    types=frozenset(kind for kind in MessageType if kind is not MessageType.TEMPLATE),
    text=4096,
    button_body=4096,
    buttons=3,
    button_title=40,
    list_body=4096,
    rows=11,
    row_title=60,
    row_description=120,
    list_label=40,
    caption=1024,
)
