"""Quality of an answer: scores of named validators, each in [0, 1], and their weighted mean."""

from collections.abc import Mapping

from contracts.conversation import TaskRecord
from contracts.decisions import ResponseDraft
from contracts.guardrails import Finding, Rule
from contracts.language import likely_language

Scores = Mapping[str, float]

# The weights follow the harm: a false or forbidden sentence first, then a wrong language or form.
WEIGHTS: Scores = {"schema": 0.2, "language": 0.2, "length": 0.1, "grounding": 0.25, "constraint": 0.25}

# Characters of a reply that is read on a phone: a shorter one has no content, a longer one is not read to its end.
SHORTEST, LONGEST, UNREADABLE = 15, 700, 2_000

GROUNDING_RULES = frozenset({Rule.UNSUPPORTED_NUMBER, Rule.UNSUPPORTED_NAME, Rule.PERSONAL_DATA, Rule.LINK})


def quality_of(scores: Scores) -> float | None:
    """Return the weighted mean of the scores; None without any."""
    weight = sum(WEIGHTS[name] for name in scores)
    return round(sum(WEIGHTS[name] * score for name, score in scores.items()) / weight, 4) if weight else None


def scored(record: TaskRecord, scores: Scores) -> TaskRecord:
    """Return the record with these scores added."""
    together = {**record.scores, **scores}
    return record.model_copy(update={"scores": together, "quality": quality_of(together)})


def response_scores(draft: ResponseDraft, *, languages: frozenset[str]) -> Scores:
    """Score the length of a reply, and whether it is in one of the languages that fit the conversation."""
    scores = {"length": length_score(len(draft.text))}
    language = likely_language(draft.text)
    if language is not None and languages:
        scores["language"] = float(language in languages)
    return scores


def gate_scores(findings: tuple[Finding, ...]) -> Scores:
    """Return the findings of the guardrail gate as two scores: ungrounded facts, and broken rules."""
    ungrounded = any(finding.rule in GROUNDING_RULES for finding in findings)
    forbidden = any(finding.rule not in GROUNDING_RULES for finding in findings)
    return {"grounding": float(not ungrounded), "constraint": float(not forbidden)}


def length_score(characters: int) -> float:
    if characters < SHORTEST:
        return round(characters / SHORTEST, 4)
    return round(max(0.0, min(1.0, (UNREADABLE - characters) / (UNREADABLE - LONGEST))), 4)
