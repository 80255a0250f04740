"""What a flag answers: stable, within its weights, and never an error."""

import io
import json
import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openfeature.evaluation_context import EvaluationContext

from flags.definitions import Flag, Status
from flags.evaluation import SCALE, Draw, Reason
from observability.logs import configure_logs
from observability.metrics import FLAG_EVALUATIONS
from tests.builders import START
from tests.flags.making import LATER, Asked, Known, evaluator, flag, person, variants

PEOPLE = 10_000
# 3 standard deviations of a share of one half among 10,000.
SLACK = 0.015


def shares(found: Asked, key: str = "x", people: int = PEOPLE) -> dict[str, float]:
    names = Counter(found.variant(key, person(number), default="?") for number in range(people))
    return {name: count / people for name, count in names.items()}


@pytest.mark.parametrize(
    ("changes", "reason", "is_on"),
    [
        ({"status": "disabled"}, Reason.DISABLED, False),
        ({"status": "enabled"}, Reason.STATIC, True),
        ({"status": "gradual_rollout", "percentage": 0}, Reason.SPLIT, False),
        ({"status": "gradual_rollout", "percentage": 100}, Reason.STATIC, True),
        ({"status": "canary", "percentage": 100}, Reason.STATIC, True),
        ({"segments": [{"name": "s", "rules": [{"attribute": "a", "values": ["b"]}]}]}, Reason.NOT_TARGETED, False),
    ],
)
def test_each_status_answers_with_its_reason(changes: dict[str, Any], reason: Reason, is_on: bool) -> None:
    found = evaluator(flag(**changes))
    assert found.evaluate("x", person()).reason is reason
    # The default is for flags that cannot be asked; one that is off is off.
    for default in (True, False):
        assert found.is_enabled("x", person(), default=default) is is_on


def test_an_ab_test_splits_ten_thousand_people_for_each_arm_within_its_weights() -> None:
    arms = {"control": 1.0, "v2": 1.0, "v3": 1.0}
    found = evaluator(flag(status="ab_test", variants=variants(**arms)))
    split = shares(found, people=3 * PEOPLE)
    assert set(split) == set(arms)
    assert all(abs(share - 1 / 3) < SLACK for share in split.values())
    again = evaluator(flag(status="ab_test", variants=variants(**arms)))
    assert [found.variant("x", person(n), default="") for n in range(PEOPLE)] == [
        again.variant("x", person(n), default="") for n in range(PEOPLE)
    ]


def test_weights_are_kept() -> None:
    split = shares(evaluator(flag(status="ab_test", variants=variants(control=70, v2=25, v3=5, never=0))))
    assert set(split) == {"control", "v2", "v3"}
    for name, share in {"control": 0.7, "v2": 0.25, "v3": 0.05}.items():
        assert abs(split[name] - share) < SLACK


percentages = st.floats(0, 100, allow_nan=False)


@given(
    small=percentages,
    large=percentages,
    weights=st.lists(st.floats(0, 100), min_size=1, max_size=4).filter(lambda given: sum(given) > 0),
    status=st.sampled_from([Status.GRADUAL_ROLLOUT, Status.CANARY, Status.AB_TEST]),
    salt=st.sampled_from(["1", "2", "a.b"]),
)
@settings(max_examples=60, deadline=None)
def test_growing_a_rollout_only_adds_people_and_moves_nobody(
    small: float, large: float, weights: list[float], status: Status, salt: str
) -> None:
    small, large = sorted((small, large))
    named = variants(control=1, **{f"v{number}": weight for number, weight in enumerate(weights)})
    before = evaluator(flag(status=status, percentage=small, variants=named, salt=salt))
    after = evaluator(flag(status=status, percentage=large, variants=named, salt=salt))
    for number in range(200):
        earlier, later = before.evaluate("x", person(number)), after.evaluate("x", person(number))
        if earlier.treated or (status is Status.AB_TEST and earlier.drawn):
            assert later.variant == earlier.variant


def test_a_rollout_that_grows_to_the_end_keeps_whom_it_had() -> None:
    reached: set[int] = set()
    for percentage in (0, 1, 5, 25, 50, 75, 100):
        found = evaluator(flag(status="gradual_rollout", percentage=percentage))
        now = {number for number in range(PEOPLE) if found.is_enabled("x", person(number))}
        assert reached <= now
        assert abs(len(now) / PEOPLE - percentage / 100) < SLACK
        reached = now
    assert evaluator(flag(status="enabled")).is_enabled("x", person(PEOPLE))


