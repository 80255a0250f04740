"""Which of the languages that customers write a text is in, by its function words; short texts stay undecided."""

import re
from collections.abc import Mapping

_WORD = re.compile(r"[^\W\d_]+")

# Words that are frequent in one of these languages and no word, or a rare one, in the others.
_FUNCTION_WORDS: Mapping[str, frozenset[str]] = {
    language: frozenset(words.split())
    for language, words in {
        "pt": (
            "não você vocês é são está estou também já até aqui isso muito com uma um os ao à às pela pelo em nos "
            "no na nas da do das dos que para sua seu sim obrigado obrigada bom dia boa tarde quero posso pode "
            "podemos nosso nossa mais ou quando onde como qual quais tem temos oi olá"
        ),
        "en": (
            "the and you your we our is are was were have has can could would will with for of to this that what "
            "when where how which please thanks thank hello hi yes not from at it do does an be or if"
        ),
        "es": (
            "el los las usted ustedes es está están también ya hasta aquí eso muy con una uno al del por sus sí "
            "gracias buenos días buenas tardes quiero puedo puede podemos nuestro nuestra más cuando donde cómo "
            "cuál tiene tenemos hola y pero"
        ),
    }.items()
}
# So many known words, and so much more of one language than of the next, before it is decided.
_FEWEST_WORDS = 2
_LEAD = 1.5


def likely_language(text: str) -> str | None:
    """`pt`, `en` or `es`, or None when the words do not say."""
    words = _WORD.findall(text.casefold())
    counts = sorted(
        ((sum(word in known for word in words), language) for language, known in _FUNCTION_WORDS.items()), reverse=True
    )
    (most, language), (next_most, _) = counts[:2]
    return language if most >= _FEWEST_WORDS and most >= next_most * _LEAD else None


def base_language(code: str) -> str:
    """`pt` of `pt-BR`."""
    return code.partition("-")[0].casefold()
