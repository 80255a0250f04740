"""Short replies and signs that no list of triggers has to name: yes and no, "what now", danger, trickery, spam."""

import difflib
import re
from enum import StrEnum

from sandbox.language import fold, without, words
from sandbox.prompted import Prompted
from sandbox.vocabulary import SIGNS, VOCABULARY, WORDS


class Bare(StrEnum):
    """A reply that only agrees, takes note or declines: it answers the last question, whatever that was."""

    YES = "yes"
    OK = "ok"
    NO = "no"
    SMILE = "smile"


_THUMBS = re.compile("[\U0001f44d\U0001f44c\U00002705]")
_SMILES = re.compile("^[^a-zA-Z?]*[\u2600-\u27bf\U0001f300-\U0001faff][^a-zA-Z?]*$")
_ANGRY = re.compile("[\U0001f44e\U0001f595\U0001f620\U0001f621\U0001f624\U0001f92c\U0001f4a9]")
_QUESTION_MARKS = frozenset("?!. \n")
_LONGEST_BARE = 5
# A text at least so long, written so often, is a mass message.
_LONG_ENOUGH, _REPEATED = 60, 4
_LONG_WORDS = ("descadastrar", "descadastra", "descadastre", "descadastro", "desinscrever", "unsubscribe")
_LONG_WORD, _LONGEST_WISH = 8, 1_000
_CLAUSE = re.compile(r"[^.!?,;:\n]+\??")
_SAID = {name: pattern.replace("\n", "") for name, pattern in VOCABULARY.leaving.items()}
_SAID |= {name: "|".join(_SAID[name].split()) for name in ("opening", "tail")}
_OPENING, _CORE, _WEAK, _TAIL = (_SAID[name].format_map(_SAID) for name in ("opening", "core", "weak", "tail"))
_LEAVES = re.compile(rf"(?:(?:{_OPENING}) )*(?:{_CORE})(?: (?:{_TAIL}))*")
_TIRED = re.compile(rf"(?:(?:{_OPENING}|ai|ah) )*(?:{_WEAK})(?: (?:{_TAIL}))*")
_ENDS_LEAVING = re.compile(rf"\b(?:{_CORE})(?: (?:{_TAIL}))*$")
_STAYS = re.compile(_SAID["stays"])
_YES = WORDS["clearly_yes"] | WORDS["agreeing"]
_POLITE_REFUSAL = WORDS["declining"] | WORDS["fillers"] | WORDS["thankful"] | _YES


def bare_reply(text: str, language: str) -> Bare | None:
    """Whether a text does nothing but agree or decline."""
    said = words(text, language)
    if SIGNS["laughs"].match(fold(text)) or (not said and _SMILES.search(text) and not _ANGRY.search(text)):
        return Bare.OK if _THUMBS.search(text) else Bare.SMILE
    if len(said) > _LONGEST_BARE or "?" in text:
        return None
    if any(each in WORDS["declining"] for each in said):
        return Bare.NO if _POLITE_REFUSAL.issuperset(said) else None
    if any(each in _YES for each in said) and all(each in _YES | WORDS["fillers"] for each in said):
        return Bare.YES if any(each in WORDS["clearly_yes"] for each in said) else Bare.OK
    return None


def shows(sign: str, text: str) -> bool:
    """Whether a pattern of the vocabulary is in the folded text."""
    return SIGNS[sign].search(fold(text)) is not None


def asks_again(text: str) -> bool:
    """Whether the last reply was not understood; a question mark alone says so too."""
    plain = fold(text)
    return SIGNS["misunderstood"].match(plain) is not None or ("?" in text and _QUESTION_MARKS.issuperset(text))


def says_thanks(text: str) -> bool:
    said = set(fold(text).split())
    return "?" not in text and bool(said & WORDS["grateful"]) and said <= WORDS["grateful"] | WORDS["around_thanks"]


def greets_again(text: str, language: str) -> bool:
    said = words(text, language)
    rest = without(VOCABULARY.greetings[language], said)
    return (rest != said or bool(WORDS["back"] & {*said})) and bool(rest) and not without(VOCABULARY.again, rest)


def wish_to_leave(text: str) -> float | None:
    """Return how sure it is that no more messages are wanted; None: nothing says so."""
    found = [sure for clause in _CLAUSE.findall(text[:_LONGEST_WISH]) if (sure := _leaves(clause)) is not None]
    return max(found, default=None)


def _leaves(clause: str) -> float | None:
    plain = " ".join(_spelled(word) for word in fold(clause).split())
    if _LEAVES.fullmatch(plain):
        return 0.95
    if _TIRED.fullmatch(plain):
        return 0.6
    found = None if clause.endswith("?") else _ENDS_LEAVING.search(plain)
    return 0.6 if found and not _STAYS.search(plain[: found.start()]) else None


def _spelled(word: str) -> str:
    """Return a long word of leaving as it is spelled: these are the ones that people misspell."""
    if not word.startswith(("d", "u", "o")) or len(word) < _LONG_WORD:
        return word
    return next(iter(difflib.get_close_matches(word, _LONG_WORDS, n=1, cutoff=0.8)), word)


def begins_a_request(text: str) -> bool:
    return "?" in text or SIGNS["begins_a_request"].match(fold(text)) is not None


def looks_like_spam(prompted: Prompted) -> bool:
    """A link or earnings with a lure, three lures, an advert, or the same long text over and over."""
    text = prompted.text
    plain = fold(text)
    lures = sum(lure in plain for lure in VOCABULARY.lures)
    if lures >= 3 or (lures and (SIGNS["link"].search(text) or SIGNS["money_per_time"].search(text))):
        return True
    adverts = sum(advert in plain for advert in VOCABULARY.adverts)
    if adverts >= 2 or (adverts and SIGNS["offers"].search(plain)):
        return True
    said = [fold(each.text) for each in prompted.history if each.speaker == "person"]
    said += [fold(message.text) for message in prompted.messages]
    return any(len(each) >= _LONG_ENOUGH and said.count(each) >= _REPEATED for each in said)
