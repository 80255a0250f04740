"""The floor lets documents and customers be repeated, and finds every atom that neither of them says."""

import base64
import codecs
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from context.guardrails.floor import LONGEST_DRAFT, MOST_EXPLAINED, Floor, sentences_of
from context.loader import load_institution
from contracts.errors import InstitutionError
from contracts.guardrails import Finding, KnownFacts, PartKind, ReplyPart, Rule
from contracts.institution import Institution
from prompts.templating.registry import PromptRegistry
from tests.context.guardrails.making import NAMES, NOBODY, floor, inform, institution, random_institutions
from tests.context.guardrails.steps import changed

ROOT = Path(__file__).parents[3]
TRANSLATED = yaml.safe_load(Path(__file__).with_name("translated.yaml").read_text(encoding="utf-8"))


def rules(name: str, text: str, *person: str) -> set[Rule]:
    return {finding.rule for finding in floor(name).check_text(text, KnownFacts(person_texts=person))}


def said(name: str, says: PartKind, text: str, *sources: str, known: KnownFacts = NOBODY) -> set[Rule]:
    part = ReplyPart(says=says, text=text, sources=sources)
    return {finding.rule for finding in floor(name).check([part], known)}


def answering(answer: str) -> Floor:
    """The floor of an institution whose first intent has this answer."""
    plain = institution("pyloto")
    first = plain.intents[0].model_copy(update={"answer": answer})
    return Floor(plain.model_copy(update={"intents": (first, *plain.intents[1:])}))


class TestDocuments:
    @pytest.mark.parametrize("name", NAMES)
    def test_every_passage_passes_word_for_word(self, name: str) -> None:
        for passage in floor(name).passages:
            assert floor(name).check_text(passage.text, NOBODY) == (), passage.id
            assert floor(name).check([inform(passage.text, passage.id)], NOBODY) == (), passage.id
            assert floor(name).check_wording(passage.text) == (), passage.id

    @settings(max_examples=60)
    @given(random_institutions())
    def test_every_passage_of_a_random_institution_passes(self, random: Institution) -> None:
        checks = Floor(random)
        for passage in checks.passages:
            assert checks.check_text(passage.text, NOBODY) == ()
            assert checks.check([inform(passage.text, passage.id)], NOBODY) == ()

    @pytest.mark.parametrize("name", NAMES)
    def test_an_atom_changed_by_one_step_is_found(self, name: str) -> None:
        steps = [
            (passage.id, text, how)
            for passage in floor(name).passages
            for text, how in changed(passage.text, institution(name))
        ]
        missed = [how for source, text, how in steps if not floor(name).check([inform(text, source)], NOBODY)]
        assert len(steps) > 40
        assert len(missed) <= 0.02 * len(steps), missed
        # A text without parts may rely on every passage, so another one may say what was changed to.
        missed = [how for _, text, how in steps if not floor(name).check_text(text, NOBODY)]
        assert len(missed) <= 0.12 * len(steps), missed

    def test_atoms_of_institutions_that_it_was_not_written_with(self) -> None:
        """Twelve of them and more: their passages pass, and 97 in 100 atoms that change by one step are found."""
        steps = missed = 0
        for folder in sorted((ROOT / "evals/gate/institutions").iterdir()):
            loaded = load_institution(folder)
            checks = Floor(loaded)
            for passage in checks.passages:
                assert checks.check_text(passage.text, NOBODY) == (), (folder.name, passage.id)
                assert checks.check([inform(passage.text, passage.id)], NOBODY) == (), (folder.name, passage.id)
                found = [checks.check([inform(text, passage.id)], NOBODY) for text, _ in changed(passage.text, loaded)]
                steps, missed = steps + len(found), missed + found.count(())
        assert steps > 3_000
        assert missed <= 0.03 * steps

    @settings(max_examples=60)
    @given(random_institutions())
    def test_an_atom_of_a_random_institution_changed_by_one_step_is_found(self, random: Institution) -> None:
        checks = Floor(random)
        for passage in checks.passages:
            for text, how in changed(passage.text, random):
                assert checks.check([inform(text, passage.id)], NOBODY), how
                assert checks.check_text(text, NOBODY), how


