"""What is set wrongly stops the process at its start, and the sentence names what to change."""

import os
import re
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.channels.registry import settings_classes
from cli.settings import known_names, read_settings
from contracts.errors import ConfigurationError
from contracts.settings import LONGEST_TURN_OF_CLOUD_TASKS_S, Settings
from worker.engines.cloud_tasks import TasksDependencies

ROOT = Path(__file__).parents[2]
REDIS = {"REDIS_URL": "redis://127.0.0.1:6379/0"}
TASKS = {
    "PROSA_ENGINE": "cloud_tasks",
    "GOOGLE_CLOUD_PROJECT": "p",
    "PROSA_TASKS_QUEUE": "projects/p/locations/l/queues/q",
    "PROSA_TASKS_URL": "https://worker.example.com/tasks/process",
    "PROSA_TASKS_SERVICE_ACCOUNT": "tasks@p.iam.gserviceaccount.com",
}
PRODUCTION = {
    "PROSA_ENV": "production",
    "ANTHROPIC_API_KEY": "k",
    "PROSA_CONSOLE_TOKEN": "t",
    "PROSA_ID_SALT": "s",
}

WHATSAPP = ("APP_SECRET", "VERIFY_TOKEN", "ACCESS_TOKEN", "PHONE_NUMBER_ID")

# Keys that no header can hold.
HEADERLESS = ("a\nb", "a\0b", "chave-é")


def settings_of(**environ: str):  # type: ignore[no-untyped-def]
    return read_settings(environ, env_file=None)


