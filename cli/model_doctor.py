"""The model under examination: which of the three forms of structured output it can do, and what to set."""

from enum import StrEnum
from typing import Any

import orjson

from contracts.errors import ConfigurationError, ModelRequestRejectedError, ModelUnavailableError
from contracts.findings import Finding, Health
from contracts.ports import ModelRequest, StructuredOutput, SystemBlock
from contracts.settings import Settings
from worker.bootstrap import check_model, make_model

ANSWERS = ("yes", "no")
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"answer": {"type": "string", "enum": list(ANSWERS)}},
    "required": ["answer"],
    "additionalProperties": False,
}


class Ability(StrEnum):
    """Outcome of the question in one form."""

    DONE = "yes"
    REFUSED = "refused"
    OTHERWISE = "answers with something else"


async def examine_model(settings: Settings) -> Finding:
    """Ask the model of Task 1 one small question in each form; that costs three calls of a few tokens."""
    if settings.uses_sandbox_model:
        return Finding("model", Health.NOTE, "the sandbox answers", "set ANTHROPIC_API_KEY for a real model")
    addresses = {
        "vertex": settings.vertex_base_url or f"Vertex AI in {settings.cloud_ml_region}",
        "bedrock": settings.bedrock_base_url or f"Bedrock in {settings.aws_region}",
        "anthropic": settings.anthropic_base_url or "https://api.anthropic.com",
    }
    where = f"{settings.model_state} at {addresses[settings.model_provider]}"
    try:
        check_model(settings)
        found = {form: await _ability(settings, form) for form in StructuredOutput}
    except ConfigurationError as exc:
        return Finding("model", Health.FAILED, str(exc), "install it, or choose another PROSA_MODEL_PROVIDER")
    except ModelRequestRejectedError as exc:
        return Finding("model", Health.FAILED, f"{where}: {exc}", _next_step(exc.status, settings))
    except ModelUnavailableError as exc:
        return Finding("model", Health.FAILED, f"{where}: {exc}", _unreachable(str(exc), settings))
    detail = f"{where}: " + ", ".join(f"{form} {ability}" for form, ability in found.items())
    able = [form for form, ability in found.items() if ability is Ability.DONE]
    if settings.structured_output in able:
        return Finding("model", Health.OK, detail)
    step = f"set PROSA_STRUCTURED_OUTPUT={able[0]}" if able else "it gives no JSON in any form: use another model"
    return Finding("model", Health.FAILED, detail, step)


async def _ability(settings: Settings, form: StructuredOutput) -> Ability:
    """Whether the model answers in this form.

    Raises:
        ModelRequestRejectedError: the refusal is not for the form: key, address or name of the model.
        ModelUnavailableError: there was no answer.
    """
    model = make_model(settings.model_copy(update={"structured_output": form}))
    question = ModelRequest(
        model=settings.model_state,
        system=(SystemBlock(text="You answer questions with yes or no."),),
        user="Is water wet?",
        schema_name="answer",
        output_schema=SCHEMA,
        max_tokens=200,
        timeout=settings.model_timeout,
    )
    try:
        answer = await model.complete(question)
    except ModelRequestRejectedError as exc:
        if exc.status not in (400, 422):
            raise
        return Ability.REFUSED
    finally:
        await model.close()
    try:
        said = orjson.loads(answer.text)
    except orjson.JSONDecodeError:
        return Ability.OTHERWISE
    return Ability.DONE if isinstance(said, dict) and said.get("answer") in ANSWERS else Ability.OTHERWISE


def _next_step(status: int | None, settings: Settings) -> str:
    credential = {
        "anthropic": "ANTHROPIC_API_KEY",
        "vertex": "the service account and its role roles/aiplatform.user",
        "bedrock": "AWS_BEARER_TOKEN_BEDROCK or the AWS credentials, and that the model is enabled",
    }[settings.model_provider]
    match status:
        case 401 | 403:
            return f"check {credential}"
        case 404:
            return "PROSA_MODEL_STATE names no model there, or the address is not one of the Messages API"
    return "docs/models.md says how each provider is set up"


def _unreachable(reason: str, settings: Settings) -> str:
    if "Timeout" in reason:
        return f"it took longer than PROSA_MODEL_TIMEOUT_S={settings.model_timeout_s:g}: raise it for a slow model"
    if "answered" in reason:
        return "try again later"
    variable = {"vertex": "ANTHROPIC_VERTEX_BASE_URL", "bedrock": "ANTHROPIC_BEDROCK_BASE_URL"}
    name = variable.get(settings.model_provider, "ANTHROPIC_BASE_URL")
    return f"check {name}, credentials and the network: docs/models.md"