class TestAtoms:
    @pytest.mark.parametrize(
        ("name", "text", "rule"),
        [
            ("pyloto", "Fica em R$ 28,00 por entrega.", Rule.PRICE),
            ("pyloto", "São cento e vinte reais.", Rule.PRICE),
            ("pyloto", "cinquenta (50) reais", Rule.PRICE),
            ("pyloto", "R\u200b$ 80", Rule.PRICE),
            ("pyloto", "２５ reais", Rule.PRICE),
            ("pyloto", "BRL 220", Rule.PRICE),
            ("pyloto", "19,90", Rule.PRICE),
            ("harbour_dental", "It is twenty pounds.", Rule.PRICE),
            ("pedal_sur", "Sale dos mil pesos.", Rule.PRICE),
            ("pedal_sur", "Son US$ 15 por persona.", Rule.PRICE),
            ("pyloto", "Damos quinze por cento.", Rule.UNSUPPORTED_PERCENTAGE),
            ("harbour_dental", "20% of our patients.", Rule.UNSUPPORTED_PERCENTAGE),
            ("pyloto", "Veja pyloto.promo.xyz.", Rule.LINK),
            ("pyloto", "Veja www.pyloto.zzz.", Rule.LINK),
            ("pyloto", "hxxps://pyloto.io", Rule.LINK),
            ("pyloto", "pyloto [ponto] com", Rule.LINK),
            ("harbour_dental", "See smile-falmouth.dentist.", Rule.LINK),
            ("harbour_dental", "Write to reception@harbourdental.example.", Rule.LINK),
            ("pedal_sur", "Somos @pedalsur.montevideo.", Rule.LINK),
            ("pyloto", "Ligue (19) 3255-4108.", Rule.PERSONAL_DATA),
            ("pyloto", "O CPF é 123.456.789-09.", Rule.PERSONAL_DATA),
            ("pedal_sur", "Escribe al 099 123 456.", Rule.PERSONAL_DATA),
            ("pyloto", "Fica para 12/05.", Rule.UNSUPPORTED_DATE),
            ("pyloto", "Fica para 12 de maio.", Rule.UNSUPPORTED_DATE),
            ("harbour_dental", "Our postcode is TR11 3JX.", Rule.UNSUPPORTED_CODE),
            ("pyloto", "Parcelamos em 3x.", Rule.UNSUPPORTED_CODE),
            ("pyloto", "O baú tem 45 x 45 x 40 cm.", Rule.UNSUPPORTED_NUMBER),
            ("pyloto", "Temos 120 motos.", Rule.UNSUPPORTED_NUMBER),
            ("pyloto", "Chega em 2 horas.", Rule.UNSUPPORTED_NUMBER),
            ("pedal_sur", "Somos ocho mecánicos.", Rule.UNSUPPORTED_NUMBER),
            ("pedal_sur", "Cada grupo lleva de 5 a 12 personas.", Rule.UNSUPPORTED_NUMBER),
            ("pyloto", "Só 50 por mês.", Rule.UNSUPPORTED_NUMBER),
            ("pedal_sur", "El de 12 km es más corto que el de 19.", Rule.UNSUPPORTED_NUMBER),
            ("pedal_sur", "Cada grupo lleva de 5 a 12.", Rule.UNSUPPORTED_HOURS),
            ("pyloto", "Quem cuida é a Fernanda.", Rule.UNSUPPORTED_NAME),
            ("pyloto", "Atendemos Campinas, Limeira e Sumaré.", Rule.UNSUPPORTED_NAME),
            ("pyloto", "Vamos a Campinas, Limeira.", Rule.UNSUPPORTED_NAME),
            ("harbour_dental", "We open at half past nine, Monday to Thursday.", Rule.UNSUPPORTED_HOURS),
            ("harbour_dental", "We open at half nine, Monday to Thursday.", Rule.UNSUPPORTED_HOURS),
            ("harbour_dental", "From 8.30 to 6.30, Monday to Thursday.", Rule.UNSUPPORTED_HOURS),
            ("harbour_dental", "It is yours for 8.30.", Rule.PRICE),
            ("harbour_dental", "Whitening goes from 8.30.", Rule.PRICE),
            ("harbour_dental", "See you on the 17th.", Rule.UNSUPPORTED_CODE),
            (
                "harbour_dental",
                "There are 5 hygienists, two chairs, a desk, a door and a dog.",
                Rule.UNSUPPORTED_NUMBER,
            ),
            ("pyloto", "P a g u e depois", Rule.UNREADABLE),
            ("pyloto", "c i n q u e n t a por entrega", Rule.UNREADABLE),
            ("pyloto", "cin\u0441o por entrega", Rule.UNREADABLE),
            ("pyloto", "Это стоит дорого", Rule.UNREADABLE),
        ],
    )
    def test_without_support_is_found(self, name: str, text: str, rule: Rule) -> None:
        assert rule in rules(name, text)

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("pyloto", "Das oito às dezoito, de segunda a sexta."),
            ("pyloto", "O endereço é fácil de achar no Google Maps."),
            ("pyloto", "São duas perguntas para a equipe. Posso mandar as duas para lá?"),
            ("pyloto", "Aqui a gente mistura os dois sem problema 😄 Vocês já conhecem?"),
            ("pyloto", "Na terça há demonstrações, das 10h às 17h."),
            ("pyloto", "Sábado é das 9 ao meio-dia."),
            ("pyloto", "Teams of 2 to 50 people, Monday to Friday from 8 am to 6 pm."),
            ("pyloto", "Levamos até doze quilos de moto."),
            ("pyloto", "Ligue +55 19 3255-4180, ou 3255-4180 se for de Campinas."),
            ("harbour_dental", "On weekdays we open at 8:30."),
            ("harbour_dental", "On Friday we close at 1 pm."),
            ("harbour_dental", "Às terças e quartas, das 9h às 16h."),
            ("pedal_sur", "O passeio do Prado sai aos domingos, às 9h30."),
            ("pedal_sur", "The rental is open every day, 9 am to 7 pm."),
            ("pyloto", "Me conta mais duas coisinhas? São 3 perguntas."),
            ("pyloto", "Entendi. Com essa informação eu encaminho."),
            ("pyloto", "Leva uma caixa (12kg) de Campinas a Vinhedo."),
            ("pyloto", "Ligue (19) 3255\u20114180."),
            ("pyloto", "O baú tem 45x40x40cm."),
            ("pyloto", "Passo 1: você conta o que precisa levar."),
            ("pyloto", "Atendemos 8h\u201318h (seg\u2013sex) e 9h\u201312h (sáb)."),
            ("pyloto", "Tenha um dia ótimo!"),
            ("pyloto", "Bom dia, Marta Souza! Tudo bem?"),
            ("harbour_dental", "Lovely to meet you, Emma."),
            ("harbour_dental", "We open at half past eight, Monday to Thursday."),
            ("harbour_dental", "We open at half eight, Monday to Thursday."),
            ("harbour_dental", "Mon to Thu, 8.30–5.30pm."),
            ("harbour_dental", "On Thursdays from 8.30 till half past five."),
            ("harbour_dental", "On Fridays, between 8.30 and 1."),
            ("harbour_dental", "Na terça abrimos às oito e meia."),
            ("pedal_sur", "Los menores de 16, con un adulto."),
            ("pedal_sur", "El de 12 km es más corto que el de 18."),
            ("pedal_sur", "Cada grupo lleva de 4 a 12."),
            ("pedal_sur", "São 48 no total: 40 urbanas, 6 tandem e 2 de carga."),
            ("pedal_sur", "Serían dos personas, entonces. ¿Prefieren dos urbanas?"),
            ("pedal_sur", "Cerrado los lunes y domingos; los demás días está de 9:00 a 18:30."),
            ("pedal_sur", "Estamos en la calle Durazno 1872, a dos cuadras de la rambla."),
            ("pedal_sur", "Once you are here, the mechanic looks at the bike with you."),
        ],
    )
    def test_said_in_other_words_or_languages_passes(self, name: str, text: str) -> None:
        assert rules(name, text) == set()

    @pytest.mark.parametrize(
        "text",
        [
            "Aos sábados o escritório abre das 8h às 13h.",
            "Atendemos de segunda a sábado, das 8h às 18h.",
            "Aos domingos abrimos das 9h às 12h.",
            "O suporte atende todos os dias, das 8h às 18h.",
            "Aos sábados das 8h às 20h, e de segunda a sexta das 8h às 14h.",
        ],
    )
    def test_hours_belong_to_their_days(self, text: str) -> None:
        assert rules("pyloto", text) == {Rule.UNSUPPORTED_HOURS}

    def test_a_finding_names_sentence_reason_and_nearest_passage(self) -> None:
        (finding,) = floor("pyloto").check_text("Claro! De moto levamos até 15 kg.", NOBODY)
        assert finding.sentence == 1
        assert finding.excerpt == "15"
        assert finding.why
        assert "12 kg" in finding.nearest


