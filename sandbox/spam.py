"""Signs of mass messages that no list of triggers has to name."""

import re

from sandbox.language import fold
from sandbox.prompted import Prompted

_LINK = re.compile(r"(?i)https?://|www\.|\b(?:bit\.ly|t\.me|wa\.me|tinyurl\.com|goo\.gl)/")
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
)
_REPEATED = 4
_LONG_ENOUGH = 20


def looks_like_spam(prompted: Prompted) -> bool:
    """A link beside a lure, three lures, or the same longer text over and over."""
    text = prompted.text
    plain = fold(text)
    lures = sum(lure in plain for lure in _LURES)
    if lures >= 3 or (lures and _LINK.search(text)):
        return True
    said = [fold(each.text) for each in prompted.history if each.speaker == "person"]
    said += [fold(message.text) for message in prompted.messages]
    return any(len(each) >= _LONG_ENOUGH and said.count(each) >= _REPEATED for each in said)
