"""Short replies and plain signs that no list of triggers has to name: yes and no, "what now", danger, trickery."""

import re
from enum import StrEnum

from sandbox.language import GREETINGS, fold, without, words


class Bare(StrEnum):
    """A reply that only agrees, takes note or declines: it answers the last question, whatever that was."""

    YES = "yes"
    OK = "ok"
    NO = "no"


_CLEARLY_YES_WORDS = "sim ss claro isso yes yeah yep yup sure"
_YES_WORDS = """
ok okay okey k certo beleza entendi perfeito otimo legal joia show tranquilo combinado pode segue seguir fine great
alright understood perfect ahead right cool good
"""
_NO_WORDS = "nao nops nope nah no negativo nada nenhum nenhuma none"
_FILLER_WORDS = """
e a o ta tudo bem bom entao ser sim mesmo por mim agora ai vamos em frente prosseguir continuar esta eu ja na verdade
all got it go that is s then well i do don t not really now so and please
"""
_THANKS_WORDS = "obrigado muito thanks thank you valeu"
_CLEARLY_YES = frozenset(_CLEARLY_YES_WORDS.split())
_YES = _CLEARLY_YES | frozenset(_YES_WORDS.split())
_NO = frozenset(_NO_WORDS.split())
_FILLERS = frozenset(_FILLER_WORDS.split())
_THANKS = frozenset(_THANKS_WORDS.split())
_THUMBS = re.compile("[\U0001f44d\U0001f44c\U00002705]")
_LONGEST_BARE = 5
_DECLINES = re.compile(
    r"^(?:eu )?(?:nao (?:sei|lembro)(?: \w+)?|nao tenho(?: (?:empresa|nenhuma?|uma?|isso|site))?"
    r"|nao quero (?:dizer|informar|falar|passar|responder)(?: \w+)?|prefiro nao(?: \w+){0,2}"
    r"|(?:i )?(?:don t|do not) (?:know|remember|have (?:one|any|that)|want to (?:say|tell|answer))(?: \w+)?"
    r"|(?:i )?(?:d |would )?(?:rather|prefer) not(?: \w+){0,2}|no idea|not sure)$"
)
_NEXT = re.compile(
    r"^(?:ok |okay |certo |beleza |so |and |e )*(?:"
    r"(?:e )?(?:agora|depois)|qual (?:e )?o proximo passo|proximo passo|o que (?:eu )?faco agora"
    r"|o que falta|falta (?:algo|mais alguma coisa)|precisa de mais alguma coisa"
    r"|o que mais (?:voces? )?precisam?(?: saber)?"
    r"|now|what now|now what|what next|what s next|what happens (?:now|next)|next steps?|what is next"
    r"|what (?:else|more) do you need(?: (?:to know|from me))?|do you need anything (?:else|more)(?: from me)?"
    r")$"
)
_AGAIN = (
    "lembra de mim",
    "se lembra de mim",
    "remember me",
    "do you remember me",
    "de novo",
    "novamente",
    "outra vez",
    "voltei",
    "again",
    "i m back",
    "i am back",
    "once more",
    "there",
    "aqui",
)
_DISTRESS = re.compile(
    r"\b(?:me matar|matar me|suicid\w*|tirar (?:a )?minha (?:propria )?vida|acabar com (?:a )?minha vida"
    r"|nao quero mais viver|quero morrer|vontade de morrer|me machucar de proposito"
    r"|kill(?:ing)? myself|end (?:my (?:own )?life|it all)|(?:going to|want to|gonna) (?:hurt|harm|cut) myself"
    r"|self harm\w*|want to die|(?:don t|do not) want to live|take my own life)\b"
)
_TRICK = re.compile(
    r"\b(?:(?:ignore|ignora|ignorar|disregard|forget|override|esqueca|esquece|desconsidere|bypass)\b(?:\s\w+){0,5}?"
    r"\s(?:instructions?|instrucoes|instrucao|rules?|regras|prompts?|guidelines|diretrizes)"
    r"(?:\s(?:anteriores|above|before))?"
    r"|(?:show|print|reveal|repeat|mostre|mostra|revele|repita)(?:\s\w+){0,4}?\s(?:instructions|instrucoes|prompt)"
    r"|(?:system|sistema) prompt|prompt (?:de|do) sistema"
    r"|developer mode|modo desenvolvedor|jailbreak|you are now dan\b)"
)
_LEAVES = re.compile(
    r"\b(?:descadastr\w+|desinscrev\w+|unsubscribe\w*|no more (?:messages|texts)"
    r"|(?:tira\w*|remov\w+|exclu\w+|apaga\w*)(?:\s\w+){0,3}\s(?:lista|cadastro|contatos?|meu numero)"
    r"|(?:nao quero|nao desejo|par[ae]m?|chega)(?:\s\w+){0,4}\s(?:mensage\w+|msgs?|propagandas?)"
    r"|(?:take|remove|delete)\s(?:me|my (?:number|name))\s(?:off|from)"
    r"|(?:stop|quit)\s(?:texting|messaging|contacting|writing|sending)"
    r"|(?:don t|do not|never)(?:\s\w+){0,2}\s(?:text|message|contact|write(?: to)?) me)\b"
)
_TIRED = re.compile(
    r"^(?:\w+\s){0,2}(?:chega|cansei|basta|me deixa em paz|que saco|enough|leave me alone|i m (?:tired|sick) of this)\b"
)
_COMPANY_LOOK = re.compile(
    r"(?i)^(?:(?:a|o|da|do|é a|é o)\s+)?"
    r"(?:empresa|loja|padaria|restaurante|escrit[oó]rio|cl[ií]nica|farm[aá]cia|mercado)\s+\S"
    r"|\b(?:ltda|eireli|s/?a|inc|ltd|llc|mei|gmbh|corp)\.?$"
)
_ASKS_FOR_CONTENT = re.compile(
    r"\b(?:qual|quais|quant[oa]s?|como|onde|que|quem|quando|conta|diga|what|which|who|where|when|how|name)\b"
)
_BEGINS_A_REQUEST = re.compile(
    r"^(?:e |and |mas |but |oi |ok )*"
    r"(?:qual|quais|quant[oa]s?|qnt|qto|onde|quem|quando|como|por que|porque|tem|vcs|voces?|cade|faz|fazem|"
    r"quero|queria|preciso|precisava|gostaria|pode|podem|posso|me diga|me passa|me fala|me manda|"
    r"what|which|who|where|when|how|why|can|could|do|does|did|is|are|"
    r"i want|i need|i would|i d like|tell me|give me)\b"
)


