"""How the institution is told to a model: the core that opens every prompt, and one business line in full."""

from collections.abc import Iterable, Iterator, Sequence

from contracts.institution import Asset, BusinessLine, FieldSpec, Institution, Intent, Principle

TRIGGERS_SHOWN = 6


def render_core(
    *,
    name: str,
    language: str,
    about: Sequence[str],
    principles: Sequence[Principle],
    lines: Sequence[BusinessLine],
    intents: Sequence[Intent],
    fields: Sequence[FieldSpec],
    assets: Sequence[Asset],
    never: Sequence[str],
) -> str:
    """Return the text that opens every prompt: the same values give the same bytes."""
    parts = [
        _heading("Institution", (f"name: {name}", f"language: {language}", *about)),
        _heading("Principles", (f"- {one.title}: {one.text}" for one in principles)),
        _heading("Business lines", (f"- {one.id} ({one.name}): {one.summary}" for one in lines)),
        _heading("Fields", (f"- {one.id} ({one.label}): {one.question}" for one in fields)),
        _heading("Taxonomy", (line for intent in intents for line in _intent(intent))),
        _heading("Assets", (f"- {one.id} ({one.type}): {one.description}" for one in assets)),
        _heading("Never", (f"- {one}" for one in never)),
    ]
    return "\n\n".join(parts) + "\n"


def line_view(institution: Institution, line_id: str) -> str:
    """Return the whole section of a business line, as a prompt gets it; an unknown id gives an empty text."""
    line = institution.line(line_id)
    return "" if line is None else f"# {line.name} ({line.id})\n\n{line.body}\n"


def _heading(title: str, lines: Iterable[str]) -> str:
    return "\n".join((f"# {title}", *lines))


def _intent(intent: Intent) -> Iterator[str]:
    place = "/".join(part for part in (intent.category, intent.line) if part)
    flags = [name for name in ("escalate", "conclude", "spam") if getattr(intent, name)]
    yield f"- {intent.id} [{', '.join((place, *flags))}] {intent.description}"
    yield f"  says: {' | '.join(intent.triggers[:TRIGGERS_SHOWN])}"
    yield f"  answer: {' '.join(intent.answer.split())}"
    if intent.options:
        yield f"  options: {' | '.join(intent.options)}"
    if intent.fields:
        yield f"  ask: {', '.join(intent.fields)}"
    if intent.asset:
        yield f"  asset: {intent.asset}"
