"""Suites of scripted conversations: what is said, what is to become of it, and what did."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from pydantic import Field

import context
from adapters.channels.web.inbound import web_conversation_id
from cli.replay import CONVERSATIONS_AT_ONCE, Line, Recorded, play
from cli.runtime import Runtime, open_runtime
from contracts.conversation import State
from contracts.errors import ConfigurationError
from contracts.settings import Settings
from contracts.values import Text, Value
from contracts.yaml_file import read_yaml

DOCUMENTS = Path(context.__file__).parent / "documents"
SUITES = Path("evals/conversations")


class Said(Value):
    """One message and its expectations; what is not given is not looked at. `fields` are those that are known then.

    `has` and `lacks` are pieces of the reply and its options.
    """

    says: Text = Field(min_length=1)
    state: State | None = None
    reason: str | None = None
    line: str | None = None
    intent: str | None = None
    fields: dict[str, str] = Field(default_factory=dict)
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    is_silent: bool = False


class Script(Value):
    name: str = Field(pattern=r"^[a-z0-9_]+$")
    turns: tuple[Said, ...] = Field(min_length=1)


class Suite(Value):
    """Conversations with one institution: the name of a sample, or a folder."""

    institution: str
    conversations: tuple[Script, ...]


class Result(NamedTuple):
    suite: str
    name: str
    failures: tuple[str, ...]


def institution_folder(name: str, beside: Path) -> Path:
    """Return the folder of a sample by its name, or a folder `beside` the file that names it, or in this one.

    Raises:
        ConfigurationError: there is none.
    """
    found = next((one for one in (DOCUMENTS / name, beside / name, Path(name)) if one.is_dir()), None)
    if found is None:
        raise ConfigurationError(f'there is no institution "{name}" in {DOCUMENTS}, beside the set or here')
    return found


def suite_files(named: Sequence[str]) -> list[Path]:
    """Return the files of the suites, by name or path; all of them when none is named.

    Raises:
        ConfigurationError: there is no such suite.
    """
    files = [Path(name) if name.endswith(".yaml") else SUITES / f"{name}.yaml" for name in named]
    files = files or sorted(SUITES.glob("*.yaml"))
    missing = [str(file) for file in files if not file.is_file()]
    if missing or not files:
        raise ConfigurationError(f"there is no suite {', '.join(missing) or SUITES}")
    return files


async def run_suite(settings: Settings, file: Path) -> list[Result]:
    """Play every conversation of the file through the whole pipeline, in a store of its own."""
    suite = read_yaml(file, Suite).value
    with tempfile.TemporaryDirectory(prefix="prosa-eval-") as folder:
        changes = {"store": f"sqlite:{folder}/eval.sqlite", "port": 0, "quiet_window_s": "0"}
        changes["institution"] = institution_folder(suite.institution, file.parent)
        room = asyncio.Semaphore(CONVERSATIONS_AT_ONCE)
        async with open_runtime(settings.model_copy(update=changes), sweeping=False) as runtime:

            async def run(script: Script) -> Result:
                async with room:
                    return Result(file.stem, script.name, tuple(await _failures(runtime, script)))

            return await asyncio.gather(*map(run, suite.conversations))


async def _failures(runtime: Runtime, script: Script) -> list[str]:
    found: list[str] = []
    for number, said in enumerate(script.turns, start=1):
        turn = await play(runtime, Recorded(number, Line(conversation=script.name, text=said.says)))
        head = await runtime.backend.store.conversations.load(web_conversation_id(script.name))
        if turn is None or head is None:
            return [*found, f"{number}: no turn"]
        reply = turn["reply"] or {"text": ""}
        titles = [one["title"] for one in (*reply.get("buttons", ()), *reply.get("rows", ()))]
        text = "\n".join((reply["text"], *titles))
        became = {
            "state": turn["state"],
            "reason": turn["reason"],
            "line": turn["business_line"],
            "intent": turn["intent"],
        }
        wrong = [f"{name} is {is_}" for name, is_ in became.items() if getattr(said, name) not in (None, is_)]
        wrong += [
            f"{name} is {head.fields.get(name)!r}"
            for name, value in said.fields.items()
            if head.fields.get(name) != value
        ]
        wrong += [f"the reply lacks {piece!r}" for piece in said.has if piece not in text]
        wrong += [f"the reply has {piece!r}" for piece in said.lacks if piece in text]
        wrong += ["it is answered"] if said.is_silent and turn["reply"] else []
        found += [f"{number} {said.says!r}: {what}; reply {text!r}" for what in wrong]
    return found


def junit(results: Sequence[Result]) -> bytes:
    """Return the results as a JUnit report."""
    root = ElementTree.Element("testsuites")
    for suite in dict.fromkeys(one.suite for one in results):
        ran = [one for one in results if one.suite == suite]
        failed = sum(bool(one.failures) for one in ran)
        element = ElementTree.SubElement(root, "testsuite", name=suite, tests=str(len(ran)), failures=str(failed))
        for one in ran:
            case = ElementTree.SubElement(element, "testcase", classname=suite, name=one.name)
            if one.failures:
                ElementTree.SubElement(case, "failure", message=one.failures[0]).text = "\n".join(one.failures)
    report: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return report
