"""`prosa prompts`: the templates of the prompt tasks."""

import asyncio
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import orjson
import typer

from adapters.channels.web import web_message
from cli.output import AsJson, console, fail, group, print_json, print_rows, visible
from cli.settings import read_settings
from context.loader import load_institution
from contracts.conversation import Conversation, Speaker, State, Utterance
from contracts.decisions import StateDecision
from contracts.errors import ModelRequestRejectedError, ModelUnavailableError, PromptNotFoundError
from contracts.messages import ChannelName
from contracts.ports import ModelRequest
from contracts.settings import Settings
from contracts.values import ConversationId, MessageId
from prompts.pricing.prices import estimated_tokens
from prompts.request import TurnView
from prompts.tasks.registry import task_of
from prompts.tasks.task import View
from prompts.tasks.transcript import AnalysisView
from prompts.templating.lint import findings, sample_input, trials
from prompts.templating.registry import PromptRegistry
from prompts.templating.source import PromptTemplate, TranscriptInput
from worker.bootstrap import make_model

app = group("What is said to the model.")

Name = Annotated[str, typer.Argument(help="A template's name, e.g. select_state.")]
PATIENCE = timedelta(seconds=10)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the templates with their versions; tokens are those of the task's own text."""
    registry = PromptRegistry.read(own=read_settings().templates)
    templates = registry.all()
    counts = count_tokens(read_settings(), [template.system for template in templates])
    views = [
        {
            "name": template.name,
            "version": template.version,
            "hash": template.hash,
            "label": template.label,
            "parent": template.parent,
            "steps": sorted(template.steps_used),
            "tokens": tokens,
            "tokens_by": counts.by,
            "default": template.version == registry.default_version(template.name),
            "input": template.input.__name__,
            "output": template.output.__name__,
            "description": template.source.description,
        }
        for template, tokens in zip(templates, counts.tokens, strict=True)
    ]
    rows = [
        (view["label"], view["parent"], view["tokens"], "default" if view["default"] else "", view["description"])
        for view in views
    ]
    print_rows(as_json, views, ("template", "extends", "tokens", "", "description"), rows, empty="None.")
    if not as_json:
        console.print(counts.note)


@app.command()
def render(
    name: Name,
    version: Annotated[int | None, typer.Option(min=1, help="Default: as prosa prompts list says.")] = None,
    sample: Annotated[str | None, typer.Option(help="A sample of the template; default: a first message.")] = None,
    text: Annotated[str, typer.Option(help="What the person wrote.")] = "Oi, bom dia",
    as_json: AsJson = False,
) -> None:
    """Print the whole request as it is sent, with the tokens of each block and whether the provider may cache it."""
    settings = read_settings()
    template = PromptRegistry.read(own=settings.templates).get(name, version)
    request = _request(template, settings, text=text)
    if sample is not None:
        chosen = next((one for one in template.source.samples if one.name == sample), None)
        if chosen is None:
            known = ", ".join(one.name for one in template.source.samples) or "none"
            raise PromptNotFoundError(f"{template.label} has no sample '{sample}'; there are: {known}")
        request = request.model_copy(update={"user": template.render_user(sample_input(template, chosen))})
    schema = orjson.dumps(request.output_schema).decode()
    institution, task = request.system
    blocks = [
        ("institution", institution.text, institution.cached),
        ("task", task.text, task.cached),
        ("user", request.user, False),
        ("schema", schema, False),
    ]
    counts = count_tokens(settings, [said for _, said, _ in blocks])
    counted = list(zip(blocks, counts.tokens, strict=True))
    if as_json:
        view = {block: {"tokens": tokens, "cached": cached} for (block, _, cached), tokens in counted}
        request_view = request.model_dump(mode="json")
        print_json({"label": template.label, "request": request_view, "blocks": view, "tokens_by": counts.by})
        return
    for (block, said, cached), tokens in counted:
        rule = f"{block} · {tokens:,} tokens · {'cached' if cached else 'not cached'}"
        typer.echo(visible(f"--- {rule} {'-' * max(0, 76 - len(rule))}\n{said}\n"))
    total = sum(counts.tokens)
    typer.echo(f"{template.label} · {request.model} · at most {request.max_tokens:,} tokens out · {total:,} in all")
    typer.echo(counts.note)


def _request(template: PromptTemplate, settings: Settings, *, text: str) -> ModelRequest:
    """Return the request of a first message, or of an analysis of a conversation that consists of it."""
    task = task_of(template.name)
    institution, now = load_institution(settings.institution), datetime.now(UTC)
    conversation = Conversation(id=ConversationId("web:sample"), state=State.UNDERSTANDING_INTENT)
    view: View = TurnView(
        institution=institution,
        conversation=conversation,
        messages=(web_message("sample", MessageId("sample"), text, at=now),),
        channel=ChannelName.WEB,
        allowed_states=(State.PROCESSING, State.ESCALATING, State.SPAM),
        askable_fields=tuple(field.id for field in institution.fields),
        decision=None if template.output is StateDecision else StateDecision(next_state=State.PROCESSING, confidence=1),
    )
    if template.input is TranscriptInput:
        said = (Utterance(speaker=Speaker.PERSON, text=text, at=now),)
        view = AnalysisView(institution, conversation, said)
    return task.request(view, template, model=getattr(settings, task.model_setting), timeout=settings.model_timeout)


