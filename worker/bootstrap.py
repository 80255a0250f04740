"""Engine of a worker process, built from the settings once: here the engine meets its adapters."""

import gc
import random
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.channels.registry import open_channels
from adapters.clock import NoFaults, SystemClock
from adapters.speech.service import CheckedTranscriber
from context.guardrails.floor import Floor
from context.publishing import InstitutionSource
from contracts.errors import ConfigurationError
from contracts.institution import Institution
from contracts.media import MediaLimits, SpeechSynthesizer, Transcriber
from contracts.messages import ChannelName
from contracts.ports import Callback, Channel, Clock, Embedder, Faults, LanguageModel
from contracts.settings import Settings
from flags.experiments.recorder import Recorder, recording
from flags.file import read_flag_file
from flags.runtime import open_flags
from fsm.machine import ConversationMachine
from fsm.static_check import problems
from observability.metrics import expect_tasks
from prompts.caching.answers import AnswerCache
from prompts.caching.questions import CachePolicy
from prompts.execution.batching import GroupedEmbedder
from prompts.execution.executor import Executor, PromptCacheWatch, Strategies, Strategy
from prompts.execution.policies import PROVIDERS, AbsentModel, Breakers, DeferredModel, compose
from prompts.pricing.budget import Ceilings, Meter
from prompts.pricing.prices import SELLERS, ZERO, PriceBook, load_prices
from prompts.prompter import Prompter
from prompts.tasks.analyses import Analyst
from prompts.tasks.registry import TASKS
from prompts.templating.registry import PromptRegistry, PromptVersions, versions_for
from reports.budget import BudgetSync
from reports.ledger import Ledger, kept
from worker.backends import Backend, open_answers, open_backend, required
from worker.dependencies import (
    AnalysisDependencies,
    DrainDependencies,
    DrainLimits,
    NotedAnalyses,
    OperatorDependencies,
    OutboxDependencies,
    Rulebook,
    SweepDependencies,
    TurnDependencies,
)
from worker.media import MediaPolicy, MediaReader
from worker.people.notices import NO_NOTICES, Notices
from worker.people.operators import ConversationOperators
from worker.people.threads import Threads
from worker.replies.speech import SpokenReplies
from worker.routing import AgePolicy, ConsentWords
from worker.scheduling.limiter import AttemptRefunds, Limiter, PoisonIsolation
from worker.scheduling.quiet import QuietWindows
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
    """The institution in force, with its gate; at first as the documents say it."""

    def __init__(self, source: InstitutionSource, instructions: Sequence[str] = ()) -> None:
        self._source, self._instructions = source, instructions
        self._current = self._rulebook(source.current)

    def current(self) -> Rulebook:
        return self._current

    def read(self) -> Institution:
        """Read the documents again; what is in force stays so until `take_up`.

        Raises:
            InstitutionError: they have problems.
        """
        return self._source.reload()

    def take_up(self, institution: Institution) -> None:
        if institution.version != self._current.institution.version:
            self._current = self._rulebook(institution)

    def _rulebook(self, institution: Institution) -> Rulebook:
        floor = Floor(institution, self._instructions)
        return Rulebook(institution=institution, floor=floor, consent=ConsentWords(institution))


@dataclass(frozen=True)
class Engine:
    """A worker ready to drain: what each of its parts works with."""

    turn: TurnDependencies
    outbox: OutboxDependencies
    drain: DrainDependencies
    operators: OperatorDependencies
    analyses: AnalysisDependencies
    sweep: SweepDependencies
    rulebooks: Rulebooks


