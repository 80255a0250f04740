"""`prosa flags` as its users meet it."""

import asyncio
import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

import cli.flags
from cli.conversations import app as conversations
from cli.flags import app
from cli.runtime import open_runtime
from cli.settings import read_settings
from contracts.errors import ChangeRefusedError, ConfigurationError
from flags.file import read_flag_file
from tests.builders import ROOT
from tests.flags.test_flag_cache import FILE
from tests.playing import play

Flags = Callable[..., Result]
SIGNED = ("--author", "ana", "--reason", "because", "--yes")
NEW = ("--owner", "team", "--expires", "2099-01-01")


@pytest.fixture
def flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flags:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, stdin: str | None = None, **environment: str) -> Result:
        env = {"PROSA_DATA_DIR": str(tmp_path / "data"), "COLUMNS": "200"} | environment
        return CliRunner().invoke(app, arguments, input=stdin, env=env)

    return run


def test_a_flag_is_made_changed_and_taken_back(flags: Flags) -> None:
    made = flags("set", "cache.semantic", *NEW, "--status", "gradual_rollout", "--percentage", "5", *SIGNED)
    assert made.exit_code == 0, made.output
    assert "percentage: (none) -> 5.0" in made.output
    grown = flags("set", "cache.semantic", "--percentage", "50", *SIGNED)
    assert "percentage: 5.0 -> 50.0" in grown.output
    [listed] = json.loads(flags("list", "--json").output)
    assert listed == {
        "key": "cache.semantic",
        "owner": "team",
        "expires_at": "2099-01-01",
        "status": "gradual_rollout",
        "percentage": 50,
    }
    assert json.loads(flags("show", "cache.semantic", "--json").output)["revision"] == 2
    back = flags("rollback", "cache.semantic", *SIGNED)
    assert "at revision 3, which says what revision 1 said" in back.output
    entries = json.loads(flags("history", "cache.semantic", "--json").output)
    assert [(one["revision"], one["author"], one["reason"], one["changes"]) for one in entries][:2] == [
        (3, "ana", "because", ["percentage: 50.0 -> 5.0"]),
        (2, "ana", "because", ["percentage: 5.0 -> 50.0"]),
    ]
    assert "ana: because (restores 1)" in flags("history", "cache.semantic").output
    assert flags("delete", "cache.semantic", *SIGNED).exit_code == 0
    assert flags("list").output == "No flags.\n"
    assert flags("show", "cache.semantic").exit_code == 1
    assert flags("rollback", "cache.semantic", *SIGNED).exit_code == 0
    assert json.loads(flags("list", "--json").output)[0]["percentage"] == 5


