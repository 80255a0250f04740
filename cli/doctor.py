"""`prosa doctor`: checks of everything a process needs, each with its next step."""

import platform
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from adapters.channels.platform import Platform
from adapters.channels.registry import PLATFORMS
from adapters.clock import SystemClock
from adapters.http.client import HttpError, ask, open_client
from adapters.http.listener import listen
from adapters.speech.service import silence
from cli.model_doctor import examine_model
from context.loader import load_institution
from contracts.errors import StoreUnavailableError, TransientError, WorkerError
from contracts.findings import Finding, Health
from contracts.listing import MOST_COUNTED, WAITING, waiting_since
from contracts.media import MediaFault, MediaRefusedError
from contracts.settings import SHORTEST_SECRET, Settings
from flags.experiments.definitions import Phase
from flags.experiments.store import ExperimentStore
from flags.file import read_flag_file
from flags.inspection import Problem, problems
from flags.store import FlagStore
from flags.switches import kills_of
from fsm import static_check
from prompts.templating.registry import PromptRegistry
from worker.backends import open_backend, required
from worker.bootstrap import make_transcriber
from worker.people.notices import Notices
from worker.variants import ENGINE_FLAGS

# A message that has waited so long was not picked up.
OVERDUE = timedelta(seconds=15)
ANSWER_WITHIN = timedelta(seconds=10)


async def examine(settings: Settings) -> list[Finding]:
    """Run every check; a failing one never keeps the others from running."""
    checks: dict[str, Callable[[Settings], Awaitable[Finding]]] = {
        "python": _python,
        "institution": _institution,
        "templates": _templates,
        "state table": _table,
        "store": _store,
        "flags": _flags,
        "inbox": _inbox,
        "team": _team,
        "redis": _redis,
        "cache": _cache,
        "cloud tasks": _tasks,
        "port": _port,
        "model": examine_model,
        "transcriber": _transcriber,
        **{name: partial(examine_channel, platform) for name, platform in PLATFORMS.items() if platform.settings},
        "console": _console,
        "secrets": _secrets,
        "traces": _traces,
    }
    findings = []
    for name, check in checks.items():
        try:
            findings.append(await check(settings))
        except WorkerError as exc:
            findings.append(Finding(name, Health.FAILED, str(exc), "repair it and run prosa doctor again"))
    return findings


async def _python(_: Settings) -> Finding:
    return Finding("python", Health.OK, platform.python_version())


async def _institution(settings: Settings) -> Finding:
    institution = load_institution(settings.institution)
    detail = f"{institution.name} {institution.version}: {len(institution.intents)} intents"
    return Finding("institution", Health.OK, detail)


async def _templates(settings: Settings) -> Finding:
    return Finding("templates", Health.OK, f"{len(PromptRegistry.read(own=settings.templates).all())} templates")


async def _table(_: Settings) -> Finding:
    found = static_check.problems()
    if found:
        return Finding("state table", Health.FAILED, "; ".join(found), "correct fsm/table.py")
    return Finding("state table", Health.OK, "sound")


async def _store(settings: Settings) -> Finding:
    async with open_backend(settings) as backend:
        await backend.store.ping()
        letters = len(await backend.store.dead_letters.letters())
    detail = f"{settings.store_name}: {letters} dead letters"
    if letters:
        return Finding("store", Health.NOTE, detail, "prosa dead-letters list")
    return Finding("store", Health.OK, detail)


async def _flags(settings: Settings) -> Finding:
    try:
        async with open_backend(settings) as backend:
            clock = SystemClock()
            flag_store = FlagStore(backend.store.records, backend.events, clock)
            experiment_store = ExperimentStore(backend.store.records, backend.events, clock)
            experiments = await experiment_store.all()
            unreadable = [*await flag_store.unreadable(), *await experiment_store.unreadable()]
            stored = await flag_store.flags()
    except StoreUnavailableError as exc:
        step = (
            "the line of the store says more; until it answers what was known goes on, and a new process gives defaults"
        )
        return Finding("flags", Health.FAILED, f"they cannot be read: {exc}", step)
    file = settings.flags_file
    flags = list(read_flag_file(file).values()) if file else stored
    step = "go back to the release that wrote it; here its default holds"
    found = [Problem(f"{key} cannot be read by this release", step, is_broken=True) for key in unreadable]
    kills = kills_of(settings.prompter_switches)
    found += problems(flags, experiments, asked=ENGINE_FLAGS, kills=kills, at=clock.now())
    if not found:
        running = sum(one.phase is Phase.ACTIVE for one in experiments)
        return Finding("flags", Health.OK, f"{len(flags)} flags, {running} experiments under way")
    health = Health.FAILED if any(one.is_broken for one in found) else Health.NOTE
    steps = "; ".join(dict.fromkeys(one.next_step for one in found))
    return Finding("flags", health, "; ".join(one.detail for one in found), steps)


