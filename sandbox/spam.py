"""Signs of mass messages that no list of triggers has to name."""

import re

from sandbox.language import fold
from sandbox.prompted import Prompted

_LINK = re.compile(r"(?i)https?://|www\.|\b(?:bit\.ly|t\.me|wa\.me|tinyurl\.com|goo\.gl)/")
_MONEY_PER_TIME = re.compile(
    r"(?i)(?:\$|£|€|usd|r\$)\s?\d[\d.,]*\s*(?:k\s*)?(?:a|an|per|por|every|ao?)\s*(?:day|week|month|hour|dia|semana|m[eê]s|hora)\b"
)
_LURES = (
    *("ganhe dinheiro", "dinheiro facil", "renda extra", "lucro garantido", "sorteado", "premio", "emprestimo"),
    *("bitcoin", "cripto", "crypto", "investimento garantido", "clique", "multiplique", "compre seguidores", "pix de"),
    *("earn money", "easy money", "free money", "you have won", "winner", "prize", "guaranteed profit", "click here"),
    *(
        "click this link",
        "buy followers",
        "loan approved",
        "casino",
        "cassino",
        "aposte",
        "bonus gratis",
        "double your",
    ),
    *("work from home", "trabalhe de casa", "passive income", "renda passiva"),
)
_ADVERTS = (
    *("seo services", "seo service", "seo agency", "seo package", "servicos de seo", "agencia de seo", "backlinks"),
    *("first page of google", "top of google", "rank your website", "rank your site", "ranking on google"),
    *("primeira pagina do google", "topo do google", "boost your website", "increase your traffic"),
    *("we offer seo", "fazemos seo", "digital marketing agency"),
)
_OFFERS = re.compile(
    r"\b(?:(?:we|i) (?:offer|provide|can|help|do)|our|your (?:web)?site"
    r"|fazemos|oferecemos|colocamos|somos|nossos?|nossas?)\b"
)
_REPEATED = 4
_LONG_ENOUGH = 60


def looks_like_spam(prompted: Prompted) -> bool:
    """A link or earnings with a lure, three lures, an advert, or the same long text over and over."""
    text = prompted.text
    plain = fold(text)
    lures = sum(lure in plain for lure in _LURES)
    if lures >= 3 or (lures and (_LINK.search(text) or _MONEY_PER_TIME.search(text))):
        return True
    adverts = sum(advert in plain for advert in _ADVERTS)
    if adverts >= 2 or (adverts and _OFFERS.search(plain)):
        return True
    said = [fold(each.text) for each in prompted.history if each.speaker == "person"]
    said += [fold(message.text) for message in prompted.messages]
    return any(len(each) >= _LONG_ENOUGH and said.count(each) >= _REPEATED for each in said)
