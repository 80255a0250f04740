"""Settings become an engine, once; here alone the engine meets its adapters."""

import gc
import random
import secrets
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from adapters.channels.registry import open_channels
from adapters.clock import NoFaults, SystemClock
from adapters.models.absent import AbsentModel
from adapters.models.deferred import DeferredModel
from context.consent import OptOutWords
from context.constraints import Gate
from context.institution_source import InstitutionSource
from contracts.errors import ConfigurationError
from contracts.institution import Institution
from contracts.ports import Callback, Clock, Embedder, Faults, LanguageModel
from contracts.settings import Settings
from flags.experiments.recorder import Recorder, recording
from flags.file import read_flag_file
from flags.runtime import open_flags
from fsm.machine import ConversationMachine
from fsm.static_check import problems
from prompts.caching.answers import AnswerCache
from prompts.caching.questions import CachePolicy
from prompts.execution.batching import GroupedEmbedder, GroupedModel
from prompts.execution.breaker import Breakers
from prompts.execution.executor import Executor
from prompts.execution.hooks import PromptCacheWatch, bending, count
from prompts.execution.spans import PROVIDERS
from prompts.execution.strategies import Strategies, Strategy, TaskModels
from prompts.pricing.budget import Ceilings, Meter
from prompts.pricing.prices import SELLERS, PriceBook, load_prices
from prompts.prompter import Prompter
from prompts.tasks.analyses import Analyst
from prompts.templating.registry import PromptRegistry
from prompts.templating.versions import PromptVersions, versions_for
from reports.budget import Exchange
from reports.ledger import Ledger, kept
from worker.backends import Backend, open_answers, open_backend, required
from worker.dependencies import Dependencies, DrainLimits, Rulebook
from worker.variants import FlagVariantAssigner, SettingsVariantAssigner, VariantAssigner

if TYPE_CHECKING:
    from adapters.models.anthropic import MessagesModel

# What each provider of the model needs beyond Prosa's own dependencies; the extras have the providers' names.
LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "anthropic": (),
    "vertex": ("google.auth", "requests"),
    "bedrock": ("boto3",),
}


class Rulebooks:
    """The institution as last loaded, with its gate; `reload` takes up edited documents or keeps what there was."""

    def __init__(self, source: InstitutionSource) -> None:
        self._source = source
        self._current = _rulebook(source.current)

    def current(self) -> Rulebook:
        return self._current

    def reload(self) -> Institution:
        """Read the documents again.

        Raises:
            InstitutionError: they have problems; the old ones stay in force.
        """
        self._current = _rulebook(self._source.reload())
        return self._current.institution


@dataclass(frozen=True)
class Engine:
    """A worker ready to drain."""

    deps: Dependencies
    rulebooks: Rulebooks


@asynccontextmanager
async def open_engine(
    settings: Settings,
    backend: Backend,
    *,
    clock: Clock | None = None,
    faults: Faults | None = None,
    model: LanguageModel | None = None,
    flagged: bool = True,
    limits: DrainLimits | None = None,
) -> AsyncIterator[Engine]:
    """Build the worker's side; `flagged` with flags and experiments.

    Raises:
        ConfigurationError: documents, templates, table or settings do not hold together; the text says which.
    """
    if unsound := problems():
        raise ConfigurationError(f"the state table is unsound: {'; '.join(unsound)}")
    async with AsyncExitStack() as stack:
        yield await _opened(
            settings, backend, stack, clock or SystemClock(), faults or NoFaults(), model, flagged, limits
        )


