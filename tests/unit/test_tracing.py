"""Spans: who is whose child, what is not recorded, and what a span never says."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import get_current_span

from observability.tracing import (
    NO_PARENT,
    UNRECORDED,
    Kind,
    current_span,
    current_traceparent,
    ended,
    inside,
    nearest,
    remote_span,
    span,
    trace_id_of,
)
from tests.builders import ROOT
from tests.spans import Kept, keeping

MARKER = "zebra-azul-4711"


@pytest.fixture
def kept() -> Iterator[Kept]:
    with keeping() as kept:
        yield kept


def test_a_span_is_the_child_of_the_one_it_is_opened_in(kept: Kept) -> None:
    with span("outer", inherited={"id": "c-1"}) as outer, span("inner", {"n": 1}) as inner:
        inner.set("more", 2)
        inner.set("nothing", None)
        inner.update({"even": "more"})
    of_inner = kept.named("inner")
    assert of_inner.parent_id == kept.named("outer").span_id
    assert of_inner.trace_id == kept.named("outer").trace_id
    assert of_inner.attributes == {"id": "c-1", "n": 1, "more": 2, "even": "more"}
    assert current_span() is None
    assert outer.sampled


def test_what_is_inherited_is_said_once(kept: Kept) -> None:
    with span("outer", inherited={"id": "a", "message": "m"}), span("inner", inherited={"id": "b"}):
        pass
    assert kept.named("inner").attributes == {"id": "b", "message": "m"}


def test_what_is_opened_in_a_span_of_another_place_inherits_from_there(kept: Kept) -> None:
    with (
        span("person a", parent=NO_PARENT, inherited={"id": "a"}) as first,
        span("person b", parent=NO_PARENT, inherited={"id": "b"}),
    ):
        with span("append", parent=first.context):
            pass
        with inside(first.context), span("wake"):
            pass
    for name in ("append", "wake"):
        assert kept.named(name).attributes == {"id": "a"}
        assert kept.named(name).trace_id == kept.named("person a").trace_id


async def test_tasks_that_are_started_in_a_span_belong_to_it(kept: Kept) -> None:
    async def work(name: str) -> None:
        with span(name):
            await asyncio.sleep(0)

    with span("turn"):
        async with asyncio.TaskGroup() as both:
            both.create_task(work("a"))
            both.create_task(work("b"))
    assert {kept.named(name).parent_id for name in "ab"} == {kept.named("turn").span_id}


def test_another_process_goes_on_with_the_trace(kept: Kept) -> None:
    with span("here"):
        carried = current_traceparent()
    with inside(remote_span(carried)), span("there", kind=Kind.CONSUMER):
        pass
    assert kept.named("there").parent_id == kept.named("here").span_id
    assert kept.named("there").kind == "CONSUMER"
    assert trace_id_of(carried) == kept.named("here").trace_id


def test_what_is_raised_is_kept_without_its_text(kept: Kept) -> None:
    def fail() -> None:
        try:
            raise ValueError(MARKER)
        except ValueError as exc:
            raise ExceptionGroup(MARKER, [KeyError(MARKER)]) from exc

    with pytest.raises(ExceptionGroup), span("failing"):
        fail()
    failed = kept.named("failing")
    assert failed.failure == failed.attributes["error.type"] == "ExceptionGroup"
    ((name, described),) = failed.events
    assert (name, described["exception.type"]) == ("exception", "ExceptionGroup")
    assert "KeyError" in described["exception.stacktrace"]
    assert "ValueError at test_tracing.py" in described["exception.stacktrace"]
    assert MARKER not in repr(failed)


def test_a_failure_that_is_handled_inside_is_the_one_that_is_recorded(kept: Kept) -> None:
    with suppress(ValueError), span("failing") as failing:
        failing.fail(KeyError(MARKER))
        raise ValueError(MARKER)
    failed = kept.named("failing")
    assert failed.failure == "KeyError"
    assert [described["exception.type"] for _, described in failed.events] == ["KeyError"]


def test_spans_that_are_open_side_by_side_end_together_and_fail_together(kept: Kept) -> None:
    spans = [span(name, parent=NO_PARENT) for name in "ab"]
    with pytest.raises(KeyError), ended(spans):
        raise KeyError(MARKER)
    assert [one.failure for one in kept.spans] == ["KeyError", "KeyError"]


def test_what_a_span_is_told_after_its_end_is_lost(kept: Kept) -> None:
    with span("ended") as over:
        pass
    over.set("late", 1)
    assert kept.named("ended").attributes == {}


def test_work_that_began_before_its_trace_was_known_says_when(kept: Kept) -> None:
    with span("late", start_ns=1_000):
        pass
    assert kept.named("late").start_ns == 1_000


def test_the_nearest_is_the_current_one_in_its_trace_and_the_named_one_elsewhere(kept: Kept) -> None:
    with span("webhook"):
        own = current_traceparent()
    with inside(remote_span(own)), span("drain") as drain:
        assert nearest(own) is None
        assert nearest(None) is None
        with span("turn", parent=nearest(own)):
            pass
        other = nearest(f"00-{1:032x}-{2:016x}-01")
        assert other is not None
        assert get_current_span(other).get_span_context().trace_id == 1
    assert drain.sampled
    assert kept.named("turn").parent_id == kept.named("drain").span_id
    # A proxy has decided that it records nothing; the message's own trace is recorded all the same.
    with inside(remote_span(own[:-2] + "00" if own else None)), span("turn anyway", parent=nearest(own)):
        pass
    assert kept.named("turn anyway").parent_id == kept.named("webhook").span_id


def test_one_decision_holds_for_the_whole_trace() -> None:
    with keeping(sample=0.0) as none:
        with span("root") as root, span("child"):
            carried = current_traceparent()
            assert span("deeper") is UNRECORDED
        assert carried is not None
        assert root.traceparent == carried
        assert not int(carried[-2:], 16) & 1
        assert trace_id_of(carried) is None
    with keeping(sample=1.0) as kept:
        remote = remote_span(carried)
        with inside(remote), span("elsewhere"):
            pass
        with span("parented", parent=remote), span("in it"):
            assert current_traceparent() == carried
    assert none.spans == kept.spans == []


def test_a_share_of_the_traces_is_recorded() -> None:
    with keeping(sample=0.1) as kept:
        for _ in range(20_000):
            span("root", parent=NO_PARENT).end()
    assert 1_750 < len(kept.exporter.get_finished_spans()) < 2_250


def test_off_it_does_nothing() -> None:
    with span("anything", {"a": 1}) as one, span("more", parent=NO_PARENT) as two:
        one.set("b", 2)
        one.fail(ValueError())
        assert one is two is UNRECORDED
        assert current_span() is None
        assert current_traceparent() is None
    assert remote_span(f"00-{1:032x}-{2:016x}-01") is None


def test_off_nothing_is_loaded_for_it() -> None:
    """A process that records nothing does not wait for what would."""
    program = (
        "import sys, cli.worker_role, cli.webhook_role, cli.runtime\n"
        "heavy = ('opentelemetry.sdk', 'opentelemetry.proto', 'opentelemetry.exporter', 'requests',\n"
        "         'observability.span_export')\n"
        "loaded = [name for name in sys.modules if name.startswith(heavy)]\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)


@given(st.text(max_size=60) | st.from_regex(r"\A[0-9a-f]{2}-[0-9a-f]{30,34}-[0-9a-f]{14,18}-[0-9a-f]{1,3}\Z"))
def test_what_is_no_traceparent_begins_nothing(text: str) -> None:
    with keeping():
        remote = remote_span(text)
        if remote is None:
            return
        ids = get_current_span(remote).get_span_context()
        assert ids.is_valid
        assert f"{ids.trace_id:032x}-{ids.span_id:016x}" in text


def test_names_are_those_of_the_attributes_module() -> None:
    """One module has all of them: no other one spells a name of OpenTelemetry's."""
    for folder in ("worker", "reports", "webhook", "prompts", "adapters", "cli"):
        for path in (ROOT / folder).rglob("*.py"):
            assert '"gen_ai.' not in path.read_text(encoding="utf-8"), path
