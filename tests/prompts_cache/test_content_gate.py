"""What a text says, read out of what is typed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prompts.caching.content import MOST_CHARACTERS, Content, Vocabulary, folded, normalised
from tests.prompts_cache.corpus import PORTUGUESE
from tests.prompts_cache.scorecard import vocabulary_of

KNOWN = Vocabulary("Fazemos entregas e coletas. Atendemos em Campinas e em Valinhos. O orçamento leva um dia.")


def read(text: str) -> Content:
    return KNOWN.content(text)


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("são 1.500 caixas a 2,5 kg", "numbers", ("1.500", "2,5")),
        ("custa 50% ou R$ 30", "numbers", ("50", "%", "$", "30")),
        ("duas entregas", "numbers", ("duas",)),
        ("no sábado de manhã", "dates", ("sabado", "manha")),
        ("entregam em campinas", "names", ("campinas",)),
        ("quero falar com a Carla", "names", ("carla",)),
        ("vocês não fazem nada", "negations", ("nao", "nada")),
        ("sim, pode", "answers", ("sim",)),
        ("qual é e quando", "questions", ("qual", "quando")),
        ("o zeferino atende", "unknown", ("zeferino",)),
        ("certo 👍", "unknown", ("👍",)),
        ("n quero", "negations", ("nao",)),
    ],
)
def test_what_is_found(text: str, kind: str, found: tuple[str, ...]) -> None:
    assert getattr(read(text), kind) == found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Qual é o horário de vocês?", "qual o horario"),
        ("Oi, bom dia! Vocês fazem entregas?", "vcs fazem entregas?"),
        ("quero um orçamento por favor", "Quero orçamento"),
        ("quero um orcamnto", "quero um orçamento"),
        ("qual o horárioooo", "qual o horário"),
    ],
)
def test_typing_makes_no_difference(one: str, other: str) -> None:
    assert read(one).signature == read(other).signature


def test_only_what_is_made_of_known_words_is_common_and_only_what_adds_nothing_plain() -> None:
    assert read("qual o horário").is_common
    assert read("qual o horário").is_plain
    assert read("entregas no sábado").is_common
    assert not read("entregas no sábado").is_plain
    for text in ("oi", "", "qual o horário do zeferino", "em Campinas", "qual o horário " * 40):
        assert not read(text).is_common
        assert not read(text).is_plain


def test_no_in_english_is_a_negation() -> None:
    assert not KNOWN.content("no delivery", language="en").is_plain
    assert KNOWN.content("no horário", language="pt-BR").negations == ()


def test_a_name_of_the_documents_is_not_repaired_into_another_word() -> None:
    assert KNOWN.repaired("valinhos") == "valinhos"
    assert KNOWN.repaired("entergas") == "entregas"
    assert KNOWN.repaired("entregax") == "entregax", "the last letter stays"


@settings(deadline=None)  # on a busy machine the first text, which reads the documents, takes its time
@given(text=st.text(max_size=200))
def test_any_text_can_be_read_and_says_the_same_each_time(text: str) -> None:
    assert normalised(text) == normalised(f"  {text} ")
    content = vocabulary_of(PORTUGUESE).content(text)
    assert content.signature == vocabulary_of(PORTUGUESE).content(text).signature
    assert len(content.signature) == 32
    assert folded(text) == folded(text.casefold())


@settings(deadline=None)
@given(text=st.text(min_size=MOST_CHARACTERS + 1, max_size=MOST_CHARACTERS + 50))
def test_of_a_long_text_nothing_is_read(text: str) -> None:
    assert not read(text).is_common
    assert not read(text).is_plain
