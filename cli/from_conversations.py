"""Use of stored conversations: tests for `prosa eval`, and questions that the documents do not answer."""

import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
import yaml
from pydantic import Field

from cli.analyses import existing
from cli.output import console, fail
from cli.settings import read_settings
from cli.suites import Suite
from context.loader import load_institution
from contracts.conversation import Conversation, Speaker
from contracts.errors import ConfigurationError
from contracts.institution import Institution
from contracts.messages import digest
from contracts.paging import all_conversations
from contracts.ports import Store
from contracts.settings import Settings
from contracts.turn import TurnReason
from contracts.values import Text, Value
from contracts.yaml_file import read_yaml
from prompts.caching.content import folded
from worker.backends import open_backend

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_LINK = re.compile(r"(?<!\w)(?:https?://|www\.)\S+", re.IGNORECASE)
# Phones, documents and cards: seven digits or more, however they are grouped.
_NUMBER = re.compile(r"(?<!\w)\+?\(?\d(?:[().\-\u2013/ ]{0,3}\d){6,}(?!\w)")
_WORD = re.compile(r"[^\W\d_]{2,}")
NAMES = ("Ana", "Bruno", "Clara", "Davi", "Elisa", "Fábio", "Gabi", "Hugo", "Iara", "João")
# Reasons of a turn in which the documents, or what may be said of them, had no answer.
UNANSWERED = frozenset({TurnReason.UNCLEAR, TurnReason.REPLY_BLOCKED, TurnReason.MODEL_OUTPUT_UNUSABLE})
NAMING = ("name", "company")


class Anonymiser:
    """Replaces addresses, links, long numbers, and the words of `names` with a value for each.

    What it does not know stays: a name that is neither the person's nor in a field that is one.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._given: dict[str, str] = {}
        self._names = 0
        words = sorted({word for name in names for word in _WORD.findall(name)}, key=len, reverse=True)
        self._words = re.compile(rf"\b(?:{'|'.join(words)})\b", re.IGNORECASE) if words else None

    def __call__(self, text: str) -> str:
        text = _EMAIL.sub(self._by(lambda number, _: f"pessoa{number}@example.com"), text)
        text = _LINK.sub(self._by(lambda number, _: f"https://example.com/{number}"), text)
        text = _NUMBER.sub(self._by(_digits), text)
        return self._words.sub(self._by(self._name), text) if self._words else text

    def _by(self, invent: Callable[[int, str], str]) -> Callable[[re.Match[str]], str]:
        def replaced(found: re.Match[str]) -> str:
            key = found[0].casefold()
            if key not in self._given:
                self._given[key] = invent(len(self._given) + 1, found[0])
            return self._given[key]

        return replaced

    def _name(self, _number: int, _found: str) -> str:
        self._names += 1
        return NAMES[(self._names - 1) % len(NAMES)] + ("" if self._names <= len(NAMES) else str(self._names))


def _digits(number: int, found: str) -> str:
    """Return a number of the same form that is nobody's: 9, zeros, and the count at the end."""
    places = sum(sign.isdigit() for sign in found)
    digits = iter("9" + str(number).rjust(places - 1, "0"))
    return re.sub(r"\d", lambda _: next(digits), found)