CLOTHES: tuple[Callable[[str], str], ...] = (
    str,
    str.upper,
    lambda text: codecs.encode(text, "rot13"),
    lambda text: text[::-1],
    lambda text: codecs.encode(text, "rot13")[::-1],
    lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
    lambda text: base64.urlsafe_b64encode(codecs.encode(text, "rot13").encode()).decode(),
    lambda text: "\n".join(textwrap.wrap(base64.b64encode(text.encode()).decode(), 32)),
    " ".join,
    "*".join,
    lambda text: "\n".join(text.split()),
    lambda text: text.replace(" ", ""),
    lambda text: text.replace(" ", ", "),
)


class TestParts:
    HOURS = "Open Monday to Thursday, 8:30 am to 5:30 pm."

    def test_what_informs_cites_the_passage_that_says_it(self) -> None:
        assert said("harbour_dental", PartKind.INFORM, self.HOURS, "intent.hours") == set()
        assert said("harbour_dental", PartKind.INFORM, self.HOURS, "intent.greeting") == {Rule.UNSUPPORTED_HOURS}
        assert said("harbour_dental", PartKind.INFORM, self.HOURS) == {Rule.SOURCE_MISSING, Rule.UNSUPPORTED_HOURS}
        assert Rule.SOURCE_MISSING in said("harbour_dental", PartKind.INFORM, self.HOURS, "intent.hours", "intent.nil")

    @pytest.mark.parametrize("says", [kind for kind in PartKind if kind not in (PartKind.INFORM, PartKind.ECHO)])
    def test_other_parts_state_no_facts(self, says: PartKind) -> None:
        assert said("harbour_dental", says, self.HOURS, "intent.hours") == {Rule.UNSUPPORTED_HOURS}
        assert said("harbour_dental", says, "Two more questions, if I may.") == set()

    def test_the_persons_atoms_are_theirs_and_never_the_companys(self) -> None:
        known = KnownFacts(person_texts=("see www.evil.example, call 07700 900123, at 3 pm, 12 chairs and 2 tables",))
        for text in ("You wrote www.evil.example.", "You gave 07700 900123.", "You said 3 pm."):
            assert said("harbour_dental", PartKind.ECHO, text, known=known) == set()
            assert said("harbour_dental", PartKind.INFORM, text, "intent.hours", known=known)
        assert said("harbour_dental", PartKind.ECHO, "That makes 14 pieces.", known=known) == set()

    @pytest.mark.parametrize(
        ("person", "text"),
        [
            ("são 15 kg", "De moto levamos até 12 kg, o seu pacote passa disso em 3 kg."),
            ("de 14 as 18", "Então são 4 horas de trabalho."),
            ("dia 3 até dia 31", "São 28 noites."),
            ("fui a 14 de 18 aulas", "Isso dá 78% de presença."),
            ("pesa 6,2kg", "Anotei: 6,2 kg."),
            ("tenho amanhã às 8h e são 15h agora", "Daqui até lá são 17 horas."),
            ("do you open on November 2nd?", "On November 2 nobody is here."),
            ("faz 3 semanas", "São 21 dias desde então."),
            ("de 10/12 até 20/02", "São 72 dias."),
            ("tem 1,65 m", "Com 1,65 m, a equipe olha antes."),
            ("queria 100 folhetos e 75 cartazes", "O total fica em 175 peças."),
            ("umas 3 da tarde", "Anotei: três da tarde."),
            ("she turns 40", "How lovely, her 40th!"),
            ("são 2 Fiorinos", "Anotei um Fiorino e outro."),
        ],
    )
    def test_a_persons_numbers_are_reckoned_with(self, person: str, text: str) -> None:
        assert rules("pyloto", text, person) == set()
        assert rules("pyloto", text)

    def test_a_documented_rate_is_reckoned_with(self) -> None:
        reckoner = answering("A conta é de 8 folhas por caixa, e 10 caixas por carro.")
        asked = KnownFacts(person_texts=("são 45 caixas",))
        assert reckoner.check_text("Para 45 caixas são 360 folhas, em 4,5 carros.", asked) == ()
        assert reckoner.check_text("Para 45 caixas são 370 folhas.", asked)
        assert reckoner.check_text("São 360 folhas.", NOBODY)

    def test_an_hour_is_moved_by_a_documented_time(self) -> None:
        reckoner = answering("A visita dura 90 minutos, e se marca 3 meses antes.")
        asked = KnownFacts(person_texts=("pode ser às 7h20 de 8/11?",))
        assert reckoner.check_text("A visita dura 90 minutos, então iria das 7h20 às 8h50.", asked) == ()
        assert reckoner.check_text("A visita dura 1h30.", asked) == ()
        assert reckoner.check_text("Marque 3 meses antes, dia 8 de agosto.", asked) == ()
        assert reckoner.check_text("Marque 3 meses antes, dia 8 de julho.", asked)
        assert reckoner.check_text("A visita dura 90 minutos, então iria das 7h20 às 8h45.", asked)
        assert reckoner.check_text("A visita dura 90 minutos, então iria das 7h20 às 8h50.", NOBODY)

    def test_measures_of_another_system_are_said_in_round_numbers(self) -> None:
        reckoner = answering("Da estação são 2 milhas; a caixa leva até 120 kg.")
        assert reckoner.check_text("São 3 km.", NOBODY) == ()
        assert reckoner.check_text("São 4 km.", NOBODY)
        asked = KnownFacts(person_texts=("I am 18 stone",))
        assert reckoner.check_text("18 stone is about 114 kg.", asked) == ()
        assert reckoner.check_text("18 stone is about 119 kg.", asked)
        assert reckoner.check_text("Open on the 1st of May.", NOBODY) != (), "and no stone"

    @pytest.mark.parametrize("text", ["Dura 2½ horas.", "Dura duas horas e meia.", "It takes two and a half hours."])
    def test_a_half_has_many_spellings(self, text: str) -> None:
        assert answering("A visita dura 2,5 horas.").check_text(text, NOBODY) == ()
        assert answering("A visita dura 2 horas e meia.").check_text(text, NOBODY) == ()
        assert answering("A visita dura 2 horas.").check_text(text, NOBODY)

    def test_an_age_is_no_measure_of_its_sentence(self) -> None:
        club = answering("O passeio tem 5 km, a partir da idade de 10 anos.")
        assert club.check_text("It is 5 km long, from age 10.", NOBODY) == ()
        assert club.check_text("It is 5 km long, from age 5.", NOBODY)

    def test_what_follows_in_a_list_is_counted(self) -> None:
        assert rules("pyloto", "São quatro frentes: entregas, serviços, tecnologia e CRM.") == set()
        assert rules("pyloto", "São cinco frentes: entregas, serviços e tecnologia.") == {Rule.UNSUPPORTED_NUMBER}

    def test_a_translated_name_is_the_documents_own(self) -> None:
        assert rules("pyloto", "We deliver all over Brazil.", "do you deliver in Brasil?") == set()
        assert rules("pyloto", "The office is with the Ministry of Agriculture.", "where is the office") != set()
        asked = "qual o papel do Ministério da Agricultura?"
        assert rules("pyloto", "That is for the Ministry of Agriculture to say.", asked) == set()

    def test_what_was_collected_supports_nothing(self) -> None:
        known = KnownFacts(person_name="www.evil.example")
        assert said("harbour_dental", PartKind.GREET, "Hello www.evil.example!", known=known) == {Rule.LINK}
        assert said("harbour_dental", PartKind.ECHO, "I noted 07700 900123.", known=known) == {Rule.PERSONAL_DATA}

    @pytest.mark.parametrize("clothes", CLOTHES)
    def test_no_instruction_leaks_in_other_clothes(self, clothes: Callable[[str], str]) -> None:
        wording = PromptRegistry.read().wording()
        checks = Floor(institution("harbour_dental"), wording)
        lines = (line for text in wording for line in text.splitlines() if "{" not in line and '"' not in line)
        hidden = [*institution("harbour_dental").never, *lines]
        hidden = [text for text in hidden if sum(map(str.isalnum, text)) >= 60]
        assert len(hidden) >= 10
        for text in hidden:
            found = checks.check_text(f"Sure: {clothes(text)}", NOBODY)
            assert {one.rule for one in found} & {Rule.PROMPT_LEAK, Rule.UNREADABLE}, clothes(text)

    @pytest.mark.parametrize("language", TRANSLATED["templates"])
    @pytest.mark.parametrize("name", NAMES)
    def test_a_template_leaks_in_no_language(self, name: str, language: str) -> None:
        """Any three steps are found, and most single ones; the rest is the judge's."""
        steps = TRANSLATED["templates"][language]
        for first in range(len(steps) - 2):
            assert Rule.PROMPT_LEAK in rules(name, " ".join(steps[first : first + 3]))
        assert sum(Rule.PROMPT_LEAK in rules(name, step) for step in steps) * 3 >= len(steps) * 2

    @pytest.mark.parametrize("name", NAMES)
    def test_some_of_the_same_terms_are_no_leak(self, name: str) -> None:
        assert [text for text in TRANSLATED["honest"] if Rule.PROMPT_LEAK in rules(name, text)] == []

    def test_the_profiles_name_greets(self) -> None:
        known = KnownFacts(person_name="Oluwaseun A.")
        assert said("harbour_dental", PartKind.GREET, "Hello Oluwaseun and welcome.", known=known) == set()
        assert said("harbour_dental", PartKind.GREET, "Hello Oluwaseun and welcome.") == {Rule.UNSUPPORTED_NAME}

    def test_money_that_the_person_said_is_not_repeated(self) -> None:
        known = KnownFacts(person_texts=("is it £50?",))
        assert said("harbour_dental", PartKind.ECHO, "You said £50.", known=known) == {Rule.PRICE}

    def test_other_visible_texts_are_read(self) -> None:
        part = ReplyPart(says=PartKind.GREET, text="Hello!")
        (finding,) = floor("harbour_dental").check([part], NOBODY, also=["Braces", "Plan for £50"])
        assert (finding.rule, finding.sentence) == (Rule.PRICE, 2)

    def test_sentences_are_numbered_over_all_parts(self) -> None:
        parts = [ReplyPart(says=PartKind.GREET, text="Hello! I see."), inform("Call 020 7946 0000.", "intent.contact")]
        (finding,) = floor("harbour_dental").check(parts, NOBODY)
        assert sentences_of(parts)[finding.sentence or 0] == "Call 020 7946 0000."

    def test_parts_are_read_by_their_json_name(self) -> None:
        part = ReplyPart.model_validate_json('{"says": "inform", "text": "x", "from": ["intent.hours"]}')
        assert part.sources == ("intent.hours",)
        assert part.model_dump(by_alias=True)["from"] == ("intent.hours",)


