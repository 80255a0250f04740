"""The table of the monthly cost is the one that its script computes from figures that the documents have."""

from tests.deploy.dockerfile import ROOT
from tools import forecast


def test_the_page_has_the_table_of_the_script() -> None:
    assert forecast.PAGE.read_text() == forecast.page()
    assert forecast.table() in forecast.page()


def test_the_figures_are_those_of_the_documents() -> None:
    measured = (ROOT / "docs" / "executor.md").read_text()
    assert f"{forecast.TURN_CACHED} | {forecast.TURN} |" in measured
    counted = (ROOT / "docs" / "decisions" / "0030-firestore-counted.md").read_text()
    assert f"${forecast.FIRESTORE_MESSAGE * 100_000:.2f} |" in counted
    assert f"${forecast.FIRESTORE_IDLE} |" in counted


def test_ten_times_the_conversations_cost_less_than_ten_times() -> None:
    small, large = (sum(forecast.forecast(volume).values()) for volume in (1_000, 10_000))
    assert small < large < 10 * small
