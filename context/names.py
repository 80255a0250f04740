"""Finds names and offers in a draft that nothing supports: brands, people, places, products, things we do not do."""

import re
from collections.abc import Iterable, Iterator

from context.alternatives import sharing
from context.evidence import Evidence
from context.figures import singular, stem
from context.normalize import flat, words
from context.phrases import EXCERPT, is_denied, is_their_matter
from context.wording import BRANDS, NUMBER_WORDS, ORDINARY, STOP_WORDS, TALK, TRANSLATED
from contracts.guardrails import Finding, Rule

_WORD = re.compile(r"[^\W_]+(?:'[a-zA-Z]{1,2}\b)?")
_QUOTED = re.compile(r"\"([^\"\n]{2,60})\"|'([^'\n]{3,60})'(?!\w)")
_ACTS = re.compile(
    r" (?:tem|faz|oferece|entrega|integra|funciona|atende|vende|inclui|permite|cuida|custa|is|has|offers|does|sells"
    r"|provides|includes|works|delivers|accepts)\b"
)
_PRODUCT = re.compile(
    r"\b(?:plano|pacote|modulo|kit|combo|clube|unidade|filial|versao|programa|linha|app|franquia|loja|plan|package"
    r"|module|branch|club|membership|tier|edition|office|clinic)s? "
    r"(?:de |da |do |em |na |no |of |at |in |chamad[oa] |called )?([a-z0-9]{4,30})"
)
_OFFERS = re.compile(
    sharing(
        r"\b(?:oferecemos|temos|fazemos|vendemos|trabalhamos (?:com|em)|instalamos|transportamos|levamos|entregamos"
        r"|coletamos"
        r"|atendemos|alugamos|consertamos|desenvolvemos|integramos|aceitamos|fornecemos|disponibilizamos|contamos com"
        r"|possuimos|realizamos|prestamos|criamos|emitimos|cobrimos|operamos|buscamos|montamos|produzimos|configuramos"
        r"|compramos|guardamos|armazenamos|importamos|damos|incluimos|ofereco|vendo|faco|mantemos|chegamos (?:a|em|ate)"
        r"|(?:we|they)(?: also| now| even| do| can| both)? (?:offer|have(?! \w+(?:ed|en)\b)|sell|provide|do(?! not)"
        r"|make|accept|treat|deliver|ship|rent"
        r"|install|fit|carry|stock|support|run|cover|speak|use|supply|perform|specialise in|specialize in|cater for"
        r"|handle)"
        r"|we(?:'ve| ve) got"
        r"|(?:que|who|equipe|time|tecnicos?|entregador(?:es)?|motoboys?|pessoal|team|dentists?|hygienists?)(?: tambem"
        r"| also)? "
        r"(?:cuidam?|fazem|faz|instalam?|consertam?|vendem?|entregam?|transportam?|levam?|alugam?|oferecem?|treats?"
        r"|sells?"
        r"|offers?|fits?|delivers?|repairs?))\b"
    )
)
_OFFER_ENDS = re.compile(
    r"[.;:!?\n]| (?:que|se|quando|porque|mas|porem|who|which|that|if|when|but|because|so|conforme|como) "
    r"|,? (?:e|and) (?:posso|vou|uma pessoa|nossa|nosso|a equipe|i|we|the|voce|ja|o horario|os?|as?|quer)\b"
    r"|, (?:qual|quais|quantos|me|posso|voce|onde|quer|pode|shall|would|do you|e)\b"
)
_FOR_WHOM = re.compile(r"\b(?:para|pra|pro|for|ao|aos|with|com a sua|com o seu)\b")
_OURS = re.compile(
    r"\b(?:nosso|nossa|nossos|nossas|our) (?:(?:novo|nova|novos|novas|grande|proprio|propria|new|own|famous|large) )?"
    r"([a-z]{4,30})"
)
_FEATURE = re.compile(
    r"\b(?:andar|piso|subsolo|terreo|estacionamento|shopping|galpao|showroom|elevador|frota|certificacao|seguro"
    r"|floor|basement|car park|parking|lift|insurance|certificate)s?\b"
)
# What one either does or does not do; the word itself has to stand affirmed in the documents.
_TRADES = re.compile(
    r"\b(?:vend|alug|consert|recuper|desbloque|guard|armazen|migr|import|export|repar|reform|financi|imprim|fabric|revend"
    r"|distribu|gerenci|emit|compr)(?:amos|emos|imos)\b|\b(?:we|i) (?:also )?(?:sell|rent|lease|repair|buy|lend)\b"
)
_BASE = re.compile(
    r"\b(?:escritorio|filial|unidade|sede|loja|base|galpao|deposito|polo|clinic|branch|office|surgery|practice)"
    r"(?: \w+)? (?:em|na|no|in|at|de) ([A-Z][a-z]{2,30})"
)
_VOCATIVE = re.compile(
    r"(?:^|[.!?\n] ?)(?:oi|ola|oie|opa|bom dia|boa tarde|boa noite|obrigad[oa]|claro|certo|perfeito"
    r"|otimo|entendi|entendo|ok|sim|beleza|por nada|de nada|imagina|desculpe|hi|hello|hey|thanks|thank you|dear"
    r"|sorry|sure|of course|great|right|no problem|good (?:morning|afternoon|evening)),? $",
    re.IGNORECASE,
)
_CALLED = re.compile(r"\b(?:se chama|chama-se|is called|is named|my name is|meu nome e) ([A-Z][a-z]+)", re.IGNORECASE)
_CLAUSE_END = re.compile(r"[.,;:!?\n]|\b(?:mas|but|e sim)\b")
_WE_DO_NOT = re.compile(
    r"\bnao (?:fazemos|atendemos|entregamos|levamos|oferecemos|trabalhamos|coletamos|vendemos|instalamos)\b"
    r"|\bwe (?:don'?t|do not|cannot|can'?t) (?:do|offer|provide|treat|sell|deliver)\b"
    r"|\b(?:isn'?t|is not|aren'?t) (?:something|a treatment|a service|among what) (?:that )?we (?:offer|do|provide)\b",
    re.IGNORECASE,
)
_LIMITS = re.compile(r"\b(?:so|apenas|somente|only|just|ainda|yet)\b", re.IGNORECASE)
_REACH = 90
_MOST_WORDS = 7

