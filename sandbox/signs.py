"""Short replies and signs that no list of triggers has to name: yes and no, "what now", danger, trickery, spam."""

import re
from enum import StrEnum

from sandbox.language import fold, without, words
from sandbox.prompted import Prompted
from sandbox.vocabulary import VOCABULARY


class Bare(StrEnum):
    """A reply that only agrees, takes note or declines: it answers the last question, whatever that was."""

    YES = "yes"
    OK = "ok"
    NO = "no"


_THUMBS = re.compile("[\U0001f44d\U0001f44c\U00002705]")
_LONGEST_BARE = 5
# A text at least so long, written so often, is a mass message.
_LONG_ENOUGH, _REPEATED = 60, 4
_YES = VOCABULARY.clearly_yes | VOCABULARY.agreeing
_POLITE_REFUSAL = VOCABULARY.declining | VOCABULARY.fillers | VOCABULARY.thankful | _YES


def bare_reply(text: str, language: str) -> Bare | None:
    """Whether a text does nothing but agree or decline."""
    said = words(text, language)
    if not said:
        return Bare.OK if _THUMBS.search(text) else None
    if len(said) > _LONGEST_BARE or "?" in text:
        return None
    if any(each in VOCABULARY.declining for each in said):
        return Bare.NO if _POLITE_REFUSAL.issuperset(said) else None
    if any(each in _YES for each in said) and all(each in _YES | VOCABULARY.fillers for each in said):
        return Bare.YES if any(each in VOCABULARY.clearly_yes for each in said) else Bare.OK
    return None


def declines_to_tell(text: str) -> bool:
    """Whether the person does not know or does not want to say what was asked."""
    return VOCABULARY.declines.match(fold(text)) is not None


def asks_what_is_next(text: str) -> bool:
    return VOCABULARY.asks_next.match(fold(text)) is not None


def greets_again(text: str, language: str) -> bool:
    said = words(text, language)
    rest = without(VOCABULARY.greetings[language], said)
    return rest != said and bool(rest) and not without(VOCABULARY.again, rest)


def shows_distress(text: str) -> bool:
    return VOCABULARY.distress.search(fold(text)) is not None


def wish_to_leave(text: str) -> float | None:
    """Return how sure it is that no more messages are wanted; None: nothing says so."""
    plain = fold(text)
    if VOCABULARY.leaves.search(plain):
        return 0.95
    return 0.6 if VOCABULARY.tired.search(plain) else None


def is_trickery(text: str) -> bool:
    return VOCABULARY.trickery.search(fold(text)) is not None


def without_trickery(text: str) -> str:
    """Return the text without the attempt to change the rules."""
    return VOCABULARY.trickery.sub(" ", fold(text))


def looks_like_a_company(text: str) -> bool:
    return VOCABULARY.company_look.search(text.strip()) is not None


def takes_yes_or_no(question: str) -> bool:
    """Whether yes or no would answer a question: it asks for no information."""
    plain = fold(question)
    return not VOCABULARY.asks_for_content.search(plain) and " or " not in plain


def begins_a_request(text: str) -> bool:
    return "?" in text or VOCABULARY.begins_a_request.match(fold(text)) is not None


def looks_like_spam(prompted: Prompted) -> bool:
    """A link or earnings with a lure, three lures, an advert, or the same long text over and over."""
    text = prompted.text
    plain = fold(text)
    lures = sum(lure in plain for lure in VOCABULARY.lures)
    if lures >= 3 or (lures and (VOCABULARY.link.search(text) or VOCABULARY.money_per_time.search(text))):
        return True
    adverts = sum(advert in plain for advert in VOCABULARY.adverts)
    if adverts >= 2 or (adverts and VOCABULARY.offers.search(plain)):
        return True
    said = [fold(each.text) for each in prompted.history if each.speaker == "person"]
    said += [fold(message.text) for message in prompted.messages]
    return any(len(each) >= _LONG_ENOUGH and said.count(each) >= _REPEATED for each in said)
