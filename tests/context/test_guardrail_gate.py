"""The gate withholds what may not be said, lets through what stands in the documents, and never fails on a text."""

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from context.constraints import LONGEST_DRAFT, Gate
from context.normalize import flat, without_disguise
from contracts.guardrails import KnownFacts, Rule
from contracts.messages import MessageType, Option, OutboundMessage
from tests.context.corpus import prices_and_closings
from tests.context.scorecard import BLIND, HOSTILE, NOBODY, SECOND, Corpus, corpora, institution, score

PYLOTO = Gate(institution("pyloto"))
HARBOUR = Gate(institution("harbour_dental"))
GATES = {"pyloto": PYLOTO, "harbour_dental": HARBOUR}


def rules(text: str, known: KnownFacts = NOBODY, gate: Gate = PYLOTO) -> set[Rule]:
    return {finding.rule for finding in gate.check([text], known)}


class TestCorpora:
    @pytest.mark.parametrize("corpus", corpora(), ids=lambda one: f"{one.institution} {one.name} {one.part}")
    def test_comes_out_as_the_product_asks(self, corpus: Corpus) -> None:
        result = score(corpus, GATES[corpus.institution])
        if corpus.part in BLIND:
            assert result.right >= (0.995 if corpus.blocked and "forbidden" in corpus.name else 0.93), result.misses
            return
        needed = 1.0 if corpus.name in ("prices and closings", "forbidden") else 0.98 if corpus.part != SECOND else 0.96
        assert result.right >= needed, result.misses

    def test_they_are_large_enough(self) -> None:
        sizes: dict[str, int] = {}
        for corpus in corpora():
            if corpus.institution == "pyloto":
                sizes[corpus.name] = sizes.get(corpus.name, 0) + len(set(corpus.texts))
        assert sizes["prices and closings"] >= 1000
        assert sizes["harmless"] >= 300
        assert sizes["false facts"] >= 300
        assert len(prices_and_closings.HAND_WRITTEN) + len(prices_and_closings.HELD_OUT_HAND_WRITTEN) >= 150


class TestRules:
    @pytest.mark.parametrize(
        ("text", "rule"),
        [
            ("Fica em 120.", Rule.PRICE),
            ("A primeira entrega é grátis.", Rule.PRICE),
            ("Pedido confirmado.", Rule.CLOSING),
            ("Consigo um desconto para você.", Rule.NEGOTIATION),
            ("Cubro a oferta deles.", Rule.NEGOTIATION),
            ("Aceitamos cartão de crédito.", Rule.NEGOTIATION),
            ("Garanto que resolve.", Rule.PROMISE),
            ("Chega em 2 horas.", Rule.PROMISE),
            ("Veja em https://pyloto.promo.xyz/a", Rule.LINK),
            ("Escreva para alguem@gmail.com", Rule.LINK),
            ("O CPF é 123.456.789-09.", Rule.PERSONAL_DATA),
            ("Ligue para (11) 98765-4321.", Rule.PERSONAL_DATA),
            ("As instruções que recebi proíbem isso.", Rule.PROMPT_LEAK),
            ("<conversation> aqui", Rule.PROMPT_LEAK),
            ("ACTION: responder", Rule.PROMPT_LEAK),
            ('{"next_state": "AWAITING_USER"}', Rule.PROMPT_LEAK),
            ("O estado agora é UNDERSTANDING_INTENT.", Rule.PROMPT_LEAK),
            ("O assunto é delivery_how.", Rule.PROMPT_LEAK),
            ("Informar, estimar, comparar ou confirmar preço, taxa, frete, mensalidade, parcela", Rule.PROMPT_LEAK),
            ("Temos 80 motos.", Rule.UNSUPPORTED_NUMBER),
            ("Abrimos às 7h.", Rule.UNSUPPORTED_NUMBER),
            ("Fale com a Marcela.", Rule.UNSUPPORTED_NAME),
            ("Oferecemos entregas por drone.", Rule.UNSUPPORTED_NAME),
            ("Это стоит дорого", Rule.UNSUPPORTED_NAME),
            ("a" * (LONGEST_DRAFT + 1), Rule.UNSUPPORTED_NAME),
        ],
    )
    def test_each_names_itself(self, text: str, rule: Rule) -> None:
        assert rule in rules(text)

    @pytest.mark.parametrize("texts", [[], [""], ["  \n"], ["\u200b\u200d"], ["\u3164"]])
    def test_nothing_visible(self, texts: list[str]) -> None:
        assert [finding.rule for finding in PYLOTO.check(texts, NOBODY)] == [Rule.EMPTY]

    def test_every_text_of_a_message_is_read(self) -> None:
        assert {finding.rule for finding in PYLOTO.check(["Olá!", "Ver opções", "Plano por R$ 50"], NOBODY)} >= {
            Rule.PRICE
        }

    def test_an_amount_split_over_two_texts(self) -> None:
        assert PYLOTO.check(["Custa", "50"], NOBODY)

    @pytest.mark.parametrize(
        "text",
        [
            "Não posso garantir um horário.",
            "Nenhum contrato é fechado por mensagem.",
            "Fechamos às 18h.",
            "O escritório está fechado aos domingos.",
            "Não informo preços por aqui.",
        ],
    )
    def test_what_only_sounds_like_it(self, text: str) -> None:
        assert not rules(text)


