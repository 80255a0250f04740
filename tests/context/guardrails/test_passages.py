"""Passages have stable, readable ids in a stable order, and hold nothing that is hidden."""

import re

import pytest

from context.guardrails.passages import passages_of, says_listed_prices
from context.loader import load_institution
from tests.context.guardrails.making import FOLDERS, NAMES, institution


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_unique_readable_and_in_the_same_order_every_time(name: str) -> None:
    ids = [passage.id for passage in passages_of(institution(name))]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)+", one) for one in ids)
    assert ids == [passage.id for passage in passages_of(load_institution(FOLDERS[name]))]


def test_documents_are_cut_at_paragraphs_and_bullets() -> None:
    passages = {passage.id: passage for passage in passages_of(institution("pyloto"))}
    assert passages["line.delivery.8"].text.startswith("Coletas e entregas de segunda a sexta, das 8h às 20h")
    assert passages["line.delivery.8"].line == "delivery"
    assert passages["line.crm.3"].text.endswith("do segmento do cliente.")
    assert passages["line.crm.7"].text.startswith("Os módulos são")
    assert passages["about.1"].text.startswith("A Pyloto é uma empresa de Campinas")
    assert "1240" in passages["asset.office"].text
    assert passages["intent.phone"].line is None
    assert passages["text.clarify"].text
    assert passages["field.name"].text.startswith("Como posso chamar você?")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_hidden_is_among_them(name: str) -> None:
    texts = "\n".join(passage.text for passage in passages_of(institution(name)))
    assert not [one for one in institution(name).never if one in texts]
    assert "allowed_domains" not in texts
    assert "keywords" not in texts


def test_listed_prices_are_off_by_default() -> None:
    assert not any(says_listed_prices(institution(name)) for name in NAMES)