class TestListedPrices:
    LISTED = "The deposit is £20."

    def floor(self, setting: str) -> Floor:
        plain = institution("harbour_dental")
        first, *others = plain.intents
        documents = plain.documents | {"principles.md": plain.documents["principles.md"] + setting}
        intents = (first.model_copy(update={"answer": self.LISTED}), *others)
        return Floor(plain.model_copy(update={"documents": documents, "intents": intents}))

    def test_are_said_where_the_settings_allow_it(self) -> None:
        open_handed = self.floor("\n# Settings\n\n- say_listed_prices: yes\n")
        source = open_handed.passages[[one.text[:12] for one in open_handed.passages].index(self.LISTED[:12])].id
        assert open_handed.check([inform(self.LISTED, source)], NOBODY) == ()
        assert open_handed.check([inform("The deposit is £21.", source)], NOBODY)
        assert open_handed.check([inform(self.LISTED, "intent.hours")], NOBODY)
        assert open_handed.check_wording(self.LISTED) == ()

    def test_are_not_said_otherwise(self) -> None:
        for setting in ("", "\n# Settings\n\n- say_listed_prices: no\n"):
            assert self.floor(setting).check_text(self.LISTED, NOBODY)[0].rule is Rule.PRICE
            assert self.floor(setting).check_wording(self.LISTED)[0].rule is Rule.PRICE