def on_a_terminal(answers: str, *arguments: str, data: Path) -> tuple[int, str]:
    """Run the command on a terminal of its own; return its exit code and what was on the screen."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"PROSA_DATA_DIR": str(data), "LOGNAME": "bia", "TERM": "dumb"}
    command = [sys.executable, "-m", "cli.main", "flags", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.write(ours, answers.encode())
    screen = b""
    # At its end a terminal that nobody writes to any more is an error.
    with suppress(OSError):
        while piece := os.read(ours, 4_096):
            screen += piece
    os.close(ours)
    return process.wait(), screen.decode()


@pytest.mark.slow
def test_a_person_is_shown_the_change_and_asked(flags: Flags, tmp_path: Path) -> None:
    data = tmp_path / "data"
    code, screen = on_a_terminal("to try it\ny\n", "set", "x", *NEW, data=data)
    assert code == 0, screen
    assert screen.index("owner: (none) -> team") < screen.index("Why: ") < screen.index("Change it as bia? [y/N]")
    code, screen = on_a_terminal("again\nn\n", "set", "x", "--status", "enabled", data=data)
    assert (code, "status: (none) -> enabled" in screen) == (1, True)
    [entry] = json.loads(flags("history", "x", "--json").output)
    assert (entry["author"], entry["reason"], entry["flag"].get("status")) == ("bia", "to try it", None)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("set", "x", "--status", "enabled", *SIGNED), "a new flag needs --owner; a new flag needs --expires"),
        (("set", "x", *NEW, "--status", "canary", *SIGNED), "canary needs a percentage"),
        (("set", "X y", *NEW, *SIGNED), "key: String should match pattern"),
        (("set", "x", *NEW, "--reason", "r"), "without a terminal a change needs --reason and --yes"),
        (("set", "x"), "say what to change"),
        (("force", "--person", "ana"), "say KEY VARIANT, or --clear"),
        (("set", "x", *NEW, "--weight", "v2"), "say VARIANT=WEIGHT, as v2=50"),
        (("set", "x", *NEW, "--weight", "v2=1", *SIGNED), "no variant v2; there are: none"),
        (("set", "x", *NEW, "--status", "on", *SIGNED), "Invalid value for '--status'"),
    ],
)
def test_wrong_usage_says_what_would_be_right(flags: Flags, arguments: tuple[str, ...], says: str) -> None:
    done = flags(*arguments)
    assert done.exit_code == 2
    assert says in " ".join(done.output.replace("│", " ").split())


def test_a_definition_comes_from_a_file_and_goes_back_into_one(flags: Flags, tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(FILE)
    key = "prompts.select_state"
    assert flags("set", key, "--file", str(file), *SIGNED).exit_code == 0
    assert flags("set", key, "--file", str(file), *SIGNED).output == f"{key} says just that already.\n"
    done = flags("set", key, "--weight", "v2=9", *SIGNED)
    assert "variants.v2.weight: 3.0 -> 9.0" in done.output
    exported = flags("export").output
    assert yaml.safe_load(exported)["flags"][key]["variants"][1] == {"name": "v2", "value": 2, "weight": 9}
    file.write_text(exported)
    assert flags("set", key, "--file", str(file), *SIGNED).output == f"{key} says just that already.\n"
    assert flags("set", "other", "--file", str(file), *SIGNED).exit_code == 2
    salted = flags("set", key, "--salt", "2", *SIGNED)
    assert "Everybody is drawn anew" in salted.output


def test_a_percentage_of_an_enabled_flag_is_refused(flags: Flags, tmp_path: Path) -> None:
    refused = flags("set", "x", *NEW, "--status", "enabled", "--percentage", "5", *SIGNED)
    assert isinstance(refused.exception, ChangeRefusedError)
    assert "with a percentage it is a gradual_rollout" in str(refused.exception)
    flags("set", "x", *NEW, "--status", "gradual_rollout", "--percentage", "5", *SIGNED)
    enabled = flags("set", "x", "--status", "enabled", *SIGNED)
    assert "percentage: 5.0 -> (none)" in enabled.output
    file = tmp_path / "f.yaml"
    file.write_text(FILE.replace("status: ab_test", "status: enabled\n    percentage: 5"))
    with pytest.raises(ConfigurationError, match=r"f.yaml:\d+: .*enabled reaches all"):
        read_flag_file(file)


def test_an_unknown_key_is_asked_about(flags: Flags) -> None:
    assert "did you mean cache.semantic?" in flags("set", "cache.semantics", *NEW, *SIGNED).output


def test_it_leaves_for_flagd(flags: Flags, tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(
        FILE
        + """\
  cache.semantic:
    owner: o
    expires_at: 2099-01-01
    status: canary
    percentage: 5
    segments:
      - {name: testers, rules: [{attribute: tester, values: [true]}], percentage: 100}
      - {name: pt, rules: [{attribute: language, operator: starts_with, values: [pt]}]}
