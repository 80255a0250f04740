"""Template files: what they may say, what they inherit, and the words in which a mistake stops the start."""

import re
import string
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from contracts.errors import ConfigurationError, PromptNotFoundError
from prompts.templating.lint import trials
from prompts.templating.registry import TEMPLATES_FOLDER, PromptRegistry
from prompts.templating.source import PromptTemplate, TranscriptInput, TurnInput
from tests.template_files import GREETS, HEAD, ROOT, STEP, child, read


def test_a_child_changes_blocks_and_takes_the_rest_from_above(tmp_path: Path) -> None:
    registry = read(
        tmp_path,
        {
            "x_v1.yaml": GREETS,
            "x_v2.yaml": child(2, "x_v1", "blocks: {a: 'B, {% block b %}b{% endblock %}, {{ super() }}'}\n"),
            "x_v3.yaml": child(3, "x_v2", "settings: {max_tokens: 20}\nblocks: {b: C}\n"),
        },
    )
    newest = registry.get("x", 3)
    assert newest.system == "B, C, A"
    assert newest.settings.max_tokens == 20
    assert registry.get("x", 2).settings.max_tokens == 10
    assert newest.chain == ("x_v3", "x_v2", "x_v1")
    assert newest.render_user(TurnInput(line="{{ line }}", conversation="")) == "{{ line }}"


def test_what_is_inherited_is_part_of_the_hash(tmp_path: Path) -> None:
    heir = child(2, "x_v1", "")
    before = read(tmp_path, {"x_v1.yaml": GREETS, "x_v2.yaml": heir}).get("x", 2)
    after = read(tmp_path, {"x_v1.yaml": GREETS.replace("}A{", "}Z{"), "x_v2.yaml": heir}).get("x", 2)
    described = read(
        tmp_path, {"x_v1.yaml": GREETS, "x_v2.yaml": heir.replace("description: d", "description: e")}
    ).get("x", 2)
    assert before.label != after.label
    assert before.label == described.label
    user = GREETS.replace("'{{ line }}'", "'{{ line }}!'")
    assert read(tmp_path, {"x_v1.yaml": user, "x_v2.yaml": heir}).get("x", 2).hash != before.hash


def test_steps_are_numbered_and_shared_ones_filled_in(tmp_path: Path) -> None:
    steps = "steps:\n- do: READ it.\n- {step: greet, with: {whom: them}}\n"
    text = GREETS.replace("A{% endblock %}", "{{ steps }}\n  {{ step('greet_v1', whom='us') }}{% endblock %}") + steps
    template = read(tmp_path, {"x_v1.yaml": text}, {"greet_v1.yaml": STEP}).get("x")
    assert template.system == "STEP 1 READ it.\nSTEP 2 GREET them.\nGREET us."
    assert set(template.steps_used) == {"greet_v1"}


def test_an_abstract_template_is_there_to_be_extended(tmp_path: Path) -> None:
    base = GREETS.replace("description: d", "description: d\nabstract: true").replace("block a ", "block a required ")
    base = base.replace("A{%", "{%")
    registry = read(tmp_path, {"x_v1.yaml": base, "x_v2.yaml": child(2, "x_v1", "blocks: {a: B}\n")})
    assert [template.version for template in registry.all()] == [2]
    assert not registry.has("x", 1)
    with pytest.raises(ConfigurationError, match=r"x_v1.yaml:\d+: Required block 'a' not found \(x_v3 -> x_v1\)"):
        read(tmp_path, {"x_v1.yaml": base, "x_v3.yaml": child(3, "x_v1", "")})


def test_a_file_without_a_version_in_its_name_serves_every_version(tmp_path: Path) -> None:
    registry = read(tmp_path, {"x.yaml": GREETS, "x_v2.yaml": GREETS.replace("version: 1", "version: 2")})
    assert registry.get("x", 7).file.name == "x.yaml"
    assert registry.get("x", 2).file.name == "x_v2.yaml"
    assert registry.get("x").version == 1
    with pytest.raises(PromptNotFoundError, match="no template 'y' version 1; there are: x v1, x v2"):
        registry.get("y")
    only = read(tmp_path, {"x_v1.yaml": GREETS})
    with pytest.raises(PromptNotFoundError, match="version 2"):
        only.get("x", 2)