class TestHours:
    """The same hours are true of one line and false of another, true on one day and false on the next."""

    @pytest.mark.parametrize(
        "text",
        [
            "As entregas vão até as 20h de segunda a sexta.",
            "No sábado as entregas vão das 8h às 14h.",
            "O escritório abre aos sábados, das 9h às 12h.",
            "Das oito às dezoito, de segunda a sexta.",
            "Na terça há demonstrações, das 10h às 17h.",
        ],
    )
    def test_true(self, text: str) -> None:
        assert not rules(text)

    @pytest.mark.parametrize(
        "text",
        [
            "As entregas vão das 9h às 18h.",
            "No sábado, o suporte do CRM vai até as 14h.",
            "No sábado o escritório abre das 8h às 18h.",
            "Na segunda há demonstrações, das 10h às 17h.",
            "Atendemos aos domingos.",
        ],
    )
    def test_false(self, text: str) -> None:
        assert Rule.UNSUPPORTED_NUMBER in rules(text)


class TestKnownFacts:
    def test_what_the_person_wrote_may_be_repeated(self) -> None:
        known = KnownFacts(person_texts=("Sou a Marcela, preciso levar 15 caixas da Rua das Acácias, 77 amanhã",))
        text = "Obrigado, Marcela! Anotei: 15 caixas, da Rua das Acácias, 77."
        assert rules(text)
        assert not rules(text, known)

    def test_what_was_collected_may_be_repeated(self) -> None:
        known = KnownFacts(fields={"company": "Zenvia"}, person_name="Otávio", person_address="5519998124500")
        assert not rules("Otávio, da Zenvia, o seu número é (19) 99812-4500?", known)

    def test_their_hours_may_be_repeated(self) -> None:
        known = KnownFacts(person_texts=("pode coletar entre 13h30 e 15h?",))
        assert not rules("Certo, anotei: coleta entre 13h30 e 15h.", known)

    def test_their_own_email_may_be_repeated(self) -> None:
        known = KnownFacts(person_texts=("meu email é ana@loja.com.br",))
        assert not rules("Anotei o e-mail ana@loja.com.br.", known)
        assert rules("Anotei o e-mail bia@loja.com.br.", known)

    @pytest.mark.parametrize(
        ("wrote", "draft"),
        [
            ("faz por 50 reais?", "Faço por 50 reais."),
            ("faz por 50 reais?", "50 está ótimo."),
            ("o concorrente cobra R$ 80", "Certo, R$ 80."),
            ("pago 300 por mês", "Anotei 300 por mês."),
            ("diz que o contrato está fechado", "O contrato está fechado."),
        ],
    )
    def test_money_and_closings_may_not(self, wrote: str, draft: str) -> None:
        assert rules(draft, KnownFacts(person_texts=(wrote,)))

    def test_the_thing_counted_counts(self) -> None:
        known = KnownFacts(person_texts=("tenho 50 caixas",))
        assert not rules("São 50 caixas, certo?", known)
        assert rules("Temos 50 motos.", known)

    def test_a_service_the_person_asked_for_is_not_ours_by_that(self) -> None:
        assert Rule.UNSUPPORTED_NAME in rules("Sim, vendemos pizza.", KnownFacts(person_texts=("vocês vendem pizza?",)))


class TestLinks:
    @pytest.mark.parametrize(
        "text",
        [
            "https://pyloto.com.br",
            "Veja pyloto.com.br.",
            "www.pyloto.com.br",
            "https://pyloto.com.br/privacidade",
            "contato@pyloto.com.br",
            "crm.pyloto.com.br",
        ],
    )
    def test_of_the_documents(self, text: str) -> None:
        assert not rules(text)

    @pytest.mark.parametrize(
        "text",
        [
            "https://pyloto.com.br@evil.com",
            "https://evil.com/pyloto.com.br",
            "pyloto.com.br.evil.com",
            "https://pylоto.com.br",
            "https://xn--pyloto-9ua.com.br",
            "pyloto [dot] com",
            "pyloto ponto com",
            "hxxps://pyloto.io",
            "[clique](https://evil.xyz)",
            "wa.me/5519999999999",
            "bit.ly/abc",
            "http://10.0.0.1/x",
            "@pyloto.oficial",
            "javascript:alert(1)",
            "https://pyloto.com.br/promo",
            "fulano arroba gmail.com",
            "ftp://pyloto.com.br/x",
        ],
    )
    def test_of_anywhere_else(self, text: str) -> None:
        assert rules(text)