@asynccontextmanager
async def open_engine(
    settings: Settings,
    backend: Backend,
    *,
    clock: Clock | None = None,
    faults: Faults | None = None,
    model: LanguageModel | None = None,
    around: Callable[[LanguageModel], LanguageModel] | None = None,
    channels: Mapping[ChannelName, Channel] | None = None,
    flagged: bool = True,
    limits: DrainLimits | None = None,
) -> AsyncIterator[Engine]:
    """Build the worker's side; `flagged` with flags and experiments. What is not given is built from the settings.

    `around` puts a model of its own around the one that is asked.

    Raises:
        ConfigurationError: documents, templates, table or settings do not hold together; the text says which.
    """
    if unsound := problems():
        raise ConfigurationError(f"the state table is unsound: {'; '.join(unsound)}")
    async with AsyncExitStack() as stack:
        clock = clock or SystemClock()
        templates = PromptRegistry.read(own=settings.templates)
        rulebooks = Rulebooks(InstitutionSource(settings.institution), templates.wording())

        deferred = None
        if model is None:
            check_model(settings)
            # Its SDK is imported in the background, which takes as long as everything else of a start.
            model = deferred = DeferredModel(partial(_loaded_model, settings))
        model = around(model) if around else model
        stack.push_async_callback(model.close)
        channels = channels or open_channels(settings, backend.events)
        callback, transcriber, synthesizer = (
            _callback(settings),
            make_transcriber(settings),
            make_synthesizer(settings),
        )
        for part in (*channels.values(), callback, transcriber, synthesizer):
            if part is not None:
                stack.push_async_callback(part.close)
        speech = SpokenReplies(synthesizer, lambda: rulebooks.current().institution.language) if synthesizer else None

        meter = make_meter(settings, clock)
        cache = await stack.enter_async_context(_answer_cache(settings, clock))
        executor = make_executor(settings, model, meter, cache)
        versions = versions_for(templates, choice=settings.use_templates, structured=settings.use_structured_templates)
        prompter = make_prompter(settings, executor, versions)

        # Shards of the ledger belong to one process: its name must be one that no other has.
        writer = secrets.token_hex(6)
        language = rulebooks.current().institution.language
        variants = await stack.enter_async_context(
            _variants(settings, backend, clock, prompter, writer, language, flagged=flagged)
        )
        ledger = Ledger(backend.store.records, writer=writer, clock=clock, template_prices=settings.template_prices)
        await stack.enter_async_context(
            kept(ledger, BudgetSync(backend.store.records, meter.day, writer=writer, clock=clock))
        )
        engine = assemble(
            backend,
            rulebooks,
            channels=channels,
            prompter=prompter,
            variants=variants,
            analyst=Analyst(executor, versions, settings.model_analysis, monotonic=time.monotonic),
            ledger=ledger,
            clock=clock,
            faults=faults or NoFaults(),
            limits=limits or DrainLimits(),
            retention=timedelta(days=settings.retention_days),
            listening_since=clock.now(),
            callback=callback,
            id_salt=settings.id_salt.get_secret_value(),
            has_judge=settings.judge == "on",
            reviews_completed=settings.review_completed,
            notices=Notices.of(settings),
            ages=AgePolicy(*settings.late_ages),
            quiet=QuietWindows(settings.quiet_windows.get("", timedelta(0)), settings.quiet_windows),
            media=_media_reader(settings, backend, clock, meter, transcriber),
            speech=speech,
            prompts_kept=settings.prompts_kept,
            answers=cache,
        )
        if deferred is not None:
            await deferred.ready()
        yield engine


def assemble(
    backend: Backend,
    rulebooks: Rulebooks,
    *,
    channels: Mapping[ChannelName, Channel],
    prompter: Prompter,
    variants: VariantAssigner,
    analyst: Analyst,
    ledger: Ledger,
    clock: Clock,
    faults: Faults,
    limits: DrainLimits,
    retention: timedelta,
    listening_since: datetime,
    callback: Callback | None,
    id_salt: str,
    has_judge: bool = True,
    reviews_completed: bool = False,
    notices: Notices = NO_NOTICES,
    ages: AgePolicy | None = None,
    quiet: QuietWindows | None = None,
    media: MediaReader | None = None,
    speech: SpokenReplies | None = None,
    prompts_kept: timedelta = timedelta(0),
    answers: AnswerCache | None = None,
    monotonic: Callable[[], float] = time.monotonic,
    chance: Callable[[], float] = random.random,
) -> Engine:
    """Give each part of the worker what it works with; what they share is the same object in all of them."""
    inbox, store, rulebook = backend.inbox, backend.store, rulebooks.current
    machine, noted, refunds = ConversationMachine(), NotedAnalyses(), AttemptRefunds(inbox)
    threads = Threads(inbox, store, clock)
    limiter = Limiter(limits.at_once, monotonic=monotonic, chance=chance)
    turn = TurnDependencies(
        inbox=inbox,
        store=store,
        channels=channels,
        prompter=prompter,
        variants=variants,
        machine=machine,
        rulebook=rulebook,
        events=backend.events,
        ledger=ledger,
        analyses=noted,
        reviews_completed=reviews_completed,
        threads=threads,
        clock=clock,
        monotonic=monotonic,
        faults=faults,
        has_judge=has_judge,
        notices=notices,
        ages=ages or AgePolicy(),
        media=media,
        may_speak=speech is not None,
        prompts_kept=prompts_kept,
    )
    outbox = OutboxDependencies(store, channels, ledger, clock, chance, faults, listening_since, speech=speech)

    async def institution() -> Institution:
        return rulebook().institution

    windows = {name: channel.reply_window for name, channel in channels.items()}
    taken = {name: channel.limits for name, channel in channels.items()}
    agents = ConversationOperators(store, machine, clock, institution, windows, notices, variants.observe, limits=taken)
    operators = OperatorDependencies(
        inbox, store, variants, machine, rulebook, ledger, threads, clock, faults, id_salt, agents, answers
    )
    analyses = AnalysisDependencies(store, analyst, rulebook, ledger, noted, clock, monotonic, chance, faults, callback)
    drain = DrainDependencies(
        inbox=inbox,
        turn=turn,
        outbox=outbox,
        operators=operators,
        limiter=limiter,
        isolation=PoisonIsolation(
            isolate_after=limits.isolate_after, attempts=limits.attempts, at_once=limits.isolated_at_once
        ),
        refunds=refunds,
        clock=clock,
        monotonic=monotonic,
        chance=chance,
        faults=faults,
        limits=limits,
        quiet=quiet or QuietWindows(),
    )
    sweep = SweepDependencies(inbox, store, operators, analyses, limiter, refunds, clock, monotonic, retention)
    return Engine(turn, outbox, drain, operators, analyses, sweep, rulebooks)


