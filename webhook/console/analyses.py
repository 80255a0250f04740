"""`/analyses`: requests for analyses of a conversation, and their results. Closed as the console is."""

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from adapters.http.inbound import BodyReader, Problem, json_body, parse_json, wait_seconds
from adapters.waiting import wait_for_analysis
from contracts.access import Role
from contracts.analysis import ANALYSIS_ID, Analysis, AnalysisKind, AnalysisStatus
from contracts.errors import MalformedMessageError
from contracts.values import ConversationId
from contracts.views import analysis_view
from webhook.console.operations import json_answer
from webhook.schemas import answers
from webhook.settings import WebhookDependencies

MAX_BODY = 4 * 1024
MAX_ID = 1024
KINDS = tuple(kind.value for kind in AnalysisKind)

REQUEST_SCHEMA = json_body(
    ["conversation", "kind"],
    conversation={"type": "string", "minLength": 1, "maxLength": MAX_ID},
    kind={"type": "string", "enum": list(KINDS)},
)


def analysis_routes(deps: WebhookDependencies) -> APIRouter:
    read_body = BodyReader(MAX_BODY, deps.read_within)

    router = APIRouter(prefix="/analyses", tags=["analyses"], dependencies=[Depends(deps.access.require())])

    # An analysis costs money.
    may_ask = Depends(deps.access.require(Role.OPERATE))

    @router.post(
        "",
        status_code=202,
        summary="Ask for one: {conversation, kind}",
        openapi_extra=REQUEST_SCHEMA,
        dependencies=[may_ask],
        responses=answers("AnalysisResult") | answers("AnalysisResult", status=202),
    )
    async def ask(request: Request) -> Response:
        conversation_id, kind = _read_request(await read_body(request))
        analysis = await deps.analyses.request(conversation_id, kind)
        if analysis is None:
            raise Problem(404, "No such conversation", "Nothing has been answered under that id yet.")
        return _answer(analysis, 200 if analysis.status is AnalysisStatus.DONE else 202)

    @router.get(
        "/{analysis_id}", summary="State and result; ?wait=seconds polls long", responses=answers("AnalysisResult")
    )
    async def status(analysis_id: str, request: Request) -> Response:
        wait = wait_seconds(request.query_params.get("wait", "0"))
        known = ANALYSIS_ID.fullmatch(analysis_id) is not None
        analysis = await wait_for_analysis(deps.analyses, analysis_id, seconds=wait) if known else None
        if analysis is None:
            raise Problem(
                404, "No such analysis", "It was never asked for, has expired, or its conversation is erased."
            )
        return _answer(analysis, 200)

    return router


def _read_request(body: bytes) -> tuple[ConversationId, AnalysisKind]:
    try:
        content = parse_json(body)
    except MalformedMessageError as exc:
        raise Problem(400, "Not JSON", 'Send a JSON object such as {"conversation": "web:ana", "kind": "…"}.') from exc
    if not isinstance(content, dict):
        raise Problem(422, "Not an object", "Send a JSON object with conversation and kind.")
    conversation, kind = content.get("conversation"), content.get("kind")
    if not isinstance(conversation, str) or not 0 < len(conversation) <= MAX_ID:
        raise Problem(422, "Bad conversation", 'The body needs the id of a conversation under "conversation".')
    if not isinstance(kind, str) or kind not in KINDS:
        raise Problem(422, "Bad kind", f'The body needs a kind under "kind": {" or ".join(KINDS)}.')
    return ConversationId(conversation), AnalysisKind(kind)


def _answer(analysis: Analysis, status: int) -> Response:
    return json_answer(analysis_view(analysis) | {"status_url": f"/analyses/{analysis.id}"}, status)
