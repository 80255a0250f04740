"""What the spans of a prompt task say: which question, which model, what it cost. Never a word of it."""

import re
from typing import Any

from contracts.conversation import CallRecord, TaskRecord
from contracts.ports import ModelRequest, ModelResponse
from observability import attributes as names
from observability.tracing import Kind, Span, span
from prompts.execution.prompt_task import PromptTask

# Values of `gen_ai.provider.name` by PROSA_MODEL_PROVIDER. Source: OpenTelemetry's conventions for generative AI.
PROVIDERS = {"anthropic": "anthropic", "vertex": "gcp.vertex_ai", "bedrock": "aws.bedrock"}
# The provider's own word; what is none is not passed on.
STOP_REASON = re.compile(r"[a-z_]{1,40}")


def task_span(task: PromptTask[Any]) -> Span:
    return span("prompter.execute", {names.USAGE: task.name.value, names.TEMPLATE: task.template})


def call_span(task: PromptTask[Any], request: ModelRequest, *, attempt: int, provider: str) -> Span:
    """One call of the model, from here to the provider and back; attempts from 1, `provider` one of PROVIDERS."""
    described = {
        names.OPERATION: "chat",
        names.PROVIDER: provider,
        names.REQUEST_MODEL: request.model,
        names.USAGE: task.name.value,
        names.TEMPLATE: task.template,
    }
    called = span("ai.execute", described, kind=Kind.CLIENT)
    called.set(names.RESENT, attempt - 1 or None)
    return called


def describe_task(executed: Span, record: TaskRecord) -> None:
    if not executed.sampled:
        return
    tokens = record.tokens
    executed.update(
        {
            names.REQUEST_MODEL: record.model,
            names.OUTCOME: record.outcome,
            names.ATTEMPTS: record.attempts,
            names.INPUT_TOKENS: tokens.input + tokens.cache_read + tokens.cache_write,
            names.OUTPUT_TOKENS: tokens.output,
        }
    )
    executed.set(names.COST, _amount(record.cost_usd))
    executed.set(names.QUALITY, record.quality)
    executed.set(names.CACHE_LEVEL, record.cache)


def describe_call(called: Span, response: ModelResponse, call: CallRecord) -> None:
    if not called.sampled:
        return
    tokens = call.tokens
    called.update(
        {
            names.RESPONSE_MODEL: response.model,
            names.INPUT_TOKENS: tokens.input + tokens.cache_read + tokens.cache_write,
            names.OUTPUT_TOKENS: tokens.output,
            names.CACHE_READ_TOKENS: tokens.cache_read,
            names.CACHE_WRITE_TOKENS: tokens.cache_write,
        }
    )
    called.set(names.COST, _amount(call.cost_usd))
    if STOP_REASON.fullmatch(response.stop_reason):
        called.set(names.FINISH_REASONS, (response.stop_reason,))


def _amount(cost_usd: str | None) -> float | None:
    return float(cost_usd) if cost_usd is not None else None