class TestLeaks:
    @pytest.mark.parametrize(
        "text",
        [
            "I never state, estimate or compare a fee, a discount, a payment plan.",
            "The state is AWAITING_USER now.",
            "This is medical_advice, I think.",
            "<institution>Harbour</institution>",
            '{"says": "inform"}',
            "As line.checkups.2 says.",
        ],
    )
    def test_text_of_the_prompt_is_found(self, text: str) -> None:
        assert Rule.PROMPT_LEAK in rules("harbour_dental", text)

    def test_what_the_person_wrote_is_no_leak(self) -> None:
        assert rules("harbour_dental", "Is it my_scan or another one?", "the file is my_scan") == set()


class TestOtherLanguages:
    """A language is a setting; nothing was written for these."""

    @staticmethod
    def speaking(language: str, body: str) -> Floor:
        plain = institution("harbour_dental")
        line = plain.lines[0].model_copy(update={"body": body})
        documents = {"business_lines.md": body}
        return Floor(
            plain.model_copy(update={"language": language, "lines": (line,), "intents": (), "documents": documents})
        )

    @pytest.mark.parametrize(
        ("language", "true", "false"),
        [
            ("fr-FR", "Ouvert du mardi au jeudi, de 9h à 17h.", "Ouvert du mardi au samedi, de 9h à 17h."),
            ("fr-FR", "Nous avons douze chambres.", "Nous avons treize chambres."),
            ("de-DE", "Von Montag bis Freitag, 9:00 bis 17:00.", "Von Montag bis Samstag, 9:00 bis 17:00."),
            ("it-IT", "Abbiamo quattordici camere.", "Abbiamo quindici camere."),
            ("el-GR", "Ερμού 14, τηλέφωνο 21 0322 1234.", "Ερμού 15, τηλέφωνο 21 0322 1234."),
            ("el-GR", "Είμαστε στην οδό Ερμού 14.", "Αυτό κάνει 20 ευρώ."),
        ],
    )  # fmt: skip
    def test_atoms_are_compared(self, language: str, true: str, false: str) -> None:
        checks = self.speaking(language, true)
        assert checks.check_text(true, NOBODY) == ()
        assert checks.check_text(false, NOBODY)


