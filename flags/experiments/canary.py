"""Automatic stop of what does harm: a canary steps back, an experiment is paused."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from contracts.alongside import repeating, running_beside
from contracts.errors import ChangeRefusedError, TransientError
from contracts.ports import Clock, Records
from flags.definitions import Flag, Status
from flags.experiments.analysis import Comparison, Role, compare
from flags.experiments.exact import Approximate
from flags.experiments.observations import Arm, Observations, observed
from flags.experiments.recommendation import is_harmed, told
from flags.experiments.store import ExperimentStore
from flags.resolver import canary_subject
from flags.store import FlagStore
from observability.logs import logger
from observability.metrics import CANARY_STEPS_BACK, EXPERIMENTS_ACTIVE, EXPERIMENTS_STOPPED, EXPOSURES

log = logger(__name__)

LOOK_EVERY = timedelta(seconds=30)
# An experiment's observations are all read at each look.
LOOK_AT_EXPERIMENTS_EVERY = timedelta(minutes=5)
AUTHOR = "guardrail"
# Of all guardrails of a canary together, over all looks: it steps back by chance once in twenty times.
ALPHA = 0.05
# Persons at which the intervals are narrowest: a harmful canary should be found among its first hundreds.
EXPECTED_PEOPLE = 2_000


@dataclass(frozen=True)
class StepBack:
    """The guardrail that is worse, and the reason of the step back in words."""

    worse: Comparison
    reason: str


def step_back(flag: Flag, observations: Observations) -> StepBack | None:
    """Return the guardrail that is worse among the persons whom the canary reaches, by an always-valid interval.

    All persons drawn for the control are compared with all persons drawn for any other variant.
    """
    control_name = flag.control_variant.name
    control = observations.arms[control_name]
    treated = Arm(
        tuple(person for name, arm in observations.arms.items() if name != control_name for person in arm.people)
    )
    for metric in flag.guardrails:
        comparison = compare(
            metric,
            Role.GUARDRAIL,
            "the canary",
            control,
            treated,
            Approximate(),
            planned=EXPECTED_PEOPLE,
            alpha=ALPHA / len(flag.guardrails),
        )
        if is_harmed(comparison):
            people = f"{len(treated.people):,} persons against {len(control.people):,}"
            return StepBack(comparison, f"{told(comparison)} ({people})")
    return None


@dataclass(frozen=True)
class CanaryWatch:
    """Monitor of all canaries with a share above 0; a harmful one gets share 0, as an ordinary change of the flag."""

    store: Records
    flags: FlagStore
    clock: Clock

    async def look(self) -> list[str]:
        """Return the keys of the canaries that stepped back.

        Raises:
            StoreUnavailableError: some were not checked; the next look checks them.
        """
        stepped_back = []
        for compiled in (await self.flags.load()).values():
            flag, revision = compiled.flag, compiled.revision
            if flag.status is not Status.CANARY or not any(map(flag.share_of, flag.segments or (None,))):
                continue
            # Only this revision: an earlier one compared another share of other persons.
            subject, names = canary_subject(flag.key, revision), [variant.name for variant in flag.answers]
            decision = step_back(flag, await observed(self.store, subject, names, at=self.clock.now()))
            if decision is None:
                continue
            segments = tuple(
                segment.model_copy(update={"percentage": None if segment.percentage is None else 0.0})
                for segment in flag.segments
            )
            back = flag.model_copy(update={"percentage": 0.0, "segments": segments})
            try:
                await self.flags.put(back, author=AUTHOR, reason=decision.reason[:500], expected=revision)
            except ChangeRefusedError:
                # The flag changed just now, perhaps by another worker that came to the same decision.
                continue
            CANARY_STEPS_BACK.inc()
            log.error("flag.stepped_back", flag=flag.key, metric=decision.worse.metric.name, version=revision)
            stepped_back.append(flag.key)
        return stepped_back


class ExperimentWatch:
    """Monitor of the active experiments, which it counts; one with a harmful arm is paused, with the reason."""

    def __init__(self, experiments: ExperimentStore) -> None:
        self._experiments = experiments
        self._counted: frozenset[str] = frozenset()

    async def look(self) -> list[str]:
        """Return the keys of the experiments that were paused.

        Raises:
            StoreUnavailableError: some were not checked; the next look checks them.
        """
        active, paused = await self._experiments.active(), []
        for key in self._counted.difference(active):
            EXPERIMENTS_ACTIVE.remove(key)
        self._counted = frozenset(active)
        for key in active:
            EXPERIMENTS_ACTIVE.labels(key).set(1)
            EXPOSURES.labels(key)
            if harm := await self._experiments.harm(key):
                try:
                    await self._experiments.pause(key, author=AUTHOR, reason=harm[:500])
                except ChangeRefusedError:
                    # Another worker came to the same decision.
                    continue
                EXPERIMENTS_STOPPED.inc()
                log.error("experiment.stopped", experiment=key)
                paused.append(key)
        return paused


class Watch(Protocol):
    async def look(self) -> list[str]: ...


@asynccontextmanager
async def watching(watch: Watch, *, every: timedelta) -> AsyncIterator[None]:
    """Look again and again while the context is open."""

    async def look() -> None:
        try:
            await watch.look()
        except TransientError as exc:
            log.warning("watch.late", error=type(exc).__name__)
        except Exception as exc:
            log.error("watch.defect", exc_info=exc)

    async with running_beside(repeating(look, every)):
        yield