BAD = {
    "no yaml": ({"x_v1.yaml": "name: [1, 2}\n"}, "x_v1.yaml:1: "),
    "not utf-8": ({"x_v1.yaml": "name: \x00"}, "x_v1.yaml:1: "),
    "empty": ({"x_v1.yaml": ""}, "x_v1.yaml:1: "),
    "an unknown key": ({"x_v1.yaml": GREETS + "more: 1\n"}, "x_v1.yaml:10: more: Extra inputs"),
    "a key twice": ({"x_v1.yaml": GREETS + "name: y\n"}, "x_v1.yaml:10: name stands twice"),
    "a bad value": ({"x_v1.yaml": GREETS.replace("max_tokens: 10", "max_tokens: 0")}, "x_v1.yaml:6: settings.max_tok"),
    "another name": ({"y_v1.yaml": GREETS}, "y_v1.yaml:1: says it is x version 1; rename one of them"),
    "another version": ({"x_v2.yaml": GREETS}, "says it is x version 1; rename one of them"),
    "one version in two files": ({"x.yaml": GREETS, "x_v1.yaml": GREETS}, "x_v1.yaml:2: x_v1 is also in x.yaml"),
    "no system": ({"x_v1.yaml": (HEAD + ROOT).format(name="x", version=1) + "user: u\n"}, "x_v1.yaml:1: 'system' is"),
    "no input": ({"x_v1.yaml": GREETS.replace("input: TurnInput\n", "")}, "'input' is missing; there are: Transcript"),
    "an unknown input": (
        {"x_v1.yaml": GREETS.replace("input: TurnInput", "input: Turn")},
        "x_v1.yaml:4: there is no input Turn; there are: TranscriptInput, TurnInput",
    ),
    "an unknown output": (
        {"x_v1.yaml": GREETS.replace("ResponseDraft", "Letter")},
        "x_v1.yaml:5: there is no output Letter",
    ),
    "no settings": ({"x_v1.yaml": GREETS.replace("settings: {max_tokens: 10}\n", "")}, "'settings' is missing"),
    "bad syntax": ({"x_v1.yaml": GREETS.replace("A{%", "A {% if %}{%")}, "x_v1.yaml:8: Expected an expression"),
    "a value that is not there": (
        {"x_v1.yaml": GREETS.replace("'{{ line }}'", "|\n  {{ line }}\n\n  {{ name }}")},
        "x_v1.yaml:12: there is no 'name': TurnInput has line, conversation",
    ),
    "a part that text has not": (
        {"x_v1.yaml": GREETS.replace("'{{ line }}'", "'{% if line %}{{ line.id }}{% endif %}'")},
        "x_v1.yaml:9: 'line' is text and has no 'id'",
    ),
    "something that varies in the prefix": (
        {"x_v1.yaml": GREETS.replace("A{%", "{{ conversation }}{%")},
        "x_v1.yaml:8: there is no 'conversation': 'system' is the same for everybody",
    ),
    "a mistake that no parse sees": (
        {"x_v1.yaml": GREETS.replace("A{%", "{{ 1 // 0 }}{%")},
        "x_v1.yaml:8: integer division or modulo by zero",
    ),
    "the same in what is inherited": (
        {"x_v1.yaml": GREETS, "x_v2.yaml": child(2, "x_v1", "blocks:\n  a: |\n    one\n    {{ 'a' + 1 }}\n")},
        "x_v2.yaml:8: can only concatenate str",
    ),
    "chance": ({"x_v1.yaml": GREETS.replace("A{%", "{{ [1, 2] | random }}{%")}, "x_v1.yaml:8: No filter named 'rando"),
    "what the sandbox refuses": (
        {"x_v1.yaml": GREETS.replace("A{%", "{{ [].append(1) }}{%")},
        "x_v1.yaml:8: ",
    ),
    "text from elsewhere": (
        {"x_v1.yaml": GREETS.replace("A{%", "{% include 'x_v1:user' %}{%")},
        "x_v1.yaml:8: a text takes in another by extends: or by step() alone",
    ),
    "no parent": (
        {"x_v1.yaml": GREETS, "x_v2.yaml": child(2, "y_v1", "")},
        "x_v2.yaml:4: there is no template y_v1; there are: x_v1, x_v2 (x_v2 -> y_v1)",
    ),
    "a loop": (
        {
            "x_v1.yaml": child(1, "x_v3", ""),
            "x_v2.yaml": child(2, "x_v1", ""),
            "x_v3.yaml": child(3, "x_v2", ""),
        },
        "x_v2.yaml:4: x_v1 extends itself (x_v1 -> x_v3 -> x_v2 -> x_v1)",
    ),
    "a block that nobody has": (
        {
            "x_v1.yaml": GREETS,
            "x_v2.yaml": child(2, "x_v1", ""),
            "x_v3.yaml": child(3, "x_v2", "blocks:\n  a: A\n  b: B\n"),
        },
        "x_v3.yaml:7: no template above has a block 'b'; there are: a (x_v3 -> x_v2 -> x_v1)",
    ),
    "blocks without a parent": (
        {"x_v1.yaml": GREETS + "blocks: {a: B}\n"},
        "x_v1.yaml:10: blocks are for a template that extends another",
    ),
    "a block in both parts": (
        {"x_v1.yaml": GREETS.replace("'{{ line }}'", "'{% block a %}{% endblock %}'")},
        "x_v1.yaml:9: the block 'a' is in both parts",
    ),
    "a child with a text of its own": (
        {"x_v1.yaml": GREETS, "x_v2.yaml": child(2, "x_v1", "system: s\n")},
        "x_v2.yaml:5: a template that extends another changes its blocks and has no 'system' (x_v2 -> x_v1)",
    ),
    "a step that is not there": (
        {"x_v1.yaml": GREETS + "steps:\n- step: smile\n"},
        "x_v1.yaml:11: there is no step 'smile'; there are: greet_v1",
    ),
    "a step in a text that is not there": (
        {"x_v1.yaml": GREETS.replace("A{%", "A\n  {{ step('smile') }}{%")},
        "x_v1.yaml:9: there is no step 'smile'; there are: greet_v1",
    ),
    "a step without its parameter": (
        {"x_v1.yaml": GREETS + "steps:\n- step: greet\n"},
        "x_v1.yaml:11: the step greet_v1 takes the parameters whom",
    ),
    "a step in a text without its parameter": (
        {"x_v1.yaml": GREETS.replace("A{%", "{{ step('greet', who='Ana') }}{%")},
        "x_v1.yaml:8: the step greet_v1 takes the parameters whom",
    ),
    "a step whose name is worked out": (
        {"x_v1.yaml": GREETS.replace("A{%", "{{ step(steps) }}{%")},
        'x_v1.yaml:8: write step("name", parameter="value")',
    ),
    "a step whose parameters are worked out": (
        {"x_v1.yaml": GREETS.replace("A{%", "{{ step('greet', **{'who': 'Ana'}) }}{%")},
        "x_v1.yaml:8: greet_v1.yaml:4: the step greet_v1 takes the parameters whom",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_template_stops_the_start(tmp_path: Path, case: str) -> None:
    files, expected = BAD[case]
    with pytest.raises(ConfigurationError) as error:
        read(tmp_path, files, {"greet_v1.yaml": STEP})
    assert expected in str(error.value)


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    bad = GREETS.replace("A{%", "{{ nobody }}{%")
    with pytest.raises(ConfigurationError) as error:
        read(tmp_path, {"x_v1.yaml": bad, "x_v2.yaml": bad.replace("version: 1", "version: 2")})
    assert "x_v1.yaml:8" in str(error.value)
    assert "x_v2.yaml:8" in str(error.value)


def test_the_values_are_those_of_the_input(tmp_path: Path) -> None:
    template = read(tmp_path, {"x_v1.yaml": GREETS}).get("x")
    with pytest.raises(ConfigurationError, match="is filled with TurnInput"):
        template.render_user(TranscriptInput(line="", conversation="{}"))


def test_the_example_of_the_documentation_is_sound(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "prompts.md").read_text(encoding="utf-8")
    template, step = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    for path in TEMPLATES_FOLDER.glob("*.yaml"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "select_state_v3.yaml").write_text(template, encoding="utf-8")
    registry = PromptRegistry.read(tmp_path)
    assert registry.get("select_state", 3).chain == ("select_state_v3", "structured_v1")
    assert [trial.problems for trial in trials(registry) if trial.of.startswith("select_state_v3")] == [()]
    shared = registry.steps.get("ask_once")
    assert shared is not None
    assert yaml.safe_load(step) == yaml.safe_load(shared.file.text)


# Whatever templates extend each other


WORDS = st.text(string.ascii_letters + " ,.", max_size=8)
BLOCKS = ("a", "b", "c")


@st.composite
def chains(draw: st.DrawFn) -> list[dict[str, tuple[str, bool]]]:
    """For the root and each of its heirs: the blocks it says, and whether it says them around what was there."""
    root = {block: (draw(WORDS), False) for block in BLOCKS}
    heirs = draw(st.lists(st.dictionaries(st.sampled_from(BLOCKS), st.tuples(WORDS, st.booleans())), max_size=5))
    return [root, *heirs]


def resolved(chain: list[dict[str, tuple[str, bool]]]) -> str:
    """What inheritance comes to, without the library: the last word on each block, with those before it inside."""
    said: dict[str, str] = {}
    for member in chain:
        for block, (words, around) in member.items():
            said[block] = f"{words.rstrip()}<{said[block]}>" if around else words.rstrip()
    return "-".join(said[block] for block in BLOCKS).strip()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(chains())
def test_inheritance_is_the_last_word_on_each_block(tmp_path: Path, chain: list[dict[str, tuple[str, bool]]]) -> None:
    root = "-".join(f"{{% block {block} %}}{chain[0][block][0].rstrip()}{{% endblock %}}" for block in BLOCKS)
    base = {"name": "x", "version": 1, "input": "TurnInput", "output": "ResponseDraft"}
    files = {"x_v1.yaml": yaml.safe_dump(base | {"settings": {"max_tokens": 1}, "system": root, "user": "u"})}
    for version, member in enumerate(chain[1:], start=2):
        blocks = {
            block: words.rstrip() + ("<{{ super() }}>" if around else "") for block, (words, around) in member.items()
        }
        heir = {"name": "x", "version": version, "extends": f"x_v{version - 1}", "blocks": blocks}
        files[f"x_v{version}.yaml"] = yaml.safe_dump(heir)
    template = read(tmp_path, files).get("x", len(chain))
    assert template.system == resolved(chain)
    assert len(template.chain) == len(chain)


NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
KEYWORDS = frozenset({"and", "or", "not", "in", "is", "if", "else", "none", "true", "false", "self", "super"})
AROUND = ("{{ %s }}", "{%% if %s %%}x{%% endif %%}", "{%% for i in %s %%}x{%% endfor %%}", "{{ line ~ %s.x }}")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(NAMES, st.sampled_from(AROUND), st.booleans())
def test_a_name_that_the_input_has_not_never_renders(tmp_path: Path, name: str, around: str, hidden: bool) -> None:
    assume(name not in KEYWORDS and name not in {*TurnInput.model_fields, "step"})
    expression = around % name
    if hidden:
        expression = f"{{% if line == 'never' %}}{expression}{{% endif %}}"
    with pytest.raises(ConfigurationError, match=f"x_v1.yaml:9: there is no '{name}'"):
        read(tmp_path, {"x_v1.yaml": GREETS.replace("'{{ line }}'", yaml.safe_dump(expression, width=10_000).strip())})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(max_size=200), st.text(max_size=200))
def test_what_a_person_wrote_is_a_value_and_never_an_expression(tmp_path: Path, line: str, said: str) -> None:
    text = GREETS.replace("'{{ line }}'", "'[{{ line }}|{{ conversation }}]'")
    template: PromptTemplate = read(tmp_path, {"x_v1.yaml": text}).get("x")
    assert template.render_user(TurnInput(line=line, conversation=said)) == f"[{line}|{said}]"


def test_a_file_of_ones_own_replaces_the_products_of_the_same_name(tmp_path: Path) -> None:
    product = TEMPLATES_FOLDER / "judge_v1.yaml"
    (tmp_path / product.name).write_text(product.read_text().replace("TASK: judge", "TASK: judge, as we do,"))
    registry = PromptRegistry.read(own=tmp_path)
    assert "as we do," in registry.get("judge").system
    assert len(registry.all()) == len(PromptRegistry.read().all())
    with pytest.raises(ConfigurationError, match="no folder of prompt templates"):
        PromptRegistry.read(own=tmp_path / "none")
