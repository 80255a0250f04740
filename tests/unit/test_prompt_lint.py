"""What `prosa prompts lint` and `test` find in templates that are sound and yet not as they should be."""

from pathlib import Path

import pytest

from prompts.templating.lint import findings, trials
from prompts.templating.registry import PromptRegistry
from tests.builders import pyloto
from tests.template_files import GREETS, STEP, child, read

SAMPLED = GREETS.replace("'{{ line }}'", "'{{ line }} {{ conversation }}'") + "samples:\n- name: s\n  input: {VALUES}\n"


def sampled(values: str, more: str = "") -> str:
    return SAMPLED.replace("VALUES", values) + more


GOOD = sampled("line: L, conversation: C")
USES = GOOD.replace("A{%", "{{ step('greet', whom='us') }}{%")
FILLED = child(2, "x_v1", "blocks: {a: B}\nsamples: [{name: s, input: {line: '', conversation: ''}}]\n")
INSTITUTION = "A Pyloto é uma empresa de Campinas que move coisas."


def test_the_templates_of_the_house_have_nothing_to_mend() -> None:
    registry = PromptRegistry.read()
    assert findings(registry, institution=pyloto().prompt_core) == []
    tried = trials(registry)
    assert [trial for trial in tried if trial.problems] == []
    assert {trial.of for trial in tried} == {
        *(template.label for template in registry.all()),
        *(step.source.key for step in registry.steps.all()),
    }


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"x_v1.yaml": USES, "x_v2.yaml": FILLED}, None),
        (
            {"x_v1.yaml": USES.replace("description: d", "description: ''"), "x_v2.yaml": FILLED},
            "x_v1.yaml:1: has no de",
        ),
        ({"x_v1.yaml": USES.replace("system: |", "system: | "), "x_v2.yaml": FILLED}, "x_v1.yaml:7: ends in spaces"),
        ({"x_v1.yaml": USES}, "x_v1.yaml:8: no template changes the block 'a'"),
        ({"x_v1.yaml": GOOD, "x_v2.yaml": FILLED}, "greet_v1.yaml:1: no template uses this step"),
        ({"x_v1.yaml": USES, "x_v3.yaml": child(3, "x_v1", "")}, "x_v3.yaml:2: x has no version 2"),
        ({"x_v2.yaml": USES.replace("version: 1", "version: 2")}, "x_v2.yaml:1: the default of x is version 1"),
        ({"x_v1.yaml": USES.replace(" {{ conversation }}", ""), "x_v2.yaml": FILLED}, "x_v1.yaml:9: never says 'conv"),
        ({"x_v1.yaml": USES + "steps: [{do: READ.}]\n", "x_v2.yaml": FILLED}, "has steps that no text places"),
        ({"x_v1.yaml": USES, "x_v2.yaml": child(2, "x_v1", "blocks: {a: B}\n")}, "x_v2.yaml:1: has no samples"),
        (
            {"x_v1.yaml": USES, "x_v2.yaml": FILLED.replace("a: B", "a: a Pyloto é uma empresa de campinas que move!")},
            "x_v2.yaml:5: repeats the institution: a pyloto é uma empresa de campinas que",
        ),
        (
            {"x_v1.yaml": USES, "x_v2.yaml": FILLED, "y_v1.yaml": GREETS.replace("name: x", "name: y\nabstract: true")},
            "y_v1.yaml:1: is abstract, and no template extends it",
        ),
    ],
)
def test_lint_names_the_place(tmp_path: Path, files: dict[str, str], expected: str | None) -> None:
    found = [str(one) for one in findings(read(tmp_path, files, {"greet_v1.yaml": STEP}), institution=INSTITUTION)]
    if expected is None:
        assert found == []
    else:
        assert any(one.startswith(expected) or expected in one for one in found), found


def test_a_step_that_nobody_tests_is_found(tmp_path: Path) -> None:
    registry = read(tmp_path, {"x_v1.yaml": USES}, {"greet_v1.yaml": STEP[: STEP.index("tests:")]})
    assert "greet_v1.yaml:1: has no tests" in map(str, findings(registry, institution=""))


@pytest.mark.parametrize(
    ("values", "more", "expected"),
    [
        ("line: L, conversation: C", "  contains: [A, L C]\n", None),
        ("line: L, conversation: C", "  contains: [B]\n", "does not contain 'B'"),
        ("line: L, conversation: C", "  excludes: [L C]\n", "contains 'L C'"),
        ("line: L", "", "the sample is no TurnInput: conversation: Field required"),
        ("line: L, conversation: C, more: M", "", "the sample is no TurnInput: more: Extra inputs"),
    ],
)
def test_a_sample_says_what_the_prompt_must_come_to(
    tmp_path: Path, values: str, more: str, expected: str | None
) -> None:
    (trial,) = trials(read(tmp_path, {"x_v1.yaml": sampled(values, more)}))
    assert "; ".join(trial.problems).startswith(expected or "")
    assert bool(trial.problems) is bool(expected)


def test_a_sample_limits_the_tokens(tmp_path: Path) -> None:
    for limit, fits in ((4, True), (3, False)):
        text = sampled("line: L, conversation: C", f"  max_tokens: {limit}\n")
        (trial,) = trials(read(tmp_path, {"x_v1.yaml": text}))
        assert trial.tokens == 4
        assert (trial.problems == ()) is fits


def test_a_step_gives_what_its_case_says(tmp_path: Path) -> None:
    wrong = STEP.replace("gives: GREET Ana.", "gives: HUG Ana.")
    (trial,) = trials(read(tmp_path, {}, {"greet_v1.yaml": wrong}))
    assert trial.problems == ("gives 'GREET Ana.', not 'HUG Ana.'",)
