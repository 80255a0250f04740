"""Spans: who is whose child, what is not recorded, and what a span never says."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability import tracing
from observability.tracing import (
    UNRECORDED,
    Kind,
    RemoteSpan,
    Span,
    Tracer,
    current_span,
    current_traceparent,
    inside,
    nearest,
    remote_span,
    root_span,
    span,
    trace_id_of,
    tracing_with,
)
from tests.builders import ROOT

MARKER = "zebra-azul-4711"


class Kept:
    """An exporter that keeps what it is given."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def add(self, span: Span) -> None:
        self.spans.append(span)

    async def flush(self, limit: timedelta) -> None:
        return

    def named(self, name: str) -> Span:
        (found,) = [span for span in self.spans if span.name == name]
        return found


@pytest.fixture
def kept() -> Iterator[Kept]:
    kept = Kept()
    with tracing_with(Tracer(kept, seed=1)):
        yield kept


def test_a_span_is_the_child_of_the_one_it_is_opened_in(kept: Kept) -> None:
    with span("outer", inherited=(("id", "c-1"),)) as outer, span("inner", {"n": 1}) as inner:
        inner.set("more", 2)
        inner.set("nothing", None)
    inner_span = kept.named("inner")
    assert inner_span.parent_id == kept.named("outer").span_id
    assert inner_span.trace_id == kept.named("outer").trace_id
    assert inner_span.attributes == {"n": 1, "more": 2}
    assert inner_span.inherited == (("id", "c-1"),)
    assert current_span() is None
    assert outer.sampled


def test_what_is_inherited_is_said_once(kept: Kept) -> None:
    with span("outer", inherited=(("id", "a"), ("message", "m"))), span("inner", inherited=(("id", "b"),)):
        pass
    assert kept.named("inner").inherited == (("id", "b"), ("message", "m"))


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
    assert trace_id_of(carried) == f"{kept.named('here').trace_id:032x}"


def test_what_is_raised_is_kept_without_its_text(kept: Kept) -> None:
    def fail() -> None:
        try:
            raise ValueError(MARKER)
        except ValueError as exc:
            raise ExceptionGroup(MARKER, [KeyError(MARKER)]) from exc

    with pytest.raises(ExceptionGroup), span("failing"):
        fail()
    kind, places = kept.named("failing").failure or ("", "")
    assert kind == "ExceptionGroup"
    assert "KeyError" in places
    assert "ValueError at test_tracing.py" in places
    assert MARKER not in places


def test_a_failure_that_is_handled_inside_is_the_one_that_is_told(kept: Kept) -> None:
    with span("failing") as failing:
        failing.fail(KeyError(MARKER))
    assert kept.named("failing").failure == ("KeyError", "KeyError")


def test_what_a_span_is_told_after_its_end_is_lost(kept: Kept) -> None:
    with span("ended") as ended:
        pass
    ended.set("late", 1)
    assert kept.named("ended").attributes == {}


def test_the_nearest_is_the_current_one_in_its_trace_and_the_named_one_elsewhere(kept: Kept) -> None:
    with span("webhook"):
        own = current_traceparent()
    with inside(remote_span(own)), span("drain") as drain:
        assert nearest(own) is drain
        assert nearest(None) is drain
        other = f"00-{1:032x}-{2:016x}-01"
        assert nearest(other) == RemoteSpan(1, 2, sampled=True)
    # A proxy has decided that it records nothing; the message's own trace is recorded all the same.
    with inside(remote_span(own[:-2] + "00" if own else None)):
        assert nearest(own) == remote_span(own)


def test_one_decision_holds_for_the_whole_trace() -> None:
    kept = Kept()
    with tracing_with(Tracer(kept, sample=0.0, seed=1)):
        with span("root"), span("child"):
            carried = current_traceparent()
            assert span("deeper") is UNRECORDED
        assert carried is not None
        assert carried.endswith("-00")
        assert trace_id_of(carried) is None
    with tracing_with(Tracer(kept, sample=1.0, seed=1)):
        remote = remote_span(carried)
        with inside(remote), span("elsewhere"), span("parented", parent=remote), span("in it"):
            pass
    assert kept.spans == []


def test_a_share_of_the_traces_is_recorded() -> None:
    kept = Kept()
    with tracing_with(Tracer(kept, sample=0.1, seed=1)):
        for _ in range(20_000):
            root_span("root", {}).end()
    assert 1_800 < len(kept.spans) < 2_200


def test_off_it_does_nothing() -> None:
    with span("anything", {"a": 1}) as one, root_span("more", {}) as two:
        one.set("b", 2)
        assert one is two is UNRECORDED
        assert current_span() is None
        assert current_traceparent() is None
    assert remote_span(f"00-{1:032x}-{2:016x}-01") is None


def test_off_nothing_is_loaded_for_it() -> None:
    """A process that records nothing does not wait for what would."""
    program = (
        "import sys, cli.worker_role, cli.webhook_role, cli.runtime\n"
        "heavy = ('opentelemetry.sdk', 'opentelemetry.proto', 'observability.span_export')\n"
        "loaded = [name for name in sys.modules if name.startswith(heavy)]\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)


@given(st.text(max_size=60) | st.from_regex(r"\A[0-9a-f]{2}-[0-9a-f]{30,34}-[0-9a-f]{14,18}-[0-9a-f]{1,3}\Z"))
def test_what_is_no_traceparent_begins_nothing(text: str) -> None:
    with tracing_with(Tracer(Kept(), seed=1)):
        remote = remote_span(text)
        if remote is None:
            return
        assert remote.traceparent[:52] == text[:52]
        assert remote.trace_id
        assert remote.span_id


def test_names_are_those_of_the_attributes_module() -> None:
    """One module has all of them: no other one spells a name of OpenTelemetry's."""
    for folder in ("worker", "webhook", "prompts", "adapters", "cli"):
        for path in (ROOT / folder).rglob("*.py"):
            assert '"gen_ai.' not in path.read_text(encoding="utf-8"), path
    assert tracing.TRACEPARENT
