"""The API: what a program does with a key, and the schemas by which it knows how."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from webhook_bed import assert_problem

from adapters.clock import SystemClock
from cli.runtime import Runtime, open_runtime
from cli.settings import read_settings
from contracts.access import Role
from contracts.delivery import DeadLetter
from flags.definitions import Flag
from flags.experiments.store import ExperimentStore
from flags.store import FlagStore
from tests.builders import START, conversation_id, inbound
from tests.flags.test_experiments import SIGNED, draft
from tests.playing import play

KEYS = "read=read,operate:Ana Souza=operate,administer=administer"
C1 = conversation_id("c-1")
AT = "/api/v1/conversations/web:c-1"


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[Runtime]:
    given = {"PROSA_DATA_DIR": str(tmp_path), "PORT": "0", "PROSA_CONSOLE_TOKENS": KEYS}
    async with open_runtime(read_settings(given, env_file=None)) as runtime:
        await play(runtime, "c-1", ["Oi, bom dia", "Quero um orçamento"])
        yield runtime


@pytest.fixture
async def http(runtime: Runtime) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(runtime.webhook)
    headers = {"authorization": "Bearer operate"}
    async with httpx.AsyncClient(transport=transport, base_url="http://prosa.example", headers=headers) as http:
        yield http


async def test_an_agent_answers_a_conversation_and_hands_it_back(http: httpx.AsyncClient, runtime: Runtime) -> None:
    (found,) = (await http.get("/api/v1/conversations", params={"text": "ORCAMENTO", "owner": "assistant"})).json()[
        "conversations"
    ]
    assert found["id"] == C1
    taken = (await http.post(f"{AT}/take")).json()
    assert (taken["owner"], taken["agent"]) == ("agent", "Ana Souza")
    key = {"idempotency-key": "k-1"}
    for _ in range(2):
        assert (await http.post(f"{AT}/reply", json={"text": "Sou a Ana!"}, headers=key)).status_code == 200
        assert (await http.post(f"{AT}/notes", json={"text": "ligar"}, headers=key)).status_code == 200
    await runtime.queue.idle()
    lines = (await http.get(f"{AT}/messages")).json()["messages"]
    said = [(one["speaker"], one["text"], one["author"]) for one in lines if "author" in one]
    assert said == [("operator", "Sou a Ana!", "Ana Souza"), ("note", "ligar", "Ana Souza")]
    detail = (await http.get(AT)).json()
    assert [(row["author"], row["state"]) for row in detail["outbox"] if "author" in row] == [("Ana Souza", "sent")]
    assert {turn["reason"] for turn in detail["turns"]} == {"decided", "operator"}
    assert (await http.post(f"{AT}/hand-back")).json()["owner"] == "assistant"
    assert "hand_back" in assert_problem(await http.post(f"{AT}/hand-back"), 409)["detail"]
    assert (await http.post(f"{AT}/escalate")).json()["owner"] == "nobody"
    (waiting,) = (await http.get("/api/v1/conversations?order=waiting")).json()["conversations"]
    assert (waiting["id"], waiting["reason"]) == (C1, "operator")
    assert (await http.post(f"{AT}/close")).json()["state"] == "COMPLETED"
    assert "reopen it first" in assert_problem(await http.post(f"{AT}/escalate"), 409)["detail"]
    assert (await http.post(f"{AT}/reopen")).json()["episode"] == 2


async def test_lists_are_read_page_by_page(http: httpx.AsyncClient, runtime: Runtime) -> None:
    for number in range(3):
        await play(runtime, f"d-{number}", ["Oi, bom dia"])
    moments = [START, START, START, START + timedelta(seconds=1)]
    for number, at in enumerate(moments):
        letter = DeadLetter(
            id=f"l-{number}", conversation_id=None, message_id=None, channel="web", reason="x", attempts=1, at=at
        )
        await runtime.backend.store.dead_letters.add(letter)
    for path, name in (
        ("/api/v1/conversations", "conversations"),
        (f"{AT}/messages", "messages"),
        ("/api/v1/dead-letters", "dead_letters"),
    ):
        whole = (await http.get(path)).json()[name]
        pages: list[Any] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await http.get(path, params={"limit": "1"} | cursor)).json()
            pages += page[name]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
        assert pages == whole
        assert len(whole) == 4


async def test_attributes_are_set_before_and_after_the_first_message(http: httpx.AsyncClient, runtime: Runtime) -> None:
    for thread, path in ((C1, AT), (conversation_id("new"), "/api/v1/conversations/web:new")):
        told = await http.put(f"{path}/attributes", json={"attributes": {"plan": "gold", "age": 41, "left": True}})
        assert told.json() == {"attributes": {"plan": "gold", "age": 41, "left": True}}
        await http.put(f"{path}/attributes", json={"attributes": {"left": None}})
        head = await runtime.backend.store.conversations.load(thread)
        assert head is not None
        assert head.attributes == {"plan": "gold", "age": 41}
    await play(runtime, "new", ["Oi, bom dia"])
    for wrong in ({"channel": "web"}, {"Plan": "x"}, {"plan": ["x"]}, {f"a{n}": n for n in range(51)}):
        assert_problem(await http.put(f"{AT}/attributes", json={"attributes": wrong}), 422)
    refused = await http.put(f"{AT}/attributes", json={"attributes": {f"a{n}": n for n in range(49)}})
    assert "at most 50 attributes" in assert_problem(refused, 409)["detail"]
    listed = (await http.get("/api/v1/conversations")).json()["conversations"]
    assert {one["id"] for one in listed} == {C1, "web:new"}


async def test_each_role_does_what_it_may(http: httpx.AsyncClient, runtime: Runtime) -> None:
    letter = DeadLetter(
        id="l-1",
        conversation_id=C1,
        message_id=None,
        channel="web",
        reason="x",
        attempts=9,
        message=inbound("Ainda aí?"),
        at=START,
    )
    await runtime.backend.store.dead_letters.add(letter)
    for role, status in ((Role.READ, 403), (Role.ADMINISTER, 200)):
        http.headers["authorization"] = f"Bearer {role}"
        for path in ("/api/v1/conversations", AT, f"{AT}/messages", "/api/v1/dead-letters", "/api/v1/status"):
            assert (await http.get(path)).status_code == 200, path
        note = await http.post(f"{AT}/notes", json={"text": "x"}, headers={"idempotency-key": "k"})
        assert note.status_code == status
        assert (await http.post("/api/v1/dead-letters/l-1/retry")).status_code == status
    await runtime.queue.idle()
    assert "Ainda aí?" in (await http.get(f"{AT}/messages")).text
    assert (await http.get("/api/v1/dead-letters")).json() == {"dead_letters": [], "next": None}
    assert_problem(await http.post("/api/v1/dead-letters/l-1/retry"), 404)
    http.headers["authorization"] = "Bearer wrong"
    assert_problem(await http.post(f"{AT}/take"), 401)


async def test_flags_experiments_and_reports(http: httpx.AsyncClient, runtime: Runtime) -> None:
    flags = FlagStore(runtime.backend.store.records, runtime.backend.events, SystemClock())
    flag = Flag(key="judge.tone", owner="bia", expires_at=datetime(2030, 1, 1, tzinfo=UTC))
    await flags.put(flag, author="ana", reason="begin", expected=0)
    change = {"status": "enabled", "reason": "to all", "revision": 1}
    assert_problem(await http.put("/api/v1/flags/judge.tone", json=change), 403)
    http.headers["authorization"] = "Bearer administer"
    assert (await http.put("/api/v1/flags/judge.tone", json=change)).json()["revision"] == 2
    assert_problem(await http.put("/api/v1/flags/judge.tone", json=change), 409)
    assert_problem(await http.put("/api/v1/flags/judge.tone", json={"reason": "nothing", "revision": 2}), 422)
    assert_problem(await http.put("/api/v1/flags/none", json=change), 404)
    back = {"restore": 1, "reason": "back", "revision": 2}
    assert (await http.put("/api/v1/flags/judge.tone", json=back)).json()["flag"]["status"] == "disabled"
    http.headers["authorization"] = "Bearer read"
    (shown,) = (await http.get("/api/v1/flags")).json()["flags"]
    assert (shown["flag"]["key"], shown["revision"]) == ("judge.tone", 3)
    history = (await http.get("/api/v1/flags/judge.tone")).json()["changes"]
    assert [one["reason"] for one in history] == ["begin", "to all", "back"]
    assert_problem(await http.get("/api/v1/flags/none"), 404)
    assert (await http.get("/api/v1/experiments")).json() == {"experiments": []}
    assert_problem(await http.get("/api/v1/experiments/none"), 404)
    console = await http.get("/console/reports/cost?from=2026-01-01&to=2026-01-02")
    assert (await http.get("/api/v1/reports/cost?from=2026-01-01&to=2026-01-02")).json().keys() == console.json().keys()
    assert_problem(await http.get("/api/v1/reports/cost?from=2026-01-02&to=2026-01-01"), 422)
    assert_problem(await http.get("/api/v1/reports/none"), 404)


async def test_every_request_and_answer_has_its_schema(http: httpx.AsyncClient) -> None:
    described = (await http.get("/openapi.json")).json()
    assert described["components"]["securitySchemes"]
    operations = [
        (path, operation)
        for path, methods in described["paths"].items()
        if path.startswith("/api/v1/")
        for operation in methods.values()
    ]
    assert len(operations) == 20
    for path, operation in operations:
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        refs = schema.get("anyOf", [schema])
        assert {one["$ref"].rpartition("/")[2] for one in refs} <= described["components"]["schemas"].keys(), path
        takes_body = path.endswith(("/reply", "/notes", "/attributes")) or "FlagEdit" in str(operation)
        assert ("requestBody" in operation) == takes_body, path
    for path, methods in described["paths"].items():
        for operation in methods.values():
            refused = {name: answer["content"] for name, answer in operation["responses"].items() if name[0] in "45"}
            assert [*refused] == ["4XX", "5XX"], path
            assert all([*content] == ["application/problem+json"] for content in refused.values()), path
    page = (await http.get("/docs")).text
    assert '<details id="Reply">' in page
    assert "maxLength 20000" in page


async def test_answers_of_plain_values_are_as_their_schemas_say(http: httpx.AsyncClient, runtime: Runtime) -> None:
    http.headers["authorization"] = "Bearer administer"
    laboratory = ExperimentStore(runtime.backend.store.records, runtime.backend.events, SystemClock())
    await laboratory.plan(draft())
    await laboratory.start("prompt-v2", **SIGNED)
    await runtime.engine.turn.ledger.flush()
    described = (await http.get("/openapi.json")).json()
    asked = await http.post("/analyses", json={"conversation": C1, "kind": "handoff_summary"})
    assert_described(asked.json(), described, "post", "/analyses", "202")
    assert_described((await http.get(asked.json()["status_url"])).json(), described, "get", "/analyses/{analysis_id}")
    experiment = await http.get("/api/v1/experiments/prompt-v2")
    assert_described(experiment.json(), described, "get", "/api/v1/experiments/{key}")
    for place in ("/api/v1", "/console"):
        assert_described((await http.get(f"{place}/status")).json(), described, "get", f"{place}/status")
        for name in ("daily", "weekly", "cost", "performance"):
            report = (await http.get(f"{place}/reports/{name}", params={"to": f"{datetime.now(UTC):%Y-%m-%d}"})).json()
            assert_described(report, described, "get", f"{place}/reports/{{name}}")


def assert_described(answer: Any, described: dict[str, Any], method: str, path: str, status: str = "200") -> None:
    """Hold an answer against its schema, in which an object has the named members alone."""
    schema = described["paths"][path][method]["responses"][status]["content"]["application/json"]["schema"]
    closed = {"components": described["components"], **schema}
    for one in closed["components"]["schemas"].values():
        if "properties" in one:
            one["additionalProperties"] = False
    Draft202012Validator(closed, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(answer)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"method": "GET", "url": "/api/v1/conversations?cursor=bm8"}, 422),
        ({"method": "GET", "url": "/api/v1/conversations?states=NO"}, 422),
        ({"method": "GET", "url": "/api/v1/conversations?txet=typo"}, 422),
        ({"method": "GET", "url": "/api/v1/conversations?since=2026-01-01T00:00:00"}, 422),
        ({"method": "GET", "url": "/api/v1/conversations?limit=1000"}, 422),
        ({"method": "GET", "url": "/api/v1/conversations/web:nobody"}, 404),
        ({"method": "POST", "url": "/api/v1/conversations/web:nobody/take"}, 404),
        ({"method": "POST", "url": f"{AT}/reply", "json": {"text": "no key"}}, 422),
        ({"method": "POST", "url": f"{AT}/reply", "json": {}, "headers": {"idempotency-key": "k"}}, 422),
        ({"method": "POST", "url": f"{AT}/reply", "content": b"{", "headers": {"idempotency-key": "k"}}, 422),
        ({"method": "POST", "url": f"{AT}/reply", "content": b" " * 70_000, "headers": {"idempotency-key": "k"}}, 413),
        ({"method": "POST", "url": f"{AT}/erase"}, 404),
    ],
)
async def test_a_mistake_is_a_problem_that_names_it(
    http: httpx.AsyncClient, request_: dict[str, Any], status: int
) -> None:
    assert_problem(await http.request(**request_), status)


async def test_a_mistake_says_what_is_wanted(http: httpx.AsyncClient) -> None:
    key = {"idempotency-key": "k"}
    for answer, words in (
        (
            await http.get("/api/v1/conversations?limit=1000&owner=me"),
            "limit: Input should be less than or equal to 200",
        ),
        (
            await http.get("/api/v1/conversations?limit=1000&owner=me"),
            "owner: Input should be 'assistant', 'agent' or ",
        ),
        (await http.post(f"{AT}/reply", json={}, headers=key), "body: give text or template"),
        (
            await http.post(f"{AT}/reply", content=b"{", headers=key | {"content-type": "application/json"}),
            "body: JSON decode error",
        ),
        (await http.post(f"{AT}/reply", json={"text": "x"}), "idempotency-key: Field required"),
    ):
        assert words in answer.json()["detail"]
