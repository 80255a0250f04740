"""Settings of the processes: one frozen object, read from the environment and checked before the first message."""

import difflib
import io
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, timedelta, tzinfo
from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo, available_timezones

from dotenv.parser import parse_stream
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from contracts.access import Key, Role, TrustedProxy
from contracts.backends import BACKENDS, backends_of
from contracts.conversation import TaskName
from contracts.errors import ConfigurationError
from contracts.notices import NoticeEvent
from contracts.ports import StructuredOutput
from contracts.values import problems_of

GOOGLE_CERTS_URL = "https://www.googleapis.com/oauth2/v3/certs"
DEFAULT_MODEL = "claude-haiku-5-5"
# Of the 30 s that Cloud Tasks gives an attempt the worker takes 25 (`worker/engines/cloud_tasks.py`).
LONGEST_TURN_OF_CLOUD_TASKS_S = 25
SAMPLE_INSTITUTION = Path(__file__).parents[1] / "context" / "documents" / "pyloto"
TASKS_QUEUE = re.compile(r"projects/[^/]+/locations/[^/]+/queues/[^/]+")
HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\x20-\x7e]*")
# A burst is answered after so long, however it goes on (`worker/scheduling/quiet.py`).
LONGEST_QUIET = timedelta(seconds=12)
# Values of documents and examples, which everybody knows.
EXAMPLE_SECRETS = frozenset({"sandbox", "development", "example", "changeme", "change-me"})
SHORTEST_SECRET = 16
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

Usd = Annotated[Decimal, Field(gt=0, le=1_000_000, decimal_places=6)]
TemplateCategory = Annotated[str, Field(pattern="^(marketing|utility|authentication)$")]
M = TypeVar("M", bound=BaseModel)
A = TypeVar("A", str, SecretStr)


def _by_name(pairs: object) -> object:
    """Read `marketing=0.0625,utility=0.008`."""
    if not isinstance(pairs, str):
        return pairs
    return {name.strip(): value for name, _, value in (one.partition("=") for one in _listed(pairs))}


SimilarityThreshold = Annotated[float, Field(ge=0.9, le=1)]


def _form(is_right: Callable[[str], bool], form: str) -> AfterValidator:
    """Return the check of a setting. Its error says the form and not what was given: that may be a secret."""

    def check(given: A) -> A:
        if not is_right(_text(given)):
            raise ValueError(f"say {form}")
        return given

    return AfterValidator(check)


def is_address(text: str, *schemes: str) -> bool:
    """Check for an address with one of the schemes, a host and, if any, a port."""
    try:
        # `urlsplit` drops line ends and tabs in silence.
        parts, is_one_line = urlsplit(text), text.isprintable() and " " not in text
        return is_one_line and parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def is_web_address(text: str) -> bool:
    """Check for an address of a server that speaks HTTP, which may be shown: without user and password."""
    return is_address(text, "http", "https") and urlsplit(text).username is None


WEB = "http://HOST:PORT/PATH or https://HOST/PATH, in one line"
WebAddress = Annotated[str, _form(is_web_address, f"{WEB} and without user and password")]
SecretWebAddress = Annotated[SecretStr, _form(lambda text: is_address(text, "http", "https"), WEB)]
SMTP = "smtp://HOST:PORT or smtps://USER:PASSWORD@HOST:PORT, special signs percent-encoded"
REDIS = (
    "redis://USER:PASSWORD@HOST:PORT/DB, rediss:// with TLS, redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB or "
    "unix://PATH, special signs of the password percent-encoded"
)
RedisServer = Annotated[
    SecretStr,
    _form(lambda at: at.startswith(("redis+sentinel://", "unix://")) or is_address(at, "redis", "rediss"), REDIS),
]
MailServer = Annotated[SecretStr, _form(lambda text: is_address(text, "smtp", "smtps"), SMTP)]
HostAndPort = Annotated[str, _form(lambda at: "/" not in at and is_address(f"http://{at}", "http"), "HOST:PORT alone")]
HeaderSecret = Annotated[SecretStr, _form(lambda key: key.isascii() and key.isprintable(), "it in one line of ASCII")]


class ChannelSettings(BaseModel):
    """Settings of one channel, by the names of their environment variables; each channel has its own class.

    The required ones are given all or not at all: then the channel is not set up.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: ClassVar[str]
    """The channel's name for a reader."""
    is_help_desk: ClassVar[bool] = False
    """Whether the team answers there: a hand-off opens the conversation for it."""

    @classmethod
    def of(cls, settings: "Settings") -> Self | None:
        """Return the channel's settings, or None where it is not set up."""
        return next((one for one in settings.channels if isinstance(one, cls)), None)

    @classmethod
    def required(cls) -> list[str]:
        return [str(field.validation_alias) for field in cls.model_fields.values() if field.is_required()]


