"""`prosa prompts`: the templates."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from adapters.channels.web import web_message
from cli.output import AsJson, console, print_json, print_table
from context.loader import load_institution
from contracts.conversation import Conversation, State
from contracts.decisions import StateDecision
from contracts.messages import ChannelName
from contracts.settings import read_settings
from contracts.values import ConversationId, MessageId
from prompts.registry import PromptRegistry
from prompts.render import TurnView, build_request

app = typer.Typer(add_completion=False, help="What is said to the model.", no_args_is_help=True)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the templates with their versions."""
    templates = PromptRegistry.read().all()
    if as_json:
        print_json([{"label": one.label, "description": one.source.description} for one in templates])
        return
    print_table(("template", "description"), [(one.label, one.source.description) for one in templates], empty="None.")


@app.command()
def render(
    name: Annotated[str, typer.Argument(help="A template's name, e.g. select_state.")],
    text: Annotated[str, typer.Option(help="What the person wrote.")] = "Oi, bom dia",
) -> None:
    """Print the whole prompt of a first message, as the model gets it."""
    settings = read_settings()
    institution = load_institution(settings.institution)
    conversation = Conversation(id=ConversationId("web:sample"), state=State.UNDERSTANDING_INTENT)
    message = web_message("sample", MessageId("sample"), text, at=datetime.now(UTC))
    view = TurnView(
        institution=institution,
        conversation=conversation,
        messages=(message,),
        channel=ChannelName.WEB,
        allowed_states=(State.PROCESSING, State.ESCALATING, State.SPAM),
        askable_fields=tuple(field.id for field in institution.fields),
        decision=None if name == "select_state" else StateDecision(next_state=State.PROCESSING, confidence=1),
    )
    template = PromptRegistry.read().get(name)
    request = build_request(
        template, view, model=settings.model_state, schema_name=name, schema={}, timeout=timedelta(seconds=1)
    )
    for block in request.system:
        typer.echo(f"{block.text}\n\n{'-' * 80}\n")
    typer.echo(request.user)


@app.command()
def lint() -> None:
    """Read every template; a mistake is named with its file, and the command ends with 2."""
    console.print(f"{len(PromptRegistry.read().all())} templates are sound.")
