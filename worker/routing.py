"""Routing before any model call: silence, floods, words of consent, ratings, conversations that an agent owns."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from context.guardrails.sentences import folded, seen
from contracts.conversation import Conversation, Owner, Speaker, State
from contracts.institution import FixedText, Institution
from contracts.media import MediaFault
from contracts.messages import InboundKind, InboundMessage
from contracts.turn import TurnReason
from worker.automatons import is_automaton


@dataclass(frozen=True)
class FloodLimit:
    """More messages than this within the window are not thought about one by one. At most 64, which the head keeps."""

    messages: int = 40
    window: timedelta = timedelta(minutes=1)


@dataclass(frozen=True)
class AgePolicy:
    """Ages from which a turn, by its newest message and the platform's time, is not answered as usual.

    From `delayed` on with a word about the delay, from `hand_off` on by a person, from `record` on not at all.
    """

    delayed: timedelta = timedelta(minutes=10)
    hand_off: timedelta = timedelta(hours=6)
    record: timedelta = timedelta(days=3)


_WORD = re.compile(r"[^\W_]+")
_POLITE = re.compile(
    r"^(?:por favor|pfv|pf|please|pls) | (?:por favor|pfv|pf|please|pls|obrigad[oa]|thanks|thank you)$"
)
# The wish for the assistant in words of one's own. "Assistente" without "o" may be a person of the team.
_BACK_TO_ASSISTANT = re.compile(
    r"^(?=.*\b(?:volt|volv|fala|conversa|continu|segu|retorn|chama|back|talk|speak|chat |return|novo|again|hablar))"
    r"(?:(?:oi|ola|ok|entao|agora|eu|i|yo|quero|queria|gostaria de|prefiro|preferia|posso|pode|da (?:para|pra)|want|"
    r"would like|(?:d|would) rather|d like|prefer|can (?:i|you)|could i|let me|quiero|quisiera|prefiero|puedo|me|to) )*"
    r"(?:vol(?:tar|ver) a )?(?:(?:voltar?|falar|conversar|continuar|seguir|retornar|chamar?|(?:go |bring )?back|"
    r"talk|speak|chat|return|continue|volver|hablar) )?(?:(?:de volta|para|pra|com|con|to|with) )*"
    r"(?:(?:o|ao|pro|the|your|el|al) (?:assistente|assistant|asistente)|(?:(?:o|ao|pro|the|your|el|al|a) )?"
    r"(?:(?:assistente|asistente) virtual|(?:virtual|ai) assistant|(?:chat)?bot|robo|robozinho|robot|ia|ai))"
    r"(?: (?:virtual|de novo|novamente|outra vez|de volta|agora|again|now|back|instead|de nuevo|otra vez|ahora))*"
)


class ConsentWords:
    """Recognition of a message that as a whole says "no more messages", "messages again", or asks for the assistant."""

    def __init__(self, institution: Institution) -> None:
        self._out = _spellings(institution.opt_out_words)
        self._in = _spellings(institution.opt_in_words)
        self._assistant = _spellings(institution.assistant_words)

    def is_opt_out(self, text: str) -> bool:
        return _bare(text) in self._out

    def is_opt_in(self, text: str) -> bool:
        return _bare(text) in self._in

    def asks_for_assistant(self, text: str) -> bool:
        bare = _bare(text)
        return bare in self._assistant or _BACK_TO_ASSISTANT.fullmatch(bare) is not None


def _words(text: str) -> list[str]:
    return _WORD.findall(folded(seen(text)))


def _spellings(phrases: Iterable[str]) -> frozenset[str]:
    return frozenset(" ".join(_words(phrase)) for phrase in phrases)


def _bare(text: str) -> str:
    """The words of a message without signs and courtesies."""
    plain = " ".join(_words(text[:200]))
    previous = None
    while previous != plain:
        previous, plain = plain, _POLITE.sub("", plain)
    return plain


RATINGS = {FixedText.SATISFIED: TurnReason.RATED_SATISFIED, FixedText.UNSATISFIED: TurnReason.RATED_UNSATISFIED}
HOLD_AGAIN_AFTER = timedelta(minutes=10)
UNREADABLE_AGAIN_AFTER = timedelta(minutes=10)

GREETING = re.compile(
    r"(?:(?:oi+e?|ola|opa|e ?ai|bom dia|boa tarde|boa noite|tudo (?:bem|bom|certo|joia)|como vai|hi|hello|hey|"
    r"good (?:morning|afternoon|evening)|how are you|hola|buenos dias|buenas(?: tardes| noches)?|que tal|"
    r"com voces?|pessoal|gente|moco|moca|there|all)\W*)+"
)
# Asks whether anyone is there; an answer to a newer message has said so.
NUDGE = re.compile(r"(?:alo|(?:tem )?alguem(?: ai)?|anyone(?: there)?|anybody(?: there)?|alguien)?\W*")

# Kinds without words: there is nothing in them that the model could answer.
WORDLESS_KINDS = frozenset(
    {
        InboundKind.AUDIO,
        InboundKind.STICKER,
        InboundKind.IMAGE,
        InboundKind.VIDEO,
        InboundKind.DOCUMENT,
        InboundKind.UNSUPPORTED,
    }
)

# As the window has them.
WORDLESS = frozenset(f"[{kind}]" for kind in WORDLESS_KINDS)

FILE_TEXTS = {
    **dict.fromkeys((MediaFault.TOO_LARGE, MediaFault.TOO_LONG, MediaFault.TOO_MANY), FixedText.FILE_TOO_LARGE),
    **dict.fromkeys((MediaFault.EXPIRED, MediaFault.EMPTY, MediaFault.DAMAGED), FixedText.FILE_AGAIN),
    **dict.fromkeys((MediaFault.UNAVAILABLE, MediaFault.FORBIDDEN_ADDRESS), FixedText.FILE_AGAIN),
    MediaFault.WRONG_TYPE: FixedText.FILE_TYPE,
    MediaFault.PROTECTED: FixedText.FILE_PROTECTED,
    MediaFault.NO_SPEECH: FixedText.NO_SPEECH,
}


def route(
    conversation: Conversation,
    answerable: Sequence[InboundMessage],
    *,
    consent: ConsentWords,
    flood: FloodLimit,
    ages: AgePolicy,
    at: datetime,
    may_write: bool = True,
    is_overtaken: bool = False,
) -> TurnReason | None:
    """Return the reason to answer without a model, the weightiest first; None: the model is to be asked.

    Without `may_write` the platform takes no free text any more: what the model would write could not be sent.
    `is_overtaken`: messages that the person wrote later have been read in an earlier turn.
    """
    if not answerable:
        return TurnReason.RECORDED_ONLY
    wish = newest_wish(answerable, consent)
    if wish is not None and _is_newest(wish, conversation):
        if conversation.opted_out is (wish.reason is TurnReason.OPTED_IN):
            return wish.reason
    elif wish is not None and all(_wish_of(message, consent) for message in answerable):
        # Overtaken by a newer one: there is nothing left in it to answer.
        return TurnReason.RECORDED_ONLY
    # A word for coming back is the wish for the assistant only before an agent has answered.
    said, waits = answerable[-1].text, conversation.state is State.ESCALATING
    is_back = conversation.owner is Owner.NOBODY and consent.is_opt_in(said)
    if not conversation.opted_out and (is_back or (waits and consent.asks_for_assistant(said))):
        return TurnReason.ASKED_FOR_ASSISTANT
    if conversation.opted_out or conversation.state is State.SPAM or conversation.owner is Owner.AGENT:
        return TurnReason.RECORDED_ONLY
    if is_automaton(conversation):
        return TurnReason.AUTOMATON
    age = at - answerable[-1].written_at
    if age >= ages.record:
        return TurnReason.TOO_OLD
    if is_overtaken and age >= ages.delayed:
        # The person's matter has been answered or handed over; a late greeting would begin it again.
        plain = folded(said).strip()
        if age >= ages.hand_off or GREETING.fullmatch(plain) or NUDGE.fullmatch(plain):
            return TurnReason.RECORDED_ONLY
    if age >= ages.hand_off or not may_write:
        return TurnReason.RECORDED_ONLY if waits else TurnReason.OLD
    if waits:
        # The person reads again that an agent owns the conversation, at most once in a while.
        spoken = [said.at for said in conversation.window if said.speaker is not Speaker.PERSON]
        is_due = not spoken or at - spoken[-1] >= HOLD_AGAIN_AFTER
        return TurnReason.AGENT_OWNS_IT if is_due else TurnReason.RECORDED_ONLY
    if sum(arrival > at - flood.window for arrival in conversation.recent_arrivals) > flood.messages:
        return TurnReason.FLOODED
    if not any(map(is_readable, answerable)):
        return TurnReason.UNREADABLE
    return None


def rating_of(
    conversation: Conversation, messages: Sequence[InboundMessage], institution: Institution
) -> TurnReason | None:
    """Return the rating of a conversation that has just ended with one of the two questions; None: it is none."""
    if conversation.state is not State.COMPLETED or len(messages) != 1:
        return None
    asked = {text: which for which in (FixedText.SATISFACTION, FixedText.NPS) if (text := institution.texts.get(which))}
    match asked.get(last_said(conversation) or ""):
        case FixedText.NPS:
            return None if score_of(messages[0].text) is None else TurnReason.SCORED
        case FixedText.SATISFACTION:
            said = messages[0].text.strip().casefold()
            return next((rating for text, rating in RATINGS.items() if said == institution.text(text).casefold()), None)
    return None


def score_of(text: str) -> int | None:
    """Return the score from 0 to 10 that is all of the text; `9/10` and the keycap of a digit are scores too."""
    found = re.fullmatch(r"(10|\d)(?: ?/ ?10)?", text.strip(" \t\n.!\ufe0f\u20e3"))
    return int(found[1]) if found else None


@dataclass(frozen=True)
class Wish:
    """A word of consent, and when it was written."""

    reason: TurnReason
    at: datetime


def newest_wish(messages: Sequence[InboundMessage], consent: ConsentWords) -> Wish | None:
    """Return the word of consent that was written last, in whatever order they came; of two of a moment the later."""
    wishes = [(message, reason) for message in reversed(messages) if (reason := _wish_of(message, consent)) is not None]
    if not wishes:
        return None
    message, reason = max(wishes, key=lambda wish: wish[0].written_at)
    return Wish(reason, written_last([message]))


def written_last(messages: Sequence[InboundMessage]) -> datetime:
    """Return when the last of the messages was written."""
    # A clock that is ahead must not keep the person's next wishes from counting.
    return max(min(message.written_at, message.received_at) for message in messages)


def may_opt_out(conversation: Conversation, messages: Sequence[InboundMessage]) -> bool:
    """Whether no newer word of consent overtakes a wish in these messages."""
    return _is_newest(Wish(TurnReason.OPTED_OUT, written_last(messages)), conversation)


def note_consent(conversation: Conversation, messages: Sequence[InboundMessage], consent: ConsentWords) -> Conversation:
    """Keep the moment of the newest word of consent, also of one that changes nothing: others may come late."""
    wish = newest_wish(messages, consent)
    if wish is None or not _is_newest(wish, conversation):
        return conversation
    return conversation.model_copy(update={"consent_at": wish.at})


def _is_newest(wish: Wish, conversation: Conversation) -> bool:
    return conversation.consent_at is None or wish.at >= conversation.consent_at


def is_doubtful(message: InboundMessage) -> bool:
    """Whether its words are speech that may have been others."""
    return message.content is not None and message.content.is_doubtful


def _wish_of(message: InboundMessage, consent: ConsentWords) -> TurnReason | None:
    if is_doubtful(message):
        return None
    if consent.is_opt_out(message.text):
        return TurnReason.OPTED_OUT
    return TurnReason.OPTED_IN if consent.is_opt_in(message.text) else None


def is_readable(message: InboundMessage) -> bool:
    is_opened = message.content is not None and message.content.refused is None
    return bool(message.text.strip()) or is_opened or message.kind not in WORDLESS_KINDS


def unreadable_text(messages: Sequence[InboundMessage]) -> FixedText:
    """Return the text that says what to do about the newest file that was not read."""
    refused = [message for message in messages if message.content is not None and message.content.refused is not None]
    content = refused[-1].content if refused else None
    if content is None or content.refused is None:
        return FixedText.UNREADABLE
    if refused[-1].kind is InboundKind.VIDEO and content.refused is MediaFault.NO_SPEECH:
        # Of a video the sound alone is read.
        return FixedText.UNREADABLE
    return FILE_TEXTS.get(content.refused, FixedText.UNREADABLE)


def knows_unreadable(conversation: Conversation, text: str, at: datetime) -> bool:
    """Whether the person read so (`text`) a short while ago, and sent nothing since that can be read: an album."""
    since: list[str] = []
    for said in reversed(conversation.window):
        if said.speaker is not Speaker.PERSON:
            is_recent = at - said.at < UNREADABLE_AGAIN_AFTER
            return said.text == text and is_recent and all(one in WORDLESS for one in since)
        since.append(said.text)
    return False


def last_said(conversation: Conversation) -> str | None:
    """Return the last words to the person."""
    return next((said.text for said in reversed(conversation.window) if said.speaker is not Speaker.PERSON), None)