class Settings(BaseSettings):
    """Settings of every process, by the names of their environment variables. `.env.example` says what each does."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the given values alone: `compose_settings` reads the environment, and names every mistake at once."""
        return (init_settings,)

    env: Literal["development", "production"] = Field("development", validation_alias="PROSA_ENV")
    port: int = Field(8000, ge=0, le=65_535, validation_alias="PORT")
    metrics_port: int | None = Field(None, ge=0, le=65_535, validation_alias="PROSA_METRICS_PORT")
    host: str = Field("127.0.0.1", validation_alias="PROSA_HOST")
    engine: Literal["embedded", "celery", "cloud_tasks"] = Field("embedded", validation_alias="PROSA_ENGINE")
    store: str = Field("", validation_alias="PROSA_STORE")
    data_dir: Path = Field(Path(".prosa"), validation_alias="PROSA_DATA_DIR")
    institution: Path = Field(SAMPLE_INSTITUTION, validation_alias="PROSA_INSTITUTION")
    templates: Path | None = Field(None, validation_alias="PROSA_TEMPLATES")
    console_token: SecretStr | None = Field(None, validation_alias="PROSA_CONSOLE_TOKEN")
    console_tokens: SecretStr = Field(SecretStr(""), validation_alias="PROSA_CONSOLE_TOKENS")
    console_proxies: str = Field("", validation_alias="PROSA_CONSOLE_PROXIES")
    console_proxy_user: str = Field("X-Forwarded-User", validation_alias="PROSA_CONSOLE_PROXY_USER")
    console_proxy_groups: str = Field("X-Forwarded-Groups", validation_alias="PROSA_CONSOLE_PROXY_GROUPS")
    id_salt: SecretStr = Field(SecretStr("development"), validation_alias="PROSA_ID_SALT")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", validation_alias="PROSA_LOG_LEVEL")
    web_origins: str = Field("", validation_alias="PROSA_WEB_ORIGINS")
    chat: Literal["on", "off"] | None = Field(None, validation_alias="PROSA_CHAT")
    chat_tokens: Literal["on", "off"] | None = Field(None, validation_alias="PROSA_CHAT_TOKENS")
    retention_days: int = Field(90, ge=1, validation_alias="PROSA_RETENTION_DAYS")
    prompts_kept_hours: float | None = Field(None, ge=0, le=720, validation_alias="PROSA_PROMPTS_KEPT_HOURS")
    worker_concurrency: int = Field(500, ge=1, le=10_000, validation_alias="PROSA_WORKER_CONCURRENCY")
    analysis_callback_url: WebAddress | None = Field(None, validation_alias="PROSA_ANALYSIS_CALLBACK_URL")
    analysis_callback_secret: SecretStr | None = Field(None, validation_alias="PROSA_ANALYSIS_CALLBACK_SECRET")

    notify_slack_url: SecretWebAddress | None = Field(None, validation_alias="PROSA_NOTIFY_SLACK_URL")
    notify_email: str = Field("", validation_alias="PROSA_NOTIFY_EMAIL")
    smtp_url: MailServer | None = Field(None, validation_alias="PROSA_SMTP_URL")
    report_email: str = Field("", validation_alias="PROSA_REPORT_EMAIL")
    notify_url: WebAddress | None = Field(None, validation_alias="PROSA_NOTIFY_URL")
    notify_secret: SecretStr | None = Field(None, validation_alias="PROSA_NOTIFY_SECRET")
    notify_events: str = Field(NoticeEvent.HAND_OFF.value, validation_alias="PROSA_NOTIFY_EVENTS")
    notify_again_minutes: int = Field(10, ge=0, validation_alias="PROSA_NOTIFY_AGAIN_MINUTES")
    public_url: WebAddress | None = Field(None, validation_alias="PROSA_PUBLIC_URL")

    redis_url: RedisServer | None = Field(None, validation_alias="REDIS_URL")
    redis_cache_url: RedisServer | None = Field(None, validation_alias="REDIS_CACHE_URL")

    google_cloud_project: str | None = Field(None, validation_alias="GOOGLE_CLOUD_PROJECT")
    firestore_emulator_host: HostAndPort | None = Field(None, validation_alias="FIRESTORE_EMULATOR_HOST")
    firestore_database: str = Field("(default)", validation_alias="PROSA_FIRESTORE_DATABASE")
    tasks_queue: str | None = Field(None, validation_alias="PROSA_TASKS_QUEUE")
    tasks_url: WebAddress | None = Field(None, validation_alias="PROSA_TASKS_URL")
    tasks_service_account: str | None = Field(None, validation_alias="PROSA_TASKS_SERVICE_ACCOUNT")
    tasks_audience: str | None = Field(None, validation_alias="PROSA_TASKS_AUDIENCE")
    tasks_certs_url: WebAddress = Field(GOOGLE_CERTS_URL, validation_alias="PROSA_TASKS_CERTS_URL")
    tasks_emulator_host: HostAndPort | None = Field(None, validation_alias="CLOUD_TASKS_EMULATOR_HOST")

    anthropic_api_key: HeaderSecret | None = Field(None, validation_alias="ANTHROPIC_API_KEY")
    anthropic_base_url: WebAddress | None = Field(None, validation_alias="ANTHROPIC_BASE_URL")
    model_provider: Literal["anthropic", "vertex", "bedrock"] = Field(
        "anthropic", validation_alias="PROSA_MODEL_PROVIDER"
    )
    structured_output: StructuredOutput = Field(
        StructuredOutput.OUTPUT_CONFIG, validation_alias="PROSA_STRUCTURED_OUTPUT"
    )
    cloud_ml_region: str | None = Field(None, validation_alias="CLOUD_ML_REGION")
    vertex_base_url: WebAddress | None = Field(None, validation_alias="ANTHROPIC_VERTEX_BASE_URL")
    aws_region: str | None = Field(None, validation_alias="AWS_REGION")
    bedrock_api_key: HeaderSecret | None = Field(None, validation_alias="AWS_BEARER_TOKEN_BEDROCK")
    bedrock_base_url: WebAddress | None = Field(None, validation_alias="ANTHROPIC_BEDROCK_BASE_URL")
    model_state: str = Field(DEFAULT_MODEL, validation_alias="PROSA_MODEL_STATE")
    model_response: str = Field(DEFAULT_MODEL, validation_alias="PROSA_MODEL_RESPONSE")
    model_message_type: str = Field(DEFAULT_MODEL, validation_alias="PROSA_MODEL_MESSAGE_TYPE")
    judge: Literal["on", "off"] = Field("on", validation_alias="PROSA_JUDGE")
    chosen_model_judge: str | None = Field(None, validation_alias="PROSA_MODEL_JUDGE")
    review_completed: bool = Field(False, validation_alias="PROSA_REVIEW_COMPLETED")
    model_analysis: str = Field(DEFAULT_MODEL, validation_alias="PROSA_MODEL_ANALYSIS")
    model_fallback: str | None = Field(None, validation_alias="PROSA_MODEL_FALLBACK")
    model_quality: str | None = Field(None, validation_alias="PROSA_MODEL_QUALITY")
    strategy: Literal["cost", "quality", "speed", "balanced"] = Field("balanced", validation_alias="PROSA_STRATEGY")
    streaming: bool = Field(True, validation_alias="PROSA_STREAMING")
    model_economy: str | None = Field(None, validation_alias="PROSA_MODEL_ECONOMY")
    budget_turn_usd: Usd | None = Field(None, validation_alias="PROSA_BUDGET_TURN_USD")
    budget_conversation_usd: Usd | None = Field(None, validation_alias="PROSA_BUDGET_CONVERSATION_USD")
    budget_day_usd: Usd | None = Field(None, validation_alias="PROSA_BUDGET_DAY_USD")
    budget_new_share: Decimal = Field(Decimal("0.5"), gt=0, le=1, validation_alias="PROSA_BUDGET_NEW_SHARE")
    slack_webhook_url: SecretWebAddress | None = Field(None, validation_alias="PROSA_SLACK_WEBHOOK_URL")
    grafana_url: HttpUrl | None = Field(None, validation_alias="PROSA_GRAFANA_URL")
    jaeger_url: HttpUrl | None = Field(None, validation_alias="PROSA_JAEGER_URL")
    time_zone: str = Field("UTC", validation_alias="PROSA_TIME_ZONE")
    model_timeout_s: float = Field(6, gt=0, le=600, validation_alias="PROSA_MODEL_TIMEOUT_S")
    turn_budget_s: float = Field(12, gt=0, le=600, validation_alias="PROSA_TURN_BUDGET_S")

    quiet_window_s: str = Field("8,web=0", validation_alias="PROSA_QUIET_WINDOW_S")
    late_apology_s: float = Field(600, gt=0, validation_alias="PROSA_LATE_APOLOGY_S")
    late_handoff_s: float = Field(21_600, gt=0, validation_alias="PROSA_LATE_HANDOFF_S")
    late_record_s: float = Field(259_200, gt=0, validation_alias="PROSA_LATE_RECORD_S")

    media: Literal["on", "off"] = Field("on", validation_alias="PROSA_MEDIA")
    media_max_mb: int = Field(16, ge=1, le=100, validation_alias="PROSA_MEDIA_MAX_MB")
    media_timeout_s: float = Field(10, gt=0, le=120, validation_alias="PROSA_MEDIA_TIMEOUT_S")
    media_per_turn: int = Field(5, ge=1, le=20, validation_alias="PROSA_MEDIA_PER_TURN")
    transcription_usd_per_minute: Decimal | None = Field(
        None, ge=0, le=10, validation_alias="PROSA_TRANSCRIPTION_USD_PER_MINUTE"
    )

    template_prices: Annotated[dict[TemplateCategory, Usd], NoDecode, BeforeValidator(_by_name)] = Field(
        {}, validation_alias="PROSA_TEMPLATE_PRICES"
    )

    use_templates: bool = Field(True, validation_alias="PROMPTER_USE_TEMPLATES")
    use_structured_templates: bool = Field(False, validation_alias="PROMPTER_USE_STRUCTURED_TEMPLATES")
    flags_file: Path | None = Field(None, validation_alias="PROSA_FLAGS_FILE")

    use_cache: bool = Field(False, validation_alias="PROMPTER_USE_CACHE")
    use_batching: bool = Field(False, validation_alias="PROMPTER_USE_BATCHING")
    cache_semantic: str = Field("", validation_alias="PROSA_CACHE_SEMANTIC")
    cache_template: bool = Field(False, validation_alias="PROSA_CACHE_TEMPLATE")
    cache_similarity: Annotated[dict[TaskName, SimilarityThreshold], NoDecode, BeforeValidator(_by_name)] = Field(
        {TaskName.RESPONSE: 0.95}, validation_alias="PROSA_CACHE_SIMILARITY"
    )
    cache_sample: float = Field(0.02, ge=0, le=1, validation_alias="PROSA_CACHE_SAMPLE")
    embedder: str = Field("all-MiniLM-L6-v2", min_length=1, validation_alias="PROSA_EMBEDDER")

    transcriber: Literal["none", "openai", "google", "local"] = Field("none", validation_alias="PROSA_TRANSCRIBER")
    transcriber_url: WebAddress | None = Field(None, validation_alias="PROSA_TRANSCRIBER_URL")
    transcriber_key: HeaderSecret = Field(SecretStr(""), validation_alias="PROSA_TRANSCRIBER_KEY")
    chosen_transcriber_model: str = Field("", validation_alias="PROSA_TRANSCRIBER_MODEL")
    transcriber_location: str = Field("global", min_length=1, validation_alias="PROSA_TRANSCRIBER_LOCATION")
    transcriber_timeout_s: float = Field(20, gt=0, le=120, validation_alias="PROSA_TRANSCRIBER_TIMEOUT_S")
    transcriber_longest_s: float = Field(300, gt=0, le=7200, validation_alias="PROSA_TRANSCRIBER_LONGEST_S")
    speech: Literal["none", "openai"] = Field("none", validation_alias="PROSA_SPEECH")
    speech_url: WebAddress = Field("https://api.openai.com/v1", validation_alias="PROSA_SPEECH_URL")
    speech_key: HeaderSecret = Field(SecretStr(""), validation_alias="PROSA_SPEECH_KEY")
    speech_model: str = Field("tts-1", min_length=1, validation_alias="PROSA_SPEECH_MODEL")
    speech_voice: str = Field("alloy", min_length=1, validation_alias="PROSA_SPEECH_VOICE")
    speech_timeout_s: float = Field(10, gt=0, le=60, validation_alias="PROSA_SPEECH_TIMEOUT_S")

    use_tracing: bool = Field(False, validation_alias="PROMPTER_USE_TRACING")
    trace_sample: float | None = Field(None, ge=0, le=1, validation_alias="PROSA_TRACE_SAMPLE")
    otlp_endpoint: str | None = Field(None, validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    otlp_headers: SecretStr = Field(SecretStr(""), validation_alias="OTEL_EXPORTER_OTLP_HEADERS")
    otlp_traces_endpoint: str | None = Field(None, validation_alias="OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    otlp_traces_headers: SecretStr = Field(SecretStr(""), validation_alias="OTEL_EXPORTER_OTLP_TRACES_HEADERS")
    otlp_certificate: str | None = Field(None, validation_alias="OTEL_EXPORTER_OTLP_CERTIFICATE")
    otlp_traces_certificate: str | None = Field(None, validation_alias="OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE")
    otlp_protocol: Literal["http/protobuf"] = Field("http/protobuf", validation_alias="OTEL_EXPORTER_OTLP_PROTOCOL")
    service_name: str = Field("prosa", min_length=1, validation_alias="OTEL_SERVICE_NAME")
    span_queue: int = Field(2048, ge=1, validation_alias="OTEL_BSP_MAX_QUEUE_SIZE")

    channels: tuple[ChannelSettings, ...] = ()
    """Settings of the channels that are set up."""

    @property
    def is_production(self) -> bool:
        return self.env == "production"

    @property
    def is_loopback(self) -> bool:
        return self.host in LOOPBACK

    @property
    def store_kind(self) -> str:
        """Backend of conversations: as PROSA_STORE says, else the default of the engine."""
        return self.store.partition(":")[0] or backends_of(self.engine)[0]

    @property
    def inbox_kind(self) -> str:
        """Backend of messages that wait: Redis for Celery, else that of the conversations."""
        return "redis" if self.engine == "celery" else self.store_kind

    @property
    def console_links(self) -> dict[str, str]:
        """The places that the console links to, by their names."""
        known = {"Grafana": self.grafana_url, "Jaeger": self.jaeger_url}
        return {name: str(url) for name, url in known.items() if url is not None}

    @property
    def has_shared_events(self) -> bool:
        """Whether news of a conversation reach the process that a client watches it from."""
        return self.engine == "embedded" or self.redis_url is not None or self.redis_cache_url is not None

    @property
    def store_path(self) -> Path:
        """The SQLite file of `sqlite:PATH`, by default in the data folder."""
        return Path(self.store.removeprefix("sqlite:")) if self.store else self.data_dir / "prosa.sqlite"

    @property
    def store_name(self) -> str:
        """The store in words for a person, without a secret."""
        names = {
            "sqlite": str(self.store_path),
            "redis": "Redis at REDIS_URL",
            "firestore": f"Firestore {self.firestore_database} of {self.google_cloud_project}",
        }
        return names.get(self.store_kind, self.store)

    @property
    def uses_sandbox_model(self) -> bool:
        return self.model_provider == "anthropic" and self.anthropic_api_key is None

    @property
    def model_judge(self) -> str:
        """The model of the judge: its own, else the economy model, else that of Task 2."""
        return self.chosen_model_judge or self.model_economy or self.model_response

    @property
    def models_of_tasks(self) -> Mapping[str, str]:
        """The model of each task, by its variable."""
        fields = {name: field for name, field in type(self).model_fields.items() if field.default == DEFAULT_MODEL}
        return {str(field.validation_alias): getattr(self, name) for name, field in fields.items()}

    @property
    def console_keys(self) -> tuple[Key, ...]:
        """The tokens of the console and the API: `role=token` or `role:name=token`, and PROSA_CONSOLE_TOKEN."""
        keys = [
            Key(role=Role(role), name=name.strip() or role, token=SecretStr(token.strip()))
            for given in _listed(self.console_tokens.get_secret_value())
            for left, _, token in [given.partition("=")]
            for role, _, name in [left.strip().partition(":")]
        ]
        if self.console_token is not None:
            keys.append(Key(role=Role.ADMINISTER, name=Role.ADMINISTER, token=self.console_token))
        return tuple(keys)

    @property
    def console_proxy(self) -> TrustedProxy | None:
        networks = tuple(ip_network(one) for one in _listed(self.console_proxies))
        headers = {"user_header": self.console_proxy_user, "groups_header": self.console_proxy_groups}
        return TrustedProxy(networks=networks, **headers) if networks else None

    @property
    def secrets(self) -> list[tuple[str, str]]:
        """Everything that proves an identity, by the name of its variable."""
        fields = [
            (str(field.validation_alias), getattr(holder, name))
            for holder in (self, *self.channels)
            for name, field in type(holder).model_fields.items()
            if name.endswith(("token", "secret", "salt", "secret_previous"))
        ]
        given = [(name, value.get_secret_value()) for name, value in fields if isinstance(value, SecretStr)]
        return [*given, *(("PROSA_CONSOLE_TOKENS", key.token.get_secret_value()) for key in self.console_keys)]

    @property
    def has_chat(self) -> bool:
        """Whether the web chat is offered: in production only where it is asked for."""
        return (self.chat or ("off" if self.is_production else "on")) == "on"

    @property
    def has_chat_tokens(self) -> bool:
        """Whether a conversation of the web chat is its client's alone: in production unless it is said otherwise."""
        return (self.chat_tokens or ("on" if self.is_production else "off")) == "on"

    @property
    def allowed_origins(self) -> frozenset[str]:
        return frozenset(origin.strip().rstrip("/") for origin in self.web_origins.split(",") if origin.strip())

    @property
    def model_timeout(self) -> timedelta:
        return timedelta(seconds=self.model_timeout_s)

    @property
    def prompts_kept(self) -> timedelta:
        """Time for which prompts and raw answers are kept for the console; zero: not at all, as in production."""
        default = 0 if self.is_production else 24
        return timedelta(hours=default if self.prompts_kept_hours is None else self.prompts_kept_hours)

    @property
    def turn_budget(self) -> timedelta:
        return timedelta(seconds=self.turn_budget_s)

    @property
    def quiet_windows(self) -> Mapping[str, timedelta]:
        """The longest wait for one more message, by channel; under an empty name that of the others.

        Raises:
            ValueError: it is not written as `8,web=0`.
        """
        pairs = [
            (name.strip(), seconds)
            for name, _, seconds in (one.rpartition("=") for one in _listed(self.quiet_window_s))
        ]
        windows = {name: timedelta(seconds=float(seconds)) for name, seconds in pairs}
        if len(windows) < len(pairs) or not all(timedelta(0) <= one <= LONGEST_QUIET for one in windows.values()):
            raise ValueError("it names a channel twice, or is not between 0 and 12 seconds")
        return windows

    @property
    def late_ages(self) -> tuple[timedelta, timedelta, timedelta]:
        """Ages of a message from which the delay is named, a person answers, and it is recorded only."""
        return (
            timedelta(seconds=self.late_apology_s),
            timedelta(seconds=self.late_handoff_s),
            timedelta(seconds=self.late_record_s),
        )

    @property
    def turn_patience(self) -> timedelta:
        """Longest wait of a command for a turn, whose attempts have a budget each."""
        return 5 * self.turn_budget

    @property
    def semantic_tasks(self) -> frozenset[TaskName]:
        """The tasks whose answers may come from a question that is only alike."""
        return frozenset(TaskName(task) for task in _listed(self.cache_semantic))

    @property
    def prompter_switches(self) -> Mapping[str, bool]:
        """The `PROMPTER_USE_*` that were said, by their names: false kills, true is a default."""
        names = {name: str(field.validation_alias) for name, field in type(self).model_fields.items()}
        return {names[one]: getattr(self, one) for one in self.model_fields_set if names[one].startswith("PROMPTER_")}

    @property
    def traced_share(self) -> float:
        """Of the turns, in [0, 1]. In production a tenth, so that seeing costs less than 5 % (docs/tracing.md)."""
        default = 0.1 if self.is_production else 1.0
        return default if self.trace_sample is None else self.trace_sample

    @property
    def collector(self) -> str | None:
        """The address that spans are posted to; None where no trace is recorded."""
        of_all_signals = f"{self.otlp_endpoint.rstrip('/')}/v1/traces" if self.otlp_endpoint else None
        return (self.otlp_traces_endpoint or of_all_signals) if self.use_tracing else None

    @property
    def collector_authority(self) -> str | None:
        """The file of the authority that the collector's certificate is of; None for those of everything else."""
        return self.otlp_traces_certificate or self.otlp_certificate

    @property
    def collector_headers(self) -> Mapping[str, str]:
        """Headers that the collector wants with each batch. Source: W3C Baggage, as OpenTelemetry reads it."""
        given = self.otlp_traces_headers.get_secret_value() or self.otlp_headers.get_secret_value()
        pairs = (one.partition("=") for one in _listed(given))
        return {unquote(name).strip(): unquote(value).strip() for name, _, value in pairs}

    @property
    def zone(self) -> tzinfo:
        """Time zone in which the institution's days begin."""
        # UTC needs no data base of time zones, which a small image may lack.
        return UTC if self.time_zone == "UTC" else ZoneInfo(self.time_zone)

    @property
    def transcriber_model(self) -> str:
        """The model as the recogniser calls it; of `local` the folder that has it."""
        return self.chosen_transcriber_model or {"openai": "whisper-1", "google": "long"}.get(self.transcriber, "")

    @model_validator(mode="after")
    def _transcriber_is_set_up(self) -> Self:
        needs = {
            "openai": ("PROSA_TRANSCRIBER_KEY or PROSA_TRANSCRIBER_URL", self.transcriber_key or self.transcriber_url),
            "google": ("GOOGLE_CLOUD_PROJECT", self.google_cloud_project),
            "local": ("PROSA_TRANSCRIBER_MODEL", self.chosen_transcriber_model),
        }
        variable, given = needs.get(self.transcriber, ("", True))
        if not given:
            raise ValueError(f"PROSA_TRANSCRIBER={self.transcriber} needs {variable}")
        return self

    @model_validator(mode="after")
    def _quiet_windows_are_seconds(self) -> Self:
        try:
            _ = self.quiet_windows
        except ValueError as exc:
            raise ValueError(f"PROSA_QUIET_WINDOW_S is seconds, then CHANNEL=seconds, as in 8,web=0: {exc}") from None
        return self

    @model_validator(mode="after")
    def _late_ages_grow(self) -> Self:
        if list(self.late_ages) != sorted(self.late_ages):
            raise ValueError(
                "PROSA_LATE_APOLOGY_S, PROSA_LATE_HANDOFF_S and PROSA_LATE_RECORD_S must grow in this order"
            )
        return self

    @model_validator(mode="after")
    def _time_zone_is_known(self) -> Self:
        try:
            _ = self.zone
        except (ValueError, OSError, LookupError):
            if not available_timezones():
                raise ValueError(
                    f"PROSA_TIME_ZONE={self.time_zone} cannot be looked up, as this machine has no time-zone database: "
                    "install tzdata (pip install tzdata, or your system's package)"
                ) from None
            raise ValueError(f"PROSA_TIME_ZONE={self.time_zone}: say UTC or one like America/Sao_Paulo") from None
        return self

    @model_validator(mode="after")
    def _store_fits_the_engine(self) -> Self:
        name, _, place = self.store.partition(":")
        if self.store and (name not in BACKENDS or bool(place) != bool(BACKENDS[name].form)):
            *others, last = [entry.form or name for name, entry in BACKENDS.items()]
            raise ValueError(f"PROSA_STORE={self.store}: say {', '.join(others)} or {last}")
        if self.store_kind not in backends_of(self.engine):
            raise ValueError(
                f"PROSA_STORE={self.store} does not go with PROSA_ENGINE={self.engine}: "
                f"use {' or '.join(backends_of(self.engine))}"
            )
        return self

    @model_validator(mode="after")
    def _engine_has_what_it_needs(self) -> Self:
        names = {name for kind in (self.store_kind, self.inbox_kind) for name in BACKENDS[kind].needs}
        has = {"REDIS_URL": self.redis_url, "GOOGLE_CLOUD_PROJECT": self.google_cloud_project}
        needed = {name: value is None for name, value in has.items() if name in names}
        if self.engine == "cloud_tasks":
            needed |= {
                "PROSA_TASKS_QUEUE": self.tasks_queue is None,
                "PROSA_TASKS_URL": self.tasks_url is None,
                "PROSA_TASKS_SERVICE_ACCOUNT": self.tasks_service_account is None,
            }
        missing = [name for name, absent in needed.items() if absent]
        if missing:
            raise ValueError(
                f"PROSA_ENGINE={self.engine} with its store in {self.store_kind} needs {', '.join(missing)}"
            )
        if self.tasks_queue is not None and not TASKS_QUEUE.fullmatch(self.tasks_queue):
            raise ValueError("PROSA_TASKS_QUEUE is projects/PROJECT/locations/LOCATION/queues/NAME")
        return self

    @model_validator(mode="after")
    def _turns_end_before_cloud_tasks_gives_up(self) -> Self:
        hearing_s = 0 if self.transcriber == "none" else self.transcriber_timeout_s
        reading_s = self.media_timeout_s + hearing_s if self.media == "on" else 0
        if self.engine == "cloud_tasks" and self.turn_budget_s + reading_s > LONGEST_TURN_OF_CLOUD_TASKS_S:
            raise ValueError(
                f"PROSA_TURN_BUDGET_S={self.turn_budget_s:g} and {reading_s:g} s for its files (PROSA_MEDIA_TIMEOUT_S, "
                "PROSA_TRANSCRIBER_TIMEOUT_S) do not go with PROSA_ENGINE=cloud_tasks, which cuts a turn after "
                f"{LONGEST_TURN_OF_CLOUD_TASKS_S} s and would begin it again: lower them, or use another engine"
            )
        return self

    @model_validator(mode="after")
    def _provider_has_what_it_needs(self) -> Self:
        provider = self.model_provider
        needed: Mapping[str, Mapping[str, object]] = {
            "anthropic": {},
            "vertex": {"GOOGLE_CLOUD_PROJECT": self.google_cloud_project, "CLOUD_ML_REGION": self.cloud_ml_region},
            "bedrock": {"AWS_REGION": self.aws_region},
        }
        if missing := [name for name, value in needed[provider].items() if value is None]:
            raise ValueError(f"PROSA_MODEL_PROVIDER={provider} needs {', '.join(missing)}")
        if provider != "anthropic" and self.anthropic_base_url is not None:
            raise ValueError(
                f"PROSA_MODEL_PROVIDER={provider} does not use ANTHROPIC_BASE_URL: unset it, or set "
                f"ANTHROPIC_{provider.upper()}_BASE_URL"
            )
        if provider == "bedrock" and DEFAULT_MODEL in self.models_of_tasks.values():
            unset = [name for name, model in self.models_of_tasks.items() if model == DEFAULT_MODEL]
            raise ValueError(
                f"PROSA_MODEL_PROVIDER=bedrock has its own names of models, such as us.anthropic.{DEFAULT_MODEL}-v1:0: "
                f"set {', '.join(unset)}"
            )
        return self

    @model_validator(mode="after")
    def _structured_templates_are_chosen(self) -> Self:
        if self.use_structured_templates and not self.use_templates:
            raise ValueError(
                "PROMPTER_USE_STRUCTURED_TEMPLATES chooses versions of templates, PROMPTER_USE_TEMPLATES=false lets "
                "nothing choose: set one of them the other way"
            )
        return self

    @model_validator(mode="after")
    def _cache_levels_are_sound(self) -> Self:
        # Task 1 depends on its conversation, and a form on the options: neither is anybody else's.
        wrong = [task for task in (*_listed(self.cache_semantic), *self.cache_similarity) if task != TaskName.RESPONSE]
        if wrong:
            raise ValueError(
                f"PROSA_CACHE_SEMANTIC, PROSA_CACHE_SIMILARITY: {', '.join(wrong)}: only {TaskName.RESPONSE} has a "
                "semantic level"
            )
        if (self.cache_semantic or self.cache_template) and not self.use_cache:
            raise ValueError(
                "PROSA_CACHE_SEMANTIC and PROSA_CACHE_TEMPLATE are levels of a cache that is off: "
                "set PROMPTER_USE_CACHE=true, or neither"
            )
        return self

    @model_validator(mode="after")
    def _spans_have_a_collector(self) -> Self:
        if not self.use_tracing:
            # The variables are OpenTelemetry's: they may be set for others.
            return self
        if self.collector is None:
            raise ValueError(
                "PROMPTER_USE_TRACING=true needs OTEL_EXPORTER_OTLP_ENDPOINT, the address of a collector such as "
                "http://127.0.0.1:4318"
            )
        if not is_web_address(self.collector):
            raise ValueError("OTEL_EXPORTER_OTLP_ENDPOINT is http://HOST:PORT or https://HOST, OTLP over HTTP")
        if not all(HEADER.fullmatch(f"{name}: {value}") for name, value in self.collector_headers.items()):
            raise ValueError("OTEL_EXPORTER_OTLP_HEADERS is NAME=VALUE,NAME=VALUE in ASCII")
        return self

    @property
    def notify_event_names(self) -> list[str]:
        """The events that the signed webhook gets."""
        return _listed(self.notify_events)

    @model_validator(mode="after")
    def _notices_have_addresses(self) -> Self:
        is_unsigned = self.analysis_callback_url and not self.analysis_callback_secret
        for name, needed, is_missing in (
            ("PROSA_NOTIFY_URL", "PROSA_NOTIFY_SECRET", self.notify_url and not self.notify_secret),
            ("PROSA_REPORT_EMAIL", "PROSA_SMTP_URL", self.report_email and not self.smtp_url),
            ("PROSA_NOTIFY_EMAIL", "PROSA_SMTP_URL", self.notify_email and not self.smtp_url),
            ("PROSA_ANALYSIS_CALLBACK_URL", "PROSA_ANALYSIS_CALLBACK_SECRET", is_unsigned),
        ):
            if is_missing:
                raise ValueError(f"{name} needs {needed}")
        if unknown := set(self.notify_event_names) - set(NoticeEvent):
            raise ValueError(f"PROSA_NOTIFY_EVENTS={', '.join(sorted(unknown))}: say {', '.join(NoticeEvent)}")
        return self

    @model_validator(mode="after")
    def _what_leaves_is_encrypted(self) -> Self:
        given = {
            "PROSA_NOTIFY_SLACK_URL": self.notify_slack_url,
            "PROSA_SLACK_WEBHOOK_URL": self.slack_webhook_url,
            "PROSA_NOTIFY_URL": self.notify_url,
            "PROSA_ANALYSIS_CALLBACK_URL": self.analysis_callback_url,
            "PROSA_PUBLIC_URL": self.public_url,
        }
        plain = [name for name, url in given.items() if url and urlsplit(_text(url)).scheme != "https"]
        if self.is_production and plain:
            raise ValueError(f"PROSA_ENV=production needs https:// in {', '.join(plain)}")
        return self

    @model_validator(mode="after")
    def _console_opens_to_whom_it_says(self) -> Self:
        try:
            tokens = [key.token.get_secret_value() for key in self.console_keys]
        except ValueError:
            raise ValueError(f"PROSA_CONSOLE_TOKENS: say ROLE=TOKEN or ROLE:NAME=TOKEN, of {', '.join(Role)}") from None
        if len(set(tokens)) < len(tokens) or not all(tokens):
            raise ValueError("PROSA_CONSOLE_TOKENS: every key needs a token of its own")
        try:
            _ = self.console_proxy
        except ValueError:
            raise ValueError(f"PROSA_CONSOLE_PROXIES={self.console_proxies}: say addresses or networks") from None
        return self

    @model_validator(mode="after")
    def _production_is_closed(self) -> Self:
        if not self.is_production:
            return self
        missing = [
            name
            for name, absent in {
                "ANTHROPIC_API_KEY": self.uses_sandbox_model,
                "PROSA_CONSOLE_TOKEN": not self.console_keys,
                "PROSA_ID_SALT": self.id_salt.get_secret_value() == "development",
            }.items()
            if absent
        ]
        if missing:
            raise ValueError(f"PROSA_ENV=production needs {', '.join(missing)}")
        known = [name for name, secret in self.secrets if secret.casefold() in EXAMPLE_SECRETS]
        if known:
            raise ValueError(
                f"PROSA_ENV=production with an example's secret, which everybody knows: {', '.join(known)}"
            )
        emulated = [
            name
            for name, given in {
                "FIRESTORE_EMULATOR_HOST": self.firestore_emulator_host,
                "CLOUD_TASKS_EMULATOR_HOST": self.tasks_emulator_host,
            }.items()
            if given
        ]
        if emulated:
            raise ValueError(f"PROSA_ENV=production with {', '.join(emulated)}: an emulator forgets everything")
        if self.redis_url is not None and self.redis_url == self.redis_cache_url:
            raise ValueError("REDIS_URL and REDIS_CACHE_URL are the same: a cache that evicts would eat the inbox")
        if self.flags_file is not None:
            raise ValueError(
                "PROSA_FLAGS_FILE is for development, as its changes leave no trace: "
                "prosa flags set KEY --file FILE takes a definition over"
            )
        return self

    @model_validator(mode="after")
    def _reachable_from_outside_is_closed(self) -> Self:
        if not self.is_loopback and not self.console_keys:
            raise ValueError(
                f"PROSA_HOST={self.host} is reachable from outside: set PROSA_CONSOLE_TOKEN, or use 127.0.0.1"
            )
        return self


def compose_settings(
    environ: Mapping[str, str] | None, *, env_file: Path | None, channels: Sequence[type[ChannelSettings]]
) -> Settings:
    """Read the environment, and in development the `.env` file, which the environment overrides; empty is not set.

    Raises:
        ConfigurationError: a setting is unknown, malformed, missing or contradicts another; every one is named.
    """
    own = dict(os.environ if environ is None else environ)
    is_development = own.get("PROSA_ENV", "development") == "development"
    from_file = _of_file(env_file) if is_development and env_file is not None and env_file.is_file() else {}
    values = {name: value.strip() for name, value in {**from_file, **own}.items()}
    if unknown := _unknown(values, channels, of_file=from_file):
        raise ConfigurationError("; ".join(unknown))
    source = EnvSettingsSource(Settings, case_sensitive=True)
    source.env_vars = given = {name: value for name, value in values.items() if value}
    opened, problems = _channel_settings(channels, given)
    try:
        settings = _validated(Settings, {**source(), "channels": opened})
    except ConfigurationError as exc:
        raise ConfigurationError("; ".join([str(exc), *problems])) from None
    if problems:
        raise ConfigurationError("; ".join(problems))
    return settings


def _of_file(path: Path) -> dict[str, str]:
    """Read `NAME=VALUE` lines. A line that is none is refused: with an open quote it would swallow those after it."""
    try:
        lines = list(parse_stream(io.StringIO(path.read_text("utf-8-sig"))))
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{path} is not UTF-8, or cannot be read ({type(exc).__name__})") from None
    if wrong := [one.original for one in lines if one.error or (one.key and one.value is None)]:
        # A statement begins with the blank lines before it.
        places = ", ".join(str(one.line + one.string.rstrip().count("\n")) for one in wrong)
        raise ConfigurationError(f"{path}, line {places}: write NAME=VALUE, quotes closed, comments behind #")
    return {one.key: one.value or "" for one in lines if one.key is not None}


def _channel_settings(
    kinds: Iterable[type[ChannelSettings]], given: Mapping[str, str]
) -> tuple[tuple[ChannelSettings, ...], list[str]]:
    """Return the settings of the channels that are set up, and the problems of those that are set up wrongly."""
    opened, problems = [], []
    for kind in kinds:
        missing = [name for name in kind.required() if name not in given]
        if missing == kind.required():
            continue
        try:
            if missing:
                raise ConfigurationError(f"{kind.title} needs all of its settings; missing: {', '.join(missing)}")
            opened.append(_validated(kind, {name: given[name] for name in names_of(kind) if name in given}))
        except ConfigurationError as exc:
            problems.append(str(exc))
    return tuple(opened), problems


def names_of(kind: type[BaseModel]) -> list[str]:
    """Return the environment variables of a class of settings."""
    return [str(field.validation_alias) for field in kind.model_fields.values() if field.validation_alias]


def checked(settings: Settings, **changes: str) -> Settings:
    """Return the same settings with others, by the names of their variables.

    Raises:
        ConfigurationError: one is unknown or malformed, or contradicts another.
    """
    if unknown := sorted(changes.keys() - {*names_of(Settings)}):
        raise ConfigurationError(f"{', '.join(unknown)}: not a setting")
    own = {
        str(field.validation_alias or name): getattr(settings, name) for name, field in Settings.model_fields.items()
    }
    return _validated(Settings, own | changes)


def _validated(kind: type[M], named: Mapping[str, Any]) -> M:
    try:
        return kind(**named)
    except ValidationError as exc:
        raise ConfigurationError(problems_of(exc)) from None


def _text(given: str | SecretStr) -> str:
    return given.get_secret_value() if isinstance(given, SecretStr) else given


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _unknown(values: Iterable[str], channels: Iterable[type[ChannelSettings]], *, of_file: Iterable[str]) -> list[str]:
    """Name the settings that no process reads: mostly misspelt, and ignored in silence else.

    They have a prefix of ours, in any case of letters; or are in the file and almost a setting that is not given.
    """
    of_channels = [name for kind in channels for name in names_of(kind)]
    known = [*names_of(Settings), *of_channels]
    prefixes = ("PROSA_", "PROMPTER_", *(f"{name.partition('_')[0]}_" for name in of_channels))
    problems = []
    for name in sorted(set(values) - set(known)):
        is_ours = name.upper().startswith(prefixes)
        close = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.6 if is_ours else 0.85)
        if is_ours or (name in of_file and close and close[0] not in values):
            problems.append(f"{name} is not a setting" + (f"; did you mean {close[0]}?" if close else ""))
    return problems