@app.command()
def lint(as_json: AsJson = False) -> None:
    """Look for what is sound and yet not as it should be; ends with 1 when there is something, with 2 when unsound."""
    registry = PromptRegistry.read(own=read_settings().templates)
    found = findings(registry, institution=load_institution(read_settings().institution).prompt_core)
    if as_json:
        print_json([{"file": one.file, "line": one.line, "text": one.text} for one in found])
    else:
        for one in found:
            typer.echo(visible(str(one)))
    if found:
        raise fail(f"{len(found)} findings")
    if not as_json:
        console.print(f"{len(registry.all())} templates and {len(registry.steps.all())} steps are sound.")


@app.command()
def diff(
    name: Name,
    before: Annotated[int, typer.Argument(min=1, help="A version.")],
    after: Annotated[int, typer.Argument(min=1, help="Another one.")],
    as_json: AsJson = False,
) -> None:
    """Compare two versions as the model gets them, blocks and steps filled in, and their tokens."""
    registry = PromptRegistry.read(own=read_settings().templates)
    old, new = registry.get(name, before), registry.get(name, after)
    lines = list(
        difflib.unified_diff(
            _said(old), _said(new), fromfile=old.label, tofile=new.label, lineterm="", n=max(len(_said(old)), 3)
        )
    )
    counts = count_tokens(read_settings(), ["\n".join(_said(template)) for template in (old, new)])
    tokens_before, tokens_after = counts.tokens
    ratio = round(tokens_after / tokens_before - 1, 3)
    if as_json:
        before_view, after_view = (
            {"label": one.label, "tokens": n} for one, n in zip((old, new), counts.tokens, strict=True)
        )
        view = {"before": before_view, "after": after_view, "change": ratio, "tokens_by": counts.by, "diff": lines}
        print_json(view)
        return
    typer.echo(visible("\n".join(lines)))
    typer.echo(f"\n{tokens_before} tokens before, {tokens_after} after: {ratio:+.1%}; {counts.note}")


def _said(template: PromptTemplate) -> list[str]:
    """Return the lines of a template that reach the model: its text, and the frame around the conversation."""
    frame = template.render_user(template.input(line="", conversation="..."))
    return f"{template.system}\n\n{frame}".splitlines()


@app.command("test")
def try_(as_json: AsJson = False) -> None:
    """Try the steps' own cases and the templates' samples; no model is asked. Ends with 1 when one fails."""
    tried = trials(PromptRegistry.read(own=read_settings().templates))
    failed = [trial for trial in tried if trial.problems]
    views = [
        {"of": one.of, "case": one.case, "ok": not one.problems, "problems": one.problems, "tokens": one.tokens}
        | {"tokens_by": TokensBy.ESTIMATE}
        for one in tried
    ]
    rows = [(one.of, one.case, one.tokens, "; ".join(one.problems) or "ok") for one in tried]
    print_rows(as_json, views, ("of", "case", "tokens", "result"), rows, empty="None.")
    if failed:
        raise fail(f"{len(failed)} of {len(tried)} cases failed")


class TokensBy(StrEnum):
    """Source of a number of tokens."""

    PROVIDER = "provider"
    ESTIMATE = "estimate"


@dataclass(frozen=True)
class TokenCounts:
    """Tokens of each text, in order. The provider's include the few with which it frames a message."""

    tokens: tuple[int, ...]
    by: TokensBy

    @property
    def note(self) -> str:
        """The source of the numbers, for a person."""
        if self.by is TokensBy.PROVIDER:
            return "tokens are the provider's count"
        return "tokens are an estimate (prompts/pricing/prices.py); with ANTHROPIC_API_KEY the provider is asked"


def count_tokens(settings: Settings, texts: Sequence[str]) -> TokenCounts:
    """Ask the provider when there is a key for it; estimate without one, or when it does not answer."""

    async def asked() -> tuple[int, ...]:
        model = make_model(settings)
        try:
            counted = (model.count_tokens(text, model=settings.model_state, within=PATIENCE) for text in texts)
            return tuple(await asyncio.gather(*counted))
        finally:
            await model.close()

    if not settings.uses_sandbox_model and settings.model_provider != "bedrock":
        try:
            return TokenCounts(asyncio.run(asked()), TokensBy.PROVIDER)
        except (ModelUnavailableError, ModelRequestRejectedError):
            # The estimate takes its place, and says so.
            pass
    return TokenCounts(tuple(estimated_tokens(text) for text in texts), TokensBy.ESTIMATE)
