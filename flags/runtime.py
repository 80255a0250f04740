"""Everything that a process which answers people needs of flags and experiments, opened together and kept running."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.provider import FeatureProvider

from contracts.ports import Clock, Events, Records
from flags.cache import Cache, Source, kept_fresh
from flags.canary import CanaryWatch, watching
from flags.choices import Choices
from flags.evaluation import CompiledFlag, Evaluator
from flags.file import FileSource
from flags.laboratory import Laboratory
from flags.provider import ProsaProvider, SwitchedProvider, provided
from flags.recorder import Recorder, recording
from flags.register import FlagRegister
from flags.switches import governed
from flags.tracking import tracker


@dataclass(frozen=True)
class FlagRuntime:
    """`client` asks flags, `choices` experiments before flags; `recorder` takes what people then meet."""

    client: OpenFeatureClient
    choices: Choices
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
    """Open also when the store cannot be read: until it can, everything is the caller's default.

    Args:
        writer: a name that no other process has; the client's domain as well, so that two of them do not mix.
        salt: makes the pseudonyms of persons; the same in all processes.
        said: the `PROMPTER_USE_*` that were set.
        file: the flags' file, in the place of the store.
        provider: another OpenFeature provider, in the place of ours.
    """
    switches = governed(said)
    register = FlagRegister(store, events, clock)
    source: Source[CompiledFlag] = FileSource(file) if file else register
    flags, experiments = Cache(source), Cache(Laboratory(store, events, clock))
    recorder = Recorder(store, writer=writer, salt=salt, clock=clock)
    # What another provider knows, only its answers tell.
    has_flag = (lambda key: flags.get(key) is not None) if provider is None else (lambda _: True)
    choices = Choices(api.get_client(writer), experiments, switches, has_flag=has_flag)
    asked = provider or ProsaProvider(Evaluator(flags, now=clock.now))
    ours = SwitchedProvider(asked, switches, tracker(choices, recorder))
    async with (
        kept_fresh(events, flags, experiments),
        provided(ours, domain=writer) as client,
        recording(recorder),
        watching(CanaryWatch(store, register, clock)),
    ):
        yield FlagRuntime(client, choices, recorder)
