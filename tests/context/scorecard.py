"""Prints how the gate does on every corpus: `python -m tests.context.scorecard [--misses]`."""

import itertools
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from context.constraints import Gate
from context.loader import load_institution
from contracts.guardrails import Finding, KnownFacts
from contracts.institution import Institution
from tests.context.corpus import (
    eighth_look,
    false_facts,
    fifth_look,
    fourth_look,
    harbour_dental,
    harmless,
    ninth_look,
    prices_and_closings,
    second_look,
    seventh_look,
    sixth_look,
    third_look,
)

DOCUMENTS = Path(__file__).parents[2] / "context" / "documents"
NOBODY = KnownFacts()
WRITTEN, HELD_OUT, SECOND, THIRD = "written", "held out", "held out 2", "held out 3"
BLIND = {
    "blind 1": fourth_look,
    "blind 2": fifth_look,
    "blind 3": sixth_look,
    "blind 4": seventh_look,
    "blind 5": eighth_look,
    "blind 6": ninth_look,
}


@dataclass(frozen=True)
class Corpus:
    name: str
    texts: tuple[str, ...]
    institution: str
    blocked: bool
    part: str = WRITTEN
    person: tuple[str, ...] = ()  # what the person wrote before each text; nothing when empty


@dataclass(frozen=True)
class Score:
    """How a corpus came out; `misses` are the texts that came out the other way."""

    corpus: Corpus
    misses: tuple[str, ...]
    why: tuple[tuple[Finding, ...], ...]
    milliseconds: tuple[float, ...]

    @property
    def right(self) -> float:
        """The share, in [0, 1], that came out as it should."""
        return 1 - len(self.misses) / len(self.corpus.texts)

    def percentile(self, share: float) -> float:
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def institution(name: str) -> Institution:
    return load_institution(DOCUMENTS / name)


def corpora() -> tuple[Corpus, ...]:
    pyloto, harbour = institution("pyloto"), institution("harbour_dental")
    return (
        Corpus("prices and closings", prices_and_closings.drafts(), "pyloto", blocked=True),
        Corpus("prices and closings", prices_and_closings.held_out_drafts(), "pyloto", blocked=True, part=HELD_OUT),
        Corpus("harmless", harmless.replies(own_texts(pyloto)), "pyloto", blocked=False),
        Corpus("harmless", harmless.held_out_replies(), "pyloto", blocked=False, part=HELD_OUT),
        Corpus("false facts", false_facts.replies(), "pyloto", blocked=True),
        Corpus("false facts", false_facts.held_out_replies(), "pyloto", blocked=True, part=HELD_OUT),
        Corpus("forbidden", second_look.FORBIDDEN, "pyloto", blocked=True, part=SECOND),
        Corpus("harmless", second_look.HARMLESS, "pyloto", blocked=False, part=SECOND),
        Corpus("false facts", second_look.FALSE, "pyloto", blocked=True, part=SECOND),
        Corpus("forbidden", third_look.FORBIDDEN, "pyloto", blocked=True, part=THIRD),
        Corpus("harmless", third_look.HARMLESS, "pyloto", blocked=False, part=THIRD),
        Corpus("false facts", third_look.FALSE, "pyloto", blocked=True, part=THIRD),
        Corpus("forbidden", harbour_dental.FORBIDDEN, "harbour_dental", blocked=True),
        Corpus("forbidden", harbour_dental.HELD_OUT_FORBIDDEN, "harbour_dental", blocked=True, part=HELD_OUT),
        Corpus("harmless", (*harbour_dental.HARMLESS, *own_texts(harbour)), "harbour_dental", blocked=False),
        Corpus("harmless", harbour_dental.HELD_OUT_HARMLESS, "harbour_dental", blocked=False, part=HELD_OUT),
        Corpus("false facts", harbour_dental.FALSE, "harbour_dental", blocked=True),
        Corpus("false facts", harbour_dental.HELD_OUT_FALSE, "harbour_dental", blocked=True, part=HELD_OUT),
        *(corpus for part, blind in BLIND.items() for corpus in _blind_corpora(part, blind)),
    )