@pytest.mark.parametrize(
    ("environ", "store", "inbox"),
    [
        ({}, "sqlite", "sqlite"),
        ({"PROSA_STORE": "sqlite:/tmp/x.sqlite"}, "sqlite", "sqlite"),
        ({"PROSA_STORE": "redis"} | REDIS, "redis", "redis"),
        ({"PROSA_ENGINE": "celery"} | REDIS, "redis", "redis"),
        (
            {"PROSA_ENGINE": "celery", "PROSA_STORE": "firestore", "GOOGLE_CLOUD_PROJECT": "p"} | REDIS,
            "firestore",
            "redis",
        ),
        (TASKS, "firestore", "firestore"),
    ],
)
def test_each_engine_has_its_places(environ: dict[str, str], store: str, inbox: str) -> None:
    settings = settings_of(**environ)
    assert (settings.store_kind, settings.inbox_kind) == (store, inbox)


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"PROSA_ENGINE": "celery"}, "REDIS_URL"),
        ({"PROSA_MODEL_PROVIDER": "openai"}, "PROSA_MODEL_PROVIDER"),
        ({"PROSA_STRUCTURED_OUTPUT": "xml"}, "PROSA_STRUCTURED_OUTPUT"),
        ({"PROSA_MODEL_PROVIDER": "vertex"}, "needs GOOGLE_CLOUD_PROJECT, CLOUD_ML_REGION"),
        ({"PROSA_MODEL_PROVIDER": "bedrock"}, "needs AWS_REGION"),
        ({"PROSA_MODEL_PROVIDER": "bedrock", "AWS_REGION": "r", "PROSA_MODEL_STATE": "a"}, "set PROSA_MODEL_RESPONSE"),
        (
            {"PROSA_MODEL_PROVIDER": "vertex", "GOOGLE_CLOUD_PROJECT": "p", "CLOUD_ML_REGION": "eu"}
            | {"ANTHROPIC_BASE_URL": "http://x"},
            "set ANTHROPIC_VERTEX_BASE_URL",
        ),
        *(({name: key}, name) for name in ("ANTHROPIC_API_KEY", "AWS_BEARER_TOKEN_BEDROCK") for key in HEADERLESS),
        ({"PROSA_MODEL_TIMEOUT_S": "601"}, "PROSA_MODEL_TIMEOUT_S"),
        ({"PROSA_TURN_BUDGET_S": "601"}, "PROSA_TURN_BUDGET_S"),
        (TASKS | {"PROSA_TURN_BUDGET_S": "26"}, "cuts a turn after 25 s"),
        ({"PROSA_STORE": "redis"}, "REDIS_URL"),
        ({"PROSA_STORE": "firestore"}, "GOOGLE_CLOUD_PROJECT"),
        ({"PROSA_ANALYSIS_CALLBACK_URL": "https://x.example"}, "PROSA_ANALYSIS_CALLBACK_SECRET"),
        (
            {"PROSA_ANALYSIS_CALLBACK_URL": "file:///etc/passwd", "PROSA_ANALYSIS_CALLBACK_SECRET": "s"},
            "PROSA_ANALYSIS_CALLBACK_URL: say http://HOST:PORT/PATH or https://HOST/PATH",
        ),
        ({"PROSA_TIME_ZONE": "Mars/Base"}, "say UTC or one like America/Sao_Paulo"),
        ({"PROSA_TIME_ZONE": "../../etc/passwd"}, "PROSA_TIME_ZONE"),
        ({"PROSA_BUDGET_DAY_USD": "0"}, "PROSA_BUDGET_DAY_USD"),
        ({"PROSA_BUDGET_TURN_USD": "nan"}, "PROSA_BUDGET_TURN_USD"),
        ({"PROMPTER_USE_CACHE": "true", "PROSA_CACHE_SEMANTIC": "state"}, "only response has a semantic level"),
        ({"PROSA_CACHE_SEMANTIC": "response"}, "PROMPTER_USE_CACHE=true"),
        ({"PROSA_CACHE_TEMPLATE": "true"}, "PROMPTER_USE_CACHE=true"),
        ({"PROSA_CACHE_SAMPLE": "2"}, "PROSA_CACHE_SAMPLE"),
        ({"PROMPTER_USE_TRACING": "true"}, "needs OTEL_EXPORTER_OTLP_ENDPOINT"),
        ({"PROMPTER_USE_TRACING": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4317"}, "OTLP over HTTP"),
        ({"PROMPTER_USE_TRACING": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:b@c:4318"}, "OTLP over HTTP"),
        (
            {
                "PROMPTER_USE_TRACING": "true",
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318",
                "OTEL_EXPORTER_OTLP_HEADERS": "no pair",
            },
            "NAME=VALUE,NAME=VALUE",
        ),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL"),
        ({"PROSA_TRACE_SAMPLE": "1.5"}, "PROSA_TRACE_SAMPLE"),
        ({"PROSA_STORE": "mongo"}, "sqlite:PATH, redis or firestore"),
        ({"PROSA_STORE": "sqlite:"}, "sqlite:PATH"),
        ({"PROSA_ENGINE": "celery", "PROSA_STORE": "sqlite:x"} | REDIS, "redis or firestore"),
        (TASKS | {"PROSA_STORE": "redis"} | REDIS, "use firestore"),
        (TASKS | {"PROSA_TASKS_QUEUE": "q"}, "projects/PROJECT/locations/LOCATION/queues/NAME"),
        ({name: value for name, value in TASKS.items() if name != "PROSA_TASKS_URL"}, "PROSA_TASKS_URL"),
        ({"PROSA_ENGIN": "celery"}, "did you mean PROSA_ENGINE?"),
        ({"PROMPTER_USE_CACHE": "true", "PROSA_CACHE_SIMILARITY": "state=0.97"}, "only response has a semantic level"),
        ({"WHATSAPP_APP_SECRE": "s"}, "did you mean WHATSAPP_APP_SECRET?"),
        ({"WHATSAPP_APP_SECRET": "s", "PROSA_HOST": "0.0.0.0"}, "missing: WHATSAPP_VERIFY_TOKEN, WHATSAPP_ACCESS"),
        ({"WHATSAPP_APP_SECRET": "s", "PROSA_HOST": "0.0.0.0"}, "PROSA_HOST=0.0.0.0 is reachable"),
        ({"PROSA_ENGINE": "kafka"}, "PROSA_ENGINE"),
        ({"PROSA_ANALYSIS_CALLBACK_URL": "https://example.com"}, "PROSA_ANALYSIS_CALLBACK_SECRET"),
        ({"PROSA_ENV": "production"}, "ANTHROPIC_API_KEY"),
        (PRODUCTION | {"PROSA_CONSOLE_TOKEN": "Sandbox"}, "everybody knows: PROSA_CONSOLE_TOKEN"),
        (PRODUCTION | {"PROSA_CONSOLE_TOKENS": "read:ana=changeme"}, "everybody knows: PROSA_CONSOLE_TOKENS"),
        (PRODUCTION | {f"WHATSAPP_{one}": "sandbox" for one in WHATSAPP}, "everybody knows: WHATSAPP_APP_SECRET"),
        (PRODUCTION | TASKS | {"FIRESTORE_EMULATOR_HOST": "localhost:1"}, "FIRESTORE_EMULATOR_HOST"),
        (PRODUCTION | TASKS | {"CLOUD_TASKS_EMULATOR_HOST": "localhost:1"}, "CLOUD_TASKS_EMULATOR_HOST"),
        (PRODUCTION | {"PROSA_ENGINE": "celery", "REDIS_CACHE_URL": REDIS["REDIS_URL"]} | REDIS, "REDIS_CACHE_URL"),
    ],
)
def test_a_contradiction_stops_the_process(environ: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        settings_of(**environ)
    assert named in str(error.value)


SECRET = "hunter-2-hunter"
WEB_ADDRESSES = (
    *("PROSA_TASKS_URL", "PROSA_TASKS_CERTS_URL", "ANTHROPIC_BASE_URL", "ANTHROPIC_VERTEX_BASE_URL"),
    *("ANTHROPIC_BEDROCK_BASE_URL", "PROSA_TRANSCRIBER_URL", "PROSA_SPEECH_URL", "PROSA_ANALYSIS_CALLBACK_URL"),
    *("PROSA_NOTIFY_URL", "PROSA_NOTIFY_SLACK_URL", "PROSA_SLACK_WEBHOOK_URL", "PROSA_PUBLIC_URL"),
    *(
        "WHATSAPP_API_URL",
        "TELEGRAM_API_URL",
        "SLACK_API_URL",
        "MESSENGER_API_URL",
        "INSTAGRAM_API_URL",
        "CHATWOOT_URL",
    ),
)
SIGNED = {"PROSA_NOTIFY_SECRET": "s", "PROSA_ANALYSIS_CALLBACK_SECRET": "s"}
CHANNELS = {name: "1:a" for kind in settings_classes() for name in kind.required() if not name.endswith("_URL")} | {
    "CHATWOOT_URL": "https://chatwoot.example"
}


@pytest.mark.parametrize("name", WEB_ADDRESSES)
@pytest.mark.parametrize(
    "address",
    [
        *("localhost:8000", "example.com", "http://", "http:///x", "ftp://example.com", "http://example.com:99999"),
        *("http://example.com:http", "http://example.com:0", "http://[::1", '"http://example.com"'),
        *("http://example .com", "http://example.com\nx", f"http://ana:{SECRET}@example.com:99999"),
    ],
)
def test_an_address_that_nothing_can_be_sent_to_stops_the_process(name: str, address: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        settings_of(**CHANNELS | SIGNED | {name: address})
    assert str(error.value).startswith(f"{name}: say http://HOST:PORT/PATH or https://HOST/PATH, in one line")
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("name", WEB_ADDRESSES)
@pytest.mark.parametrize(
    "address", [" https://example.com/ ", "HTTPS://EXAMPLE.com:8443/a/b?c=d", "http://[::1]:80", "http://exämple.com"]
)
def test_an_address_may_have_a_port_a_path_and_white_space_around_it(name: str, address: str) -> None:
    assert settings_of(**CHANNELS | SIGNED | {name: address})


def test_a_password_may_be_in_an_address_that_is_never_shown_and_in_no_other() -> None:
    address = f"https://ana:{SECRET}@example.com/hook"
    assert settings_of(PROSA_SLACK_WEBHOOK_URL=address)
    with pytest.raises(ConfigurationError, match=r"PROSA_NOTIFY_URL: say .* without user and password") as error:
        settings_of(PROSA_NOTIFY_URL=address, **SIGNED)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("name", ["REDIS_URL", "REDIS_CACHE_URL"])
@pytest.mark.parametrize(
    "address",
    ["localhost:6379", "kafka://h", "redis://", "redis://[::1", "redis://h:99999/0", f"redis://:{SECRET}#x@h/0"],
)
def test_what_is_no_address_of_a_redis_is_named_and_not_shown(name: str, address: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}: say redis://") as error:
        settings_of(**{name: address})
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    "address", ["mail.example", "https://mail.example", "smtp://", f"smtps://ana:{SECRET}@mail.example:99999"]
)
def test_an_address_of_no_mail_server_stops_the_process(address: str) -> None:
    with pytest.raises(ConfigurationError, match="PROSA_SMTP_URL: say smtp://HOST:PORT or smtps://") as error:
        settings_of(PROSA_SMTP_URL=address)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("name", ["FIRESTORE_EMULATOR_HOST", "CLOUD_TASKS_EMULATOR_HOST"])
def test_an_emulator_is_a_host_and_a_port(name: str) -> None:
    assert settings_of(**{name: "localhost:8080"})
    for wrong in ("http://localhost:8080", "localhost:99999", "localhost:8080/"):
        with pytest.raises(ConfigurationError, match=f"{name}: say HOST:PORT alone"):
            settings_of(**{name: wrong})


@pytest.mark.parametrize("name", ["PROSA_NOTIFY_URL", "PROSA_ANALYSIS_CALLBACK_URL", "PROSA_SLACK_WEBHOOK_URL"])
def test_what_leaves_in_production_is_encrypted(name: str) -> None:
    assert settings_of(**PRODUCTION | SIGNED | {name: "HTTPS://example.com"})
    with pytest.raises(ConfigurationError, match=f"PROSA_ENV=production needs https:// in {name}"):
        settings_of(**PRODUCTION | SIGNED | {name: "http://example.com"})


@pytest.mark.parametrize(
    "name", ["WHATSAPP_ACCESS_TOKEN", "SLACK_BOT_TOKEN", "MESSENGER_ACCESS_TOKEN", "CHATWOOT_TOKEN", "PROSA_SPEECH_KEY"]
)
@pytest.mark.parametrize("key", HEADERLESS)
def test_a_token_that_no_header_can_hold_stops_the_process(name: str, key: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        settings_of(**CHANNELS | {name: key})
    assert str(error.value) == f"{name}: say it in one line of ASCII"


def test_no_secret_is_shown(recwarn: pytest.WarningsRecorder) -> None:
    password = "hunter-2-hunter"
    settings = settings_of(**PRODUCTION, REDIS_URL=f"redis://:{password}@127.0.0.1:6379/0", PROSA_ENGINE="celery")
    assert password not in repr(settings)
    with pytest.raises(ConfigurationError) as error:
        settings_of(PROSA_ENGINE="kafka", REDIS_URL=f"redis://:{password}@127.0.0.1:6379/0")
    assert password not in str(error.value)


def test_the_example_lists_every_setting() -> None:
    listed = {line.lstrip("#").partition("=")[0] for line in (ROOT / ".env.example").read_text().splitlines()}
    assert set(known_names()) <= listed


def test_spans_go_where_the_variables_of_opentelemetry_say() -> None:
    collector = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    assert settings_of(**collector).collector is None
    on = settings_of(
        **collector,
        PROMPTER_USE_TRACING="true",
        OTEL_EXPORTER_OTLP_HEADERS="Authorization=Basic%20abc%3D, x-project = p",
    )
    assert on.collector == "http://127.0.0.1:4318/v1/traces"
    assert on.collector_headers == {"Authorization": "Basic abc=", "x-project": "p"}
    assert (on.service_name, on.traced_share) == ("prosa", 1.0)


@pytest.mark.parametrize(
    ("env", "said", "share"), [("development", None, 1.0), ("production", None, 0.1), ("production", "1", 1.0)]
)
def test_a_tenth_of_the_turns_is_traced_in_production(env: str, said: str | None, share: float) -> None:
    given = {"PROSA_ENV": env, "ANTHROPIC_API_KEY": "k", "PROSA_CONSOLE_TOKEN": "t", "PROSA_ID_SALT": "s"}
    settings = read_settings(given | ({"PROSA_TRACE_SAMPLE": said} if said else {}), env_file=None)
    assert settings.traced_share == share


def test_another_provider_needs_no_key_of_anthropic() -> None:
    vertex = {"PROSA_MODEL_PROVIDER": "vertex", "GOOGLE_CLOUD_PROJECT": "p", "CLOUD_ML_REGION": "eu"}
    assert settings_of().uses_sandbox_model
    assert not settings_of(**vertex).uses_sandbox_model
    production = {name: value for name, value in PRODUCTION.items() if name != "ANTHROPIC_API_KEY"}
    assert settings_of(**production, **vertex).model_provider == "vertex"


def test_a_slow_model_may_take_ten_minutes() -> None:
    settings = settings_of(PROSA_MODEL_TIMEOUT_S="600", PROSA_TURN_BUDGET_S="600")
    assert settings.model_timeout == settings.turn_budget == timedelta(minutes=10)
    assert settings.turn_patience > settings.turn_budget
    assert settings_of().turn_patience == timedelta(minutes=1)


def test_cloud_tasks_turns_end_before_the_worker_cuts_them() -> None:
    assert TasksDependencies.time_limit.total_seconds() == LONGEST_TURN_OF_CLOUD_TASKS_S


EXAMPLE = (ROOT / ".env.example").read_text().splitlines()
ASSIGNMENTS = [line.lstrip("#") for line in EXAMPLE if re.fullmatch(r"#?[A-Z][A-Z0-9_]*=.*", line)]


@pytest.mark.parametrize("line", ASSIGNMENTS)
def test_any_line_of_the_example_may_be_uncommented(line: str, tmp_path: Path) -> None:
    """What it says is the default, so nothing changes; where it is empty, nothing is set."""
    file = tmp_path / ".env"
    file.write_text("\n".join(line if each.lstrip("#") == line else each for each in EXAMPLE))
    name, _, value = line.partition("=")
    settings = read_settings({}, env_file=file)
    field = next((field for field, info in Settings.model_fields.items() if info.validation_alias == name), None)
    if field is None:
        assert name in known_names()
        assert settings.channels == ()
        defaults = [info.default for kind in settings_classes() for info in kind.model_fields.values()]
        assert not value or value in {*defaults, *(str(default).lower() for default in defaults)}
    elif value:
        assert resolved(settings.model_dump()[field]) == resolved(Settings().model_dump()[field])


def resolved(value: object) -> object:
    return value.resolve() if isinstance(value, Path) else value


def test_the_file_is_read_as_such_files_are(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        "PORT=8123 # inline comment\nexport PROSA_HOST='127.0.0.1'\nPROSA_ID_SALT=\"a # b\"\n\n"
        "PROSA_TIME_ZONE = America/Sao_Paulo\nPROSA_LOG_LEVEL=\nREDIS_URL=redis://:p${HOME}w@h/0\n"
    )
    settings = read_settings({"PROSA_RETENTION_DAYS": " 7 "}, env_file=file)
    assert (settings.port, settings.host, settings.retention_days) == (8123, "127.0.0.1", 7)
    assert settings.id_salt.get_secret_value() == "a # b"
    assert settings.time_zone == "America/Sao_Paulo"
    assert settings.log_level == "INFO"
    assert settings.redis_url
    assert settings.redis_url.get_secret_value() == "redis://:p${HOME}w@h/0"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'PORT="8123\nPROSA_HOST=127.0.0.1\n', "line 1"),
        (b"# a comment\n\nPORT: 8123\n", "line 3"),
        (b"PORT=8123\nset PROSA_HOST=127.0.0.1\nPROSA_ENV\n", "line 2, 3"),
        (b"PROSA_MODEL_STATE=caf\xe9\n", "is not UTF-8"),
        ("PORT=8123\n".encode("utf-16"), "is not UTF-8"),
        (b"prosa_host=0.0.0.0\n", "prosa_host is not a setting; did you mean PROSA_HOST?"),
        (b"ANTHROPIC_API_KEYS=k\n", "did you mean ANTHROPIC_API_KEY?"),
        (b"WHATSAP_APP_SECRET=k\n", "did you mean WHATSAPP_APP_SECRET?"),
        (b"REDIS_URI=redis://h/0\n", "did you mean REDIS_URL?"),
    ],
)
def test_a_line_of_the_file_that_would_be_ignored_stops_the_process(
    content: bytes, problem: str, tmp_path: Path
) -> None:
    file = tmp_path / ".env"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError) as error:
        read_settings({}, env_file=file)
    assert problem in str(error.value)


