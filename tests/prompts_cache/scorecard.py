"""How the levels do on the labelled pairs: `python -m tests.prompts_cache.scorecard [--misses]`.

A pair counts as a hit when the answer to its first question would be given to its second one. `exact` is the exact
level's normalised text alone; `cosine` is the embedding of the raw texts alone at 0.95; `gate` the same content alone.
`semantic` is that level as it is: both texts in one spelling reach 0.95, say the same, and are made of known words.
"""

import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from adapters.models.onnx_embedder import load_embedder
from context.loader import load_institution
from prompts.caching.answers import SIMILARITY
from prompts.caching.content import Content, Vocabulary, normalised, vocabulary
from tests.builders import DOCUMENTS
from tests.prompts_cache.corpus import PORTUGUESE, Pair, edits, hand_written_traps, paraphrases, reversals, traps

EMBEDDER = "all-MiniLM-L6-v2"
AT_ONCE = 64


@dataclass(frozen=True)
class Verdict:
    """What each level says of a pair."""

    pair: Pair
    exact: bool
    raw_cosine: float
    cosine: float
    gate: bool
    known_words: bool

    @property
    def near(self) -> bool:
        return self.raw_cosine >= SIMILARITY

    @property
    def semantic(self) -> bool:
        return self.cosine >= SIMILARITY and self.gate and self.known_words

    @property
    def hit(self) -> bool:
        return self.exact or self.semantic


@cache
def vocabulary_of(language: str) -> Vocabulary:
    name = "pyloto" if language == PORTUGUESE else "harbour_dental"
    return vocabulary(tuple(load_institution(DOCUMENTS / name).documents.values()))


def judged(pairs: Iterable[Pair], embedder: str = EMBEDDER) -> list[Verdict]:
    """Every pair with what the levels say of it."""
    pairs = list(pairs)
    texts = {text for pair in pairs for text in (pair.first, pair.second)}
    texts |= {_content(text, pair.language).text for pair in pairs for text in (pair.first, pair.second)}
    vectors = embedded(sorted(texts), embedder)
    return [_verdict(pair, vectors) for pair in pairs]


def _verdict(pair: Pair, vectors: dict[str, np.ndarray]) -> Verdict:
    first, second = _content(pair.first, pair.language), _content(pair.second, pair.language)
    return Verdict(
        pair,
        exact=normalised(pair.first) == normalised(pair.second),
        raw_cosine=float(vectors[pair.first] @ vectors[pair.second]),
        cosine=float(vectors[first.text] @ vectors[second.text]),
        gate=first.signature == second.signature,
        known_words=first.is_common and second.is_common,
    )


@cache
def _content(text: str, language: str) -> Content:
    return vocabulary_of(language).content(text, language=language)


def embedded(texts: Sequence[str], embedder: str) -> dict[str, np.ndarray]:
    model = load_embedder(embedder)
    vectors: dict[str, np.ndarray] = {}
    for start in range(0, len(texts), AT_ONCE):
        part = list(texts[start : start + AT_ONCE])
        vectors |= {text: np.frombuffer(raw, dtype="<f4") for text, raw in zip(part, model.vectors(part), strict=True)}
    return vectors


def share(verdicts: Sequence[Verdict], level: str) -> str:
    hits = sum(getattr(verdict, level) for verdict in verdicts)
    return f"{hits} {hits / len(verdicts):>7.2%}"


LEVELS = {"exact": "exact", "cosine": "near", "gate": "gate", "semantic": "semantic", "exact or semantic": "hit"}


def print_table(title: str, verdicts: Sequence[Verdict]) -> None:
    print(f"\n{title}")
    print(f"{'kind':<22}{'language':<9}{'n':>6}" + "".join(f"{name:>18}" for name in LEVELS) + f"{'median cosine':>15}")
    groups: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in verdicts:
        groups.setdefault((verdict.pair.kind, verdict.pair.language), []).append(verdict)
    for (kind, language), group in [*groups.items(), (("all", ""), list(verdicts))]:
        levels = "".join(f"{share(group, level):>18}" for level in LEVELS.values())
        median = statistics.median(one.raw_cosine for one in group)
        print(f"{kind:<22}{language:<9}{len(group):>6}{levels}{median:>15.2f}")


def main() -> None:
    embedder = next((argument for argument in sys.argv[1:] if not argument.startswith("-")), EMBEDDER)
    print(f"{embedder}, cosine >= {SIMILARITY}")
    print_table("Must share an answer: typed differently", judged(edits(), embedder))
    print_table("May share an answer: paraphrases, written by hand", judged(paraphrases(), embedder))
    every = judged([*traps(), *reversals(), *hand_written_traps()], embedder)
    print_table("Must not share an answer: traps", every)
    if "--misses" in sys.argv:
        for verdict in every:
            if verdict.hit or verdict.gate:
                level = "exact" if verdict.exact else "semantic" if verdict.semantic else "gate alone"
                print(f"  {level}: {verdict.pair.first!r} / {verdict.pair.second!r} {verdict.cosine:.3f}")


if __name__ == "__main__":
    main()
