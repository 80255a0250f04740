"""The index finds what a search one by one finds, whatever was added, replaced and removed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import ConfigurationError
from prompts.caching.nearest import Indexes, VectorIndex

WIDTH, MOST = 4, 5
KEYS = "abcdefghij"


def unit(numbers: list[int]) -> bytes:
    vector = np.array(numbers, dtype="<f4")
    return (vector / np.linalg.norm(vector)).astype("<f4").tobytes()


vectors = st.lists(st.integers(-3, 3), min_size=WIDTH, max_size=WIDTH).filter(any).map(unit)
additions = st.tuples(st.just("add"), st.sampled_from(KEYS), st.sampled_from("xy"), vectors)
removals = st.tuples(st.just("remove"), st.sampled_from(KEYS), st.just(""), st.just(b""))


@settings(max_examples=300, deadline=None)
@given(
    steps=st.lists(additions | removals, max_size=30), asked=vectors, threshold=st.sampled_from([-1.0, 0.5, 0.95, 1.0])
)
def test_it_finds_the_nearest_that_says_the_same(
    steps: list[tuple[str, str, str, bytes]], asked: bytes, threshold: float
) -> None:
    index = VectorIndex(WIDTH, most=MOST)
    added: dict[str, tuple[str, bytes]] = {}
    for what, key, signature, vector in steps:
        if what == "add":
            index.add(key, signature, vector, number=1)
            added[key] = (signature, vector)
        else:
            index.remove(key)
            added.pop(key, None)
    assert len(index) <= MOST
    there = {key: value for key, value in added.items() if key in index._rows}
    assert len(there) == len(index)
    query = np.frombuffer(asked, dtype="<f4")
    similar = {key: float(query @ np.frombuffer(raw, dtype="<f4")) for key, (_, raw) in there.items()}
    wanted = [similar[key] for key, (signature, _) in there.items() if signature == "x" and similar[key] >= threshold]
    near, _ = index.nearest(asked, threshold=threshold, signature="x")
    # A product with a matrix and one with a vector round differently at the threshold itself.
    if near is None:
        assert all(value < threshold + 1e-6 for value in wanted)
    else:
        assert there[near.key][0] == "x"
        assert near.similarity == pytest.approx(min(1.0, max(wanted, default=threshold)), abs=1e-6)


@pytest.mark.parametrize(("threshold", "found"), [(0.0, True), (0.6, True), (0.81, False), (1.0, False)])
def test_the_threshold_has_two_sides(threshold: float, found: bool) -> None:
    index = VectorIndex(2)
    index.add("k", "x", unit([4, 3]), number=1)
    near, refused = index.nearest(unit([1, 0]), threshold=threshold, signature="x")
    assert (near is not None) is found
    assert not refused
    near, refused = index.nearest(unit([1, 0]), threshold=threshold, signature="other")
    assert near is None
    assert refused is found


def test_an_empty_index_knows_nothing() -> None:
    assert VectorIndex(2).nearest(unit([1, 0]), threshold=-1, signature=None) == (None, False)


def test_a_full_index_gives_up_its_oldest_row() -> None:
    index = VectorIndex(2, most=3)
    for number in range(7):
        index.add(str(number), "x", unit([1, number]), number=number)
    assert sorted(index._rows) == ["4", "5", "6"]
    assert index.last_number == 6


def test_a_vector_of_another_model_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        VectorIndex(3).add("k", "x", unit([1, 0]), number=1)


def test_scopes_that_nobody_asks_for_are_given_up() -> None:
    indexes = Indexes(2, most_scopes=2)
    first = indexes.of("a")
    indexes.of("b")
    assert indexes.of("a") is first
    indexes.of("c")
    assert indexes.of("a") is first
    assert len(indexes._indexes) == 2