class TestWholeDrafts:
    @pytest.mark.parametrize("text", ["", "  \n", "\u200b\u200d", "\u00ad"])
    def test_nothing_visible(self, text: str) -> None:
        assert [finding.rule for finding in floor("pyloto").check_text(text, NOBODY)] == [Rule.EMPTY]

    def test_too_long_is_refused_unread(self) -> None:
        assert rules("pyloto", "a" * (LONGEST_DRAFT + 1)) == {Rule.TOO_LONG}

    def test_a_language_that_cldr_does_not_know_is_named(self) -> None:
        with pytest.raises(InstitutionError, match="zz"):
            Floor(institution("pyloto").model_copy(update={"language": "zz"}))


PIECES = st.sampled_from(
    [
        *(
            "Das 8h às 18h",
            "de segunda a sexta",
            "R$ 50",
            "50",
            "três",
            "pessoas",
            "a.b",
            "x@y.com",
            "@ana",
            "Ana",
            "ana",
        ),
        *(
            "3255-4180",
            "12/05",
            "10%",
            "por cento",
            "TR11",
            "1.",
            "e",
            "a",
            "\u0430",
            "…",
            "½",
            "º",
            "h",
            "p.m.",
            "\u200b",
        ),
        *(
            ". ",
            "! ",
            ", ",
            ": ",
            " ",
            "\t",
            "'",
            "(",
            ")",
            "4 x 5",
            "meio-dia",
            "2 a 50",
            "_",
            "a_b",
            "<b>",
            "mil",
            "reais",
        ),
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=6), min_size=1, max_size=14).map("".join)