_ORDINARY_SINGULARS = frozenset(singular(word) for word in ORDINARY | STOP_WORDS | TALK | frozenset(NUMBER_WORDS))
_TOO_COMMON = ORDINARY | STOP_WORDS


class NameReader:
    """Looks for names and offers; what supports them is the documents and what is known of the person."""

    def __init__(self, institution_name: str, evidence: Evidence, addresses: Iterable[str] = ()) -> None:
        self._evidence = evidence
        self._own_places = frozenset(word for address in addresses for word in words(flat(address)))
        self._own_name = next(words(flat(institution_name)), "institution")
        self._stems = frozenset(stem(word) for word in evidence.words)
        self._third_person = re.compile(
            rf"\b{re.escape(self._own_name)}(?: \w+)?(?: tambem| also| now| ja)? (?:oferece|tem|faz|vende|atende"
            r"|entrega"
            r"|aceita|possui"
            r"|fornece|trabalha com|conta com|integra|instala|aluga|conserta|offers|has(?! \w+ed)|sells"
            r"|does(?! not)|provides|treats|accepts"
            r"|delivers|runs|supports)\b"
        )

    def findings(self, folded_text: str, known: Evidence) -> Iterator[Finding]:
        """Names in a folded text, whose capitals count, then offers in its flat form."""
        yield from self._foreign(folded_text, known)
        yield from self._capitalised(folded_text, known)
        text = folded_text.casefold()
        yield from self._quoted(text, known)
        yield from self._products(text, known)
        yield from self._features(text, known)
        yield from self._offers(text, known)
        yield from self._trades(text)
        yield from self._bases(folded_text, known)

    def _foreign(self, text: str, known: Evidence) -> Iterator[Finding]:
        """Words in a script that was not read: what cannot be read cannot be allowed."""
        if text.isascii():
            return
        for match in _WORD.finditer(text):
            word = match[0].casefold()
            if not word.isascii() and word not in self._evidence.words and word not in known.words:
                yield _finding(match[0])

    def _capitalised(self, text: str, known: Evidence) -> Iterator[Finding]:
        for match in _WORD.finditer(text):
            word = match[0]
            low = word.casefold()
            if word.islower() and low not in BRANDS:
                continue
            if word.isdigit() or len(word) < 2 or not word.isascii() or self._is_supported(low, known):
                continue
            if _VOCATIVE.search(text, max(0, match.start() - 25), match.start()) and text[
                match.end() : match.end() + 1
            ] in (",", "!", "."):
                continue
            if _is_declined(text, match.start(), match.end()):
                continue
            camel = not word.isupper() and not word[1:].islower() and word[1:].isalpha()
            if low in BRANDS or camel or _is_inside_sentence(text, match.start()) or _ACTS.match(text, match.end()):
                yield _finding(word)

    def _is_supported(self, low: str, known: Evidence) -> bool:
        stripped = low.split("'", 1)[0]
        for word in (low, stripped, stripped.removesuffix("s"), f"{stripped}s"):
            if word in self._evidence.words or word in known.words or (word in _TOO_COMMON and word not in BRANDS):
                return True
        return False

    def _quoted(self, text: str, known: Evidence) -> Iterator[Finding]:
        for match in _QUOTED.finditer(text):
            for word in words(match[1] or match[2]):
                if len(word) > 3 and not self._is_supported(word, known) and stem(word) not in self._stems:
                    yield _finding(match[0])
                    break

    def _products(self, text: str, known: Evidence) -> Iterator[Finding]:
        for match in _PRODUCT.finditer(text):
            if not self._is_claimable(match[1]) and match[1] not in known.words:
                yield _finding(match[0])

    def _features(self, text: str, known: Evidence) -> Iterator[Finding]:
        """Things a house either has or has not; nobody names one without claiming it."""
        for match in _FEATURE.finditer(text):
            word = match[0].split()[0]
            if (
                word not in known.words
                and not self._is_claimable(word)
                and not (is_denied(text, match.start()) or is_their_matter(text, match.end()))
            ):
                yield _finding(match[0])

    def _trades(self, text: str) -> Iterator[Finding]:
        for match in _TRADES.finditer(text):
            if stem(match[0].split()[-1]) not in self._evidence.claims and not is_denied(text, match.start()):
                yield _finding(match[0])

    def _bases(self, folded_text: str, known: Evidence) -> Iterator[Finding]:
        """Houses of ours in places where no address of the documents is, and people with a name."""
        for match in _BASE.finditer(folded_text):
            place = match[1].casefold()
            if place not in self._own_places and place not in known.words:
                yield _finding(match[0])
        for match in _CALLED.finditer(folded_text):
            if match[1].casefold() not in known.words and match[1].casefold() != self._own_name:
                yield _finding(match[0])

    def _offers(self, text: str, known: Evidence) -> Iterator[Finding]:
        for pattern in (_OFFERS, self._third_person):
            for match in pattern.finditer(text):
                if not is_denied(text, match.start()):
                    yield from self._unsupported_object(text, match, known)
        for match in _OURS.finditer(text):
            if not self._is_claimable(match[1]):
                yield _finding(match[0])

    def _unsupported_object(self, text: str, verb: re.Match[str], known: Evidence) -> Iterator[Finding]:
        """The things a sentence says we offer; after "para" it is the person's own world that is spoken of."""
        clause = text[verb.end() : verb.end() + _REACH]
        end = _OFFER_ENDS.search(clause)
        clause = clause[: end.start()] if end else clause[: clause.rfind(" ")] if len(clause) == _REACH else clause
        turn = _FOR_WHOM.search(clause)
        for match in list(_WORD.finditer(clause))[:_MOST_WORDS]:
            word = match[0]
            if len(word) < 4 or word.isdigit() or self._is_claimable(word):
                continue
            if turn and match.start() > turn.start() and word in known.words:
                continue
            yield _finding(f"{verb[0]}{clause[: match.end()]}")
            return

    def _is_claimable(self, word: str) -> bool:
        if stem(word) in self._evidence.claims or stem(TRANSLATED.get(word, word)) in self._evidence.claims:
            return True
        return word not in BRANDS and (word in _TOO_COMMON or singular(word) in _ORDINARY_SINGULARS)


def _is_declined(text: str, start: int, end: int) -> bool:
    """ "Entrega para o Rio não fazemos": what the clause of a name says we do not do."""
    before = _CLAUSE_END.split(text[max(0, start - 60) : start])[-1]
    after = _CLAUSE_END.split(text[end : end + 60], maxsplit=1)[0]
    clause = before + " " + after
    return _WE_DO_NOT.search(clause) is not None and _LIMITS.search(clause) is None


def _is_inside_sentence(text: str, start: int) -> bool:
    before = text[max(0, start - 4) : start].rstrip(" ")
    return bool(before) and (before[-1].isalnum() or before[-1] in ",(&/'\"")


def _finding(excerpt: str) -> Finding:
    return Finding(rule=Rule.UNSUPPORTED_NAME, excerpt=excerpt.strip()[:EXCERPT])
