"""The `prosa` command as its users and their scripts meet it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.builders import ROOT

pytestmark = pytest.mark.slow

Prosa = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def prosa(tmp_path: Path) -> Prosa:
    def run(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            cwd=ROOT,
            env=own_environment(tmp_path) | environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def own_environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PROSA_", "ANTHROPIC", "WHATS"))}
    # Any free port: something else may listen at the usual one.
    return kept | {"PROSA_DATA_DIR": str(folder / "data"), "COLUMNS": "200", "PORT": "0"}


def lines(path: Path, *content: object) -> str:
    path.write_text("".join(json.dumps(line) + "\n" for line in content), encoding="utf-8")
    return str(path)


def test_replay_writes_one_line_for_each_turn_in_the_promised_shape(prosa: Prosa, tmp_path: Path) -> None:
    recording = lines(
        tmp_path / "in.jsonl",
        {"conversation": "a", "channel": "web", "text": "Oi, bom dia", "id": "1", "name": "Ana"},
        {"conversation": "b", "channel": "web", "text": "qual o horário de vocês?"},
        {"conversation": "a", "channel": "web", "text": "quero falar com uma pessoa"},
    )
    out = tmp_path / "out.jsonl"
    done = prosa("replay", recording, "--out", str(out), "--store", f"sqlite:{tmp_path}/kept.sqlite")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    turns = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [(turn["conversation"], turn["message_ids"]) for turn in turns] == [
        ("a", ["1"]),
        ("b", ["line-2"]),
        ("a", ["line-3"]),
    ]
    first, _, last = turns
    promised = {
        *("conversation", "message_ids", "path", "state", "trigger", "confidence", "business_line", "intent"),
        *("reply", "violations", "fallback", "tokens", "cost_usd", "ms"),
    }
    assert promised <= set(first)
    assert first["path"][0] == "INIT"
    assert first["path"][-1] == first["state"] == "AWAITING_USER"
    assert {"type", "text"} <= set(first["reply"])
    assert set(first["tokens"]) == {"input", "output", "cache_read", "cache_write"}
    assert set(first["ms"]) == {"total", "state", "response", "message_type"}
    assert float(first["cost_usd"]) > 0
    assert isinstance(first["cost_usd"], str)
    assert (last["state"], last["trigger"]) == ("ESCALATING", "escalate")

    again = prosa("replay", recording, "--store", f"sqlite:{tmp_path}/kept.sqlite")
    assert [json.loads(line)["message_ids"] for line in again.stdout.splitlines()] == [["1"], ["line-2"], ["line-3"]]
    listed = prosa("conversations", "list", "--json", PROSA_STORE=f"sqlite:{tmp_path}/kept.sqlite")
    assert {one["id"]: one["turns"] for one in json.loads(listed.stdout)} == {"web:a": 2, "web:b": 1}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("not json", "in.jsonl:1: not JSON"),
        ('{"conversation": "a b", "text": "x"}', "in.jsonl:1: conversation"),
        ('{"conversation": "a"}', "in.jsonl:1: text: Field required"),
        ('{"conversation": "a", "text": "x", "channel": "fax"}', "in.jsonl:1: channel"),
        ('{"conversation": "a", "text": "x", "more": 1}', "in.jsonl:1: more"),
    ],
)
def test_a_bad_recording_is_refused_with_its_line(prosa: Prosa, tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "in.jsonl").write_text(line + "\n", encoding="utf-8")
    done = prosa("replay", str(tmp_path / "in.jsonl"))
    assert done.returncode == 2
    assert message in done.stderr


def test_chat_answers_and_goes_on_where_it_was(prosa: Prosa) -> None:
    done = prosa("chat", "t1", stdin="Oi, bom dia\n1\n")
    assert done.returncode == 0, done.stderr
    assert "the sandbox model answers" in done.stdout
    assert done.stdout.count("AWAITING_USER") == 2
    shown = prosa("conversations", "show", "t1", "--json")
    conversation = json.loads(shown.stdout)
    assert (conversation["id"], conversation["turns"]) == ("web:t1", 2)
    assert conversation["transcript"][2]["text"] == "Entregas"
    assert prosa("chat", "t1", "--json", stdin="quero falar com um atendente\n").stdout.count('"ESCALATING"') >= 1
    assert "Indexed 1 conversations." in prosa("conversations", "index").stdout
    waiting = prosa("conversations", "find", "ATENDENTE falar", "--owner", "nobody", "--order", "waiting", "--json")
    (found,) = json.loads(waiting.stdout)["conversations"]
    assert (found["id"], found["state"], found["owner"]) == ("web:t1", "ESCALATING", "nobody")
    assert "No conversation matches." in prosa("conversations", "find", "--agent", "Bia").stdout
    assert prosa("conversations", "find", "--cursor", "bm8").returncode == 2


def test_a_conversation_is_traced_handed_back_exported_and_erased(prosa: Prosa) -> None:
    prosa("chat", "t1", stdin="quero falar com um atendente\n")
    traced = json.loads(prosa("conversations", "trace", "t1", "--json").stdout)
    steps = [event["what"] for event in traced["events"]]
    for step in ("received, durable", "claimed", "task state", "committed", "outbox sent"):
        assert step in steps
    assert "atendente" not in json.dumps(traced)
    assert "task state" in prosa("conversations", "trace", "t1").stdout
    message_id = json.loads(prosa("conversations", "export", "t1").stdout)["messages"][0]["message"]["id"]
    assert json.loads(prosa("conversations", "trace", message_id, "--json").stdout)["conversation"] == "web:t1"

    for move in (("take",), ("reply", "Sou a Bia"), ("note", "liga amanhã")):
        answer = json.loads(prosa("conversations", move[0], "t1", *move[1:], "--agent", "Bia", "--json").stdout)
        assert (answer["id"], answer["owner"], answer["agent"]) == ("web:t1", "agent", "Bia")
    refused = prosa("conversations", "reply", "t1", "--template", "lembrete", "--parameter", "Ana")
    assert "web takes no template" in refused.stderr
    for given in ((), ("texto", "--template", "lembrete")):
        assert prosa("conversations", "reply", "t1", *given).returncode == 2
    assert "web:t1 is AWAITING_USER." in prosa("conversations", "hand-back", "t1").stdout
    refused = prosa("conversations", "hand-back", "t1")
    assert refused.returncode == 1
    assert "no move 'hand_back' from AWAITING_USER" in refused.stderr
    assert prosa("conversations", "close", "t1").returncode == 0
    assert "episode 2" in prosa("conversations", "reopen", "t1").stdout

    assert "atendente" in prosa("conversations", "export", "t1").stdout
    assert prosa("conversations", "erase", "t1", stdin="n\n").returncode == 1
    erased = json.loads(prosa("conversations", "erase", "t1", "--yes", "--json").stdout)
    assert erased["conversation"] == "web:t1"
    places = {"inbox", "conversation", "outbox", "dead_letters", "records", "prompts", "names", "caches"}
    assert set(erased["erased"]) == places
    assert erased["erased"]["outbox"] > 0
    for command in ("show", "export", "trace"):
        gone = prosa("conversations", command, "t1")
        assert gone.returncode == 1
        assert gone.stderr.startswith("prosa: ")


def test_two_conversations_are_merged_and_taken_apart(prosa: Prosa) -> None:
    for name in ("ana", "bea"):
        assert prosa("chat", name, stdin="Oi, bom dia\n").returncode == 0
    merged = prosa("conversations", "merge", "bea", "ana")
    assert "web:bea is joined to web:ana." in merged.stdout
    listed = json.loads(prosa("conversations", "list", "--json").stdout)
    assert [one["id"] for one in listed] == ["web:ana"]
    assert "web:ana" in prosa("conversations", "show", "bea").stdout
    assert json.loads(prosa("conversations", "escalate", "bea", "--json").stdout)["id"] == "web:ana"
    assert "one conversation already" in prosa("conversations", "merge", "bea", "ana").stderr
    assert "web:bea is a conversation of its own again" in prosa("conversations", "unmerge", "bea").stdout
    assert prosa("conversations", "unmerge", "bea").returncode == 1
    assert len(json.loads(prosa("conversations", "list", "--json").stdout)) == 2


def test_empty_lists_say_so(prosa: Prosa) -> None:
    assert "No conversations yet" in prosa("conversations", "list").stdout
    assert "No dead letters" in prosa("dead-letters", "list").stdout
    assert json.loads(prosa("dead-letters", "list", "--json").stdout) == []
    for command in ("show", "retry", "drop"):
        assert prosa("dead-letters", command, "nothing").returncode == 1


def test_the_documents_are_checked_shown_and_published(prosa: Prosa, tmp_path: Path) -> None:
    for folder in ("pyloto", "harbour_dental"):
        done = prosa("context", "check", f"context/documents/{folder}", "--json")
        assert (done.returncode, json.loads(done.stdout)["withheld_answers"]) == (0, [])
    warnings = json.loads(prosa("context", "check", "context/documents/pyloto", "--json").stdout)["warnings"]
    assert "intent hire: its fields are never asked, as it ends the assistant's part" in warnings
    bad = tmp_path / "bad"
    bad.mkdir()
    refused = prosa("context", "check", str(bad))
    assert refused.returncode == 2
    assert ".md:" in refused.stderr
    assert "Pyloto" in prosa("context", "show").stdout
    assert prosa("context", "show", "--line", "nothing").returncode == 2
    assert "published" in prosa("context", "publish").stdout
    assert "already the current one" in prosa("context", "publish").stdout


def test_the_prompts_can_be_read(prosa: Prosa) -> None:
    assert "select_state_v1@" in prosa("prompts", "list").stdout
    assert prosa("prompts", "lint").returncode == 0
    rendered = prosa("prompts", "render", "select_state", "--text", "Quero uma entrega").stdout
    assert "Quero uma entrega" in rendered
    assert "TASK: decide the next state" in rendered
    unknown = prosa("prompts", "render", "nothing")
    assert unknown.returncode == 2
    assert "generate_response v1" in unknown.stderr


def test_the_prompts_can_be_read_by_programs(prosa: Prosa) -> None:
    listed = json.loads(prosa("prompts", "list", "--json").stdout)
    assert [one["version"] for one in listed if one["name"] == "select_state" and one["default"]] == [1]
    assert json.loads(prosa("prompts", "lint", "--json").stdout) == []
    assert all(one["ok"] for one in json.loads(prosa("prompts", "test", "--json").stdout))
    change = json.loads(prosa("prompts", "diff", "select_state", "1", "2", "--json").stdout)
    assert change["change"] <= -0.25
    assert "+ACTION: decide" in "\n".join(change["diff"])
    for name in {one["name"] for one in listed}:
        newest = max(one["version"] for one in listed if one["name"] == name)
        shown = json.loads(prosa("prompts", "render", name, "--version", str(newest), "--json").stdout)
        assert [block for block, facts in shown["blocks"].items() if facts["cached"]] == ["institution", "task"]
        assert "Oi, bom dia" in shown["request"]["user"]


def test_a_sample_is_rendered_or_the_samples_are_named(prosa: Prosa) -> None:
    shown = prosa("prompts", "render", "handoff_summary", "--version", "2", "--sample", "passed_on").stdout
    assert "Quero um atendente" in shown
    assert "--- task" in shown
    refused = prosa("prompts", "render", "handoff_summary", "--sample", "other")
    assert refused.returncode == 2
    assert "there are: passed_on" in refused.stderr


def test_doctor_says_what_is_there_and_what_to_do_next(prosa: Prosa) -> None:
    done = prosa("doctor", "--json")
    assert done.returncode == 0
    findings = {finding["check"]: finding for finding in json.loads(done.stdout)}
    assert findings["institution"]["health"] == "ok"
    assert findings["model"]["next_step"] == "set ANTHROPIC_API_KEY for a real model"
    assert findings["team"]["detail"] == "0 conversations wait for an agent; told by nothing"
    told = prosa("doctor", "--json", PROSA_NOTIFY_SLACK_URL="http://127.0.0.1:1/x")
    assert "told by slack" in told.stdout
    broken = prosa("doctor", PROSA_INSTITUTION="/nowhere")
    assert broken.returncode == 1
    assert "failed" in broken.stdout


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"PROSA_STOER": "x"}, "PROSA_STOER is not a setting; did you mean PROSA_STORE?"),
        ({"PORT": "many"}, "PORT: Input should be a valid integer"),
        ({"PROSA_ENV": "production"}, "needs ANTHROPIC_API_KEY, PROSA_CONSOLE_TOKEN, PROSA_ID_SALT"),
        ({"PROSA_HOST": "0.0.0.0"}, "set PROSA_CONSOLE_TOKEN"),
        ({"WHATSAPP_APP_SECRET": "x"}, "missing: WHATSAPP_VERIFY_TOKEN"),
        ({"PROSA_ENGINE": "celery"}, "PROSA_ENGINE"),
        ({"PROSA_STORE": "mysql://x"}, "PROSA_STORE"),
        ({"PROSA_DATA_DIR": "/proc/nowhere"}, "set PROSA_DATA_DIR"),
        ({"PROSA_INSTITUTION": "/nowhere"}, "/nowhere"),
    ],
)
def test_a_process_with_a_wrong_setting_does_not_come_up(
    prosa: Prosa, environment: dict[str, str], message: str
) -> None:
    done = prosa("run", **environment)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_run_says_where_it_is_and_ends_with_0(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "cli.main", "run"],
        cwd=ROOT,
        env=own_environment(tmp_path) | {"PORT": "0"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        announced = next(line for line in process.stdout if line.startswith("Prosa is at "))
        url = announced.split()[3]
        assert httpx.get(f"{url}healthz").text == "ok"
        written = httpx.post(f"{url}chat/c/messages", json={"text": "Oi, bom dia"})
        status = httpx.get(f"{url.rstrip('/')}{written.json()['status_url']}?wait=20", timeout=30).json()
        assert status["status"] == "replied"
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert time.monotonic() - started < 20


def test_edited_documents_are_taken_up_and_rolled_back_and_bad_ones_are_not(prosa: Prosa, tmp_path: Path) -> None:
    folder = tmp_path / "company"
    shutil.copytree(ROOT / "context" / "documents" / "harbour_dental", folder)
    with subprocess.Popen(
        [sys.executable, "-m", "cli.main", "run"],
        cwd=ROOT,
        env=own_environment(tmp_path) | {"PORT": "0", "PROSA_INSTITUTION": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = next(line for line in process.stdout if line.startswith("Prosa is at ")).split()[3]
        before = httpx.get(f"{url}console/about").json()["version"]
        principles = folder / "principles.md"
        good = principles.read_text(encoding="utf-8")
        principles.write_text("", encoding="utf-8")
        process.send_signal(signal.SIGHUP)
        assert "principles.md:" in next(line for line in process.stdout if "institution.refused" in line)
        assert httpx.get(f"{url}console/about").json()["version"] == before
        principles.write_text(good + "\n", encoding="utf-8")
        business_lines = folder / "business_lines.md"
        business_lines.write_text(
            business_lines.read_text(encoding="utf-8").replace("teeth", "tooth"), encoding="utf-8"
        )
        process.send_signal(signal.SIGHUP)
        next(line for line in process.stdout if "institution.reloaded" in line)
        after = httpx.get(f"{url}console/about").json()["version"]
        assert after != before
        versions = json.loads(prosa("context", "versions", "--json").stdout)
        assert [one["version"] for one in versions] == [after, before]
        assert prosa("context", "rollback", "nothing").returncode == 1
        assert "published" in prosa("context", "rollback", before).stdout
        process.send_signal(signal.SIGHUP)
        assert before in next(line for line in process.stdout if "institution.reloaded" in line)
        assert httpx.get(f"{url}console/about").json()["version"] == before
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_port_that_is_taken_is_named(prosa: Prosa, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = prosa("run", PORT=str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert "set PORT to another one" in done.stderr


def test_the_demo_plays_every_sample(prosa: Prosa) -> None:
    for folder, word in (("pyloto", "Entregas"), ("harbour_dental", "opening")):
        done = prosa("demo", PROSA_INSTITUTION=f"context/documents/{folder}")
        assert done.returncode == 0, done.stderr
        assert word in done.stdout
        assert "ESCALATING" in done.stdout
        assert "SPAM" in done.stdout
        assert "delivery: " in done.stdout


@pytest.mark.parametrize("arguments", [(), ("conversations",), ("context", "check"), ("replay",), ("dead-letters",)])
def test_help_is_everywhere(prosa: Prosa, arguments: tuple[str, ...]) -> None:
    done = prosa(*arguments, "--help")
    assert done.returncode == 0
    assert "Usage:" in done.stdout


def test_wrong_usage_ends_with_2(prosa: Prosa) -> None:
    assert prosa("nonsense").returncode == 2
    assert prosa("replay").returncode == 2


HOSTILE = "\x1b]0;OWNED\x07\x9b31m\x1b[2J[/x][bold]\u202egnp.exe\r2026 operator approved\n2026-01-01 operator  pay"


def test_what_people_wrote_reaches_no_terminal_as_a_command(prosa: Prosa, tmp_path: Path) -> None:
    message = {"conversation": "a", "channel": "web", "text": HOSTILE, "name": HOSTILE}
    prosa("replay", lines(tmp_path / "in.jsonl", message), "--store", f"sqlite:{tmp_path}/kept.sqlite")
    new = (
        "--status",
        "enabled",
        "--owner",
        "[/x]\x1b[2J",
        "--expires",
        "2099-01-01",
        "--yes",
        "--by",
        "a",
        "--reason",
        "r",
    )
    made = prosa("flags", "set", "x", *new, PROSA_STORE=f"sqlite:{tmp_path}/kept.sqlite")
    commands = (("conversations", "show", "a"), ("conversations", "export", "a"), ("flags", "list"))
    for command in commands:
        done = prosa(*command, PROSA_STORE=f"sqlite:{tmp_path}/kept.sqlite")
        assert done.returncode == 0, done.stderr + made.stderr
        shown = done.stdout + done.stderr
        assert not {sign for sign in shown if sign != "\n" and not sign.isprintable()}, command
        assert not any(line.startswith("2026-01-01 operator") for line in shown.splitlines())
    said = prosa("conversations", "show", "a", PROSA_STORE=f"sqlite:{tmp_path}/kept.sqlite").stdout
    assert "[/x][bold]" in said


def test_hostile_arguments_are_named_harmlessly(prosa: Prosa) -> None:
    done = prosa("conversations", "show", HOSTILE)
    assert (done.returncode, "\x1b" in done.stderr, "[/x][bold]" in done.stderr) == (1, False, True)


def test_files_are_for_the_account_that_runs_prosa_alone(prosa: Prosa, tmp_path: Path) -> None:
    (tmp_path / "kept.sqlite").touch(mode=0o644)
    message = {"conversation": "a", "channel": "web", "text": "oi"}
    recording = lines(tmp_path / "in.jsonl", message)
    assert prosa("replay", recording, "--store", f"sqlite:{tmp_path}/kept.sqlite").returncode == 0
    assert prosa("replay", recording, "--store", f"sqlite:{tmp_path}/new/kept.sqlite").returncode == 0
    made = [*tmp_path.glob("kept.sqlite*"), tmp_path / "new", *(tmp_path / "new").iterdir()]
    assert {path.stat().st_mode & 0o077 for path in made} == {0}


def test_doctor_names_secrets_that_are_too_short_for_production(prosa: Prosa) -> None:
    short = {"PROSA_ENV": "production", "ANTHROPIC_API_KEY": "k", "PROSA_CONSOLE_TOKEN": "x", "PROSA_ID_SALT": "s" * 16}
    findings = {one["check"]: one for one in json.loads(prosa("doctor", "--json", **short).stdout)}
    assert (findings["secrets"]["health"], "PROSA_CONSOLE_TOKEN" in findings["secrets"]["detail"]) == ("failed", True)
    assert "PROSA_ID_SALT" not in findings["secrets"]["detail"]
