"""A whole Prosa of one engine in real processes: its server, its stand-ins, its roles, and the way to its store."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest

from cli.load import Collector, Outcome, run
from cli.settings import read_settings
from cli.traffic import Load, Traffic
from contracts.messages import ChannelName
from contracts.settings import Settings
from tests.adapters.redis_server import RedisServer, redis_server
from tests.load.platforms import COLLECTORS, TRAFFIC, WebCollector, WebTraffic, webhook_of
from tests.load.processes import START_SECONDS, Process
from tests.load.proxy import Proxy
from tests.real_services import firestore_host, free_port

EngineName = Literal["embedded", "celery", "cloud_tasks"]
SECRET = "load-secret"
PHONE_NUMBER_ID = "200000000000002"
QUEUE = "projects/p/locations/l/queues/wake-ups"
ACCOUNT = "queue@p.iam.gserviceaccount.com"
# Where all share a machine, the webhook goes first (docs/deployment.md).
WORKERS_NICENESS = 10
# A platform reports for days; a stand-in that gave up after seconds would hide what a status settles.
STATUSES = {"attempts": 20, "backoff_ms": 100}


@dataclass
class Installation:
    """What runs. `settings` lead to the store directly; the processes may go through `proxy`."""

    engine: EngineName
    folder: Path
    urls: list[str]
    sandbox_url: str
    environment: dict[str, str]
    settings: Settings
    sandbox: Process
    webhooks: list[Process]
    workers: list[Process] = field(default_factory=list)
    others: list[Process] = field(default_factory=list)
    redis: RedisServer | None = None
    proxy: Proxy | None = None
    tasks_url: str = ""
    channel: ChannelName = ChannelName.WHATSAPP
    people: set[str] = field(default_factory=set)

    @property
    def url(self) -> str:
        """The first webhook's, and what else it serves."""
        return self.urls[0]

    def traffic(self, run: str) -> Traffic:
        """Make what writes to the first webhook as the channel's platform does."""
        url = webhook_of(self.channel, self.url, SECRET)
        traffic = TRAFFIC[self.channel](url, secret=SECRET, phone_number_id=PHONE_NUMBER_ID, run=run)
        if isinstance(traffic, WebTraffic):
            traffic.urls, traffic.people = (f"{self.url}/chat",), self.people
        return traffic

    def collector(self) -> Collector:
        if self.channel is ChannelName.WEB:
            return WebCollector(f"{self.url}/chat", self.people)
        return COLLECTORS[self.channel](self.sandbox_url)

    def kill(self) -> None:
        """Everything of Prosa, also workers that came later."""
        for process in (*self.webhooks, *self.workers, *self.others):
            process.kill()

    def worker(self, name: str) -> Process:
        """One more worker of the Celery engine, not started."""
        arguments = ["-m", "cli.main", "worker", "--name", name]
        return Process(name, arguments, self.environment, self.folder, niceness=WORKERS_NICENESS)

    async def model(self, **behaviour: Any) -> None:
        await _put(f"{self.sandbox_url}/anthropic/sandbox/behaviour", behaviour)

    async def platform(self, **behaviour: Any) -> None:
        platform = self.collector().platform
        await _put(f"{self.sandbox_url}/{platform}/sandbox/behaviour", {"statuses": STATUSES} | behaviour)

    async def tasks(self, **behaviour: Any) -> None:
        """How the stand-in of Cloud Tasks behaves from now on."""
        await _put(f"{self.tasks_url}/sandbox/behaviour", behaviour)


async def warmed(installation: Installation) -> None:
    """Return when the workers work: a message got its reply. Documents and prices have been read then."""
    await installation.traffic("9999999").drive(Load(messages=10, people=10, rate=None, duplicates=0))
    collector = installation.collector()
    ends = time.monotonic() + START_SECONDS
    while len(collector.replies) < 10:
        if time.monotonic() > ends:
            raise TimeoutError(f"no worker works\n{installation.workers[0].tail()}")
        await collector.look()
        await asyncio.sleep(0.1)


async def drive(installation: Installation, load: Load, *, await_seconds: float = 60) -> Outcome:
    """Send the load as `prosa load` does, over all webhooks in turn, and wait for the replies."""
    return await run(
        load,
        urls=installation.urls,
        secret=SECRET,
        phone_number_id=PHONE_NUMBER_ID,
        sandbox_url=installation.sandbox_url,
        await_seconds=await_seconds,
    )