def test_flags_and_salts_draw_independently() -> None:
    one, other = flag("a", status="gradual_rollout", percentage=50), flag("b", status="gradual_rollout", percentage=50)
    found = evaluator(one, other)
    both = sum(found.is_enabled("a", person(n)) and found.is_enabled("b", person(n)) for n in range(PEOPLE))
    assert abs(both / PEOPLE - 0.25) < SLACK
    salted = evaluator(flag("a", status="gradual_rollout", percentage=50, salt="2"))
    moved = sum(found.is_enabled("a", person(n)) is not salted.is_enabled("a", person(n)) for n in range(PEOPLE))
    assert abs(moved / PEOPLE - 0.5) < SLACK


def test_reach_and_choice_are_independent() -> None:
    """Those whom a small rollout reaches are split as the others."""
    found = evaluator(flag(status="ab_test", percentage=10, variants=variants(a=1, b=1)))
    drawn = [answer for n in range(5 * PEOPLE) if (answer := found.evaluate("x", person(n))).drawn]
    assert abs(len(drawn) / (5 * PEOPLE) - 0.1) < SLACK
    assert abs(sum(answer.variant.name == "a" for answer in drawn if answer.variant) / len(drawn) - 0.5) < 0.03


def test_random_is_drawn_anew_and_needs_no_person() -> None:
    drawn = random.Random(1)
    found = evaluator(
        flag(status="gradual_rollout", percentage=30, hashing="random"),
        chance=lambda: Draw(drawn.getrandbits(64), drawn.getrandbits(64)),
    )
    answers = [found.is_enabled("x", EvaluationContext()) for _ in range(PEOPLE)]
    assert abs(sum(answers) / PEOPLE - 0.3) < SLACK


def test_without_a_targeting_key_a_stable_draw_is_the_default() -> None:
    found = evaluator(flag(status="gradual_rollout", percentage=99.9))
    assert found.evaluate("x", EvaluationContext()).reason is Reason.NO_TARGETING_KEY
    for default in (True, False):
        assert found.is_enabled("x", EvaluationContext(), default=default) is default
    assert evaluator(flag()).is_enabled("x", EvaluationContext())


def test_the_last_draw_on_the_scale_finds_a_variant() -> None:
    highest = Draw(SCALE - 1, SCALE - 1)
    named = variants(a=1, b=3, c=1e-9)
    found = evaluator(flag(status="ab_test", variants=named, hashing="random"), chance=lambda: highest)
    assert found.variant("x", person(), default="?") in {"b", "c"}


# Segments


def _rule(attribute: str, operator: str, *values: Any) -> dict[str, Any]:
    return {"attribute": attribute, "operator": operator, "values": values}


@pytest.mark.parametrize(
    ("rule", "fits", "does_not"),
    [
        (_rule("channel", "in", "web", "whatsapp"), {"channel": "web"}, {"channel": "slack"}),
        (_rule("language", "starts_with", "pt"), {"language": "pt-BR"}, {"language": "en"}),
        (_rule("language", "ends_with", "-BR", "-PT"), {"language": "pt-BR"}, {"language": "pt-MZ"}),
        (_rule("business_line", "not_in", "delivery"), {"business_line": "technology"}, {"business_line": "delivery"}),
        (_rule("business_line", "not_in", "delivery"), {"business_line": "crm"}, {}),
        (_rule("turns", "at_least", 3), {"turns": 3}, {"turns": 2.9}),
        (_rule("turns", "below", 3), {"turns": 2}, {"turns": "2"}),
        (_rule("vip", "in", True), {"vip": True}, {"vip": False}),
        (_rule("turns", "in", 3), {"turns": 3}, {"turns": 4}),
        (_rule("tags", "in", "a"), {"tags": ["b", "a"]}, {"tags": ["b"]}),
        (_rule("tags", "not_in", "a"), {"tags": ["b"]}, {"tags": ["a", "b"]}),
        (_rule("turns", "at_least", 3), {"turns": 5}, {"turns": True}),
    ],
)
def test_rules(rule: dict[str, Any], fits: dict[str, Any], does_not: dict[str, Any]) -> None:
    found = evaluator(flag(segments=[{"name": "s", "rules": [rule]}]))
    assert found.is_enabled("x", person(**fits))
    assert not found.is_enabled("x", person(**does_not))
    assert not found.is_enabled("x", person())