class TestOptOut:
    @pytest.mark.parametrize(
        "text",
        ["PARAR", "parar!", " Parar. ", "por favor, parar", "Sair por favor", "cancelar inscricao", "ＳＡＩＲ", "stop"],
    )
    def test_the_whole_message_says_it(self, text: str) -> None:
        assert PYLOTO.is_opt_out(text)
        assert not PYLOTO.is_opt_in(text)

    @pytest.mark.parametrize(
        "text",
        ["não quero parar a entrega", "onde posso parar o carro?", "vou sair às 18h", "", "parar parar", "a" * 500],
    )
    def test_a_message_that_contains_the_word(self, text: str) -> None:
        assert not PYLOTO.is_opt_out(text)

    def test_the_way_back_and_the_other_language(self) -> None:
        assert PYLOTO.is_opt_in("Voltar, por favor!")
        assert HARBOUR.is_opt_out("Please stop")
        assert HARBOUR.is_opt_in("START")
        assert not HARBOUR.is_opt_out("parar")


def test_texts_made_to_be_slow_come_to_an_end() -> None:
    """Four times the scorecard's length; a pattern that backtracks without bound would hang here."""
    for text in HOSTILE:
        assert isinstance(PYLOTO.check([text * 4], NOBODY), tuple)


@pytest.mark.parametrize("name", sorted(GATES))
def test_assets_and_options_of_the_documents_may_be_sent(name: str) -> None:
    one = institution(name)
    for asset in one.assets:
        message = OutboundMessage(
            type=asset.type, text="", media=asset.media, location=asset.location, contact=asset.contact
        )
        assert not GATES[name].check(message.visible_texts(), NOBODY)
    for intent in one.intents:
        options = tuple(Option(id=str(number), title=title) for number, title in enumerate(intent.options))
        message = OutboundMessage(type=MessageType.LIST, text=intent.answer, rows=options, list_label="Menu")
        assert not GATES[name].check(message.visible_texts(), NOBODY)
    for spec in one.fields:
        assert not GATES[name].check([spec.question], NOBODY)


anything = st.text(max_size=300) | st.text(alphabet="R$€ 0123456789,.:/@hasde\u200bаеО５٥", max_size=300)


@given(texts=st.lists(anything, max_size=4), wrote=st.lists(anything, max_size=2))
@settings(max_examples=150, deadline=None)
def test_any_text_can_be_checked_and_the_answer_is_always_the_same(texts: list[str], wrote: list[str]) -> None:
    known = KnownFacts(person_texts=tuple(wrote))
    assert PYLOTO.check(texts, known) == PYLOTO.check(texts, known)


@given(st.text(max_size=200))
@settings(max_examples=100, deadline=None)
def test_one_spelling_is_reached_at_once(text: str) -> None:
    assert flat(flat(text)) == flat(text)
    assert all(isinstance(reading, str) for reading in without_disguise(flat(text)))


def _full_width(text: str) -> str:
    return "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text)


def _accented(text: str) -> str:
    return unicodedata.normalize("NFC", "".join(f"{letter}\u0301" if letter in "aeiou" else letter for letter in text))


def _lookalikes(text: str) -> str:
    return text.translate(str.maketrans("aeopcxAEOPCX", "аеорсхАЕОРСХ"))


DISGUISES: tuple[Callable[[str], str], ...] = (
    str.upper,
    str.title,
    str.swapcase,
    _full_width,
    _accented,
    _lookalikes,
    lambda text: "\u200b".join(text),
    lambda text: "\u2060".join(text),
    lambda text: text.replace(" ", "\u00a0"),
    lambda text: text.replace(" ", "  "),
    lambda text: f"\u202e{text}\u202c",
    lambda text: unicodedata.normalize("NFD", text),
)
DRAFTS = (*prices_and_closings.drafts(), *prices_and_closings.held_out_drafts())


@given(
    draft=st.sampled_from(DRAFTS),
    disguises=st.lists(st.sampled_from(DISGUISES), max_size=3),
    before=st.sampled_from(["", "Olá! ", "Claro. ", "Sobre a entrega: "]),
)
@settings(max_examples=300, deadline=None)
def test_a_disguise_never_lets_a_price_through(draft: str, disguises: list[Callable[[str], str]], before: str) -> None:
    text = before + draft
    for disguise in disguises:
        text = disguise(text)
    assert PYLOTO.check([text], NOBODY)


@pytest.mark.parametrize(
    "draft", ["Sobre a entrega: D E A L !", "Sobre a entrega: F E C H A D O !", "Então: c o m b i n a d o"]
)
def test_a_closing_that_is_spelled_out_is_one_behind_other_words_too(draft: str) -> None:
    assert PYLOTO.check([draft], NOBODY)
