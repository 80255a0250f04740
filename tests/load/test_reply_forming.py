"""A reply is seen forming through the real processes of the Celery engine."""

from pathlib import Path

import pytest

from tests.load.streaming import first_texts


@pytest.mark.slow
async def test_what_the_model_says_is_shown_as_it_forms(tmp_path: Path) -> None:
    figures = await first_texts(tmp_path, turns=5)
    assert figures["turns"] == 5
