"""Quiet window: how long a person who may not have finished is waited for, so that a burst gets one reply."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from context.guardrails.sentences import folded
from contracts.conversation import Conversation, Owner, Speaker, State, WaitingFor
from contracts.institution import Institution
from contracts.messages import ChannelName, InboundKind, InboundMessage
from worker.routing import GREETING, WORDLESS_KINDS, ConsentWords, is_readable

SHORTEST, LONGEST = timedelta(milliseconds=800), timedelta(seconds=12)
# After an outage platforms repeat what they could not deliver message by message, in any order: who has waited for
# minutes is answered once, when the repeats have ended.
REPEATS, LONGEST_REPEATS = timedelta(seconds=10), timedelta(minutes=1)
# A draft that a newer message makes stale is dropped in the first seconds of a burst only: who never stops writing is
# answered all the same.
GROWS_FOR = timedelta(seconds=10)
PATIENCE = 1.8
READING_SECONDS = 3.0
# Pauses of a person's earlier bursts, which say how long this one may take for the next line; a longer one parted two.
OWN_GAP_BELOW, FEWEST_OWN_GAPS = 8.0, 3
OPENING_SECONDS, DANGLING_SECONDS, FRAGMENT_SECONDS = 4.0, 5.0, 2.4
WORDS_OF_A_QUESTION, WORDS_OF_A_SENTENCE, WORDS_OF_A_LONG_TEXT = 4, 8, 18
LEAST_WORDS_OF_A_QUESTION = 3

_DANGLING = re.compile(
    r"(?:[,:;…]|\.\.|\b(?:e|ou|mas|que|se|de|do|da|dos|das|em|no|na|nos|nas|para|pra|pro|com|por|pois|porque|quando|o|a|os|as|"
    r"um|uma|meu|minha|eu|saber|queria|quero|gostaria|preciso|tipo|and|or|but|that|if|of|in|for|with|because|the|to|"
    r"my|i|seguinte|duvida|pergunta|coisa|favor|y|pero|si|en|con|el|la|los|las|un|una|mi))$"
)
_ASKING = re.compile(
    r"^(?:e |mas )?(?:qua(?:l|is|nto|ntos|nta|ntas|ndo)|que horas?|quem|onde|como|por ?que|voces?|vcs?|tem|"
    r"aceitam?|da pra|posso|what|when|where|how|who|why|which|do you|can|could|is there|are you|"
    r"cual|cuanto|cuando|donde|tienen)\b"
)
_CLOSING_SIGNS = re.compile(r"[^\w?!.,:;…]+$")


@dataclass(frozen=True)
class QuietWindows:
    """Longest wait for one more message, by channel; zero: what comes is answered at once."""

    usual: timedelta = timedelta(0)
    by_channel: Mapping[str, timedelta] = field(default_factory=dict)

    @property
    def is_on(self) -> bool:
        return any((self.usual, *self.by_channel.values()))

    def of(self, channel: ChannelName) -> timedelta:
        return self.by_channel.get(channel.value, self.usual)


def quiet_until(
    messages: Sequence[InboundMessage],
    conversation: Conversation | None,
    *,
    longest: timedelta,
    late_after: timedelta,
    consent: ConsentWords,
    institution: Institution,
) -> datetime | None:
    """Return when the person has been quiet for long enough to be answered; None: nothing is to be waited for.

    Adaptive: by how the newest message ends, by the gaps of the burst, and by the person's own gaps in earlier bursts.
    What waits in a conversation that the assistant does not answer is recorded at once.
    """
    written = [one for one in messages if not one.is_recorded_only]
    head = conversation or Conversation(id=messages[0].conversation_id)
    if not written or head.owner is not Owner.ASSISTANT or head.state is State.SPAM or head.opted_out:
        return None
    if any(one.is_echo for one in messages) or any(_is_urgent(one, consent, institution) for one in written):
        return None
    if written[-1].received_at - written[-1].written_at >= late_after:
        return min(written[-1].received_at + REPEATS, written[0].received_at + LONGEST_REPEATS)
    seconds = _wait_after(written, conversation)
    if seconds == 0:
        return None
    wait = max(SHORTEST, min(longest, timedelta(seconds=seconds)))
    return min(written[-1].received_at + wait, written[0].received_at + LONGEST)


def _is_urgent(message: InboundMessage, consent: ConsentWords, institution: Institution) -> bool:
    """A pressed button, a form, a word of consent, or what the institution hands to a person: an emergency."""
    if message.kind in (InboundKind.CHOICE, InboundKind.FORM):
        return True
    if consent.is_opt_out(message.text) or consent.is_opt_in(message.text):
        return True
    text = f" {folded(message.text)} "
    triggers = (trigger for intent in institution.intents if intent.escalate for trigger in intent.triggers)
    return any(f" {folded(trigger)} " in text for trigger in triggers)


def _wait_after(written: Sequence[InboundMessage], conversation: Conversation | None) -> float:
    """Return the seconds of silence after which the newest message is taken as the last of its burst."""
    newest, is_alone = written[-1], len(written) == 1
    text = _CLOSING_SIGNS.sub("", folded(newest.text).strip())
    words = len(text.split())
    # The other pictures of an album come behind the one with the words.
    if is_alone and newest.media is None and _is_complete(text, words):
        return 0
    arrivals = conversation.recent_arrivals if conversation else ()
    gaps = [(later.received_at - one.received_at).total_seconds() for one, later in pairwise(written)]
    ours = [said.at for said in conversation.window if said.speaker is not Speaker.PERSON] if conversation else []
    if not gaps and ours and arrivals and (written[0].received_at - ours[-1]).total_seconds() < READING_SECONDS:
        # Written behind a reply that the person cannot have read yet: the burst goes on.
        gaps = [(written[0].received_at - arrivals[-1]).total_seconds()]
    is_asked = _ASKING.match(text) and (words >= LEAST_WORDS_OF_A_QUESTION or text.endswith("?"))
    is_awaited = conversation is not None and conversation.waiting_for is not WaitingFor.ANYTHING
    if newest.kind in WORDLESS_KINDS and not is_readable(newest):
        base = FRAGMENT_SECONDS
    elif _DANGLING.search(text):
        base = DANGLING_SECONDS
    elif GREETING.fullmatch(text):
        base = OPENING_SECONDS
    elif is_alone and not gaps and (is_asked or is_awaited):
        # A question or the answer to ours: mostly whole, and a second of silence shows it.
        return SHORTEST.total_seconds()
    else:
        base = FRAGMENT_SECONDS if conversation and conversation.turns_in_episode else OPENING_SECONDS
    apart = [(later - one).total_seconds() for one, later in pairwise(arrivals)]
    own = [gap for gap in apart if 0 < gap < OWN_GAP_BELOW]
    usual = median(own) if len(own) >= FEWEST_OWN_GAPS else 0.0
    return max(FRAGMENT_SECONDS if gaps else base, PATIENCE * max((usual, *gaps)))


def _is_complete(text: str, words: int) -> bool:
    if text.endswith("?"):
        return words >= WORDS_OF_A_QUESTION and not GREETING.fullmatch(text)
    if words >= WORDS_OF_A_LONG_TEXT:
        return not _DANGLING.search(text)
    return words >= WORDS_OF_A_SENTENCE and text.endswith((".", "!")) and not text.endswith("..")
