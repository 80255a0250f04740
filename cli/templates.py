"""`prosa templates`: the platform's message templates, and whether those of the documents may be sent."""

import typer

from adapters.channels.platform import Refusal
from adapters.channels.whatsapp import WhatsAppSettings
from adapters.channels.whatsapp.doctor import ListedTemplate, problem_of, read_templates
from cli.output import FAILED, AsJson, fail, group, print_rows
from cli.settings import read_settings
from context.loader import load_institution
from contracts.settings import Settings

app = group("Message templates of WhatsApp: list, check.")


async def _listed(settings: Settings) -> list[ListedTemplate]:
    own = WhatsAppSettings.of(settings)
    if own is None:
        raise fail(f"set {', '.join(WhatsAppSettings.required())} first")
    try:
        return await read_templates(own)
    except Refusal as exc:
        raise fail(f"{exc}; {exc.next_step}") from exc


@app.command("list")
async def list_templates(as_json: AsJson = False) -> None:
    """List the templates of the token's business accounts, with their state at the platform."""
    views = [one.view() for one in await _listed(read_settings())]
    columns = ("name", "language", "category", "status", "parameters")
    rows = [tuple(str(view[column]) for column in columns) for view in views]
    print_rows(as_json, views, columns, rows, empty="The platform has no template.")


@app.command()
async def check(as_json: AsJson = False) -> None:
    """Compare the templates of the documents' timers with the platform's; exit 1 when one would be refused."""
    settings = read_settings()
    listed = await _listed(settings)
    timers = load_institution(settings.institution).timers
    asked = [(timer.id, timer.as_template()) for timer in timers if timer.template]
    found = [(timer_id, one.name, problem_of(one, listed)) for timer_id, one in asked]
    view = [{"timer": timer, "template": name, "problem": problem} for timer, name, problem in found]
    rows = [(timer, name, problem or "ok") for timer, name, problem in found]
    print_rows(as_json, view, ("timer", "template", "what"), rows, empty="No timer has a template.")
    if any(problem for _, _, problem in found):
        raise typer.Exit(FAILED)
