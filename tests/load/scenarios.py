"""What goes wrong, as data: for each engine how much traffic, and which faults how often."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from contracts.messages import ChannelName
from tests.load.installation import EngineName
from tests.load.platforms import CHATWOOT, INSTAGRAM


class Kind(StrEnum):
    """One thing that is done to a running installation."""

    KILL_WORKER = "kill_worker"
    PAUSE_WORKER = "pause_worker"
    KILL_WEBHOOK = "kill_webhook"
    KILL_REDIS = "kill_redis"
    STORE_OUTAGE = "store_outage"
    STORE_SILENCE = "store_silence"
    STORE_HALF_CLOSE = "store_half_close"
    FLUSH_BROKER = "flush_broker"


@dataclass(frozen=True)
class Fault:
    """`times` times, with between `pause` seconds in between, for `lasts` seconds where it is not over at once."""

    kind: Kind
    times: int
    pause: tuple[float, float] = (2.0, 6.0)
    lasts: tuple[float, float] = (0.0, 2.0)


@dataclass(frozen=True)
class Scenario:
    """One run. `seconds` is how long the traffic lasts, `model_ms` the median time of a model call."""

    engine: EngineName
    says: str
    faults: tuple[Fault, ...]
    messages: int
    people: int
    seconds: float
    workers: int = 2
    model_ms: float = 150.0
    tasks: dict[str, Any] = field(default_factory=dict)
    platform: dict[str, Any] = field(default_factory=dict)
    channel: ChannelName = ChannelName.WHATSAPP
    settle_seconds: float = 120.0

    @property
    def is_proxied(self) -> bool:
        kinds = {fault.kind for fault in self.faults}
        return bool(kinds & {Kind.STORE_OUTAGE, Kind.STORE_SILENCE, Kind.STORE_HALF_CLOSE})


# Code by which a platform asks to wait; web chat has no platform.
THROTTLED = {
    ChannelName.TELEGRAM: 429,
    ChannelName.SLACK: 429,
    ChannelName.MESSENGER: 613,
    INSTAGRAM: 613,
    CHATWOOT: 429,
    ChannelName.WEB: None,
}
# Kills hit sends, which take their time; of the others some are refused for now, or taken and not answered.
FAILING: dict[str, Any] = {
    "latency": {"median_ms": 150, "sigma": 0.5},
    "unavailable": 0.02,
    "server_error_page": 0.02,
    "cut_after_accepting": 0.02,
}

FULL: dict[str, Scenario] = {
    "celery-workers-killed": Scenario(
        engine="celery",
        says="20 kill -9 of workers",
        faults=(Fault(Kind.KILL_WORKER, 20, pause=(6.0, 12.0)),),
        messages=10_000,
        people=500,
        seconds=200,
    ),
    "celery-redis-killed": Scenario(
        engine="celery",
        says="kill -9 of Redis, AOF with appendfsync always",
        faults=(Fault(Kind.KILL_REDIS, 8, pause=(6.0, 10.0), lasts=(0.0, 1.0)),),
        messages=4_000,
        people=200,
        seconds=90,
    ),
    "celery-workers-paused": Scenario(
        engine="celery",
        says="SIGSTOP of a worker for 3 s, past its leases",
        faults=(Fault(Kind.PAUSE_WORKER, 12, pause=(2.0, 5.0), lasts=(3.0, 3.0)),),
        messages=4_000,
        people=200,
        seconds=90,
    ),
    "celery-store-outages": Scenario(
        engine="celery",
        says="Redis away for 0-2 s: reset, silent, or closed in one direction",
        faults=(
            Fault(Kind.STORE_OUTAGE, 8, pause=(4.0, 8.0)),
            Fault(Kind.STORE_SILENCE, 6, pause=(5.0, 10.0)),
            Fault(Kind.STORE_HALF_CLOSE, 6, pause=(5.0, 10.0)),
        ),
        messages=4_000,
        people=200,
        seconds=90,
    ),
    "celery-webhook-killed": Scenario(
        engine="celery",
        says="kill -9 of the webhook",
        faults=(Fault(Kind.KILL_WEBHOOK, 12, pause=(2.0, 5.0)),),
        messages=4_000,
        people=200,
        seconds=90,
    ),
    "celery-broker-flushed": Scenario(
        engine="celery",
        says="the broker's queues deleted: every wake-up in them is lost",
        faults=(Fault(Kind.FLUSH_BROKER, 60, pause=(0.2, 1.0)),),
        messages=4_000,
        people=200,
        seconds=60,
    ),
    "celery-everything": Scenario(
        engine="celery",
        says="workers, Redis and the webhook killed, workers paused",
        faults=(
            Fault(Kind.KILL_WORKER, 6, pause=(8.0, 14.0)),
            Fault(Kind.KILL_REDIS, 3, pause=(15.0, 25.0), lasts=(0.0, 1.0)),
            Fault(Kind.KILL_WEBHOOK, 4, pause=(12.0, 20.0)),
            Fault(Kind.PAUSE_WORKER, 4, pause=(12.0, 20.0), lasts=(3.0, 3.0)),
        ),
        messages=4_000,
        people=200,
        seconds=90,
    ),
    "embedded-killed": Scenario(
        engine="embedded",
        says="20 kill -9 of the one process, SQLite",
        faults=(Fault(Kind.KILL_WORKER, 20, pause=(1.5, 3.0)),),
        messages=2_000,
        people=100,
        seconds=80,
        model_ms=0.0,
    ),
    **{
        f"{name}-killed": Scenario(
            engine="embedded",
            says=f"20 kill -9 of the one process on {name}, whose answers take 150 ms; it fails and cuts now and then",
            faults=(Fault(Kind.KILL_WORKER, 20, pause=(1.5, 3.0)),),
            messages=2_000,
            people=100,
            seconds=80,
            model_ms=0.0,
            platform=FAILING | {"error_rates": {throttled: 0.02}} if throttled else {},
            channel=name,
        )
        for name, throttled in THROTTLED.items()
    },
    "tasks-workers-killed": Scenario(
        engine="cloud_tasks",
        says="kill -9 of the worker; deliveries lost, doubled and reordered",
        # More than the emulator keeps up with on two cores: what waits is answered when the last message has come.
        faults=(Fault(Kind.KILL_WORKER, 20, pause=(30.0, 45.0)),),
        messages=10_000,
        people=500,
        seconds=840,
        settle_seconds=600,
        tasks={"dropped": 0.05, "doubled": 0.1, "held_back": 0.2, "held_back_ms": 500, "create_failed": 0.05},
    ),
    "tasks-workers-paused": Scenario(
        engine="cloud_tasks",
        says="SIGSTOP of the worker for 3 s, past its leases",
        faults=(Fault(Kind.PAUSE_WORKER, 12, pause=(4.0, 8.0), lasts=(3.0, 3.0)),),
        messages=2_000,
        people=100,
        seconds=120,
    ),
    "tasks-store-outages": Scenario(
        engine="cloud_tasks",
        says="Firestore away for 0-2 s",
        faults=(
            Fault(Kind.STORE_OUTAGE, 8, pause=(5.0, 9.0)),
            Fault(Kind.STORE_SILENCE, 4, pause=(8.0, 14.0)),
        ),
        messages=2_000,
        people=100,
        seconds=120,
        settle_seconds=180,
    ),
}


def _short(name: str, *, messages: int, people: int, seconds: float, times: dict[Kind, int]) -> Scenario:
    full = FULL[name]
    faults = tuple(
        replace(fault, times=times[fault.kind], pause=(1.5, 3.0)) for fault in full.faults if fault.kind in times
    )
    return replace(full, messages=messages, people=people, seconds=seconds, faults=faults)


# For every day: the same faults, fewer times.
SHORT: dict[str, Scenario] = {
    "celery-workers-killed": _short(
        "celery-workers-killed", messages=600, people=60, seconds=14, times={Kind.KILL_WORKER: 4}
    ),
    "celery-redis-killed": _short(
        "celery-redis-killed", messages=400, people=40, seconds=10, times={Kind.KILL_REDIS: 3}
    ),
    "celery-workers-paused": _short(
        "celery-workers-paused", messages=400, people=40, seconds=10, times={Kind.PAUSE_WORKER: 2}
    ),
    "celery-store-outages": _short(
        "celery-store-outages",
        messages=400,
        people=40,
        seconds=12,
        times={Kind.STORE_OUTAGE: 3, Kind.STORE_SILENCE: 2, Kind.STORE_HALF_CLOSE: 2},
    ),
    "celery-webhook-killed": _short(
        "celery-webhook-killed", messages=400, people=40, seconds=10, times={Kind.KILL_WEBHOOK: 3}
    ),
    "embedded-killed": _short("embedded-killed", messages=600, people=60, seconds=14, times={Kind.KILL_WORKER: 6}),
    **{
        f"{name}-killed": _short(f"{name}-killed", messages=300, people=60, seconds=12, times={Kind.KILL_WORKER: 4})
        for name in THROTTLED
    },
    "tasks-workers-killed": _short(
        "tasks-workers-killed", messages=200, people=40, seconds=12, times={Kind.KILL_WORKER: 3}
    ),
    "tasks-workers-paused": _short(
        "tasks-workers-paused", messages=200, people=40, seconds=12, times={Kind.PAUSE_WORKER: 2}
    ),
    "tasks-store-outages": _short(
        "tasks-store-outages",
        messages=200,
        people=40,
        seconds=12,
        times={Kind.STORE_OUTAGE: 3, Kind.STORE_SILENCE: 1},
    ),
}
