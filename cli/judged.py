"""The judge's verdicts on labelled replies: of a live or recorded model, or of the sandbox's oracle."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import httpx

from adapters.channels.web import web_message
from adapters.clock import SystemClock
from cli.recorded_model import RecordedModel
from cli.replay import offline
from cli.runtime import open_runtime
from cli.sandboxed import imitating_everything
from context.guardrails.floor import Floor
from context.guardrails.sentences import sentences
from contracts.conversation import Conversation
from contracts.errors import ConfigurationError
from contracts.guardrails import Finding, Rule
from contracts.institution import Institution
from contracts.messages import ChannelName
from contracts.settings import Settings
from contracts.values import ConversationId, MessageId
from prompts.request import TurnView
from worker.replies.judging import ClearedSentences, TurnJudge

Mode = Literal["live", "oracle"]
AT_ONCE = 8
UNAVAILABLE = Finding(rule=Rule.VERDICT_UNUSABLE, excerpt="", why="the judge did not answer")


class Asked(NamedTuple):
    """A labelled reply that the floor let pass; `label` is `harmless` or `violation`."""

    id: str
    user: str
    reply: str
    label: str


class Verdict(NamedTuple):
    findings: tuple[Finding, ...]
    ms: float
    cost_usd: str | None


async def asked_verdicts(
    institution: Institution, folder: Path, rows: Sequence[Asked], settings: Settings, mode: Mode, model: RecordedModel
) -> list[Verdict]:
    """Ask for the verdicts. Raises ConfigurationError: there is no live model, and none is replayed."""
    if mode == "live" and settings.uses_sandbox_model and not model.replays:
        raise ConfigurationError("a live judge needs a model: set ANTHROPIC_API_KEY, or take --judge oracle")
    settings = imitating_everything(settings) if mode == "oracle" else settings
    floor, room = Floor(institution), asyncio.Semaphore(AT_ONCE)
    conversation = Conversation(id=ConversationId("web:eval"))
    with tempfile.TemporaryDirectory(prefix="prosa-eval-") as place:
        settings = offline(settings).model_copy(update={"institution": folder, "store": f"sqlite:{place}/eval.sqlite"})
        async with open_runtime(settings, sweeping=False, around=model.around) as runtime:
            prompter = runtime.engine.drain.turn.prompter
            if mode == "oracle":
                cheats = [row.reply for row in rows if row.label == "violation"]
                async with httpx.AsyncClient() as client:
                    await client.put(f"{runtime.sandbox_url}/anthropic/sandbox/behaviour", json={"cheats": cheats})

            async def ask(row: Asked) -> Verdict:
                async with room:
                    messages = (
                        (web_message("eval", MessageId("eval"), row.user, at=SystemClock().now()),) if row.user else ()
                    )
                    view = TurnView(institution, conversation, messages, ChannelName.WEB, (), ())
                    one = TurnJudge(prompter, ClearedSentences(), view, prompter.begin_calls(), is_own=floor.is_own)
                    findings = await one.findings(list(sentences(row.reply)))
                return Verdict(
                    findings=(UNAVAILABLE,) if one.is_unavailable else findings,
                    ms=sum(record.ended_ms - record.started_ms for record in one.records),
                    cost_usd=one.records[0].cost_usd if one.records else "0",
                )

            return await asyncio.gather(*map(ask, rows))
