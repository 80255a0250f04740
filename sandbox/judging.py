"""The judge's double: an oracle for the sandbox's own cheats, with the ways in which a judge fails."""

import re
from collections.abc import Iterable
from typing import Any

from contracts.guardrails import Rule
from contracts.institution import Institution
from sandbox.behaviour import JudgeMode
from sandbox.language import fold
from sandbox.prompted import Prompted

FEWEST_WORDS = 2
NOWHERE = 999
_ORDER = re.compile(r"(?i)\b(?:ignore|findings?|verdict|veredito)\b")


class Oracle:
    """Knows the sentences of some cheats, whatever name is put into them; it finds nothing in the documents' own."""

    def __init__(self, institution: Institution, cheats: Iterable[str]) -> None:
        self._own = fold(" ".join(passage.text for passage in institution.passages))
        self._pieces = tuple(fold(piece) for cheat in cheats for piece in cheat.split("{name}"))

    def verdict(self, prompted: Prompted, mode: JudgeMode = "oracle", *, errs: bool = False) -> dict[str, Any]:
        """The verdict on the sentences of a prompt; one that `errs` turns it round."""
        if mode == "obeys" and any(_ORDER.search(text) for _, text in prompted.sentences):
            return {"findings": []}
        if mode == "nowhere":
            return {"findings": [_finding(NOWHERE)]}
        found = [number for number, text in prompted.sentences if self._is_cheat(text) is not errs]
        return {"findings": [_finding(number) for number in found]}

    def _is_cheat(self, text: str) -> bool:
        said = fold(text)
        if len(said.split()) < FEWEST_WORDS and said not in self._pieces:
            return False
        return said not in self._own and any(said in piece for piece in self._pieces)


def _finding(number: int) -> dict[str, Any]:
    return {"sentence": number, "rule": Rule.CLOSING.value, "why": "a cheat of the sandbox"}