async def _inbox(settings: Settings) -> Finding:
    async with open_backend(settings) as backend:
        await backend.inbox.ping()
        waiting = await backend.inbox.depth()
        overdue = await backend.inbox.due(at=datetime.now(UTC) - OVERDUE, limit=1)
    detail = f"{settings.inbox_kind}: {waiting} messages wait"
    if overdue:
        work = {"embedded": "prosa run", "celery": "prosa worker", "cloud_tasks": "prosa tasks"}[settings.engine]
        step = f"is {work} running? prosa conversations trace {overdue[0]} shows one that waits"
        return Finding("inbox", Health.FAILED, f"{detail}, some for longer than {OVERDUE.seconds} s", step)
    return Finding("inbox", Health.OK, detail)


async def _team(settings: Settings) -> Finding:
    async with open_backend(settings) as backend:
        waiting = (await backend.store.conversations.find(WAITING, limit=MOST_COUNTED)).items
    since = waiting_since(waiting[0]) if waiting else None
    oldest = f", the longest since {since:%Y-%m-%d %H:%M} UTC" if since else ""
    targets = ", ".join(sorted(Notices.of(settings).targets))
    detail = f"{len(waiting)} conversations wait for an agent{oldest}; told by {targets or 'nothing'}"
    step = "set PROSA_NOTIFY_SLACK_URL, PROSA_NOTIFY_EMAIL or PROSA_NOTIFY_URL, so that the team hears of hand-offs"
    return Finding("team", Health.OK if targets else Health.NOTE, detail, "" if targets else step)


async def _transcriber(settings: Settings) -> Finding:
    """Give the recogniser a second of silence, in which nothing should be heard."""
    transcriber, name = make_transcriber(settings), f"{settings.transcriber} {settings.transcriber_model}"
    if transcriber is None:
        detail = "voice notes are not heard: people are asked to write"
        return Finding("transcriber", Health.NOTE, detail, "set PROSA_TRANSCRIBER: docs/media.md")
    step = "check PROSA_TRANSCRIBER_URL, PROSA_TRANSCRIBER_KEY and PROSA_TRANSCRIBER_MODEL: docs/media.md"
    try:
        await transcriber.transcribe(silence(), language=load_institution(settings.institution).language)
    except MediaRefusedError as exc:
        if exc.reason is not MediaFault.NO_SPEECH:
            detail = f"{name}: it cannot read a recording, or has no verbose_json"
            return Finding("transcriber", Health.FAILED, detail, step)
    except TransientError as exc:
        return Finding("transcriber", Health.FAILED, f"{name}: {exc}", step)
    else:
        return Finding("transcriber", Health.NOTE, f"{name}: it hears words in silence", "use a better model")
    finally:
        await transcriber.close()
    return Finding("transcriber", Health.OK, name)


async def _redis(settings: Settings) -> Finding:
    """Check that the inbox's Redis is durable. In production one that is not stops the processes as well."""
    async with open_backend(settings) as backend:
        if backend.redis is None:
            return Finding("redis", Health.OK, f"the {settings.engine} engine keeps its messages elsewhere")
        found = await backend.redis.problems()
        policy = await backend.redis.append_policy()
    if found:
        health = Health.FAILED if settings.is_production else Health.NOTE
        return Finding("redis", health, "REDIS_URL may lose messages", "; ".join(found))
    match policy:
        case "always":
            return Finding("redis", Health.OK, "never evicts, and writes to its append-only file before it answers")
        case None:
            detail = "never evicts, and has an append-only file; when it writes to it, it does not say"
            return Finding("redis", Health.NOTE, detail, "its appendfsync should be always")
    detail = f"it answers before its append-only file is written (appendfsync is {policy}): a crash may lose some"
    return Finding("redis", Health.NOTE, detail, "set appendfsync to always")


