"""The levels on the labelled pairs, with the real model. `python -m tests.prompts_cache.scorecard` prints them."""

import pytest

from prompts.caching.answers import SIMILARITY
from tests.prompts_cache.corpus import edits, hand_written_traps, paraphrases, reversals, traps
from tests.prompts_cache.scorecard import Verdict, judged
from tests.real_services import minilm

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trapped() -> list[Verdict]:
    minilm()
    return judged([*traps(), *reversals(), *hand_written_traps()])


def test_there_are_enough_traps_to_speak_of_one_in_a_thousand(trapped: list[Verdict]) -> None:
    """With none in 3,000 the share is below 0.1 % at 95 % (rule of three), were they drawn as people write."""
    assert len({(one.pair.first, one.pair.second) for one in trapped}) > 6_000


def test_less_than_one_trap_in_a_thousand_is_a_hit(trapped: list[Verdict]) -> None:
    hits = [one.pair for one in trapped if one.hit]
    assert len(hits) / len(trapped) < 0.001, hits
    assert not [one.pair for one in trapped if one.exact]


def test_the_cosine_alone_would_be_wrong_more_than_once_in_ten_times(trapped: list[Verdict]) -> None:
    """The reason for the gate; if this fails the gate may be more than is needed."""
    assert sum(one.near for one in trapped) / len(trapped) > 0.1


def test_most_of_what_is_only_typed_differently_is_found() -> None:
    minilm()
    typed = judged(edits())
    assert sum(one.hit for one in typed) / len(typed) > 0.7
    assert sum(one.semantic and not one.exact for one in typed) > 100


def test_paraphrases_are_not_found() -> None:
    """What the documents say of this threshold; if this fails they promise too little."""
    minilm()
    assert all(one.raw_cosine < SIMILARITY for one in judged(paraphrases()))