def test_the_file_may_be_of_windows_and_have_settings_of_other_programs(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"\xef\xbb\xbfPORT=8123\r\nREDIS_URL=redis://h/0\r\nREDIS_URI=redis://h/0\r\nPOSTGRES_DB=x\r\n")
    assert read_settings({"REDIS_URIS": "of another program"}, env_file=file).port == 8123


def test_a_machine_without_time_zones_is_told_so_and_not_that_the_setting_is_wrong(tmp_path: Path) -> None:
    """Neither the system's database nor the package: as in a small image."""
    code = (
        "import sys; sys.modules['tzdata'] = None\n"
        "from cli.settings import read_settings\n"
        "read_settings({'PROSA_TIME_ZONE': 'America/Sao_Paulo'}, env_file=None)"
    )
    environment = os.environ | {"PYTHONTZPATH": "", "PYTHONPATH": str(ROOT)}
    asked = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "no time-zone database" in asked.stderr
    assert "install tzdata" in asked.stderr


def test_prices_of_templates_are_by_known_category() -> None:
    given = read_settings({"PROSA_TEMPLATE_PRICES": "marketing=0.0625, utility=0.008"})
    assert given.template_prices == {"marketing": Decimal("0.0625"), "utility": Decimal("0.008")}
    for wrong in ("utilty=1", "marketing", "marketing=-1"):
        with pytest.raises(ConfigurationError, match="PROSA_TEMPLATE_PRICES"):
            read_settings({"PROSA_TEMPLATE_PRICES": wrong})
