"""Recognition of another automaton on the other side, so that two of them do not talk without end.

A turn that answers our reply with a text said before, by either side, is a round of an automaton. Where it comes faster
than a person writes it, numbers, times and punctuation count as the same and a word in five may change, and so at any
pace in a longer text that asks nothing; else the words are the same at a slower pace, since people ask the same
question with another number. A fast answer with a new text counts half. A slow new text is a person's.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from itertools import filterfalse

from contracts.conversation import Conversation, Owner, Speaker, State
from contracts.messages import InboundKind, InboundMessage

# Nine rounds, or twice as many of new texts, of a short word or of a button, which people repeat too.
POINTS_OF_AN_AUTOMATON = 18
ROUND, HALF_ROUND = 2, 1
SHORT_LETTERS = 8
# An announcement: a text without a question, of more letters than what people repeat with another number.
ANNOUNCEMENT_LETTERS = 30
# Faster than a person reads a reply and writes more than a word, time after time; and longer texts at twice the speed
# of a fast typist.
FAST, FASTEST = timedelta(seconds=3), timedelta(seconds=10)
CHARACTERS_A_SECOND = 15
# Sørensen-Dice coefficient of two bags of words from which on they are the same text.
SAME = 0.8
COMPARED_CHARACTERS = 4_000
_WORD = re.compile(r"[^\W_]+")
_HALVES_OF_THE_DAY = frozenset({"am", "pm"})


def is_automaton(conversation: Conversation) -> bool:
    return conversation.automaton_points >= POINTS_OF_AN_AUTOMATON


def note_round(conversation: Conversation, messages: Sequence[InboundMessage]) -> Conversation:
    """Return the conversation with its points after the messages of a turn.

    An automaton that was handed to the team keeps its points until a person of the team moves the conversation. Speed
    counts where the platform says when a message was sent: recorded messages are replayed as fast as they are answered.
    """
    worded = [message for message in messages if message.text.strip()]
    spoken = [said for said in conversation.window if said.speaker is not Speaker.PERSON]
    is_silenced = is_automaton(conversation) and conversation.state is State.ESCALATING
    is_silenced |= conversation.owner is Owner.AGENT
    if not worded or not spoken or is_silenced:
        return conversation
    letters = {_letters(one.text) for one in conversation.window}
    is_identical = all(_letters(message.text) in letters or _is_announced(message, conversation) for message in worded)
    after = messages[0].received_at - spoken[-1].at
    typing = timedelta(seconds=sum(len(message.text) for message in worded) / CHARACTERS_A_SECOND)
    is_fast = messages[0].sent_at is not None and timedelta(0) <= after <= max(FAST, min(typing, FASTEST))
    points = conversation.automaton_points
    if is_identical or is_fast:
        # Only an answer to our reply makes a round.
        if conversation.window[-1].speaker is not Speaker.PERSON:
            is_half = all(map(_is_short, worded)) or not (is_identical or _is_said_before(worded, conversation))
            points += HALF_ROUND if is_half else ROUND
    elif points and after >= timedelta(0) and not _is_said_before(worded, conversation):
        points = 0
    return conversation.model_copy(update={"automaton_points": points})


def _is_said_before(messages: Sequence[InboundMessage], conversation: Conversation) -> bool:
    said = [_words(one.text) for one in conversation.window]
    return all(any(_is_same(words, one) for one in said) for words in (_words(message.text) for message in messages))


def _is_short(message: InboundMessage) -> bool:
    return message.kind is InboundKind.CHOICE or _size(message.text) <= SHORT_LETTERS


def _is_announced(message: InboundMessage, conversation: Conversation) -> bool:
    is_question = "?" in message.text
    return not is_question and _size(message.text) >= ANNOUNCEMENT_LETTERS and _is_said_before([message], conversation)


def _size(text: str) -> int:
    return sum(len(word) * times for word, times in _words(text).items())


def _letters(text: str) -> str:
    """Return the words without signs; signs alone as they are."""
    plain = text.casefold()
    return " ".join(_WORD.findall(plain)) or " ".join(plain.split())


def _words(text: str) -> Counter[str]:
    """Return the words without accents, and without those that have a digit or say which half of the day it is."""
    plain = text[:COMPARED_CHARACTERS].casefold()
    if not plain.isascii():
        plain = "".join(filterfalse(unicodedata.combining, unicodedata.normalize("NFKD", plain)))
    words = Counter(_WORD.findall(plain))
    for word in [word for word in words if word in _HALVES_OF_THE_DAY or any(map(str.isdigit, word))]:
        del words[word]
    return words


def says_the_same(text: str, others: Sequence[str]) -> bool:
    """Whether one of the others is the same text but for a word in five, numbers and punctuation."""
    return bool(others) and any(map(partial(_is_same, _words(text)), map(_words, others)))


def _is_same(one: Counter[str], other: Counter[str]) -> bool:
    size = one.total() + other.total()
    return not size or 2 * (one & other).total() / size >= SAME