@asynccontextmanager
async def open_operations(settings: Settings) -> AsyncIterator[Engine]:
    """Open what an operator's command needs: the backend and the table, and a model that cannot be asked."""
    async with (
        open_backend(settings) as backend,
        open_engine(settings, backend, model=AbsentModel(), flagged=False) as engine,
    ):
        yield engine


def make_meter(settings: Settings, clock: Clock) -> Meter:
    return Meter(
        PriceBook(SELLERS[settings.model_provider]),
        now=clock.now,
        ceilings=Ceilings(
            turn=settings.budget_turn_usd,
            conversation=settings.budget_conversation_usd,
            day=settings.budget_day_usd,
            new_share=settings.budget_new_share,
        ),
        economy_model=settings.model_economy or settings.model_fallback,
        zone=settings.zone,
    )


def _media_reader(
    settings: Settings, backend: Backend, clock: Clock, meter: Meter, transcriber: Transcriber | None
) -> MediaReader | None:
    if settings.media == "off":
        return None
    limits = MediaLimits(
        max_bytes=settings.media_max_mb * 1024 * 1024, within=timedelta(seconds=settings.media_timeout_s)
    )
    price = settings.transcription_usd_per_minute
    if price is None and settings.transcriber == "local":
        price = ZERO
    policy = MediaPolicy(limits, per_turn=settings.media_per_turn, usd_per_minute=price)
    return MediaReader(backend.store, clock, meter, policy, monotonic=time.monotonic, transcriber=transcriber)


def make_executor(settings: Settings, model: LanguageModel, meter: Meter, cache: AnswerCache | None = None) -> Executor:
    strategies = Strategies(
        economy_model=settings.model_economy or settings.model_fallback, quality_model=settings.model_quality
    )
    policies = compose(
        model,
        meter=meter,
        breakers=Breakers(monotonic=time.monotonic),
        fallback_model=settings.model_fallback,
        monotonic=time.monotonic,
        chance=random.random,
        provider=PROVIDERS[settings.model_provider],
    )
    return Executor(
        policies,
        monotonic=time.monotonic,
        cache=cache,
        before=[strategies],
        after=[PromptCacheWatch()],
    )


def make_prompter(settings: Settings, executor: Executor, versions: PromptVersions) -> Prompter:
    models = {task.name: getattr(settings, task.model_setting) for task in TASKS}
    expect_tasks(models, settings.model_fallback)
    semantic = settings.semantic_tasks
    policy = CachePolicy(semantic, settings.cache_template, embedder=settings.embedder if semantic else None)
    return Prompter(
        executor,
        versions,
        models,
        call_timeout=settings.model_timeout,
        turn_budget=settings.turn_budget,
        monotonic=time.monotonic,
        strategy=Strategy(settings.strategy),
        cache_policy=policy if _may_cache(settings) else None,
        uses_cache=settings.use_cache,
        uses_batching=settings.use_batching,
    )


