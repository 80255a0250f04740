"""Signs of mass messages that no list of triggers has to name."""

from sandbox.language import fold
from sandbox.prompted import Prompted
from sandbox.vocabulary import VOCABULARY

_REPEATED = 4
_LONG_ENOUGH = 60


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
