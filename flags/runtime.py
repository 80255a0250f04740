"""Flags and experiments of a process that answers people, opened together and refreshed in the background."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.provider import FeatureProvider
from openfeature.track import TrackingEventDetails

from contracts.ports import Clock, Events, Records
from flags.cache import Cache, Source, kept_fresh
from flags.definitions import EVENT_NAME
from flags.evaluation import CompiledFlag, Evaluator
from flags.experiments.canary import LOOK_AT_EXPERIMENTS_EVERY, LOOK_EVERY, CanaryWatch, ExperimentWatch, watching
from flags.experiments.recorder import Recorder, recording
from flags.experiments.store import ExperimentStore
from flags.file import FileSource
from flags.provider import ProsaProvider, SwitchedProvider, Tracker, provided
from flags.resolver import Resolver
from flags.store import FlagStore
from flags.switches import kills_of
from observability.metrics import EXPERIMENT_EVENTS

_UNUSABLE = EXPERIMENT_EVENTS.labels(outcome="unusable")


@dataclass(frozen=True)
class FlagRuntime:
    """`client` evaluates flags, `resolver` experiments before flags; `recorder` takes exposures and events."""

    client: OpenFeatureClient
    resolver: Resolver
    recorder: Recorder


@asynccontextmanager
async def open_flags(
    store: Records,
    events: Events,
    clock: Clock,
    *,
    writer: str,
    salt: str,
    said: Mapping[str, bool],
    file: Path | None = None,
    provider: FeatureProvider | None = None,
) -> AsyncIterator[FlagRuntime]:
    """Open also when the store is unavailable: until it can be read, every value is the caller's default.

    Args:
        writer: a name that no other process has; also the client's domain, so that processes do not mix.
        salt: seeds the pseudonyms of persons; the same in all processes.
        said: the `PROMPTER_USE_*` that were set.
        file: the flags' file, instead of the store.
        provider: another OpenFeature provider, instead of Prosa's.
    """
    kills = kills_of(said)
    flag_store = FlagStore(store, events, clock)
    source: Source[CompiledFlag] = FileSource(file) if file else flag_store
    experiment_store = ExperimentStore(store, events, clock)
    flags, experiments = Cache(source), Cache(experiment_store)
    recorder = Recorder(store, writer=writer, salt=salt, clock=clock)
    # The flags of another provider are unknown until they are evaluated.
    has_flag = (lambda key: flags.get(key) is not None) if provider is None else (lambda _: True)
    resolver = Resolver(api.get_client(writer), experiments, kills, has_flag=has_flag)
    asked = provider or ProsaProvider(Evaluator(flags, now=clock.now))
    ours = SwitchedProvider(asked, kills, tracker(resolver, recorder))
    async with (
        kept_fresh(events, flags, experiments),
        provided(ours, domain=writer) as client,
        recording(recorder),
        watching(CanaryWatch(store, flag_store, clock), every=LOOK_EVERY),
        watching(ExperimentWatch(experiment_store), every=LOOK_AT_EXPERIMENTS_EVERY),
    ):
        yield FlagRuntime(client, resolver, recorder)


def tracker(resolver: Resolver, recorder: Recorder) -> Tracker:
    """Return the handler of `client.track(name, context, details)`; without a value an event counts as 1.

    It neither waits nor raises: an event without a targeting key, or with a name that no metric can have, is counted as
    unusable. Events of persons before their exposure are recorded and left out of every report.
    """

    def track(name: str, context: EvaluationContext | None, details: TrackingEventDetails | None) -> None:
        if context is None or not context.targeting_key or not re.fullmatch(EVENT_NAME, name):
            _UNUSABLE.inc()
            return
        value = 1.0 if details is None or details.value is None else float(details.value)
        recorder.note(resolver.arms(context), context.targeting_key, name, value)

    return track