def test_all_rules_of_a_segment_hold_and_the_first_segment_decides() -> None:
    found = evaluator(
        flag(
            status="gradual_rollout",
            percentage=0,
            variants=variants(control=1, v2=1),
            segments=[
                {"name": "testers", "rules": [_rule("tester", "in", True)], "variant": "v2"},
                {
                    "name": "portuguese on the web",
                    "rules": [_rule("channel", "in", "web"), _rule("language", "starts_with", "pt")],
                    "percentage": 100,
                },
                {"name": "everybody else"},
            ],
        )
    )
    pinned = found.evaluate("x", person(tester=True, channel="slack"))
    assert (pinned.reason, pinned.drawn, pinned.treated) == (Reason.TARGETING_MATCH, False, True)
    assert found.is_enabled("x", person(channel="web", language="pt-BR"))
    assert not found.is_enabled("x", person(channel="web", language="en"))
    assert not found.is_enabled("x", person())


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    attributes=st.dictionaries(st.sampled_from(["channel", "turns", "tags"]), values),
    key=st.none() | st.text(),
    rule=st.sampled_from(
        [
            _rule("channel", "in", "web", 1, True),
            _rule("channel", "not_in", "web"),
            _rule("channel", "starts_with", "w"),
            _rule("turns", "at_least", 1.5),
            _rule("turns", "below", 3),
            _rule("tags", "in", "a"),
        ]
    ),
)
@settings(max_examples=200, deadline=None)
def test_no_attribute_and_no_key_makes_it_fail(attributes: dict[str, Any], key: str | None, rule: Any) -> None:
    found = evaluator(
        flag(status="ab_test", variants=variants(a=1, b=1), segments=[{"name": "s", "rules": [rule]}]),
        flag("y", status="canary", percentage=50),
    )
    for name in ("x", "y", "unknown"):
        found.evaluate(name, EvaluationContext(key, attributes))


# What cannot be asked


def test_unknown_and_unread_flags_answer_the_default_and_are_counted() -> None:
    def count(reason: str) -> float:
        return FLAG_EVALUATIONS.labels(reason=reason)._value.get()  # type: ignore[no-any-return]

    unknown, unread = count("unknown"), count("not_ready")
    for default in (True, False):
        assert evaluator().is_enabled("nothing", person(), default=default) is default
    assert evaluator().variant("nothing", person(), default="v1") == "v1"
    assert Asked(Known(is_ready=False), now=lambda: START).evaluate("x", person()).reason is Reason.NOT_READY
    assert (count("unknown"), count("not_ready")) == (unknown + 3, unread + 1)


def test_an_expired_flag_answers_the_default_and_warns_once() -> None:
    known = Known(flag())
    at = [LATER - timedelta(seconds=1)]
    found = Asked(known, now=lambda: at[0])
    assert found.is_enabled("x", person())
    at[0] = LATER
    logs = io.StringIO()
    configure_logs(level="WARNING", stream=logs)
    for default in (True, False, False):
        assert found.is_enabled("x", person(), default=default) is default
    said = [json.loads(line) for line in logs.getvalue().splitlines()]
    assert [(line["event"], line["flag"]) for line in said] == [("flag.expired", "x")]
    assert found.evaluate("x", person()).reason is Reason.EXPIRED


# Definitions


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"owner": " "}, "owner"),
        ({"expires_at": "soon"}, "expires_at"),
        ({"key": "a:b"}, "key"),
        ({"salt": "a:b"}, "salt"),
        ({"percentage": 101}, "percentage"),
        ({"percentage": float("nan")}, "percentage"),
        ({"status": "gradual_rollout"}, "gradual_rollout needs a percentage"),
        ({"status": "canary"}, "canary needs a percentage"),
        ({"variants": variants(a=1) + variants(a=2)}, "two variants have the same name"),
        ({"variants": variants(a=1, b=0)}, "no variant that can be drawn has a weight above 0"),
        ({"variants": variants(a=1)}, "no variant that can be drawn"),
        ({"status": "ab_test", "variants": variants(a=1)}, "ab_test needs two variants"),
        ({"control": "z"}, "there is no variant z; there are: off, on"),
        ({"segments": [{"name": "s", "variant": "z"}]}, "there is no variant z"),
        ({"segments": [{"name": "s"}, {"name": "s"}]}, "two segments have the same name"),
        ({"segments": [{"name": "s", "rules": [_rule("n", "below", "3")]}]}, "below compares with one number"),
    ],
)
def test_what_does_not_hold_together_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        flag(**changes)


def test_what_a_newer_release_added_is_passed_over() -> None:
    assert Flag.model_validate(flag().model_dump() | {"schedule": "nightly"}) == flag()


def test_values_keep_their_types() -> None:
    named = [{"name": "a", "value": True}, {"name": "b", "value": 1}, {"name": "c", "value": 1.5}]
    again = Flag.model_validate_json(flag(variants=named).model_dump_json())
    assert [type(variant.value) for variant in again.variants] == [bool, int, float]
