"""Portuguese and English as people type them: folded, abbreviations written out, words cut to their stems."""

import re
import unicodedata
from functools import lru_cache

# The three calls of a turn look at the same texts, and at those of the institution at every turn.
KEPT_TEXTS = 10_000

_ABBREVIATIONS = {
    "vc": "voce",
    "vcs": "voces",
    "oq": "o que",
    "q": "que",
    "pq": "porque",
    "tb": "tambem",
    "tbm": "tambem",
    "blz": "beleza",
    "obg": "obrigado",
    "obgd": "obrigado",
    "obrigada": "obrigado",
    "brigado": "obrigado",
    "brigada": "obrigado",
    "vlw": "valeu",
    "td": "tudo",
    "hj": "hoje",
    "msg": "mensagem",
    "msm": "mesmo",
    "n": "nao",
    "ngm": "ninguem",
    "qro": "quero",
    "qto": "quanto",
    "qnto": "quanto",
    "qt": "quanto",
    "qd": "quando",
    "qdo": "quando",
    "cmg": "comigo",
    "pf": "por favor",
    "pfv": "por favor",
    "pra": "para",
    "pro": "para",
    "ta": "esta",
    "to": "estou",
    "cade": "onde esta",
    "ai": "ai",
    "tel": "telefone",
    "whats": "whatsapp",
    "zap": "whatsapp",
    "end": "endereco",
    "thx": "thanks",
    "ty": "thanks",
    "pls": "please",
    "plz": "please",
    "u": "you",
    "r": "are",
    "appt": "appointment",
    "im": "i am",
}
_PORTUGUESE_ONLY = frozenset({"to", "end", "n", "q", "ai", "pro", "ta"})
_PORTUGUESE_STOP_WORDS = """
a o e os as um uma uns umas de do da dos das em no na nos nas para por com sem que se eu voce voces ele ela me
meu minha meus minhas seu sua te lhe isso isto esse essa este esta estou estao sou sao ser ter tem tenho ja so
mais muito ai la aqui como qual quais quando quero queria preciso precisa gostaria pode posso poderia faz
fazem fazer vai vou ir ao aos ou mas tambem favor oi hoje agora gente ate quanto onde tudo sobre saber nao
mesmo entao ainda ok
"""
_ENGLISH_STOP_WORDS = """
also too a an the and or of to in on at for with from by i you we they he she it my your our is are am be been do does
did can could would will shall may have has had me us this that these those there here what which when where
how who please than more again ok need want like get so just if but as about any some not no don t s m re ve ll
"""
_STOP = {"pt": frozenset(_PORTUGUESE_STOP_WORDS.split()), "en": frozenset(_ENGLISH_STOP_WORDS.split())}
GREETINGS = {
    "pt": ("bom dia", "boa tarde", "boa noite", "tudo bem", "tudo bom", "e ai", "ola", "oie", "oi", "opa", "salve"),
    "en": ("good morning", "good afternoon", "good evening", "hi there", "hello", "hey", "hiya", "hi"),
}
THANKS = {
    "pt": ("muito obrigado", "obrigado", "valeu", "por favor", "beleza", "agradeco"),
    "en": ("thank you", "thanks", "please", "cheers"),
}
_SUFFIXES = {
    "pt": (
        *("amentos", "imentos", "amento", "imento", "adores", "adoras", "idores", "acoes", "icoes", "mente"),
        *("adora", "ador", "edor", "idor", "acao", "icao", "ando", "endo", "indo", "amos", "emos", "imos", "avam"),
        *("aram", "eram", "iram", "aria", "eria", "iria", "ados", "adas", "idos", "idas", "ado", "ada", "ido", "ida"),
        *("ava", "iam", "oes", "aes", "ais", "eis", "ou", "ar", "er", "ir", "am", "em", "ei", "eu", "iu", "ao", "al"),
        *("as", "os", "es", "a", "o", "e", "s", "i", "r"),
    ),
    "en": (
        *("ations", "ation", "ments", "ment", "ings", "ing", "edly", "ies", "ied", "ers", "ed", "es", "er", "ly", "s"),
        *("y", "e"),
    ),
}
_NOT_A_WORD = re.compile(r"[^a-z0-9]+")
_CONSONANTS = re.compile(r"[bcdfghjklmnpqrstvwxz]{5,}")


def family(language: str) -> str:
    return "en" if language.casefold().startswith("en") else "pt"


@lru_cache(maxsize=KEPT_TEXTS)
def fold(text: str) -> str:
    """Lower case without accents and punctuation, one space between words."""
    plain = "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))
    return _NOT_A_WORD.sub(" ", plain.casefold()).strip()


def words(text: str, language: str) -> list[str]:
    """The words of a text, with the abbreviations of chats written out."""
    return list(_words(text, language))


@lru_cache(maxsize=KEPT_TEXTS)
def _words(text: str, language: str) -> tuple[str, ...]:
    written_out: list[str] = []
    for word in fold(text).split():
        longer = _ABBREVIATIONS.get(word, word)
        if language == "en" and word in _PORTUGUESE_ONLY:
            longer = word
        written_out.extend(longer.split())
    return tuple(written_out)


def is_stop_word(word: str, language: str) -> bool:
    return word in _STOP[language]


@lru_cache(maxsize=20_000)
def stem(word: str, language: str) -> str:
    """The beginning that the forms of a word share, at least three letters of it."""
    if len(word) <= 3 or word.isdigit():
        return word
    if language == "en" and word.endswith(("oes", "ches", "shes")):
        word = word[:-2]
    for suffix in _SUFFIXES[language]:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            word = word.removesuffix(suffix)
            break
    if language == "en" and len(word) > 3 and word[-1] == word[-2] and word[-1] not in "ls":
        word = word[:-1]
    return word


def without(phrases: tuple[str, ...], text: list[str]) -> list[str]:
    """The words that remain when these phrases are taken out."""
    joined = f" {' '.join(text)} "
    for phrase in phrases:
        joined = joined.replace(f" {phrase} ", " ")
    return joined.split()


def is_gibberish(text: str) -> bool:
    """No word that could be one: keyboard noise, or nothing but signs."""
    letters = fold(text)
    return not letters or all(_CONSONANTS.search(word) or len(set(word)) == 1 < len(word) for word in letters.split())
