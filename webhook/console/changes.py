"""Flags and experiments in the browser: what is set, changes with their reason, history and the way back, results."""

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from adapters.http.inbound import BodyReader, Problem
from contracts.access import Caller, Role
from contracts.errors import ChangeRefusedError
from contracts.values import problems_of
from flags.definitions import Status
from flags.experiments.exact import Approximate
from flags.experiments.report import page
from flags.experiments.store import ExperimentStore
from flags.export import as_yaml
from flags.store import FlagEdit, FlagStore, changed
from flags.switches import kills_of
from webhook.console.rendering import html
from webhook.settings import WebhookDependencies

MAX_BODY = 16 * 1024


def change_routes(deps: WebhookDependencies) -> APIRouter:
    flags = FlagStore(deps.store.records, deps.events, deps.clock)
    experiments = ExperimentStore(deps.store.records, deps.events, deps.clock, kills=kills_of(deps.switches))
    read_body = BodyReader(MAX_BODY, deps.read_within)

    administer = Depends(deps.access.require(Role.ADMINISTER))
    router = APIRouter(prefix="/console", dependencies=[Depends(deps.access.require())], include_in_schema=False)

    @router.get("/flags")
    async def listed(request: Request) -> Response:
        return html("flags.html", request, deps, here="flags", flags=await flags.flags())

    @router.get("/flags/{key}")
    async def shown(key: str, request: Request) -> Response:
        return await _flag_page(key, flags, request, deps)

    @router.post("/flags/{key}")
    async def change(key: str, request: Request, caller: Caller = administer) -> Response:
        given = await read_body.form(request)
        try:
            edit = FlagEdit.model_validate(
                {name: given[name] for name in FlagEdit.model_fields if given.get(name)}
                | {"reason": given.get("reason", "")}
            )
            await flags.edit(key, edit, author=caller.name)
        except (ChangeRefusedError, ValidationError) as exc:
            return await _flag_page(key, flags, request, deps, status=409, error=problems_of(exc), given=given)
        return RedirectResponse(f"/console/flags/{quote(key, safe='')}", 303)

    @router.get("/experiments")
    async def experiments_listed(request: Request) -> Response:
        return html(
            "experiments.html",
            request,
            deps,
            here="experiments",
            experiments=[one for one in await experiments.all() if not one.learned],
        )

    @router.get("/experiments/{key}")
    async def experiment(key: str, request: Request) -> Response:
        try:
            # SciPy is for the command: a process that answers messages does not load it.
            found = await experiments.report(key, Approximate())
        except ChangeRefusedError as exc:
            raise Problem(404, "No result", str(exc)) from exc
        return html("report.html", request, deps, here="experiments", page=page(found), first=None, last=None)

    return router


async def _flag_page(
    key: str, flags: FlagStore, request: Request, deps: WebhookDependencies, *, status: int = 200, **more: Any
) -> Response:
    history = await flags.history(key)
    if not history:
        raise Problem(404, "No such flag", "The list of flags shows those that there are.")
    before = [None, *(change.flag for change in history)]
    changes = [(change, changed(old, change.flag)) for change, old in zip(history, before, strict=False)][::-1]
    flag = history[-1].flag
    content = {"key": key, "flag": flag, "yaml": as_yaml([flag]) if flag else "", "changes": changes}
    shown = {"statuses": list(Status), "error": "", "given": {}} | content | more
    return html("flag.html", request, deps, status=status, here="flags", **shown)