async def _opened(
    settings: Settings,
    backend: Backend,
    stack: AsyncExitStack,
    clock: Clock,
    faults: Faults,
    model: LanguageModel | None,
    flagged: bool,
    limits: DrainLimits | None,
) -> Engine:
    """The engine; what has to be closed goes on the stack."""
    rulebooks = Rulebooks(InstitutionSource(settings.institution))
    deferred = None if model else _deferred_model(settings)
    model = model or deferred
    assert model is not None  # noqa: S101 - one of them is
    stack.push_async_callback(model.close)
    channels = open_channels(settings, backend.events)
    for channel in channels.values():
        stack.push_async_callback(channel.close)
    callback = _callback(settings)
    if callback is not None:
        stack.push_async_callback(callback.close)
    meter = make_meter(settings, clock)
    cache = await stack.enter_async_context(_answer_cache(settings, clock))
    executor = make_executor(settings, model, meter, cache, GroupedModel(model, monotonic=time.monotonic))
    versions = versions_for(
        PromptRegistry.read(), choice=settings.use_templates, structured=settings.use_structured_templates
    )
    prompter = make_prompter(settings, executor, versions)
    # Shards of the ledger belong to one process: its name must be one that no other has.
    writer = secrets.token_hex(6)
    language = rulebooks.current().institution.language
    tuner = await stack.enter_async_context(
        _flag_tuner(settings, backend, clock, prompter, writer, language)
        if flagged
        else _settings_tuner(settings, backend, clock, prompter, writer)
    )
    ledger = Ledger(backend.store.records, writer=writer, clock=clock)
    await stack.enter_async_context(
        kept(ledger, Exchange(backend.store.records, meter.day, writer=writer, clock=clock))
    )
    deps = Dependencies(
        inbox=backend.inbox,
        store=backend.store,
        channels=channels,
        prompter=prompter,
        tuner=tuner,
        analyst=Analyst(executor, versions, settings.model_analysis, monotonic=time.monotonic),
        machine=ConversationMachine(),
        rulebook=rulebooks.current,
        events=backend.events,
        clock=clock,
        monotonic=time.monotonic,
        chance=random.random,
        faults=faults,
        ledger=ledger,
        drain_limits=limits or DrainLimits(),
        retention=timedelta(days=settings.retention_days),
        listening_since=clock.now(),
        callback=callback,
    )
    if deferred is not None:
        await deferred.ready()
    return Engine(deps, rulebooks)


@asynccontextmanager
async def open_operations(settings: Settings) -> AsyncIterator[Dependencies]:
    """What an operator's command needs: the backend and the table, and a model that is not there to be asked."""
    async with (
        open_backend(settings) as backend,
        open_engine(settings, backend, model=AbsentModel(), flagged=False) as engine,
    ):
        yield engine.deps


def make_meter(settings: Settings, clock: Clock) -> Meter:
    return Meter(
        PriceBook(SELLERS[settings.model_provider]),
        now=clock.now,
        ceilings=Ceilings(
            turn=settings.budget_turn_usd,
            conversation=settings.budget_conversation_usd,
            day=settings.budget_day_usd,
        ),
        economy_model=settings.model_economy or settings.model_fallback,
        zone=settings.zone,
    )


def make_executor(
    settings: Settings,
    model: LanguageModel,
    meter: Meter,
    cache: AnswerCache | None = None,
    grouped: LanguageModel | None = None,
) -> Executor:
    strategies = Strategies(
        economy_model=settings.model_economy or settings.model_fallback, quality_model=settings.model_quality
    )
    return Executor(
        model,
        fallback_model=settings.model_fallback,
        meter=meter,
        monotonic=time.monotonic,
        chance=random.random,
        breakers=Breakers(monotonic=time.monotonic),
        cache=cache,
        grouped=grouped,
        before=[bending(strategies)],
        after=[count, PromptCacheWatch()],
        provider=PROVIDERS[settings.model_provider],
    )


def make_prompter(settings: Settings, executor: Executor, versions: PromptVersions) -> Prompter:
    models = TaskModels(
        state=settings.model_state, response=settings.model_response, message_type=settings.model_message_type
    )
    return Prompter(
        executor,
        versions,
        models,
        call_timeout=settings.model_timeout,
        turn_budget=settings.turn_budget,
        monotonic=time.monotonic,
        strategy=Strategy(settings.strategy),
        cache_policy=_cache_policy(settings),
        uses_cache=settings.use_cache,
        uses_batching=settings.use_batching,
    )


def _may_cache(settings: Settings) -> bool:
    """A flag may turn the cache on for some, unless it is switched off for all."""
    return settings.use_cache or "PROMPTER_USE_CACHE" not in settings.prompter_switches


def _cache_policy(settings: Settings) -> CachePolicy | None:
    if not _may_cache(settings):
        return None
    return CachePolicy(
        semantic_tasks=settings.semantic_tasks,
        template=settings.cache_template,
        embedder=settings.embedder if settings.semantic_tasks else None,
    )


@asynccontextmanager
async def _settings_tuner(
    settings: Settings, backend: Backend, clock: Clock, prompter: Prompter, writer: str
) -> AsyncIterator[VariantAssigner]:
    recorder = Recorder(backend.store.records, writer=writer, salt=settings.id_salt.get_secret_value(), clock=clock)
    async with recording(recorder):
        yield SettingsVariantAssigner(prompter, recorder)


