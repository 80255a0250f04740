"""Spans of a prompt task and its calls: task, model, tokens and cost; never a word of the conversation."""

import re
from typing import Any

from contracts.conversation import CallRecord, TaskRecord
from contracts.ports import ModelRequest, ModelResponse
from observability import attributes as names
from observability.tracing import Kind, Span, span
from prompts.execution.prompt_task import PromptTask

# Values of `gen_ai.provider.name` by PROSA_MODEL_PROVIDER. Source: OpenTelemetry's conventions for generative AI.
PROVIDERS = {"anthropic": "anthropic", "vertex": "gcp.vertex_ai", "bedrock": "aws.bedrock"}
# The provider's own word; anything else is not passed on.
STOP_REASON = re.compile(r"[a-z_]{1,40}")


def task_span(task: PromptTask[Any]) -> Span:
    return span("prompter.execute", {names.USAGE: task.name, names.TEMPLATE: task.template})


def call_span(request: ModelRequest, *, provider: str) -> Span:
    """Return the span of one call of the model; `provider` is a value of PROVIDERS."""
    context = request.context
    described = {
        names.OPERATION: "chat",
        names.PROVIDER: provider,
        names.REQUEST_MODEL: request.model,
        names.USAGE: context.task,
        names.TEMPLATE: context.template,
    }
    called = span("ai.execute", described, kind=Kind.CLIENT)
    called.set(names.RESENT, context.attempts - 1 if context.attempts > 1 else None)
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
