"""Institutions to check against: two samples, one of another trade and language, and random ones."""

from functools import cache
from pathlib import Path

from hypothesis import strategies as st

from context.guardrails.floor import Floor
from context.loader import load_institution
from contracts.guardrails import KnownFacts, PartKind, ReplyPart
from contracts.institution import BusinessLine, FixedText, Institution

ROOT = Path(__file__).parents[3]
FOLDERS = {
    "pyloto": ROOT / "context/documents/pyloto",
    "harbour_dental": ROOT / "context/documents/harbour_dental",
    "pedal_sur": ROOT / "evals/gate/institutions/pedal_sur",
}
NAMES = tuple(FOLDERS)
NOBODY = KnownFacts()
# Pieces that make readers of text try again and again when a text repeats them.
HOSTILE = (
    "1k ", "8h ", "a.b@", "R$ 1 ", "seg a ", "dois mil e ", "1.1.", "((1", "x@x.", "A ", "\u0430a ", "12/1/",
    "@a", "://", "a ", "1 ", "Ab", "3255-4180 ", "um ", "segunda a ", "+(1)", "a_b ", "{'a':", "h.t", "8 a 9 ",
    "[a] com ", "-1", "das 8 as ", "mil e ", "a b c ", "4 x ", "1 2 ", "a_b", "<a ", "\u200b", "% ", "\n",
)  # fmt: skip

_THINGS = {
    "pt-BR": ("salas", "alunos", "turmas", "livros", "mesas"),
    "en-GB": ("rooms", "students", "tables", "books", "teachers"),
    "es-UY": ("salas", "alumnos", "mesas", "libros", "talleres"),
}
_DAYS = {
    "pt-BR": ("segunda", "terça", "quarta", "quinta", "sexta", "sábado", "domingo"),
    "en-GB": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "es-UY": ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"),
}
_FRAMES = {
    "pt-BR": ("São {n} {thing}.", "Abre de {a} a {b}, das {x}h às {y}h.", "O site é https://{host}.example."),
    "en-GB": ("There are {n} {thing}.", "Open {a} to {b}, {x}:00 to {y}:00.", "See https://{host}.example."),
    "es-UY": ("Hay {n} {thing}.", "Abre de {a} a {b}, de {x}:00 a {y}:00.", "El sitio es https://{host}.example."),
}


@cache
def institution(name: str) -> Institution:
    return load_institution(FOLDERS[name])


@cache
def floor(name: str) -> Floor:
    return Floor(institution(name))


def inform(text: str, *sources: str) -> ReplyPart:
    return ReplyPart(says=PartKind.INFORM, text=text, sources=sources)


@st.composite
def random_institutions(draw: st.DrawFn) -> Institution:
    """An institution whose one line says counts, hours with days, and a link."""
    language = draw(st.sampled_from(sorted(_THINGS)))
    first = draw(st.integers(0, 5))
    last = draw(st.integers(first + 1, 6))
    opens = draw(st.integers(6, 11))
    facts = {
        "n": draw(st.integers(11, 900)),
        "thing": draw(st.sampled_from(_THINGS[language])),
        "a": _DAYS[language][first],
        "b": _DAYS[language][last],
        "x": opens,
        "y": draw(st.integers(opens + 2, 22)),
        "host": draw(st.text("abcdefghijklmnopqrstuvwxyz", min_size=4, max_size=12)),
    }
    body = "\n\n".join(frame.format(**facts) for frame in _FRAMES[language])
    return Institution(
        name="Alba",
        language=language,
        version="0",
        documents={"principles.md": "# Institution\n\n- name: Alba\n", "business_lines.md": body},
        principles=(),
        lines=(BusinessLine(id="one", name="Alba", summary="", body=body),),
        intents=(),
        fields=(),
        never=(),
        texts={FixedText.CLARIFY: "Alba?"},
        opt_out_words=(),
        opt_in_words=(),
        allowed_domains=(f"{facts['host']}.example",),
        prompt_core="",
    )