def _may_cache(settings: Settings) -> bool:
    """A flag may turn the cache on for some, unless it is switched off for all."""
    return settings.use_cache or "PROMPTER_USE_CACHE" not in settings.prompter_switches


@asynccontextmanager
async def _variants(
    settings: Settings, backend: Backend, clock: Clock, prompter: Prompter, writer: str, language: str, *, flagged: bool
) -> AsyncIterator[VariantAssigner]:
    salt, switches = settings.id_salt.get_secret_value(), settings.prompter_switches
    if not flagged:
        recorder = Recorder(backend.store.records, writer=writer, salt=salt, clock=clock)
        async with recording(recorder):
            yield SettingsVariantAssigner(prompter, recorder)
        return
    if settings.flags_file is not None:
        # While it is edited later, one with mistakes leaves the earlier flags in force; one to begin with has none.
        read_flag_file(settings.flags_file)
    async with open_flags(
        backend.store.records, backend.events, clock, writer=writer, salt=salt, said=switches, file=settings.flags_file
    ) as flags:
        yield FlagVariantAssigner(prompter, flags.recorder, flags.resolver, language)


@asynccontextmanager
async def _answer_cache(settings: Settings, clock: Clock) -> AsyncIterator[AnswerCache | None]:
    if not _may_cache(settings):
        yield None
        return
    async with open_answers(settings) as answers, AsyncExitStack() as stack:
        embedder: Embedder | None = None
        if settings.semantic_tasks:
            with required("The semantic level of the cache", "make semantic"):
                from adapters.models.onnx_embedder import load_embedder

            # It takes the texts of many callers in one pass.
            embedder = GroupedEmbedder(load_embedder(settings.embedder))
            stack.push_async_callback(embedder.close)
        cache = AnswerCache(
            answers,
            now=clock.now,
            chance=random.random,
            embedder=embedder,
            sample=settings.cache_sample,
            similarity=settings.cache_similarity,
        )
        stack.push_async_callback(cache.close)
        yield cache


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
    """Return the model of the settings' provider; importing its SDK takes most of a second."""
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


def make_transcriber(settings: Settings) -> Transcriber | None:
    """Return the recogniser of the settings; None: voice notes are not heard. A local one reads its model here.

    Raises:
        ConfigurationError: a library is not installed, or the folder has no model.
    """
    if settings.transcriber == "none":
        return None
    inner: Transcriber
    name, model = settings.transcriber, settings.transcriber_model
    within, key = timedelta(seconds=settings.transcriber_timeout_s), settings.transcriber_key.get_secret_value()
    if name == "local":
        with required("PROSA_TRANSCRIBER=local", "uv sync --extra speech, or pip install 'prosa[speech]'"):
            from adapters.speech.local import LocalTranscriber
        inner = LocalTranscriber(Path(model), within=within)
    elif name == "google":
        with required("PROSA_TRANSCRIBER=google", "make engines, or pip install 'prosa[gcp]'"):
            from adapters.google.token import CLOUD, GoogleToken
            from adapters.speech.google import GoogleTranscriber
        project, location = settings.google_cloud_project, settings.transcriber_location
        assert project is not None  # noqa: S101 - the settings were checked for it
        inner = GoogleTranscriber(
            project,
            location=location,
            model=model,
            token=GoogleToken(CLOUD),
            within=within,
            url=settings.transcriber_url,
        )
    else:
        from adapters.speech.openai import OPENAI_URL, OpenAiTranscriber

        inner = OpenAiTranscriber(settings.transcriber_url or OPENAI_URL, key=key, model=model, within=within)
    return CheckedTranscriber(inner, name, longest=timedelta(seconds=settings.transcriber_longest_s))


def make_synthesizer(settings: Settings) -> SpeechSynthesizer | None:
    """Return the synthesizer of the settings; None: replies are text."""
    if settings.speech == "none":
        return None
    from adapters.speech.openai import OpenAiSynthesizer

    return OpenAiSynthesizer(
        settings.speech_url,
        key=settings.speech_key.get_secret_value(),
        model=settings.speech_model,
        voice=settings.speech_voice,
        within=timedelta(seconds=settings.speech_timeout_s),
    )


def _callback(settings: Settings) -> Callback | None:
    if settings.analysis_callback_url is None or settings.analysis_callback_secret is None:
        return None
    # Its client takes long to import: only a process that uses it waits for it.
    from adapters.http.callbacks import HttpCallback

    secret = settings.analysis_callback_secret.get_secret_value()
    return HttpCallback(settings.analysis_callback_url, secret=secret)
