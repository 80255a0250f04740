"""The core that opens every prompt; the ids next to its texts are those of the passages that a reply cites."""

from collections.abc import Iterable, Iterator, Sequence

from contracts.institution import Asset, BusinessLine, FieldSpec, Intent, Principle

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
    """Return the text that opens every prompt: the same values give the same bytes.

    A heading names how its entries are cited: an entry `hours` below `cite as intent.ID` is the passage `intent.hours`.
    """
    cited = (f"[about.{number}] {text}" for number, text in enumerate(about, start=1))
    parts = [
        _heading("Institution", (f"name: {name}", f"language: {language}", *cited)),
        _heading("Principles (cite as principle.ID)", (f"- {one.id}: {one.title}. {one.text}" for one in principles)),
        _heading("Business lines (cite as line.ID)", (f"- {one.id} ({one.name}): {one.summary}" for one in lines)),
        _heading("Fields (cite as field.ID)", (f"- {one.id} ({one.label}): {one.question}" for one in fields)),
        _heading("Taxonomy (cite as intent.ID)", (line for intent in intents for line in _intent(intent))),
        _heading("Assets (cite as asset.ID)", (f"- {one.id} ({one.type}): {one.description}" for one in assets)),
        _heading("Never", (f"- never.{number}: {one}" for number, one in enumerate(never, start=1))),
    ]
    return "\n\n".join(parts) + "\n"


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
