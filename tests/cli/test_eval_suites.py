"""`prosa eval`: suites, simulated people, recorded answers, differences, labelled messages, tests of conversations."""

import asyncio
import json
import re
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from adapters.channels.web import web_conversation_id
from adapters.http.listener import listen
from cli.evaluation import app
from cli.from_conversations import Anonymiser
from cli.runtime import open_runtime
from cli.serving import server_of
from cli.settings import read_settings
from cli.suites import DOCUMENTS, run_suite
from context.loader import load_institution
from contracts.errors import ConfigurationError
from contracts.messages import OutboundMessage
from sandbox.app import SandboxSettings, create_app
from sandbox.behaviour import ModelBehaviour
from tests.playing import play
from worker.backends import open_backend

SUITE = """
institution: pyloto
conversations:
  - name: right
    turns: [{says: Oi, type: LIST, findings: [], max_cost_usd: 1, intent: greeting}]
  - name: wrong
    turns: [{says: Oi, type: TEXT, findings: [price], max_cost_usd: 0.0000001, statements: [It says hello.]}]
people:
  - {name: asks_on, persona: p, goal: g, patience: 2, opens: preciso de um motoboy, answers: {coleta: Campinas},
     becomes: {fields: {pickup: Campinas}, state: AWAITING_USER}}
  - {name: gives_up, persona: p, goal: g, patience: 5, opens: preciso de um motoboy, becomes: {state: ESCALATING}}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROSA_DATA_DIR", raising=False)
    (tmp_path / "s.yaml").write_text(SUITE, encoding="utf-8")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_expectations_and_people(here: Path) -> None:
    done = run("s.yaml", "--json", "--repeat", "2", "--html", "page.html")
    found = {one["name"]: one for one in json.loads(done.stdout)["conversations"]}
    assert done.exit_code == 1
    assert {name: one["has_passed"] for name, one in found.items()} == {
        "right": True,
        "wrong": False,
        "asks_on": True,
        "gives_up": False,
    }
    assert (found["right"]["n"], found["right"]["interval"][1]) == (2, 1.0)
    assert found["asks_on"]["states"] == ["AWAITING_USER", "AWAITING_USER"]
    wrong = "\n".join(found["wrong"]["failures"])
    assert all(piece in wrong for piece in ("type is LIST", "the gate found nothing", "it cost 0."))
    assert found["wrong"]["unjudged"] == 1
    assert "s/gives_up" in (here / "page.html").read_text()
    assert run("s.yaml", "--min-passed", "0").exit_code == 0


def test_differences_to_an_earlier_run(here: Path) -> None:
    (here / "last.json").write_text(run("s.yaml", "--json").stdout)
    same = run("s.yaml", "--against", "last.json")
    assert "differs" not in same.stdout
    (here / "s.yaml").write_text(SUITE.replace("name: right", "name: other").replace("{coleta: Campinas}", "{}"))
    done = run("s.yaml", "--against", "last.json", "--html", "page.html").stdout
    assert all(piece in done for piece in ("s/right", "only before", "s/other", "new", "s/asks_on", "has_passed"))
    assert "Differences to the earlier run" in (here / "page.html").read_text()
    (here / "last.json").write_text("[]")
    assert "not what prosa eval --json prints" in str(run("s.yaml", "--against", "last.json").exception)


def test_recorded_answers_are_given_again_and_a_change_is_named(here: Path) -> None:
    kept = json.loads(run("s.yaml", "--json", "--record", "answers.jsonl").stdout)
    answers = (here / "answers.jsonl").read_text()
    (here / "answers.jsonl").write_text(re.sub(r'"output":\d+', '"output":99999', answers))
    again = json.loads(run("s.yaml", "--json", "--recorded", "answers.jsonl").stdout)
    for before, after in zip(kept["conversations"], again["conversations"], strict=True):
        assert (before["states"], before["replies"]) == (after["states"], after["replies"])
        assert float(after["cost_usd"]) > float(before["cost_usd"])
    (here / "s.yaml").write_text(SUITE.replace("says: Oi", "says: Bom dia"))
    assert "the recording lacks" in str(run("s.yaml", "--recorded", "answers.jsonl").exception)
    assert isinstance(run("s.yaml", "--record", "answers.jsonl").exception, ConfigurationError)


async def test_a_model_judges_statements_and_plays_people(here: Path) -> None:
    script = [
        {"contains": '"statements"', "answer": {"holds": [False]}, "times": 9},
        {"contains": '"persona"', "answer": {"message": "de Campinas", "leaves": False}},
        {"contains": '"persona"', "answer": {"message": "", "leaves": True}, "times": 9},
    ]
    behaviour = ModelBehaviour.model_validate({"script": script})
    model = create_app(SandboxSettings(institution=DOCUMENTS / "pyloto", model=behaviour))
    async with server_of(model).running(listen("127.0.0.1", 0)) as url:
        environment = {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": f"{url}/anthropic"}
        results = {one.name: one for one in await run_suite(read_settings(environment, env_file=None), here / "s.yaml")}
    assert any("not true: It says hello." in failure for failure in results["wrong"].failures)
    assert sorted(len(results[name].turns) for name in ("asks_on", "gives_up")) == [1, 2]
    assert all(one.unjudged == 0 for one in results.values())


def test_labelled_messages_are_scored(here: Path) -> None:
    rows = [
        {
            "id": "a",
            "says": "preciso de um motoboy",
            "line": "delivery",
            "intent": "delivery_how",
            "state": "AWAITING_USER",
        },
        {"id": "b", "says": "quero reclamar", "intent": "complaint", "state": "ESCALATING"},
        {"id": "c", "says": "como funciona o crm", "line": "delivery", "intent": "crm_how", "state": "AWAITING_USER"},
    ]
    (here / "l.yaml").write_text(yaml.safe_dump({"institution": "pyloto", "texts": rows}))
    done = run("labelled", "l.yaml", "--json")
    found = json.loads(done.stdout)
    assert {name: (one["right"], one["n"]) for name, one in found["all"].items()} == {
        "line": (1, 2),
        "intent": (3, 3),
        "escalation": (3, 3),
        "spam": (3, 3),
    }
    assert [one["id"] for one in found["wrong"]] == ["c"]
    assert (done.exit_code, run("labelled", "l.yaml", "--min-line", "0.9").exit_code) == (0, 1)


def test_personal_details_become_invented_ones_the_same_each_time() -> None:
    invented = Anonymiser(("Marta Lima",))
    text = invented("Sou a Marta, CPF 529.982.247-25, marta@x.com.br; ligue (19) 98765-4321 ou veja http://x.com/m")
    assert not any(piece in text for piece in ("Marta", "529", "x.com", "98765"))
    assert invented("marta lima: 529.982.247-25") == invented("MARTA LIMA: 529.982.247-25")
    assert invented("de 3 caixas, às 14:30") == "de 3 caixas, às 14:30"


async def test_a_stored_conversation_becomes_a_test_and_its_question_an_intent(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copytree(DOCUMENTS / "pyloto", here / "pyloto")
    monkeypatch.setenv("PROSA_STORE", f"sqlite:{here}/kept.sqlite")
    monkeypatch.setenv("PROSA_INSTITUTION", str(here / "pyloto"))
    settings = read_settings(env_file=None)
    async with open_runtime(settings.model_copy(update={"port": 0}), sweeping=False) as runtime:
        says = ["preciso de um motoboy", "meu nome é Zulmira", "vocês plastificam crachás xadrez?"]
        turns = await play(runtime, "z", says)
        agents = runtime.engine.operators.agents
        answer = OutboundMessage.of_text("Sim, plastificamos crachás no escritório.")
        await agents.reply(web_conversation_id("z"), answer, agent="ana", request_id="r1")
    assert turns[-1].reason == "unclear"
    await _in_thread("from", "z", "--into", "t.yaml", "--name", "learned")
    text = (here / "t.yaml").read_text()
    assert "Zulmira" not in text
    suite: dict[str, Any] = yaml.safe_load(text)
    assert suite["conversations"][0]["turns"][0] == {
        "says": "preciso de um motoboy",
        "state": "AWAITING_USER",
        "line": "delivery",
        "intent": "delivery_how",
    }
    assert (await _in_thread("t.yaml")).exit_code == 0
    await _in_thread("from", "z", "--into", "r.jsonl")
    assert len((here / "r.jsonl").read_text().splitlines()) == 3

    await _in_thread("questions")
    proposals = yaml.safe_load((here / "proposals.yaml").read_text())
    (found,) = [one for one in proposals["proposals"] if "crachás" in one["questions"][0]]
    assert (found["answer"], found["approved"]) == ("Sim, plastificamos crachás no escritório.", False)
    assert (await _in_thread("questions", "--apply", "--yes")).exit_code == 1
    found["approved"] = True
    (here / "proposals.yaml").write_text(yaml.safe_dump(proposals))
    assert (await _in_thread("questions", "--apply", "--yes")).exit_code == 0
    institution = load_institution(here / "pyloto")
    assert institution.intent(found["id"]) is not None
    await _in_thread("questions", "--into", "again.yaml")
    assert "crachás" not in (here / "again.yaml").read_text()
    async with open_backend(settings) as backend:
        current = await backend.store.institutions.current()
    assert current is not None
    assert current.version == institution.version


async def _in_thread(*arguments: str) -> Result:
    """Run a command, which has an event loop of its own."""
    return await asyncio.to_thread(run, *arguments)