def without_numbers(findings: tuple[Finding, ...]) -> set[tuple[Rule, str, str]]:
    return {(finding.rule, finding.excerpt, finding.why) for finding in findings if finding.rule is not Rule.EMPTY}


class TestProperties:
    @settings(max_examples=300)
    @given(TEXTS, TEXTS)
    def test_findings_of_two_texts_are_those_of_each(self, one: str, two: str) -> None:
        checks = floor("pyloto")
        both = checks.check_text(f"{one}\n{two}", NOBODY)
        assert without_numbers(both) == without_numbers(checks.check_text(one, NOBODY)) | without_numbers(
            checks.check_text(two, NOBODY)
        )

    @settings(max_examples=300)
    @given(TEXTS, st.sampled_from(NAMES), st.sampled_from(list(PartKind)))
    def test_no_text_makes_it_fail(self, text: str, name: str, says: PartKind) -> None:
        parts = [ReplyPart(says=says, text=text)] if text else []
        first = floor(name).check(parts, NOBODY, also=[text])
        assert first == floor(name).check(parts, NOBODY, also=[text])

    @settings(max_examples=100)
    @given(TEXTS, TEXTS)
    def test_whatever_the_person_wrote_money_stays_money(self, wrote: str, text: str) -> None:
        known = KnownFacts(person_texts=(wrote, f"{text} R$ 50"), person_name="R$ 50")
        assert Rule.PRICE in {finding.rule for finding in floor("pyloto").check_text(f"{text}\nR$ 50", known)}

    def test_many_findings_are_all_kept(self) -> None:
        findings = floor("pyloto").check_text("\n".join(f"{n} navios" for n in range(100, 200)), NOBODY)
        assert len(findings) == 100
        assert sum(bool(finding.nearest) for finding in findings) <= MOST_EXPLAINED
