"""Limits of a message on Telegram. Source: Bot API 10.2; buttons: `telegram.constants` of python-telegram-bot.

The length of a button's title is not documented: ours, so that a phone shows it whole. A file has to be a link or an
upload of before.
"""

from contracts.messages import MessageType
from contracts.ports import ChannelLimits, Markup

LIMITS = ChannelLimits(
    types=frozenset(kind for kind in MessageType if kind is not MessageType.TEMPLATE),
    text=4096,
    # Marks of the text until it is sent: then they become entities of HTML.
    markup=Markup(bold="*", italic="_", strike="~", code="`", block="```"),
    button_body=4096,
    buttons=100,
    button_title=64,
    list_body=4096,
    rows=100,
    row_title=64,
    caption=1024,
)