@asynccontextmanager
async def _flag_tuner(
    settings: Settings, backend: Backend, clock: Clock, prompter: Prompter, writer: str, language: str
) -> AsyncIterator[VariantAssigner]:
    switches = settings.prompter_switches
    if settings.flags_file is not None:
        # While it is edited later, one with mistakes leaves the earlier flags in force; one to begin with has none.
        read_flag_file(settings.flags_file)
    async with open_flags(
        backend.store.records,
        backend.events,
        clock,
        writer=writer,
        salt=settings.id_salt.get_secret_value(),
        said=switches,
        file=settings.flags_file,
    ) as flags:
        asks_prompts = settings.use_templates and "PROMPTER_USE_STRUCTURED_TEMPLATES" not in switches
        yield FlagVariantAssigner(prompter, flags.recorder, flags.resolver, language, asks_prompts)


@asynccontextmanager
async def _answer_cache(settings: Settings, clock: Clock) -> AsyncIterator[AnswerCache | None]:
    if not _may_cache(settings):
        yield None
        return
    async with open_answers(settings) as answers, _embedder(settings) as embedder:
        cache = AnswerCache(
            answers, now=clock.now, chance=random.random, embedder=embedder, sample=settings.cache_sample
        )
        try:
            yield cache
        finally:
            await cache.close()


@asynccontextmanager
async def _embedder(settings: Settings) -> AsyncIterator[Embedder | None]:
    """One pass for the texts of many callers; None where no task has a semantic level."""
    if not settings.semantic_tasks:
        yield None
        return
    with required("The semantic level of the cache", "make semantic"):
        from adapters.models.onnx_embedder import load_embedder

    embedder = GroupedEmbedder(load_embedder(settings.embedder))
    try:
        yield embedder
    finally:
        await embedder.close()


def _rulebook(institution: Institution) -> Rulebook:
    return Rulebook(institution=institution, gate=Gate(institution), consent=OptOutWords(institution))


def _deferred_model(settings: Settings) -> DeferredModel:
    """The model, whose SDK is imported in the background: it takes as long as everything else of a start.

    Raises:
        ConfigurationError: there is no key, or a library of the provider is not installed.
    """
    check_model(settings)
    return DeferredModel(partial(_loaded_model, settings))


def check_model(settings: Settings) -> None:
    """Find out, without importing anything, whether `make_model` can make a model.

    Raises:
        ConfigurationError: there is no key, or a library of the provider is not installed.
    """
    if settings.uses_sandbox_model:
        raise ConfigurationError("no model: set ANTHROPIC_API_KEY, or use a command that starts the sandbox")
    provider = settings.model_provider
    with required(
        f"PROSA_MODEL_PROVIDER={provider}", f"uv sync --extra {provider}, or pip install 'prosa[{provider}]'"
    ):
        for library in LIBRARIES[provider]:
            if find_spec(library) is None:
                raise ModuleNotFoundError(name=library)


def _loaded_model(settings: Settings) -> LanguageModel:
    is_first = "anthropic" not in sys.modules
    model = make_model(settings)
    load_prices(SELLERS[settings.model_provider])
    if is_first:
        # What was imported after the start stays as long: out of the collector's sight (`adapters/event_loop.py`).
        gc.freeze()
    return model


def make_model(settings: Settings) -> "MessagesModel":
    """The model of the provider that the settings name; importing its SDK takes most of a second."""
    output = settings.structured_output
    if settings.model_provider == "vertex":
        from adapters.models.vertex import VertexModel

        project, region = settings.google_cloud_project, settings.cloud_ml_region
        assert project is not None and region is not None  # noqa: S101, PT018 - the settings were checked for them
        return VertexModel(project=project, region=region, base_url=settings.vertex_base_url, output=output)
    if settings.model_provider == "bedrock":
        from adapters.models.bedrock import BedrockModel

        key = settings.bedrock_api_key
        assert settings.aws_region is not None  # noqa: S101 - the settings were checked for it
        return BedrockModel(
            region=settings.aws_region,
            api_key=key.get_secret_value() if key else None,
            base_url=settings.bedrock_base_url,
            output=output,
        )
    from adapters.models.anthropic import AnthropicModel

    assert settings.anthropic_api_key is not None  # noqa: S101 - it was checked
    return AnthropicModel(
        api_key=settings.anthropic_api_key.get_secret_value(), base_url=settings.anthropic_base_url, output=output
    )


def _callback(settings: Settings) -> Callback | None:
    if settings.analysis_callback_url is None or settings.analysis_callback_secret is None:
        return None
    # Its client takes long to import: only a process that uses it waits for it.
    from adapters.http.callbacks import HttpCallback

    secret = settings.analysis_callback_secret.get_secret_value()
    return HttpCallback(settings.analysis_callback_url, secret=secret)
