"""`prosa channels`: the platforms that are set up, what each says about its settings, and its webhook."""

from datetime import timedelta
from typing import Annotated

import typer

from adapters.channels.platform import Platform
from adapters.channels.registry import PLATFORMS
from adapters.http.client import HttpError, ask, open_client
from cli.doctor import examine_channel
from cli.output import FAILED, AsJson, fail, group, print_findings, print_rows
from cli.settings import read_settings
from contracts.findings import Finding, Health

app = group("Platforms: list, check, setup.")

Url = Annotated[str | None, typer.Option("--url", help="Public address of this Prosa: https://YOUR-HOST")]
WITHIN = timedelta(seconds=10)


@app.command("list")
def list_channels(as_json: AsJson = False) -> None:
    """List the channels, which of them are set up, and the variables that the others need."""
    settings = read_settings()
    rows: list[tuple[str, bool, str, list[str]]] = []
    for name, platform in PLATFORMS.items():
        kind = platform.settings
        is_set_up = kind is None or kind.of(settings) is not None
        rows.append((name, is_set_up, f"/webhooks/{name}" if kind else "", kind.required() if kind else []))
    keys = ("channel", "set_up", "webhook", "needs")
    shown = [(name, "yes" if ready else "no", hook, ", ".join(needs)) for name, ready, hook, needs in rows]
    view = [dict(zip(keys, row, strict=True)) for row in rows]
    print_rows(as_json, view, ("channel", "set up", "webhook", "needs"), shown)


@app.command()
async def check(
    name: Annotated[str | None, typer.Argument(help="A channel; default: all that are set up.")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Ask the platform about token, permissions and subscription, and with --url whether the webhook answers."""
    settings = read_settings()
    chosen = [_platform(name)] if name else [one for one in PLATFORMS.values() if one.settings]
    findings = []
    for platform in chosen:
        if name is None and platform.settings is not None and platform.settings.of(settings) is None:
            continue
        findings.append(await examine_channel(platform, settings))
        if url is not None:
            findings.append(await _webhook(platform, url.rstrip("/")))
    has_failed = print_findings(findings, as_json, empty="No platform is set up: prosa channels list")
    if has_failed or (name is not None and any(one.detail == "not connected" for one in findings)):
        raise typer.Exit(FAILED)


@app.command()
async def setup(name: str, url: Url = None, as_json: AsJson = False) -> None:
    """Give the platform the webhook's address where it can be given, and say what is left to do."""
    settings, platform = read_settings(), _platform(name)
    if url is None or not url.startswith("https://"):
        raise typer.BadParameter("--url has to be the public address of this Prosa, https://YOUR-HOST")
    url = url.rstrip("/")
    if platform.settings is None or platform.settings.of(settings) is None:
        needed = ", ".join(platform.settings.required()) if platform.settings else ""
        raise fail(f"set {needed} first; docs/channels.md says where they are" if needed else "nothing to set up")
    left = f"enter {url}/webhooks/{platform.name} on the platform's page, as docs/channels.md#{platform.name} says"
    by_hand = Finding(platform.name, Health.NOTE, "its address is set by hand", left)
    if print_findings([await platform.set_up(settings, url) or by_hand], as_json):
        raise typer.Exit(FAILED)


async def _webhook(platform: Platform, url: str) -> Finding:
    """Post without a signature: the webhook has to answer, and to refuse."""
    address, check_name = f"{url}/webhooks/{platform.name}", f"{platform.name} webhook"
    try:
        async with open_client(within=WITHIN) as client:
            answer = await ask(client, "POST", address, within=WITHIN, content=b"{}")
    except HttpError as exc:
        return Finding(
            check_name, Health.FAILED, f"{address}: {exc}", "is prosa running, and the proxy in front of it?"
        )
    if answer.status == 401:
        return Finding(check_name, Health.OK, f"{address} answers, and refuses what is not signed")
    step = "the process there does not have this channel's settings" if answer.status == 404 else "is this Prosa?"
    return Finding(check_name, Health.FAILED, f"{address} answers {answer.status} where 401 is due", step)


def _platform(name: str) -> Platform:
    platform = next((one for each, one in PLATFORMS.items() if each == name and one.settings), None)
    if platform is None:
        known = ", ".join(each for each, one in PLATFORMS.items() if one.settings)
        raise typer.BadParameter(f"no channel {name!r}: {known}")
    return platform
