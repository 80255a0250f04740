"""Every problem of the documents is told with its file and line, and what is right is read whole."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.context import untranslated
from context.loader import BUSINESS_LINES, MAX_FILE_BYTES, PRINCIPLES, SECTIONS, TAXONOMY, load_institution
from context.publishing import InstitutionSource
from contracts.errors import InstitutionError
from contracts.institution import FixedText, Institution
from contracts.messages import MessageType

DOCUMENTS = Path(__file__).parents[2] / "context" / "documents"
NAMES = ("pyloto", "harbour_dental")

Documents = dict[str, str]


def read(name: str) -> Documents:
    return {file: (DOCUMENTS / name / file).read_text() for file in SECTIONS}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Documents], Path]:
    """Put documents into a folder of their own."""

    def put(documents: Documents) -> Path:
        for file, text in documents.items():
            (tmp_path / file).write_text(text)
        return tmp_path

    return put


def problems(folder: Path) -> list[str]:
    with pytest.raises(InstitutionError) as caught:
        load_institution(folder)
    return str(caught.value).split("\n")


def line_of(text: str, beginning: str) -> int:
    return next(number for number, line in enumerate(text.split("\n"), start=1) if line.startswith(beginning))


class TestWhatIsRead:
    def test_pyloto(self) -> None:
        pyloto = load_institution(DOCUMENTS / "pyloto")
        assert (pyloto.name, pyloto.language) == ("Pyloto", "pt-BR")
        assert len(pyloto.principles) == 6
        assert [line.id for line in pyloto.lines] == ["delivery", "services", "technology", "crm"]
        assert len(pyloto.intents) >= 25
        assert set(pyloto.texts) == set(FixedText) - {FixedText.NPS}
        assert {asset.type for asset in pyloto.assets} == {
            MessageType.LOCATION,
            MessageType.CONTACT,
            MessageType.DOCUMENT,
        }
        assert any(intent.spam for intent in pyloto.intents)
        assert any(intent.conclude for intent in pyloto.intents)
        assert any(intent.escalate for intent in pyloto.intents)

    def test_another_language_says_what_it_has_and_the_rest_as_it_is(self, write: Callable[[Documents], Path]) -> None:
        documents = read("harbour_dental")
        for left_out in ("completed\n\n> Obrigado", "book\n\n> As consultas"):
            beginning, _, rest = documents[TAXONOMY].partition(f"## {left_out}")
            documents[TAXONOMY] = beginning + rest[rest.index("## ") :]
        dental = load_institution(write(documents))
        spoken = dental.speaking("pt")
        assert spoken.text(FixedText.ESCALATED).startswith("Vou passar esta conversa")
        assert spoken.text(FixedText.COMPLETED) == dental.text(FixedText.COMPLETED)
        urgent, book = spoken.intent("urgent"), spoken.intent("book")
        assert urgent
        assert book
        assert urgent.answer.startswith("Sinto muito")
        assert book == dental.intent("book")
        assert dental.speaking("es") is dental
        assert "Sinto muito" not in dental.prompt_core
        assert untranslated(dental) == [
            "# Texts pt: not translated: completed",
            "# Intents pt: not translated: book",
        ]
        assert untranslated(load_institution(DOCUMENTS / "harbour_dental")) == []

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ("# Texts pt\n\n## escalated\n\n> Oi", "language of the institution"),
            ("# Texts en\n\n## escaladed\n\n> Hello", 'there is no "escaladed" in "# Texts"'),
            ("# Texts fr\n\n## escalated\n\n> Bonjour", "is not a section of this file"),
            ("# Intents es\n\n## greeting\n\n> Cuesta R$ 50", 'breaks the rule "price"'),
            ("# Texts en\n\n## list_label\n\n> All the options that we have", "at most 20"),
        ],
    )
    def test_a_wrong_translation(self, write: Callable[[Documents], Path], wrong: str, said: str) -> None:
        documents = read("pyloto")
        own = documents[TAXONOMY].split("# Texts en\n")
        rest = own[1][own[1].index("# Intents\n") :]
        documents[TAXONOMY] = f"{own[0]}{wrong}\n\n{rest}"
        (problem,) = problems(write(documents))
        assert said in problem

    def test_an_institution_of_another_shape(self) -> None:
        harbour = load_institution(DOCUMENTS / "harbour_dental")
        assert (harbour.name, harbour.language) == ("Harbour Dental", "en-GB")
        assert [line.id for line in harbour.lines] == ["checkups", "orthodontics", "emergency"]
        assert len(harbour.principles) == 3
        assert len(harbour.fields) == 4

    @pytest.mark.parametrize("name", NAMES)
    def test_loading_twice_gives_the_same_bytes(self, name: str) -> None:
        first, second = load_institution(DOCUMENTS / name), load_institution(DOCUMENTS / name)
        assert first == second
        assert first.prompt_core.encode() == second.prompt_core.encode()

    def test_the_core_is_compact_and_whole(self) -> None:
        pyloto = load_institution(DOCUMENTS / "pyloto")
        assert 15_000 <= len(pyloto.prompt_core.encode()) <= 24_000
        for intent in pyloto.intents:
            assert f"- {intent.id} [" in pyloto.prompt_core
            assert intent.answer in pyloto.prompt_core
        for text in (*pyloto.never, *(one.text for one in pyloto.principles), *(one.summary for one in pyloto.lines)):
            assert text in pyloto.prompt_core

    def test_a_line_is_shown_in_full_and_only_that_line(self) -> None:
        pyloto = load_institution(DOCUMENTS / "pyloto")
        view = pyloto.line_view("delivery")
        assert "Não transportamos pessoas" in view
        assert "Pyloto CRM" not in view
        assert pyloto.line_view("nothing") == ""


class TestEncodings:
    def test_windows_line_ends_and_a_byte_order_mark_change_nothing(self, tmp_path: Path) -> None:
        for file, text in read("pyloto").items():
            (tmp_path / file).write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
        assert load_institution(tmp_path) == load_institution(DOCUMENTS / "pyloto")

    def test_a_changed_word_changes_the_version(self, write: Callable[[Documents], Path]) -> None:
        documents = read("pyloto")
        documents[PRINCIPLES] = documents[PRINCIPLES].replace("imutáveis", "permanentes")
        assert load_institution(write(documents)).version != load_institution(DOCUMENTS / "pyloto").version

    def test_the_version_is_twelve_hex_digits(self) -> None:
        version = load_institution(DOCUMENTS / "pyloto").version
        assert len(version) == 12
        assert int(version, 16) >= 0

    def test_text_that_is_not_utf8(self, tmp_path: Path, write: Callable[[Documents], Path]) -> None:
        write(read("pyloto"))
        (tmp_path / TAXONOMY).write_bytes("# Settings\n\n# Olá\n".encode("latin-1"))
        assert problems(tmp_path) == [
            f"{TAXONOMY}:3: the file is not UTF-8 text; save it again with the encoding UTF-8"
        ]

    def test_a_file_that_is_too_large(self, tmp_path: Path, write: Callable[[Documents], Path]) -> None:
        write(read("pyloto"))
        (tmp_path / PRINCIPLES).write_bytes(b"a" * (MAX_FILE_BYTES + 1))
        assert problems(tmp_path) == [f"{PRINCIPLES}:1: the file is larger than 512 KB; shorten it"]

    def test_a_missing_file_and_a_missing_folder(self, tmp_path: Path, write: Callable[[Documents], Path]) -> None:
        write(read("pyloto"))
        (tmp_path / BUSINESS_LINES).unlink()
        assert problems(tmp_path)[0].startswith(f"{BUSINESS_LINES}:1: the file is missing; create it")
        assert len(problems(tmp_path / "nowhere")) == 3

    def test_a_file_that_cannot_be_read(self, tmp_path: Path, write: Callable[[Documents], Path]) -> None:
        write(read("pyloto"))
        (tmp_path / PRINCIPLES).unlink()
        (tmp_path / PRINCIPLES).mkdir()
        assert problems(tmp_path)[0].startswith(f"{PRINCIPLES}:1: the file cannot be read")


# (file, what stands there, what stands there instead, the line that is blamed begins with, part of the message)
MISTAKES = (
    (PRINCIPLES, "- name: Pyloto\n", "", "# Institution", 'the setting "name" is missing'),
    (PRINCIPLES, "- language: pt-BR", "- language: português", "- language", "is not a language code"),
    (
        PRINCIPLES,
        "- name: Pyloto",
        "- nome: Pyloto",
        "- nome",
        '"nome: Pyloto" is not a setting; known here: language, name',
    ),
    (PRINCIPLES, "- name: Pyloto", "- name:", "- name:", '"name" has no value'),
    (PRINCIPLES, "- name: Pyloto", "- name: Pyloto\n- name: Outra", "- name: Outra", '"name" stands twice'),
    (PRINCIPLES, "# Never", "# Nunca", "# Nunca", '"# Nunca" is not a section of this file'),
    (PRINCIPLES, "# Never", "# Nunca", "# Institution", 'the section "# Never" is missing'),
    (
        PRINCIPLES,
        "## modularity: Modularidade",
        "## zero_trust: Outra",
        "## zero_trust: Outra",
        'the id "zero_trust" is already used in line',
    ),
    (PRINCIPLES, "## modularity: Modularidade", "## modularity", "## modularity", "has no title"),
    (
        PRINCIPLES,
        "## modularity: Modularidade",
        "## Modularidade!",
        "## Modularidade!",
        'a heading of this level reads "## id: Title"',
    ),
    (
        PRINCIPLES,
        "## modularity: Modularidade",
        "## empty: Vazio\n\n## modularity: Modularidade",
        "## empty",
        'the principle "empty" has no text',
    ),
    (
        PRINCIPLES,
        "# Institution",
        "Um texto solto.\n\n# Institution",
        "Um texto solto.",
        "stands before the first section",
    ),
    (PRINCIPLES, "# Principles", "# Institution", "# Institution\n", "stands twice; join the two"),
    (
        PRINCIPLES,
        "Nenhuma afirmação",
        "<b>Nenhuma</b>\n\n<div>\nx\n</div>\n\nNenhuma afirmação",
        "<div>",
        "HTML is not read here",
    ),
    (PRINCIPLES, "Nenhuma afirmação", "Nenhuma\x07 afirmação", "Nenhuma\x07", "an invisible control character"),
    (
        BUSINESS_LINES,
        "## crm: Pyloto CRM",
        "## delivery: Outra",
        "## delivery: Outra",
        'the id "delivery" is already used in line 3',
    ),
    (
        BUSINESS_LINES,
        "fields: name; company; need; team_size; role",
        "fields: name; budget",
        "- fields: name; budget",
        'there is no field "budget"',
    ),
    (
        BUSINESS_LINES,
        "- keywords: crm; saas;",
        "- keywords: crm; CRM;",
        "- keywords: crm; CRM",
        'the keyword "CRM" stands twice',
    ),
    (
        BUSINESS_LINES,
        "## crm: Pyloto CRM",
        "## extra: Extra\n\n- keywords: x\n\n## crm: Pyloto CRM",
        "## extra",
        '"extra" has no summary',
    ),
    (
        BUSINESS_LINES,
        "## crm: Pyloto CRM",
        "## extra: Extra\n\nSó o resumo.\n\n## crm: Pyloto CRM",
        "## extra",
        "says nothing beyond its summary",
    ),
    (
        TAXONOMY,
        "- allowed_domains: pyloto.com.br;",
        "- allowed_domains: https://pyloto.com.br;",
        "- allowed_domains",
        "is not a domain",
    ),
    (
        TAXONOMY,
        "- opt_in_words: voltar;",
        "- opt_in_words: parar; voltar;",
        "- opt_in_words",
        '"parar" cannot mean both',
    ),
    (TAXONOMY, "> Como posso chamar você?", "", "## name: Nome", '"name" has no question'),
    (TAXONOMY, "> Como posso chamar você?", "Como posso chamar você?", "Como posso", "has no meaning here"),
    (TAXONOMY, "> Como posso chamar você?", "> Como?\n\ne\n\n> Quem?", "> Quem?", "has a second question"),
    (TAXONOMY, "- latitude: -22.9056", "- latitude: -229056", "- latitude", "latitude lies between -90 and 90"),
    (TAXONOMY, "- latitude: -22.9056", "- latitude: sul", "- latitude", "latitude lies between -90 and 90"),
    (TAXONOMY, "- latitude: -22.9056\n", "", "## office", 'the setting "latitude" is missing'),
    (TAXONOMY, "- type: LOCATION", "- type: STICKER", "- type: STICKER", '"STICKER" is not one of'),
    (TAXONOMY, "- type: LOCATION\n", "", "## office", 'the setting "type" is missing'),
    (
        TAXONOMY,
        "- link: https://pyloto.com.br/",
        "- link: https://elsewhere.com/",
        "- link",
        '"elsewhere.com" is not among allowed_domains',
    ),
    (
        TAXONOMY,
        "- link: https://pyloto.com.br/",
        "- link: http://pyloto.com.br/",
        "- link",
        "a link begins with https://",
    ),
    (TAXONOMY, "## blocked\n", "## bloqueado\n", "## bloqueado", 'there is no fixed text "bloqueado"'),
    (TAXONOMY, "## blocked\n", "## bloqueado\n", "# Texts", 'the fixed text "blocked" is missing'),
    (TAXONOMY, "> Sim, resolveu", "> Sim, vocês resolveram tudo", "## satisfied", "at most 20 characters"),
    (TAXONOMY, "## rated\n\n> Obrigado por responder. Isso nos ajuda a melhorar.\n", "", "# Texts", 'add "## rated"'),
    (TAXONOMY, "> Ver opções", "> Ver todas as opções agora", "## list_label", "at most 20 characters"),
    (TAXONOMY, "- triggers: obrigado;", "- gatilhos: obrigado;", "## thanks", 'the intent "thanks" has no triggers'),
    (TAXONOMY, "- triggers: obrigado;", "- gatilhos: obrigado;", "- gatilhos", "is not a setting"),
    (TAXONOMY, "> Por nada! Posso ajudar em mais alguma coisa?", "", "## thanks", '"thanks" has no answer'),
    (
        TAXONOMY,
        "- triggers: obrigado;",
        "- triggers: oi; obrigado;",
        "- triggers: oi; obrigado",
        'the trigger "oi" stands in "greeting" too',
    ),
    (
        TAXONOMY,
        "- line: crm\n- triggers: quero uma demo",
        "- line: vendas\n- triggers: quero uma demo",
        "- line: vendas",
        'there is no business line "vendas"',
    ),
    (
        TAXONOMY,
        "- asset: office",
        "- asset: shop",
        "- asset: shop",
        'there is no asset "shop"; known: office, presentation, support_team',
    ),
    (TAXONOMY, "- spam: yes", "- spam: sim", "- spam", '"spam" is "yes" or "no", not "sim"'),
    (
        TAXONOMY,
        "- options: Entregas; Serviços; Tecnologia; CRM; Falar com a equipe\n- fields: name; need",
        "- options: Entregas; entregas\n- fields: name",
        "- options: Entregas; entregas",
        'the option "entregas" stands twice',
    ),
    (
        TAXONOMY,
        "- options: Ver demonstração;",
        "- options: Ver a demonstração completa do CRM;",
        "- options: Ver a",
        "is longer than 24 characters",
    ),
    (
        TAXONOMY,
        "- options: Ver demonstração; Módulos;",
        "- options: 1; 2; 3; 4; 5; 6; 7; 8; 9; Módulos;",
        "- options: 1",
        "12 options; a message offers at most 10",
    ),
    (
        TAXONOMY,
        "> Este canal é só para assuntos da Pyloto.",
        "> " + "a" * 4097,
        "> aaa",
        "this text has 4097 characters; keep it within 4096",
    ),
    (
        TAXONOMY,
        "> Este canal é só para assuntos da Pyloto.",
        "> Fica em 50 reais.",
        "> Fica em",
        'this text breaks the rule "price" with "',
    ),
    (
        TAXONOMY,
        "> Ver opções",
        "> Por R$ 50",
        "> Por R$",
        'this text breaks the rule "price" with "R$ 50"',
    ),
    (
        TAXONOMY,
        "> Este canal é só para assuntos da Pyloto.",
        "> Veja em outro.com.",
        "> Veja em",
        'this text breaks the rule "link" with "outro.com"',
    ),
    (
        TAXONOMY,
        "- category: conversa\n- triggers: obrigado",
        "- triggers: obrigado",
        "## thanks",
        'the setting "category" is missing',
    ),
)


class TestMistakes:
    @pytest.mark.parametrize(("file", "right", "wrong", "blamed", "message"), MISTAKES)
    def test_is_told_with_its_file_and_line(
        self, file: str, right: str, wrong: str, blamed: str, message: str, write: Callable[[Documents], Path]
    ) -> None:
        documents = read("pyloto")
        assert right in documents[file]
        documents[file] = documents[file].replace(right, wrong, 1)
        lines = [
            number
            for number, line in enumerate(documents[file].split("\n"), start=1)
            if line.startswith(blamed.removesuffix("\n"))
        ]
        told = problems(write(documents))
        assert any(one.startswith(f"{file}:{number}: ") and message in one for one in told for number in lines), told

    def test_all_of_them_are_told_at_once_and_in_order(self, write: Callable[[Documents], Path]) -> None:
        documents = read("pyloto")
        documents[PRINCIPLES] = documents[PRINCIPLES].replace("- language: pt-BR\n", "")
        documents[TAXONOMY] = (
            documents[TAXONOMY].replace("- asset: office", "- asset: shop").replace("> Ver opções", "")
        )
        told = problems(write(documents))
        assert len(told) == 3
        assert told == sorted(told, key=lambda one: (one.split(":")[0], int(one.split(":")[1])))

    @pytest.mark.parametrize("section", ["Principles", "Never", "Business lines", "Fields", "Texts", "Intents"])
    def test_an_empty_section(self, section: str, write: Callable[[Documents], Path]) -> None:
        documents = read("pyloto")
        file = next(file for file, sections in SECTIONS.items() if section in sections)
        before, _, after = documents[file].partition(f"# {section}\n")
        rest = after[after.index("\n# ") :] if "\n# " in after else "\n"
        documents[file] = f"{before}# {section}\n{rest}"
        line = documents[file].split("\n").index(f"# {section}") + 1
        assert any(one.startswith(f"{file}:{line}: ") for one in problems(write(documents)))

    def test_the_number_of_principles_and_lines_is_free(self, write: Callable[[Documents], Path]) -> None:
        documents = read("harbour_dental")
        documents[PRINCIPLES] = documents[PRINCIPLES].replace("# Never", "## kind: Kind\n\nWe are kind.\n\n# Never")
        assert len(load_institution(write(documents)).principles) == 4

    def test_a_document_without_assets(self, write: Callable[[Documents], Path]) -> None:
        documents = read("harbour_dental")
        before, _, after = documents[TAXONOMY].partition("# Assets\n")
        documents[TAXONOMY] = before + after[after.index("# Texts") :]
        documents[TAXONOMY] = documents[TAXONOMY].replace("- asset: clinic\n", "").replace("- asset: front_desk\n", "")
        assert load_institution(write(documents)).assets == ()


class TestSource:
    def test_takes_up_what_was_edited(self, write: Callable[[Documents], Path]) -> None:
        documents = read("harbour_dental")
        source = InstitutionSource(write(documents))
        first = source.current
        documents[PRINCIPLES] = documents[PRINCIPLES].replace("1998", "1997")
        write(documents)
        assert source.reload().version != first.version
        assert source.current.version != first.version

    def test_keeps_the_old_one_when_the_new_one_is_bad(self, write: Callable[[Documents], Path]) -> None:
        documents = read("harbour_dental")
        source = InstitutionSource(write(documents))
        first = source.current
        write({**documents, TAXONOMY: "nothing"})
        with pytest.raises(InstitutionError):
            source.reload()
        assert source.current == first

    def test_does_not_start_on_bad_documents(self, write: Callable[[Documents], Path]) -> None:
        with pytest.raises(InstitutionError):
            InstitutionSource(write({**read("pyloto"), TAXONOMY: ""}))


GOOD = {name: read(name) for name in NAMES}


@given(
    name=st.sampled_from(NAMES),
    file=st.sampled_from(sorted(SECTIONS)),
    cut=st.tuples(st.floats(0, 1), st.integers(0, 200)),
    instead=st.text(max_size=40)
    | st.sampled_from(["# ", "## x: y\n", "> ", "- a: b\n", "```\n", "<x>", "---\n", "\t"]),
)
@settings(max_examples=60, deadline=None)
def test_whatever_is_done_to_a_document_it_loads_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, file: str, cut: tuple[float, int], instead: str
) -> None:
    """A person edits these files; nothing they type may end in another error than the one that explains itself."""
    folder = tmp_path_factory.mktemp("mutated")
    documents = dict(GOOD[name])
    start = int(cut[0] * len(documents[file]))
    documents[file] = documents[file][:start] + instead + documents[file][start + cut[1] :]
    for each, text in documents.items():
        (folder / each).write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        loaded = load_institution(folder)
    except InstitutionError as exc:
        told = str(exc).split("\n")
    else:
        told = []
        assert isinstance(loaded, Institution)
    assert all(line.split(":")[0] in SECTIONS and line.split(":")[1].isdigit() for line in told)


FOLLOW_UP = """### Timer: still_waiting_for_address