async def _cache(settings: Settings) -> Finding:
    if settings.redis_cache_url is None:
        step = "" if settings.engine == "embedded" else "set REDIS_CACHE_URL to a second Redis"
        return Finding("cache", Health.NOTE if step else Health.OK, "none of its own", step)
    with required("Redis"):
        from adapters.redis.database import RedisDatabase
    database = RedisDatabase(settings.redis_cache_url.get_secret_value())
    try:
        await database.ping()
    except StoreUnavailableError as exc:
        return Finding(
            "cache", Health.FAILED, str(exc), "check REDIS_CACHE_URL; without it every read goes to the store"
        )
    finally:
        await database.close()
    return Finding("cache", Health.OK, "answers")


async def _tasks(settings: Settings) -> Finding:
    if settings.engine != "cloud_tasks":
        return Finding("cloud tasks", Health.OK, f"the {settings.engine} engine does not use it")
    with required("Cloud Tasks"):
        from adapters.google.cloud_tasks import queue_state
    assert settings.tasks_queue is not None  # noqa: S101 - the settings were checked for it
    try:
        state = await queue_state(settings.tasks_queue, emulator_host=settings.tasks_emulator_host)
    except TransientError as exc:
        step = "gcloud tasks queues describe shows it; deploy/cloud-run/ says how it is made"
        return Finding("cloud tasks", Health.FAILED, str(exc), step)
    if state != "RUNNING":
        return Finding("cloud tasks", Health.FAILED, f"the queue is {state}", "gcloud tasks queues resume")
    return Finding("cloud tasks", Health.OK, f"{settings.tasks_queue} runs")


async def _port(settings: Settings) -> Finding:
    try:
        listen(settings.host, settings.port).close()
    except OSError as exc:
        step = "prosa may be running already; else set PORT"
        return Finding("port", Health.NOTE, f"{settings.host}:{settings.port} {exc.strerror}", step)
    return Finding("port", Health.OK, f"{settings.host}:{settings.port} is free")


async def examine_channel(platform: Platform, settings: Settings) -> Finding:
    """Look at a channel that needs settings, and let it ask its platform."""
    assert platform.settings is not None  # noqa: S101 - the others are not looked at
    if platform.settings.of(settings) is None:
        step = f"set {', '.join(platform.settings.required())}; docs/channels.md says where they are"
        return Finding(platform.name, Health.NOTE, "not connected", step)
    return await platform.examine(settings) or Finding(platform.name, Health.OK, "set up")


async def _console(settings: Settings) -> Finding:
    if not settings.console_keys and not settings.console_proxy:
        return Finding("console", Health.OK, "open on this machine only")
    return Finding("console", Health.OK, f"needs one of {len(settings.console_keys)} tokens, or a trusted proxy")


async def _secrets(settings: Settings) -> Finding:
    short = sorted({name for name, secret in settings.secrets if len(secret) < SHORTEST_SECRET})
    if not short or not settings.is_production:
        return Finding("secrets", Health.OK, "long enough" if not short else "any length does in development")
    next_step = "draw one: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
    return Finding("secrets", Health.FAILED, f"shorter than {SHORTEST_SECRET} signs: {', '.join(short)}", next_step)


async def _traces(settings: Settings) -> Finding:
    """Ask the collector; one that is unavailable stops nothing, so it is no failure."""
    if settings.collector is None:
        return Finding("traces", Health.OK, "none are recorded")
    url = settings.collector
    headers = {"Content-Type": "application/x-protobuf", **settings.collector_headers}
    step = "check OTEL_EXPORTER_OTLP_ENDPOINT and _HEADERS; until then spans are dropped, and nothing else"
    try:
        async with open_client(within=ANSWER_WITHIN) as client:
            # No bytes are a request without spans.
            answer = await ask(client, "POST", url, content=b"", headers=headers)
    except HttpError as exc:
        return Finding("traces", Health.NOTE, f"{url}: {exc}", step)
    if not answer.is_success:
        return Finding("traces", Health.NOTE, f"{url} answered {answer.status}", step)
    return Finding("traces", Health.OK, f"{url} takes {settings.traced_share:.0%} of the traces")