def bare_reply(text: str, language: str) -> Bare | None:
    """Whether a text does nothing but agree or decline."""
    said = words(text, language)
    if not said:
        return Bare.OK if _THUMBS.search(text) else None
    if len(said) > _LONGEST_BARE or "?" in text:
        return None
    if any(each in _NO for each in said):
        return Bare.NO if all(each in _NO | _FILLERS | _THANKS | _YES for each in said) else None
    if any(each in _YES for each in said) and all(each in _YES | _FILLERS for each in said):
        return Bare.YES if any(each in _CLEARLY_YES for each in said) else Bare.OK
    return None


def declines_to_tell(text: str) -> bool:
    """Whether the person does not know or does not want to say what was asked."""
    return _DECLINES.match(fold(text)) is not None


def asks_what_is_next(text: str) -> bool:
    return _NEXT.match(fold(text)) is not None


def greets_again(text: str, language: str) -> bool:
    said = words(text, language)
    rest = without(GREETINGS[language], said)
    return rest != said and bool(rest) and not without(_AGAIN, rest)


def shows_distress(text: str) -> bool:
    return _DISTRESS.search(fold(text)) is not None


def wish_to_leave(text: str) -> float | None:
    """Return how sure it is that no more messages are wanted; None: nothing says so."""
    plain = fold(text)
    if _LEAVES.search(plain):
        return 0.95
    return 0.6 if _TIRED.search(plain) else None


def is_trickery(text: str) -> bool:
    return _TRICK.search(fold(text)) is not None


def without_trickery(text: str) -> str:
    """Return the text without the attempt to change the rules."""
    return _TRICK.sub(" ", fold(text))


def looks_like_a_company(text: str) -> bool:
    return _COMPANY_LOOK.search(text.strip()) is not None


def takes_yes_or_no(question: str) -> bool:
    """Whether yes or no would answer a question: it asks for no information."""
    plain = fold(question)
    return not _ASKS_FOR_CONTENT.search(plain) and " or " not in plain


def begins_a_request(text: str) -> bool:
    return "?" in text or _BEGINS_A_REQUEST.match(fold(text)) is not None
