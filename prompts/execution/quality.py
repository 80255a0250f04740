"""How good an answer is: scores of named validators, each in [0, 1], and one figure made of them."""

from collections.abc import Mapping

from contracts.conversation import TaskRecord
from contracts.decisions import ResponseDraft
from contracts.guardrails import Finding, Rule
from prompts.language import likely_language

Scores = Mapping[str, float]

# What a person would mind most counts most: a false or forbidden sentence, then one in the wrong language or form.
WEIGHTS: Scores = {"schema": 0.2, "language": 0.2, "length": 0.1, "grounding": 0.25, "constraint": 0.25}

# A reply that is read on a phone: shorter says nothing, longer is not read to its end.
SHORTEST, LONGEST, UNREADABLE = 15, 700, 2_000

GROUNDING_RULES = frozenset({Rule.UNSUPPORTED_NUMBER, Rule.UNSUPPORTED_NAME, Rule.PERSONAL_DATA, Rule.LINK})


def quality_of(scores: Scores) -> float | None:
    """The weighted mean of what was scored; None when nothing was."""
    weight = sum(WEIGHTS[name] for name in scores)
    return round(sum(WEIGHTS[name] * score for name, score in scores.items()) / weight, 4) if weight else None


def scored(record: TaskRecord, scores: Scores) -> TaskRecord:
    """The record with these scores beside those it has."""
    together = {**record.scores, **scores}
    return record.model_copy(update={"scores": together, "quality": quality_of(together)})


def response_scores(draft: ResponseDraft, *, languages: frozenset[str]) -> Scores:
    """Of Task 2's text alone: its length, and whether it is in one of the languages that fit the conversation."""
    scores = {"length": length_score(len(draft.text))}
    language = likely_language(draft.text)
    if language is not None and languages:
        scores["language"] = float(language in languages)
    return scores


def gate_scores(findings: tuple[Finding, ...]) -> Scores:
    """What the guardrail gate found, as two scores: facts from nowhere, and rules that were broken."""
    ungrounded = any(finding.rule in GROUNDING_RULES for finding in findings)
    forbidden = any(finding.rule not in GROUNDING_RULES for finding in findings)
    return {"grounding": float(not ungrounded), "constraint": float(not forbidden)}


def length_score(characters: int) -> float:
    if characters < SHORTEST:
        return round(characters / SHORTEST, 4)
    return round(max(0.0, min(1.0, (UNREADABLE - characters) / (UNREADABLE - LONGEST))), 4)
