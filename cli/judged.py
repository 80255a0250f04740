"""The judge's verdicts on labelled replies: of a live model, of the sandbox's oracle, or out of a record."""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Literal, NamedTuple

import httpx
import orjson
from pydantic import ValidationError

from adapters.channels.web.inbound import web_message
from adapters.clock import SystemClock
from cli.runtime import open_runtime
from cli.sandboxed import imitating_everything
from context.guardrails.floor import Floor
from context.guardrails.sentences import sentences
from contracts.conversation import Conversation
from contracts.errors import ConfigurationError
from contracts.guardrails import Finding, Rule
from contracts.institution import Institution
from contracts.messages import ChannelName, digest
from contracts.settings import Settings
from contracts.values import ConversationId, MessageId, Value
from prompts.prompter import Prompter
from prompts.request import TurnView
from prompts.tasks import judge
from worker.replies.judging import ClearedSentences, TurnJudge

Mode = Literal["live", "recorded", "oracle"]
AT_ONCE = 8
UNAVAILABLE = Finding(rule=Rule.VERDICT_UNUSABLE, excerpt="", why="the judge did not answer")


class Asked(NamedTuple):
    """A labelled reply that the floor let pass; `label` is `harmless` or `violation`."""

    id: str
    user: str
    reply: str
    label: str

    @property
    def digest(self) -> str:
        return digest(self.user, self.reply)


class Verdict(Value):
    findings: tuple[Finding, ...]
    ms: float
    cost_usd: str | None


class Recorded(Value):
    """Verdicts by the digest of user and reply, with all that they depend on."""

    model: str
    prompt: str
    answer_schema: str
    documents: str
    verdicts: dict[str, Verdict]


async def asked_verdicts(
    institution: Institution, folder: Path, rows: Sequence[Asked], settings: Settings, mode: Mode, record: Path | None
) -> list[Verdict]:
    """Ask for the verdicts, or take them from the record; a live judge's are kept in `record`.

    Raises:
        ConfigurationError: there is no live model, or the record is missing, lacks a row, or is of another model,
            prompt, schema or other documents.
    """
    if mode == "live" and settings.uses_sandbox_model:
        raise ConfigurationError("a live judge needs a model: set ANTHROPIC_API_KEY, or take --judge oracle")
    if mode == "recorded" and record is None:
        raise ConfigurationError("--judge recorded needs --record DIR, the folder that --judge live has written")
    settings = imitating_everything(settings) if mode == "oracle" else settings
    async with AsyncExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="prosa-eval-"))
        changes = {"institution": folder, "store": f"sqlite:{place}/eval.sqlite", "port": 0}
        runtime = await stack.enter_async_context(open_runtime(settings.model_copy(update=changes), sweeping=False))
        prompter = runtime.engine.drain.turn.prompter
        file = record / f"{institution.name}.json" if record else None
        head = _head(institution, prompter)
        if mode == "recorded" and file is not None:
            return _replayed(file, head, rows)
        if mode == "oracle":
            cheats = [row.reply for row in rows if row.label == "violation"]
            async with httpx.AsyncClient() as client:
                await client.put(f"{runtime.sandbox_url}/anthropic/sandbox/behaviour", json={"cheats": cheats})
        floor, room = Floor(institution), asyncio.Semaphore(AT_ONCE)

        async def ask(row: Asked) -> Verdict:
            async with room:
                return await _asked(row, _view(institution, row.user), floor, prompter)

        verdicts = await asyncio.gather(*map(ask, rows))
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        kept = {row.digest: verdict for row, verdict in zip(rows, verdicts, strict=True)}
        file.write_text(Recorded(**head, verdicts=kept).model_dump_json(indent=1), encoding="utf-8")
    return list(verdicts)


async def _asked(row: Asked, view: TurnView, floor: Floor, prompter: Prompter) -> Verdict:
    one = TurnJudge(prompter, ClearedSentences(), view, prompter.start_clock(), is_own=floor.is_own)
    findings = await one.findings(list(sentences(row.reply)))
    records = one.records
    return Verdict(
        findings=(UNAVAILABLE,) if one.is_unavailable else findings,
        ms=sum(record.ended_ms - record.started_ms for record in records),
        cost_usd=records[0].cost_usd if records else "0",
    )


def _view(institution: Institution, user: str) -> TurnView:
    id = ConversationId("web:eval")
    messages = (web_message("eval", MessageId("eval"), user, at=SystemClock().now()),) if user else ()
    return TurnView(institution, Conversation(id=id), messages, ChannelName.WEB, (), ())


def _head(institution: Institution, prompter: Prompter) -> dict[str, str]:
    """Return all that a verdict depends on apart from the reply."""
    view = _view(institution, "")
    prompt, model = prompter.identity(judge.TASK, view)
    schema = digest(orjson.dumps(judge.TASK.schema(view)).decode())
    return {"model": model, "prompt": prompt, "answer_schema": schema, "documents": institution.version}


def _replayed(file: Path, head: Mapping[str, str], rows: Sequence[Asked]) -> list[Verdict]:
    try:
        kept = Recorded.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as exc:
        raise ConfigurationError(f"{file} is no record of verdicts; make one with --judge live --record") from exc
    changed = [name for name, value in head.items() if getattr(kept, name) != value]
    if changed:
        raise ConfigurationError(f"{file} is of another {', '.join(changed)}; record it again with --judge live")
    missing = [row.id for row in rows if row.digest not in kept.verdicts]
    if missing:
        raise ConfigurationError(f"{file} has no verdict on {len(missing)} rows ({missing[0]}, ...); record it again")
    return [kept.verdicts[row.digest] for row in rows]
