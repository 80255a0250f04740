"""The bucket function is frozen: another one would move everybody."""

import csv

from flags.evaluation import SCALE, draw, threshold
from tests.builders import ROOT

VECTORS = ROOT / "tests" / "flags" / "golden" / "buckets.csv"


def test_a_thousand_people_are_in_the_buckets_that_sha256sum_says() -> None:
    with VECTORS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) == 1_000
    for flag, salt, key, reach, choice in rows:
        assert draw(flag, salt, key) == (int(reach, 16), int(choice, 16)), (flag, salt, key)


def test_the_ends_of_the_scale_reach_nobody_and_everybody() -> None:
    assert threshold(0) == 0
    assert threshold(100) == SCALE
    assert [threshold(part) for part in (0.1, 25, 50)] == [round(SCALE / 1_000), SCALE // 4, SCALE // 2]


def test_any_text_has_a_bucket() -> None:
    assert draw("x", "1", "\ud800") != draw("x", "1", "\udfff")