class Proposal(Value):
    """A question for the documents. `asked` counts the conversations; `answer` is an agent's, or to be written."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: Text
    questions: tuple[Text, ...] = Field(min_length=1)
    asked: int
    answer: Text = ""
    approved: bool = False


class Proposals(Value):
    proposals: tuple[Proposal, ...]


async def from_(
    conversation: Annotated[str, typer.Argument(metavar="CONVERSATION", help="Its id; web:NAME may be written NAME.")],
    into: Annotated[Path, typer.Option(help="A suite (.yaml), or a recording for prosa replay (.jsonl); appended to.")],
    name: Annotated[str, typer.Option(help="Name of the test.")] = "",
) -> None:
    """Make a test of a stored conversation; names, numbers, addresses and links are replaced by invented ones."""
    settings = read_settings()
    async with open_backend(settings) as backend:
        head = await existing(conversation, backend.store)
        said = await backend.store.conversations.transcript(head.id)
        turns = await backend.store.conversations.turns(head.id)
    invented = _anonymiser(head)
    written = {one.message_id: one.text for one in said if one.speaker is Speaker.PERSON and one.message_id}
    name = name or f"from_{head.created_at or datetime.now(UTC):%Y%m%d}_{digest(head.id, size=3)}"
    steps = []
    for turn in turns:
        if text := invented("\n".join(written[one] for one in turn.message_ids if one in written)):
            became = {"state": turn.state.value, "line": turn.business_line, "intent": turn.intent}
            steps.append({"says": text} | {key: value for key, value in became.items() if value})
    if not steps:
        raise fail(f"{head.id} has no message with a text")
    if into.suffix == ".jsonl":
        lines = [orjson.dumps({"conversation": name, "text": step["says"]}) for step in steps]
        with into.open("ab") as file:
            file.write(b"\n".join(lines) + b"\n")
    else:
        suite: dict[str, Any] = {"institution": str(settings.institution), "conversations": []}
        if into.exists():
            suite = read_yaml(into, Suite).value.model_dump(mode="json", exclude_defaults=True)
        suite["conversations"] = [*suite.get("conversations", ()), {"name": name, "turns": steps}]
        Suite.model_validate(suite)
        into.write_text(yaml.safe_dump(suite, allow_unicode=True, sort_keys=False, width=120), encoding="utf-8")
    console.print(f"{name}: {len(steps)} messages in {into}. Read it: names that no field holds are not replaced.")


async def questions(
    into: Annotated[Path, typer.Option(help="File of the proposals.")] = Path("proposals.yaml"),
    apply: Annotated[bool, typer.Option("--apply", help="Write approved ones into the documents.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Collect questions without an answer; with --apply put the approved ones into the documents and publish them."""
    settings = read_settings()
    if not apply:
        async with open_backend(settings) as backend:
            found = [one async for one in all_conversations(backend.store.conversations)]
            asked = [one for head in found async for one in _unanswered(head, backend.store)]
        proposals = _proposals(asked, load_institution(settings.institution))
        listed = [one.model_dump(mode="json") for one in proposals]
        into.write_text(yaml.safe_dump({"proposals": listed}, allow_unicode=True, sort_keys=False), encoding="utf-8")
        console.print(f"{len(listed)} questions in {into}: write answers, set approved, then --apply.")
        return
    approved = [one for one in read_yaml(into, Proposals).value.proposals if one.approved]
    if not approved:
        raise fail(f"nothing in {into} is approved")
    institution = _with_answers(settings, approved, write=False)
    for one in approved:
        console.print(f"{one.id}: {one.answer}")
    if not yes:
        typer.confirm(f"Write {len(approved)} intents into {settings.institution} and publish them?", abort=True)
    institution = _with_answers(settings, approved, write=True)
    async with open_backend(settings) as backend:
        await backend.store.institutions.publish(institution, at=datetime.now(UTC))
    console.print(f"{institution.name} {institution.version} is published; SIGHUP makes a running process take it up.")


def _with_answers(settings: Settings, approved: list[Proposal], *, write: bool) -> Institution:
    """Return the documents with the new intents, checked in a copy; `write` keeps them."""
    if empty := [one.id for one in approved if not one.answer.strip()]:
        raise ConfigurationError(f"{', '.join(empty)}: approved without an answer")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / settings.institution.name
        shutil.copytree(settings.institution, copy)
        before, heading, after = (copy / "taxonomy.md").read_text(encoding="utf-8").partition("\n# Intents\n")
        for one in approved:
            triggers = "; ".join(" ".join(question.replace(";", ",").split()) for question in one.questions)
            quoted = "\n".join(f"> {line}" for line in one.answer.splitlines() if line.strip())
            heading += f"\n## {one.id}: {one.title}\n\n- category: learned\n- triggers: {triggers}\n\n{quoted}\n"
        (copy / "taxonomy.md").write_text(before + heading + after, encoding="utf-8")
        institution = load_institution(copy)
        if write:
            shutil.copyfile(copy / "taxonomy.md", settings.institution / "taxonomy.md")
    return institution


async def _unanswered(head: Conversation, store: Store) -> AsyncIterator[tuple[str, str]]:
    """Yield each question without an answer, and what an agent answered afterwards, if one did."""
    said, invented = await store.conversations.transcript(head.id), _anonymiser(head)
    for turn in await store.conversations.turns(head.id):
        if turn.reason not in UNANSWERED and not turn.fallback:
            continue
        places = [number for number, one in enumerate(said) if one.message_id in turn.message_ids]
        if not places:
            continue
        later = [one.text for one in said[places[-1] + 1 :] if one.speaker is Speaker.OPERATOR]
        yield invented("\n".join(said[place].text for place in places)), invented(later[0]) if later else ""


def _proposals(found: list[tuple[str, str]], institution: Institution) -> list[Proposal]:
    """Group equal questions, typed however, the most frequent first, without those that an intent has by now."""
    known = {_typed(trigger) for intent in institution.intents for trigger in intent.triggers}
    groups: dict[str, list[tuple[str, str]]] = {}
    for question, answer in found:
        if (key := _typed(question)) not in known:
            groups.setdefault(key, []).append((question, answer))
    ordered = sorted(groups.items(), key=lambda group: len(group[1]), reverse=True)
    return [
        Proposal(
            id=f"learned_{digest(key, size=3)}",
            title=group[0][0][:60].replace("\n", " "),
            questions=tuple(dict.fromkeys(question for question, _ in group)),
            asked=len(group),
            answer=next((answer for _, answer in group if answer), ""),
        )
        for key, group in ordered
    ]


def _typed(question: str) -> str:
    return " ".join(folded(question).split()).strip(" ?!.")


def _anonymiser(head: Conversation) -> Anonymiser:
    return Anonymiser((head.person_name or "", *(head.fields.get(name, "") for name in NAMING)))
