"""The circuit of a model: opens on a run of failures, lets one probe through after its pause, and never stays shut."""

from contextlib import ExitStack, suppress
from datetime import timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from contracts.errors import ModelRequestRejectedError, ModelUnavailableError
from prompts.execution.policies import Breaker, BreakerLimits, Breakers, Circuit

LIMITS = BreakerLimits(window=4, failures=3, first_pause=timedelta(seconds=1), longest_pause=timedelta(seconds=4))


class Watch:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def breaker(watch: Watch) -> Breaker:
    return Breaker("m", monotonic=watch, limits=LIMITS)


def fail(one: Breaker, *, void: bool = False) -> None:
    with pytest.raises(ModelUnavailableError, match="down"):
        go_down(one, void=void)


def go_down(one: Breaker, *, void: bool) -> None:
    with one.call() as verdict:
        verdict.is_void = void
        raise ModelUnavailableError("down")


def succeed(one: Breaker) -> None:
    with one.call():
        pass


def opened(watch: Watch) -> Breaker:
    one = breaker(watch)
    for _ in range(LIMITS.failures):
        fail(one)
    return one


def test_a_run_of_failures_opens_it_and_says_until_when() -> None:
    watch = Watch()
    one = opened(watch)
    assert one.circuit is Circuit.OPEN
    watch.seconds = 0.25
    with pytest.raises(ModelUnavailableError, match="circuit") as caught, one.call():
        raise AssertionError("nothing gets through")
    assert caught.value.retry_after == timedelta(seconds=0.75)


def test_some_failures_among_successes_do_not_open_it() -> None:
    one = breaker(Watch())
    for _ in range(20):
        fail(one)
        succeed(one)
    assert one.circuit is Circuit.CLOSED


def at_once(one: Breaker, count: int) -> list[ExitStack]:
    """So many calls that have begun and still run."""
    calls = []
    for _ in range(count):
        running = ExitStack()
        running.enter_context(one.call())
        calls.append(running)
    return calls


def end(running: ExitStack, *, failed: bool) -> None:
    with suppress(ModelUnavailableError), running:
        if failed:
            raise ModelUnavailableError("down")


def test_of_many_calls_that_begin_together_the_few_that_fail_end_first_and_do_not_open_it() -> None:
    one = breaker(Watch())
    calls = at_once(one, 100)
    failing = calls[::8]
    for running in failing:
        end(running, failed=True)
        assert one.circuit is Circuit.CLOSED
    for running in calls:
        if running not in failing:
            end(running, failed=False)
    assert one.circuit is Circuit.CLOSED


def test_of_many_calls_that_begin_together_and_all_fail_the_last_ones_open_it() -> None:
    one = breaker(Watch())
    for running in at_once(one, 100):
        end(running, failed=True)
    assert one.circuit is Circuit.OPEN


def test_a_model_that_hangs_opens_it_when_the_first_calls_have_waited_too_long() -> None:
    one = breaker(Watch())
    calls = at_once(one, 100)
    for running in calls[: LIMITS.failures]:
        assert one.circuit is Circuit.CLOSED
        end(running, failed=True)
    assert one.circuit is Circuit.OPEN, "those that began later have not had their time yet"
    for running in calls[LIMITS.failures :]:
        end(running, failed=True)


def test_one_probe_decides_and_the_others_wait() -> None:
    watch = Watch()
    one = opened(watch)
    watch.seconds = 1
    with one.call():
        assert not one.admits
        with pytest.raises(ModelUnavailableError), one.call():
            raise AssertionError("a second probe")
    assert one.circuit is Circuit.CLOSED
    assert one.admits


def test_failed_probes_lengthen_the_pause_up_to_the_longest() -> None:
    watch = Watch()
    one = opened(watch)
    pauses = []
    for _ in range(4):
        began = watch.seconds
        while one.circuit is Circuit.OPEN:
            watch.seconds += 0.5
        pauses.append(watch.seconds - began)
        fail(one)
    assert pauses == [1, 2, 4, 4]


def test_what_is_no_fault_of_the_model_does_not_count() -> None:
    one = breaker(Watch())
    for _ in range(10):
        fail(one, void=True)
        with pytest.raises(ModelRequestRejectedError), one.call():
            raise ModelRequestRejectedError("400")
        with pytest.raises(KeyboardInterrupt), one.call():
            raise KeyboardInterrupt
    assert one.circuit is Circuit.CLOSED


def test_a_probe_that_was_cancelled_leaves_room_for_the_next() -> None:
    watch = Watch()
    one = opened(watch)
    watch.seconds = 1
    with pytest.raises(KeyboardInterrupt), one.call():
        raise KeyboardInterrupt
    assert one.circuit is Circuit.HALF_OPEN
    succeed(one)
    assert one.circuit is Circuit.CLOSED


def test_each_model_has_its_own() -> None:
    watch = Watch()
    both = Breakers(monotonic=watch, limits=LIMITS)
    for _ in range(LIMITS.failures):
        fail(both.of("a"))
    assert (both.of("a").admits, both.of("b").admits) == (False, True)


class Histories(RuleBasedStateMachine):
    """Any order of calls that begin, end well, fail or are cancelled, while time goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.watch = Watch()
        self.breaker = breaker(self.watch)
        self.calls: list[object] = []

    @rule()
    def begin(self) -> None:
        call = self.breaker.call()
        was = self.breaker.circuit
        admitted = self.breaker.admits
        try:
            call.__enter__()
        except ModelUnavailableError:
            assert not admitted
            return
        assert admitted
        assert was is not Circuit.OPEN
        self.calls.append(call)

    @precondition(lambda self: self.calls)
    @rule(how=st.sampled_from(["well", "down", "cancelled"]), which=st.integers(0, 50))
    def end(self, how: str, which: int) -> None:
        call = self.calls.pop(which % len(self.calls))
        error = {"well": None, "down": ModelUnavailableError("down"), "cancelled": KeyboardInterrupt()}[how]
        swallowed = call.__exit__(type(error) if error else None, error, None)  # type: ignore[attr-defined]
        assert not swallowed

    @rule(seconds=st.floats(0, 5))
    def wait(self, seconds: float) -> None:
        self.watch.seconds += seconds

    @invariant()
    def it_does_not_stay_shut(self) -> None:
        """Whatever happened: when nobody is calling, the longest pause brings it back to letting one through."""
        if not self.calls:
            at, self.watch.seconds = self.watch.seconds, self.watch.seconds + LIMITS.longest_pause.total_seconds()
            assert self.breaker.admits
            self.watch.seconds = at


TestHistories = Histories.TestCase
