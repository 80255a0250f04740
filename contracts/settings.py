"""What the processes read from their environment: one frozen object, checked before the first message."""

import difflib
import os
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from contracts.errors import ConfigurationError

DEFAULT_MODEL = "claude-haiku-5-5"
SAMPLE_INSTITUTION = Path(__file__).parents[1] / "context" / "documents" / "pyloto"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


# Settings of the engines on Redis and on Google Cloud; the embedded engine does not read them.
OTHER_ENGINES = frozenset(
    {"PROSA_FIRESTORE_DATABASE", "PROSA_TASKS_QUEUE", "PROSA_TASKS_URL", "PROSA_TASKS_SERVICE_ACCOUNT"}
)


class Settings(BaseModel):
    """Every setting of every process, by the name of its environment variable. `.env.example` says what each does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    env: Literal["development", "production"] = Field("development", validation_alias="PROSA_ENV")
    port: int = Field(8000, ge=0, le=65_535, validation_alias="PORT")
    host: str = Field("127.0.0.1", validation_alias="PROSA_HOST")
    engine: Literal["embedded", "celery", "cloud_tasks"] = Field("embedded", validation_alias="PROSA_ENGINE")
    store: str = Field("", validation_alias="PROSA_STORE")
    data_dir: Path = Field(Path(".prosa"), validation_alias="PROSA_DATA_DIR")
    institution: Path = Field(SAMPLE_INSTITUTION, validation_alias="PROSA_INSTITUTION")
    console_token: SecretStr | None = Field(None, validation_alias="PROSA_CONSOLE_TOKEN")
    id_salt: SecretStr = Field(SecretStr("development"), validation_alias="PROSA_ID_SALT")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", validation_alias="PROSA_LOG_LEVEL")
    web_origins: str = Field("", validation_alias="PROSA_WEB_ORIGINS")
    retention_days: int = Field(90, ge=1, validation_alias="PROSA_RETENTION_DAYS")

    anthropic_api_key: SecretStr | None = Field(None, validation_alias="ANTHROPIC_API_KEY")
    anthropic_base_url: str | None = Field(None, validation_alias="ANTHROPIC_BASE_URL")
    model_state: str = Field(DEFAULT_MODEL, validation_alias="PROSA_MODEL_STATE")
    model_response: str = Field(DEFAULT_MODEL, validation_alias="PROSA_MODEL_RESPONSE")
    model_message_type: str = Field(DEFAULT_MODEL, validation_alias="PROSA_MODEL_MESSAGE_TYPE")
    model_fallback: str | None = Field(None, validation_alias="PROSA_MODEL_FALLBACK")
    model_timeout_s: float = Field(6, gt=0, le=60, validation_alias="PROSA_MODEL_TIMEOUT_S")
    turn_budget_s: float = Field(12, gt=0, le=120, validation_alias="PROSA_TURN_BUDGET_S")

    whatsapp_app_secret: SecretStr | None = Field(None, validation_alias="WHATSAPP_APP_SECRET")
    whatsapp_app_secret_previous: SecretStr | None = Field(None, validation_alias="WHATSAPP_APP_SECRET_PREVIOUS")
    whatsapp_verify_token: SecretStr | None = Field(None, validation_alias="WHATSAPP_VERIFY_TOKEN")
    whatsapp_access_token: SecretStr | None = Field(None, validation_alias="WHATSAPP_ACCESS_TOKEN")
    whatsapp_phone_number_id: str | None = Field(None, validation_alias="WHATSAPP_PHONE_NUMBER_ID")
    whatsapp_api_url: str = Field("https://graph.facebook.com/v26.0", validation_alias="WHATSAPP_API_URL")

    @property
    def is_production(self) -> bool:
        return self.env == "production"

    @property
    def is_loopback(self) -> bool:
        return self.host in LOOPBACK

    @property
    def store_path(self) -> Path:
        """The SQLite file of `sqlite:PATH`, by default in the data folder."""
        return Path(self.store.removeprefix("sqlite:")) if self.store else self.data_dir / "prosa.sqlite"

    @property
    def uses_sandbox_model(self) -> bool:
        return self.anthropic_api_key is None

    @property
    def has_whatsapp(self) -> bool:
        return self.whatsapp_app_secret is not None

    @property
    def allowed_origins(self) -> frozenset[str]:
        return frozenset(origin.strip().rstrip("/") for origin in self.web_origins.split(",") if origin.strip())

    @property
    def model_timeout(self) -> timedelta:
        return timedelta(seconds=self.model_timeout_s)

    @property
    def turn_budget(self) -> timedelta:
        return timedelta(seconds=self.turn_budget_s)

    @model_validator(mode="after")
    def _store_is_known(self) -> Self:
        if self.store and not self.store.startswith("sqlite:"):
            raise ValueError(f"PROSA_STORE={self.store}: this release keeps conversations in sqlite:PATH only")
        if self.engine != "embedded":
            raise ValueError(f"PROSA_ENGINE={self.engine}: this release runs the embedded engine only")
        return self

    @model_validator(mode="after")
    def _whatsapp_is_whole(self) -> Self:
        named = {
            "WHATSAPP_APP_SECRET": self.whatsapp_app_secret,
            "WHATSAPP_VERIFY_TOKEN": self.whatsapp_verify_token,
            "WHATSAPP_ACCESS_TOKEN": self.whatsapp_access_token,
            "WHATSAPP_PHONE_NUMBER_ID": self.whatsapp_phone_number_id,
        }
        missing = [name for name, value in named.items() if not value]
        if missing and len(missing) < len(named):
            raise ValueError(f"WhatsApp needs all of its settings; missing: {', '.join(missing)}")
        return self

    @model_validator(mode="after")
    def _production_is_closed(self) -> Self:
        if not self.is_production:
            return self
        missing = [
            name
            for name, absent in {
                "ANTHROPIC_API_KEY": self.anthropic_api_key is None,
                "PROSA_CONSOLE_TOKEN": self.console_token is None,
                "PROSA_ID_SALT": self.id_salt.get_secret_value() == "development",
            }.items()
            if absent
        ]
        if missing:
            raise ValueError(f"PROSA_ENV=production needs {', '.join(missing)}")
        return self

    @model_validator(mode="after")
    def _reachable_from_outside_is_closed(self) -> Self:
        if not self.is_loopback and self.console_token is None:
            raise ValueError(
                f"PROSA_HOST={self.host} is reachable from outside: set PROSA_CONSOLE_TOKEN, or use 127.0.0.1"
            )
        return self


def read_settings(environ: Mapping[str, str] | None = None, *, env_file: Path | None = Path(".env")) -> Settings:
    """Read the environment, and in development the `.env` file, which the environment overrides.

    Raises:
        ConfigurationError: a setting is unknown, malformed, missing or contradicts another; every one is named.
    """
    own = dict(os.environ if environ is None else environ)
    from_file = _read_env_file(env_file) if own.get("PROSA_ENV", "development") == "development" else {}
    values = {**from_file, **own}
    unknown = _unknown(values)
    if unknown:
        raise ConfigurationError("; ".join(unknown))
    given = {name: values.get(name, "").strip() for name in known_names()}
    return _validated({name: value for name, value in given.items() if value})


def checked(settings: Settings, *, store: str) -> Settings:
    """The same settings with another store.

    Raises:
        ConfigurationError: the store is not one that this release knows.
    """
    own = {str(field.validation_alias): getattr(settings, name) for name, field in Settings.model_fields.items()}
    return _validated(own | {"PROSA_STORE": store})


def _validated(named: Mapping[str, Any]) -> Settings:
    try:
        return Settings.model_validate(named)
    except ValidationError as exc:
        raise ConfigurationError("; ".join(_problem(error) for error in exc.errors(include_input=False))) from None


def known_names() -> list[str]:
    return [str(field.validation_alias) for field in Settings.model_fields.values()]


def _unknown(values: Iterable[str]) -> list[str]:
    """Settings with our prefix that nobody reads: mostly misspelt ones, which would be ignored in silence."""
    known = [*known_names(), *OTHER_ENGINES]
    problems = []
    for name in sorted(values):
        if name.startswith(("PROSA_", "WHATSAPP_")) and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            problems.append(f"{name} is not a setting" + (f"; did you mean {close[0]}?" if close else ""))
    return problems


def _problem(error: Any) -> str:
    where = ".".join(map(str, error["loc"]))
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


def _read_env_file(path: Path | None) -> dict[str, str]:
    if path is None or not path.is_file():
        return {}
    values = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, separator, value = line.strip().removeprefix("export ").partition("=")
        if separator and not name.startswith("#"):
            values[name.strip()] = value.strip().strip("\"'")
    return values
