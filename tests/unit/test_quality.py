"""Scores of answers, the language of a text, and what a strategy makes of a request."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.conversation import TaskName
from contracts.decisions import ResponseDraft
from contracts.guardrails import Finding, PartKind, ReplyPart, Rule
from contracts.institution import RECOGNISED_LANGUAGES
from contracts.language import FunctionWords, base_language, likely_language
from contracts.ports import Effort, ModelRequest
from prompts.execution.executor import PromptTask, Strategies, Strategy, takes_effort
from prompts.execution.quality import WEIGHTS, gate_scores, length_score, quality_of, response_scores
from tests.builders import pyloto


def test_the_weights_are_whole() -> None:
    assert sum(WEIGHTS.values()) == pytest.approx(1)


@given(st.dictionaries(st.sampled_from(sorted(WEIGHTS)), st.floats(0, 1), min_size=1))
def test_quality_lies_between_the_worst_and_the_best_score(scores: dict[str, float]) -> None:
    quality = quality_of(scores)
    assert quality is not None
    assert min(scores.values()) - 1e-4 <= quality <= max(scores.values()) + 1e-4


def test_what_nobody_scored_has_no_quality() -> None:
    assert quality_of({}) is None


@given(st.integers(0, 9_000))
def test_length_is_best_in_the_middle(characters: int) -> None:
    score = length_score(characters)
    assert 0 <= score <= 1
    assert (score == 1) == (15 <= characters <= 700)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Oi! Como posso ajudar você hoje?", "pt"),
        ("Não temos essa informação, mas um colega responde em seguida.", "pt"),
        ("Hello! How can we help you today?", "en"),
        ("¿En qué puedo ayudarle? Nuestro equipo está aquí.", "es"),
        ("Ok", None),
        ("123 456", None),
        ("", None),
    ],
)
def test_function_words_tell_the_language(text: str, language: str | None) -> None:
    assert likely_language(text) == language


def test_the_institutions_own_answers_are_in_its_language() -> None:
    found = [likely_language(intent.answer) for intent in pyloto().intents]
    assert set(found) <= {"pt", None}
    assert found.count("pt") > 0.8 * len(found)


def said(text: str) -> ResponseDraft:
    return ResponseDraft(parts=(ReplyPart(says=PartKind.GREET, text=text),))


def test_a_reply_in_another_language_than_the_conversations_scores_nothing_for_it() -> None:
    draft = said("Hello! How can we help you today?")
    assert response_scores(draft, languages=frozenset({"pt"}))["language"] == 0
    assert response_scores(draft, languages=frozenset({"pt", "en"}))["language"] == 1
    assert "language" not in response_scores(said("Ok"), languages=frozenset({"pt"}))
    assert base_language("pt-BR") == "pt"


def test_the_gates_findings_are_two_scores() -> None:
    assert gate_scores(()) == {"grounding": 1, "constraint": 1}
    assert gate_scores((Finding(rule=Rule.PRICE, excerpt="x"),)) == {"grounding": 1, "constraint": 0}
    assert gate_scores((Finding(rule=Rule.UNSUPPORTED_NUMBER, excerpt="x"),)) == {"grounding": 0, "constraint": 1}


REQUEST = ModelRequest(
    model="claude-haiku-5-5",
    system=(),
    user="x",
    schema_name="s",
    output_schema={},
    max_tokens=1,
    timeout=timedelta(seconds=1),
)
BOTH = Strategies(economy_model="claude-haiku-5-5-mini", quality_model="claude-opus-5-5")


@pytest.mark.parametrize(
    ("strategy", "task", "own", "model", "effort"),
    [
        (Strategy.BALANCED, TaskName.STATE, "claude-sonnet-5-5", "claude-sonnet-5-5", None),
        (Strategy.COST, TaskName.STATE, "claude-sonnet-5-5", "claude-haiku-5-5-mini", None),
        (Strategy.SPEED, TaskName.RESPONSE, "claude-sonnet-5-5", "claude-sonnet-5-5", Effort.LOW),
        (Strategy.SPEED, TaskName.RESPONSE, "claude-haiku-5-5", "claude-haiku-5-5", None),
        (Strategy.QUALITY, TaskName.RESPONSE, "claude-haiku-5-5", "claude-opus-5-5", Effort.HIGH),
        (Strategy.QUALITY, TaskName.MESSAGE_TYPE, "claude-haiku-5-5", "claude-haiku-5-5", None),
    ],
)
def test_a_strategy_chooses_model_and_effort(
    strategy: Strategy, task: TaskName, own: str, model: str, effort: Effort | None
) -> None:
    asked = BOTH(PromptTask(task, "t", REQUEST.model_copy(update={"model": own}), str, strategy=strategy)).request
    assert (asked.model, asked.effort) == (model, effort)


@pytest.mark.parametrize("strategy", list(Strategy))
def test_without_other_models_a_strategy_asks_the_tasks_own(strategy: Strategy) -> None:
    assert Strategies()(PromptTask(TaskName.STATE, "t", REQUEST, str, strategy=strategy)).request.model == REQUEST.model


def test_effort_goes_only_where_it_is_known_to_be_taken() -> None:
    assert [takes_effort(f"claude-{name}") for name in ("opus-5-5", "sonnet-5-5", "haiku-5-5", "of-the-future")] == [
        True,
        True,
        False,
        False,
    ]


def test_documents_may_be_translated_to_the_languages_that_are_recognised() -> None:
    assert sorted(FunctionWords.model_fields) == sorted(RECOGNISED_LANGUAGES)