async def _put(url: str, behaviour: Mapping[str, Any]) -> None:
    async with httpx.AsyncClient() as client:
        (await client.put(url, json=dict(behaviour))).raise_for_status()


@asynccontextmanager
async def installed(
    engine: EngineName,
    folder: Path,
    *,
    workers: int = 2,
    webhooks: int = 1,
    proxied: bool = False,
    environment: Mapping[str, str] | None = None,
    channel: ChannelName = ChannelName.WHATSAPP,
) -> AsyncIterator[Installation]:
    """Start everything of an engine and leave nothing running behind.

    `proxied` puts a proxy before its store, `environment` adds to the settings of its processes, `channel` is
    where its traffic comes from. Several webhooks are
    for the Celery engine; the sandbox posts to the first one.
    """
    async with AsyncExitStack() as stack:
        builder = _Builder(engine, folder, stack, proxied, environment or {})
        await builder.sandbox()
        installation = await builder.build(workers, webhooks)
        stack.callback(installation.kill)
        installation.channel = channel
        await installation.platform()
        yield installation


class _Builder:
    def __init__(
        self,
        engine: EngineName,
        folder: Path,
        stack: AsyncExitStack,
        proxied: bool,
        environment: Mapping[str, str],
    ) -> None:
        self._engine, self._folder, self._stack, self._proxied = engine, folder, stack, proxied
        port, self._sandbox_port = free_port(), free_port()
        self.url, self.sandbox_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{self._sandbox_port}"
        self._environment = {
            "PROSA_ENGINE": engine,
            "PORT": str(port),
            "PROSA_DATA_DIR": str(folder),
            "PROSA_LOG_LEVEL": "WARNING",
            "PROSA_QUIET_WINDOW_S": "0",
            "PROSA_PROMPTS_KEPT_HOURS": "0",
            "ANTHROPIC_API_KEY": "sandbox",
            "ANTHROPIC_BASE_URL": f"{self.sandbox_url}/anthropic",
            "WHATSAPP_APP_SECRET": SECRET,
            "WHATSAPP_VERIFY_TOKEN": "verify",
            "WHATSAPP_MESSAGES_PER_SECOND": "1000",
            "WHATSAPP_ACCESS_TOKEN": "sandbox",
            "WHATSAPP_PHONE_NUMBER_ID": PHONE_NUMBER_ID,
            "WHATSAPP_API_URL": f"{self.sandbox_url}/graph/v26.0",
            "TELEGRAM_BOT_TOKEN": f"1000001:{SECRET}",
            "TELEGRAM_SECRET_TOKEN": SECRET,
            "TELEGRAM_API_URL": f"{self.sandbox_url}/telegram",
            "SLACK_SIGNING_SECRET": SECRET,
            "SLACK_BOT_TOKEN": f"xoxb-{SECRET}",
            "SLACK_API_URL": f"{self.sandbox_url}/slack/api",
            "MESSENGER_APP_SECRET": SECRET,
            "MESSENGER_VERIFY_TOKEN": "verify",
            "MESSENGER_ACCESS_TOKEN": SECRET,
            "MESSENGER_API_URL": f"{self.sandbox_url}/messenger/v26.0",
            "INSTAGRAM_APP_SECRET": SECRET,
            "INSTAGRAM_VERIFY_TOKEN": "verify",
            "INSTAGRAM_ACCESS_TOKEN": SECRET,
            "INSTAGRAM_API_URL": f"{self.sandbox_url}/instagram/v26.0",
            "CHATWOOT_URL": f"{self.sandbox_url}/chatwoot",
            "CHATWOOT_TOKEN": SECRET,
            "CHATWOOT_ACCOUNT_ID": "1",
            **environment,
        }

    async def sandbox(self) -> None:
        webhook = f"{self.url}/webhooks/whatsapp"
        arguments = ["--port", str(self._sandbox_port), "--webhook-url", webhook, "--app-secret", SECRET]
        self._sandbox = await self._started("sandbox", ["-m", "sandbox", *arguments], f"{self.sandbox_url}/healthz")

    async def build(self, workers: int, webhooks: int) -> Installation:
        match self._engine:
            case "embedded":
                return await self._embedded()
            case "celery":
                return await self._celery(workers, webhooks)
            case "cloud_tasks":
                return await self._cloud_tasks()

    async def _embedded(self) -> Installation:
        process = await self._started("run", ["-m", "cli.main", "run"], f"{self.url}/healthz")
        return self._installation({}, webhooks=[process], workers=[process])

    async def _celery(self, workers: int, webhooks: int) -> Installation:
        redis = self._stack.enter_context(redis_server(self._folder))
        proxy = await self._proxy(redis.url.removeprefix("redis://").partition("/")[0])
        self._environment["REDIS_URL"] = f"redis://127.0.0.1:{proxy.port}/0" if proxy else redis.url
        first = await self._started("webhook", ["-m", "cli.main", "webhook"], f"{self.url}/healthz")
        installation = self._installation({"REDIS_URL": redis.url}, webhooks=[first], redis=redis, proxy=proxy)
        for number in range(1, webhooks):
            await self._add_webhook(installation, f"webhook-{number}")
        for number in range(workers):
            worker = installation.worker(f"worker-{number}")
            self._stack.callback(worker.kill)
            worker.spawn()
            installation.workers.append(worker)
        installation.others.append(await self._started("beat", ["-m", "cli.main", "beat"]))
        return installation

    async def _add_webhook(self, installation: Installation, name: str) -> None:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        environment = self._environment | {"PORT": str(port)}
        webhook = Process(name, ["-m", "cli.main", "webhook"], environment, self._folder, health=f"{url}/healthz")
        self._stack.callback(webhook.kill)
        await webhook.start()
        installation.webhooks.append(webhook)
        installation.urls.append(url)

    async def _cloud_tasks(self) -> Installation:
        emulator = firestore_host()
        proxy = await self._proxy(emulator)
        ports = {name: free_port() for name in ("worker", "grpc", "http")}
        worker_url, tasks_url = f"http://127.0.0.1:{ports['worker']}", f"http://127.0.0.1:{ports['http']}"
        self._environment |= {
            "GOOGLE_CLOUD_PROJECT": f"load-{uuid.uuid4().hex[:8]}",
            "FIRESTORE_EMULATOR_HOST": f"127.0.0.1:{proxy.port}" if proxy else emulator,
            "PROSA_TASKS_QUEUE": QUEUE,
            "PROSA_TASKS_URL": f"{worker_url}/tasks/process",
            "PROSA_TASKS_SERVICE_ACCOUNT": ACCOUNT,
            "PROSA_TASKS_CERTS_URL": f"{tasks_url}/oauth2/v3/certs",
            "CLOUD_TASKS_EMULATOR_HOST": f"127.0.0.1:{ports['grpc']}",
        }
        arguments = ["--port", str(ports["grpc"]), "--http-port", str(ports["http"]), "--queue", QUEUE]
        double = await self._started("cloud-tasks", ["-m", "sandbox.cloud_tasks", *arguments], f"{tasks_url}/healthz")
        webhook = await self._started("webhook", ["-m", "cli.main", "webhook"], f"{self.url}/healthz")
        environment = self._environment | {"PORT": str(ports["worker"])}
        worker = Process(
            "tasks", ["-m", "cli.main", "tasks"], environment, self._folder, health=f"{worker_url}/healthz"
        )
        self._stack.callback(worker.kill)
        await worker.start()
        direct = {"FIRESTORE_EMULATOR_HOST": emulator}
        installation = self._installation(direct, webhooks=[webhook], workers=[worker], others=[double], proxy=proxy)
        installation.tasks_url = tasks_url
        # The client of Firestore reads this one from the environment of its process.
        patch = pytest.MonkeyPatch()
        patch.setenv("FIRESTORE_EMULATOR_HOST", emulator)
        self._stack.callback(patch.undo)
        return installation

    async def _proxy(self, address: str) -> Proxy | None:
        if not self._proxied:
            return None
        host, _, port = address.partition(":")
        proxy = Proxy(host, int(port))
        await proxy.open()
        self._stack.push_async_callback(proxy.close)
        return proxy

    async def _started(self, name: str, arguments: list[str], health: str = "") -> Process:
        process = Process(name, arguments, self._environment, self._folder, health=health)
        self._stack.callback(process.kill)
        await process.start()
        return process

    def _installation(self, direct: dict[str, str], **parts: Any) -> Installation:
        return Installation(
            engine=self._engine,
            folder=self._folder,
            urls=[self.url],
            sandbox_url=self.sandbox_url,
            environment=self._environment,
            settings=read_settings(self._environment | direct, env_file=None),
            sandbox=self._sandbox,
            **parts,
        )
