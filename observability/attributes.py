"""Names of span attributes: OpenTelemetry's where it has one, else Prosa's own.

`gen_ai.*` is still in development and its names change
(https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/): dashboards use Prosa's metrics. No attribute
contains a text or an address of a person.
"""

CONVERSATION = "gen_ai.conversation.id"
CORRELATION = "prosa.correlation_id"

CHANNEL = "prosa.channel"
KIND = "prosa.message.kind"
OUTCOME = "prosa.outcome"
MESSAGES = "prosa.messages"
ATTEMPT = "prosa.attempt"
STATE = "prosa.state"
CODE = "prosa.code"
OUTBOX = "prosa.outbox_id"
ANALYSIS = "prosa.analysis.kind"

USAGE = "prosa.usage_type"
TEMPLATE = "prosa.template"
ATTEMPTS = "prosa.attempts"
QUALITY = "prosa.quality_score"
CACHE_LEVEL = "prosa.cache.level"
COST = "prosa.cost_usd"

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_MODEL = "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
# As the provider's own SDK counts: reads from and writes to the prompt cache are part of the input.
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS = "gen_ai.usage.cache_write.input_tokens"
RESENT = "http.request.resend_count"

ERROR = "error.type"
EXCEPTION_TYPE = "exception.type"
EXCEPTION_PLACES = "exception.stacktrace"

SERVICE = "service.name"
ENVIRONMENT = "deployment.environment.name"