- after: 4h
- template: address pt_BR

> Ainda quer a entrega? Falta o endereço de coleta.

### O que é
"""


class TestTimersOfALine:
    """Follow-ups in the section of a business line are its timers, and no text of the prompt."""

    def test_they_belong_to_their_line(self, write: Callable[[Documents], Path]) -> None:
        documents = read("pyloto")
        documents[BUSINESS_LINES] = documents[BUSINESS_LINES].replace("### O que é\n", FOLLOW_UP, 1)
        institution = load_institution(write(documents))
        (timer,) = institution.timers
        assert (timer.id, timer.line, timer.after) == ("still_waiting_for_address", "delivery", timedelta(hours=4))
        assert timer.template == ("address", "pt_BR", "utility")
        before = load_institution(DOCUMENTS / "pyloto")
        assert institution.lines == before.lines
        assert institution.line_view("delivery") == before.line_view("delivery")

    @pytest.mark.parametrize(
        ("old", "new", "problem"),
        [
            ("- after: 4h\n", "- after: 4h\n- line: crm\n", '"line: crm" is not a setting'),
            ("- after: 4h\n", "", 'the setting "after" is missing'),
            ("> Ainda", "Fala com a gente.\n\n> Ainda", "has no meaning here"),
            ("### O que é\n", f"{FOLLOW_UP}", 'there is a timer "still_waiting_for_address" already'),
        ],
    )
    def test_what_is_wrong_is_named_with_its_line(
        self, write: Callable[[Documents], Path], old: str, new: str, problem: str
    ) -> None:
        documents = read("pyloto")
        followed = FOLLOW_UP.replace(old, new, 1)
        documents[BUSINESS_LINES] = documents[BUSINESS_LINES].replace("### O que é\n", followed, 1)
        (found,) = problems(write(documents))
        assert found.startswith("business_lines.md:")
        assert problem in found
