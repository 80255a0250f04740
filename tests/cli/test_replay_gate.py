"""`prosa replay --candidate` as a gate: planted regressions are blocked, harmless edits pass."""

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from cli.comparing import Kind, verdict
from cli.main import app
from cli.replay import candidate, replay
from cli.settings import read_settings
from contracts.errors import ConfigurationError
from contracts.settings import Settings
from tests.candidates import HARMLESS, REGRESSIONS, Candidate, recorded

MESSAGES = (
    ["quero reclamar, veio quebrado"],
    ["preciso de um técnico", "meu nome é Ana"],
    ["qual o valor da entrega?"],
    ["oi", "não quero mais nada de vocês, chega"],
    ["qual o telefone de vocês?"],
    ["você foi sorteado, clique no link"],
    ["obrigado"],
)
SHOWS = {
    "forgets an escalation": Kind.ESCALATION,
    "names the wrong line": Kind.LINE,
    "tells a price": Kind.GATE,
    "takes 40 % more tokens": Kind.TOKENS,
    "goes to an illegal state": Kind.FALLBACK,
    "invents a phone number": Kind.GATE,
    "answers in the wrong language": Kind.LANGUAGE,
    "drops the buttons": Kind.FORM,
    "answers spam": Kind.SPAM,
}


@pytest.mark.slow
async def test_regressions_are_blocked_and_harmless_edits_pass(tmp_path: Path) -> None:
    settings, messages = read_settings({"PROSA_DATA_DIR": str(tmp_path)}, env_file=None), recorded(MESSAGES)
    before, failed = await replay(settings, messages)
    assert failed == 0
    again, _ = await replay(settings, messages)
    assert not any(verdict(before, again).counts.values())

    async def judged(one: Candidate) -> tuple[Kind, ...]:
        async with one.written(tmp_path / one.name) as folder:
            after, _ = await replay(candidate(folder, settings), messages)
        return verdict(before, after).blocked

    planted = {one.name: await judged(one) for one in REGRESSIONS if one.name in SHOWS}
    assert {name: SHOWS[name] in blocked for name, blocked in planted.items()} == dict.fromkeys(SHOWS, True)
    assert {one.name: await judged(one) for one in HARMLESS[::5]} == {one.name: () for one in HARMLESS[::5]}


def test_the_command_ends_with_1_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    line = {"conversation": "a", "text": "quero reclamar, veio quebrado"}
    (tmp_path / "r.jsonl").write_bytes(orjson.dumps(line))
    base = CliRunner().invoke(app, ["replay", "r.jsonl", "--out", "base.jsonl"])
    assert base.exit_code == 0, base.output
    (turn,) = (orjson.loads(one) for one in (tmp_path / "base.jsonl").read_bytes().splitlines())
    (tmp_path / "base.jsonl").write_bytes(orjson.dumps(turn | {"business_line": "crm"}))
    found = CliRunner().invoke(app, ["replay", "r.jsonl", "--against", "base.jsonl", "--json"])
    assert (found.exit_code, orjson.loads(found.stdout)["blocked"]) == (1, ["line"])
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / ".env").write_text("PROSA_JUDGE=off\n")
    (tmp_path / "none.jsonl").write_text("\n")
    assert CliRunner().invoke(app, ["replay", "none.jsonl", "--candidate", "c"]).exit_code == 1
    assert CliRunner().invoke(app, ["replay", "r.jsonl", "--candidate", "c"]).exit_code == 0
    allowed = CliRunner().invoke(app, ["replay", "r.jsonl", "--against", "base.jsonl", "--allow", "line=1"])
    assert (allowed.exit_code, "1 turns: passed" in allowed.stdout) == (0, True)


def test_a_candidate_without_a_change_and_a_kind_that_is_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nothing to compare"):
        candidate(tmp_path, Settings())
    (tmp_path / ".env").write_text("PROSA_MODEL_STAT=x\n")
    with pytest.raises(ConfigurationError, match="PROSA_MODEL_STAT"):
        candidate(tmp_path, Settings())
    (tmp_path / "r.jsonl").write_text('{"conversation": "a", "text": "oi"}')
    done = CliRunner().invoke(app, ["replay", str(tmp_path / "r.jsonl"), "--allow", "lines=1"])
    assert "--allow takes KIND=SHARE" in str(done.exception)
