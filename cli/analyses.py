"""`prosa conversations analyse`: request an analysis of a conversation, and with `--wait` run it at once."""

import asyncio
from collections.abc import Mapping
from typing import Annotated

import typer

from cli.output import AsJson, console, fail, print_json
from cli.settings import read_settings
from contracts.analysis import Analysis, AnalysisKind, AnalysisStatus
from contracts.conversation import Conversation
from contracts.ports import Store
from contracts.values import ConversationId
from contracts.views import analysis_view
from observability.logs import configure_logs

Kind = Annotated[AnalysisKind, typer.Option(help="What is asked about it.")]
Wait = Annotated[bool, typer.Option("--wait", help="Work on it here, and print the result.")]

ASK_AGAIN_SECONDS = 0.25


async def analyse(
    conversation: Annotated[
        str, typer.Argument(metavar="ID", help="A conversation's id; web:NAME may be written NAME.")
    ],
    kind: Kind = AnalysisKind.HANDOFF_SUMMARY,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Have a conversation summarised for an agent, or reviewed; an equal request gets the existing result."""
    configure_logs(level="ERROR")
    if wait:
        analysis = await _waited(conversation, kind)
    else:
        from worker.analyses.processing import desk_of
        from worker.bootstrap import open_operations

        async with open_operations(read_settings()) as engine:
            head = await existing(conversation, engine.analyses.store)
            analysis = _found(await desk_of(engine.analyses).request(head.id, kind), conversation)
    if as_json:
        print_json(analysis_view(analysis))
    elif analysis.is_finished:
        print_analysis(analysis)
    else:
        console.print(f"{analysis.id} is {analysis.status}; the workers see to it.")
    if analysis.status is AnalysisStatus.FAILED:
        raise fail(f"the analysis failed: {analysis.error}")


def print_analysis(analysis: Analysis) -> None:
    """Print the result, line by line."""
    console.print(f"{analysis.context.kind}  {analysis.status}, of version {analysis.context.conversation_version}")
    for name, value in (analysis.result or {}).items():
        lines = [str(value)]
        if isinstance(value, list):
            lines = [": ".join(map(str, one.values())) if isinstance(one, Mapping) else str(one) for one in value] or [
                "-"
            ]
        console.print(f"  {name}: {lines[0] if len(lines) == 1 else ''}".rstrip())
        if len(lines) > 1:
            for line in lines:
                console.print(f"    - {line}")


async def _waited(given: str, kind: AnalysisKind) -> Analysis:
    """Request the analysis, and run it in this process unless another process does."""
    from cli.sandboxed import sandboxed
    from worker.analyses import processing as work
    from worker.backends import open_backend
    from worker.bootstrap import open_engine

    async with (
        sandboxed(read_settings()) as (settings, _),
        open_backend(settings) as backend,
        open_engine(settings, backend) as engine,
    ):
        deps = engine.analyses
        head = await existing(given, deps.store)
        desk = work.desk_of(deps)
        analysis = _found(await desk.request(head.id, kind), given)
        while not analysis.is_finished:
            await work.analyse(analysis.id, deps)
            analysis = _found(await desk.find(analysis.id), given)
            if not analysis.is_finished:
                await asyncio.sleep(ASK_AGAIN_SECONDS)
        return analysis


def candidates(given: str) -> list[ConversationId]:
    """Return the conversations that are meant: web:NAME may be written NAME."""
    return [ConversationId(given)] if ":" in given else [ConversationId(f"web:{given}"), ConversationId(given)]


async def existing(given: str, store: Store) -> Conversation:
    for candidate in candidates(given):
        head = await store.conversations.load(candidate)
        if head is not None and head.turns:
            return head
    raise fail(f"there is no conversation {given}; prosa conversations list shows what there is")


def _found(analysis: Analysis | None, given: str) -> Analysis:
    if analysis is None:
        raise fail(f"{given} was erased meanwhile")
    return analysis
