"""The structured second versions: their form, their size, and that they carry every rule of the prose beside them.

Whether a model does the same with both, only a real model can show; these tests hold what can be held without one.
"""

import re
from pathlib import Path

import orjson
import pytest
import yaml

from prompts.pricing.prices import estimated_tokens
from prompts.templating.registry import PromptRegistry
from prompts.templating.source import PromptTemplate
from tests.models import schema_of

REGISTRY = PromptRegistry.read()
FORM = re.compile(
    r"ACTION: .+\n(?:STEP \d+ [A-Z]{3,} .+\n)+CONSTRAINTS:\n(?:- .+\n(?:  .+\n)*)+EXPECTED_OUTPUT: .+", re.MULTILINE
)
# By template and id of the rule: the words of version 1 that give it, and those of version 2 that carry it.
RULES: dict[str, dict[str, tuple[str, str]]] = yaml.safe_load(
    Path(__file__).with_name("structured_rules.yaml").read_text(encoding="utf-8")
)


def words_of(template: PromptTemplate) -> str:
    return " ".join(template.system.split())


def sentences_of(template: PromptTemplate) -> list[str]:
    """Paragraphs and list entries without their line ends, cut where a sentence ends."""
    entries = re.split(r"\n\s*\n|\n(?=\s*- )", template.system)
    return [part for entry in entries for part in re.split(r"(?<=[.;])\s", " ".join(entry.split())) if part]


@pytest.mark.parametrize("name", RULES)
def test_every_rule_of_the_prose_is_carried_by_the_structured_text(name: str) -> None:
    prose, structured = words_of(REGISTRY.get(name, 1)), words_of(REGISTRY.get(name, 2))
    schema = orjson.dumps(schema_of(name)).decode()
    for rule, (before, after) in RULES[name].items():
        assert before in prose, rule
        assert after.removeprefix("schema:") in (schema if after.startswith("schema:") else structured), rule


@pytest.mark.parametrize("name", RULES)
def test_no_sentence_of_the_prose_is_without_a_rule(name: str) -> None:
    for sentence in sentences_of(REGISTRY.get(name, 1)):
        rules = [before for before, _ in RULES[name].values()]
        assert any(before in sentence or sentence.rstrip(".;") in before for before in rules), sentence


@pytest.mark.parametrize("name", RULES)
def test_the_structured_text_adds_no_rule(name: str) -> None:
    for line in REGISTRY.get(name, 2).system.splitlines():
        if line == "CONSTRAINTS:" or line.startswith(("EXPECTED_OUTPUT:", "  ")):
            continue
        assert any(after in line for _, after in RULES[name].values()), line


@pytest.mark.parametrize("name", RULES)
def test_the_structured_text_has_its_form(name: str) -> None:
    template = REGISTRY.get(name, 2)
    assert FORM.fullmatch(template.system)
    assert "IF " in template.system
    assert template.chain[-1] == "structured_v1"
    assert template.render_user(template.input(line="L", conversation="C")) == REGISTRY.get(name, 1).render_user(
        template.input(line="L", conversation="C")
    )
    assert template.output is REGISTRY.get(name, 1).output
    assert template.settings == REGISTRY.get(name, 1).settings


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("measure", [estimated_tokens, len, lambda text: len(text.split())])
def test_the_structured_text_is_a_quarter_shorter_by_any_count(name: str, measure) -> None:  # type: ignore[no-untyped-def]
    """The estimate of tokens may be wrong; that it, characters and words agree says the ratio does not hang on it."""
    assert measure(REGISTRY.get(name, 2).system) <= 0.75 * measure(REGISTRY.get(name, 1).system)


def test_the_prose_stays_the_default_until_a_real_model_has_been_asked() -> None:
    assert {REGISTRY.default_version(name) for name in RULES} == {1}


def test_the_estimate_counts_what_encodings_cut() -> None:
    assert estimated_tokens("") == 0
    assert estimated_tokens("the next state") == 3
    assert estimated_tokens("next_state is 2026.\n") == 2 + 1 + 1 + 2 + 1
    assert estimated_tokens("responsibilities") == 2
    assert estimated_tokens("CONSTRAINTS") == 3
    assert estimated_tokens("coração") > estimated_tokens("coracao")
