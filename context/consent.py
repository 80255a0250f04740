"""Recognises a message that as a whole says "no more messages", "messages again", or asks for the assistant."""

import re
from collections.abc import Iterable

from context.guardrails.sentences import folded, seen
from contracts.institution import Institution

_WORD = re.compile(r"[^\W_]+")
_POLITE = re.compile(
    r"^(?:por favor|pfv|pf|please|pls) | (?:por favor|pfv|pf|please|pls|obrigad[oa]|thanks|thank you)$"
)
# The wish for the assistant in words of one's own. "Assistente" without "o" may be a person of the team.
_BACK_TO_ASSISTANT = re.compile(
    r"(?=.*\b(?:volt|volv|fala|conversa|continu|segu|retorn|chama|back|talk|speak|chat |return|novo|again|hablar))"
    r"(?:(?:oi|ola|ok|entao|agora|eu|i|yo|quero|queria|gostaria de|prefiro|preferia|posso|pode|da (?:para|pra)|want|"
    r"would like|(?:d|would) rather|d like|prefer|can (?:i|you)|could i|let me|quiero|quisiera|prefiero|puedo|me|to) )*"
    r"(?:vol(?:tar|ver) a )?(?:(?:voltar?|falar|conversar|continuar|seguir|retornar|chamar?|(?:go |bring )?back|"
    r"talk|speak|chat|return|continue|volver|hablar) )?(?:(?:de volta|para|pra|com|con|to|with) )*"
    r"(?:(?:o|ao|pro|the|your|el|al) (?:assistente|assistant|asistente)|(?:(?:o|ao|pro|the|your|el|al|a) )?"
    r"(?:(?:assistente|asistente) virtual|(?:virtual|ai) assistant|(?:chat)?bot|robo|robozinho|robot|ia|ai))"
    r"(?: (?:virtual|de novo|novamente|outra vez|de volta|agora|again|now|back|instead|de nuevo|otra vez|ahora))*"
)


class OptOutWords:
    """The institution's words for leaving, for coming back, and for the assistant in the place of an agent."""

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