"""
    )
    exported = json.loads(flags("export", "--format", "flagd", PROSA_FLAGS_FILE=str(file)).output)["flags"]
    select = exported["prompts.select_state"]
    assert (select["state"], select["variants"], select["defaultVariant"]) == ("ENABLED", {"v1": 1, "v2": 2}, "v1")
    seed = {"cat": ["prompts.select_state", ":", "1", ":", {"var": "targetingKey"}]}
    assert select["targeting"] == {"fractional": [seed, ["v1", 25_000], ["v2", 75_000]]}
    testers, on, rest = exported["cache.semantic"]["targeting"]["if"]
    assert (testers, on) == ({"and": [{"in": [{"var": "tester"}, [True]]}]}, "on")
    _, split, control = rest["if"]
    assert split["fractional"][1:] == [["on", 5_000], ["off", 95_000]]
    assert control == "off"


def test_stale_flags_are_named_with_why(flags: Flags) -> None:
    assert flags("stale").output == "No stale flags.\n"
    for key, expires, status in (
        ("gone", "2020-01-01", "enabled"),
        ("done", "2099-01-01", "enabled"),
        ("used", "2099-01-01", "disabled"),
    ):
        assert flags("set", key, "--owner", "o", "--expires", expires, "--status", status, *SIGNED).exit_code == 0
    found = flags("stale", "--json")
    assert found.exit_code == 1
    assert {one["key"]: one["why"] for one in json.loads(found.output)} == {
        "gone": "expired: the default holds for everybody",
        "done": "reaches everybody: put what it decides into the code",
    }


def test_a_file_of_flags_is_looked_at_and_not_changed(flags: Flags, tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(FILE)
    from_file = {"PROSA_FLAGS_FILE": str(file)}
    assert [one["key"] for one in json.loads(flags("list", "--json", **from_file).output)] == ["prompts.select_state"]
    assert flags("show", "prompts.select_state", **from_file).exit_code == 0
    refused = flags("set", "x", *NEW, *SIGNED, **from_file)
    assert isinstance(refused.exception, ConfigurationError)
    assert "edit that file" in str(refused.exception)


def test_what_changed_meanwhile_is_not_overwritten(flags: Flags, monkeypatch: pytest.MonkeyPatch) -> None:
    assert flags("set", "x", *NEW, *SIGNED).exit_code == 0
    asked = cli.flags.Signature.confirm

    def somebody_is_faster(signature: cli.flags.Signature, lines: list[str]) -> str:
        monkeypatch.setattr(cli.flags.Signature, "confirm", asked)
        faster = threading.Thread(target=flags, args=("set", "x", "--status", "enabled", *SIGNED))
        faster.start()
        faster.join()
        return asked(signature, lines)

    monkeypatch.setattr(cli.flags.Signature, "confirm", somebody_is_faster)
    late = flags("set", "x", "--description", "mine", *SIGNED)
    assert isinstance(late.exception, ChangeRefusedError)
    assert "was changed meanwhile by ana" in str(late.exception)


async def _written(data: Path) -> None:
    async with open_runtime(read_settings({"PROSA_DATA_DIR": str(data), "PORT": "0"}, env_file=None)) as runtime:
        await play(runtime, "ana", ["Oi, bom dia"])


def test_a_variant_is_forced_and_attributes_are_set_for_one_person(flags: Flags, tmp_path: Path) -> None:
    asyncio.run(_written(tmp_path / "data"))
    killed = flags("force", "cache", "on", "--person", "ana", PROMPTER_USE_CACHE="false")
    assert killed.output == "web:ana: cache = True forced.\nPROMPTER_USE_CACHE=false wins over cache: unset it.\n"
    both = flags("force", "prompts.select_state", "2", "--person", "web:ana")
    assert both.output == "web:ana: cache = True, prompts.select_state = 2 forced.\n"
    missing = flags("force", "prompts.select_state", "99", "--person", "ana")
    assert "there is no select_state_v99" in str(missing.exception)
    assert flags("force", "--clear", "--person", "ana").output == "web:ana: nothing forced.\n"

    def attributes(*given: str) -> Result:
        environment = {"PROSA_DATA_DIR": str(tmp_path / "data")}
        return CliRunner().invoke(conversations, ["attributes", "ana", *given], env=environment)

    assert json.loads(attributes("plan=gold", "age=41", "tester=true").output) == {
        "plan": "gold",
        "age": 41,
        "tester": True,
    }
    assert json.loads(attributes("age=", "tester=").output) == {"plan": "gold"}
    assert "channel: the engine sets it" in " ".join(attributes("channel=web").output.split())
