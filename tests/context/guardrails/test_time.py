"""Time grows with a text's length and not with its square, whatever stands in it."""

import time

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.guardrails import KnownFacts
from tests.context.guardrails.making import HOSTILE, NOBODY, floor

SHORT, TIMES = 3_000, 5
PIECES = st.sampled_from(HOSTILE)


def seconds(text: str) -> float:
    """Processor time of one check, the least of three; sentences were not read before."""
    times = []
    for attempt in range(3):
        fresh = f"{'x' * (attempt + 1)} {text}"
        started = time.thread_time()
        floor("pyloto").check_text(fresh, KnownFacts(person_texts=(text[:50],)))
        times.append(time.thread_time() - started)
    return min(times)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PIECES | st.text(max_size=3), min_size=1, max_size=4).map("".join).filter(bool))
def test_time_is_linear(piece: str) -> None:
    floor("pyloto").check_text(piece, NOBODY)
    short, long = ((piece * (length // len(piece) + 1))[:length] for length in (SHORT, SHORT * TIMES))
    # A square would make it 25 times as long; a few milliseconds are within what a busy machine adds.
    assert seconds(long) <= 2.4 * TIMES * seconds(short) + 0.02