def _blind_corpora(part: str, blind: ModuleType) -> Iterator[Corpus]:
    """The corpora of a part that was written whole before the gate was run on it."""
    yield Corpus("forbidden, pt", blind.FORBIDDEN_PT, "pyloto", blocked=True, part=part)
    yield Corpus("forbidden, en", blind.FORBIDDEN_EN, "pyloto", blocked=True, part=part)
    yield Corpus("forbidden, en", blind.FORBIDDEN_EN, "harbour_dental", blocked=True, part=part)
    yield Corpus("harmless", blind.HARMLESS, "pyloto", blocked=False, part=part)
    wrote, replies = zip(*blind.ECHOES, strict=True)
    yield Corpus("echoes", replies, "pyloto", blocked=False, part=part, person=wrote)
    yield Corpus("harmless", blind.HARMLESS_HARBOUR, "harbour_dental", blocked=False, part=part)
    yield Corpus("false facts", blind.FALSE, "pyloto", blocked=True, part=part)
    yield Corpus("false facts", blind.FALSE_HARBOUR, "harbour_dental", blocked=True, part=part)


def own_texts(one: Institution) -> tuple[str, ...]:
    """What the documents themselves would say: canonical answers and fixed texts."""
    return (*(intent.answer for intent in one.intents), *one.texts.values())


def score(corpus: Corpus, gate: Gate) -> Score:
    misses, why, milliseconds = [], [], []
    for text, wrote in itertools.zip_longest(corpus.texts, corpus.person):
        known = NOBODY if wrote is None else KnownFacts(person_texts=(wrote,))
        start = time.perf_counter()
        findings = gate.check([text], known)
        milliseconds.append((time.perf_counter() - start) * 1000)
        if bool(findings) is not corpus.blocked:
            misses.append(text)
            why.append(findings)
    return Score(corpus, tuple(misses), tuple(why), tuple(milliseconds))


def long_draft_ms(gate: Gate, texts: Sequence[str], *, length: int = 1000, runs: int = 50) -> tuple[float, float]:
    """Median and least time of checking a draft of `length` characters, put together from `texts`."""
    draft = "\n".join(texts)[:length]
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        gate.check([draft], NOBODY)
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times), min(times)


HOSTILE = (
    "a" * 1000, "1" * 1000, "1 " * 500, "a " * 500, "$ " * 500, "por em de a " * 83, "custa " * 166, "vinte e " * 142,
    "mil e " * 166, "a.b." * 250, "a@" * 500, "http://" * 142, "<a" * 500, "8h " * 333, "das 8 as " * 111, "A" * 1000,
    "Ab" * 500, "segunda a " * 100, "valor " + "x" * 994, "\"'" * 500, "fica em por de a uns " * 47, "-_." * 333,
    "1.1" * 333, "1:1" * 333, "+(1)" * 250, "nao posso " * 100, "\u200b" * 1000, "а" * 1000, "５" * 1000, "🅰" * 1000,
)  # fmt: skip


def main() -> None:
    gates = {name: Gate(institution(name)) for name in ("pyloto", "harbour_dental")}
    show_misses = "--misses" in sys.argv
    print(f"{'institution':<15}{'corpus':<21}{'part':<11}{'n':>6}{'right':>9}{'p50 ms':>9}{'p99 ms':>9}")
    for corpus in corpora():
        result = score(corpus, gates[corpus.institution])
        wanted = "blocked" if corpus.blocked else "passed"
        print(
            f"{corpus.institution:<15}{corpus.name:<21}{corpus.part:<11}{len(corpus.texts):>6}{result.right:>8.1%}"
            f"{result.percentile(0.5):>9.2f}{result.percentile(0.99):>9.2f}  {wanted}"
        )
        if show_misses:
            for text, findings in zip(result.misses, result.why, strict=True):
                print(f"    {text!r}  {[f'{one.rule}: {one.excerpt}' for one in findings]}")
    gate = gates["pyloto"]
    drafts = {"facts": harmless.replies(()), "talk": (*harmless.HELD_OUT_HAND_WRITTEN, *harmless.HAND_WRITTEN)}
    for name, texts in drafts.items():
        median, least = long_draft_ms(gate, texts)
        print(f"1,000 characters of harmless {name}: median {median:.2f} ms, least {least:.2f} ms")
    worst = max(HOSTILE, key=lambda text: long_draft_ms(gate, [text], runs=5)[1])
    median, least = long_draft_ms(gate, [worst], runs=20)
    print(f"1,000 hostile characters, the slowest ({worst[:9]!r}...): median {median:.2f} ms, least {least:.2f} ms")


if __name__ == "__main__":
    main()
