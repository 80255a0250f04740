"""A canary steps back by itself when one of its guardrails is worse."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from contracts.alongside import running_beside
from contracts.errors import ChangeRefusedError, TransientError
from contracts.ports import Clock, Records
from flags.definitions import Flag, Status
from flags.experiments.analysis import Comparison, Role, compare
from flags.experiments.exact import Approximate
from flags.experiments.observations import Arm, Observations, observed
from flags.experiments.recommendation import is_harmed, told
from flags.resolver import canary_subject
from flags.store import FlagStore
from observability.logs import logger
from observability.metrics import CANARY_STEPS_BACK

log = logger(__name__)

LOOK_EVERY = timedelta(seconds=30)
AUTHOR = "guardrail"
# All guardrails of a canary together: it is looked at every few seconds, and goes back by chance once in twenty times.
ALPHA = 0.05
# Where the intervals are narrowest: a canary that harms should be found among its first hundreds.
EXPECTED_PEOPLE = 2_000


@dataclass(frozen=True)
class StepBack:
    """What is worse, and in words why the canary goes back."""

    worse: Comparison
    reason: str


def step_back(flag: Flag, observations: Observations) -> StepBack | None:
    """Whether a guardrail is worse among those whom the canary reaches, by an interval that holds at all looks.

    Everybody whom chance left with the control is compared with everybody whom it gave anything else.
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


class CanaryWatch:
    """Looks at every canary that reaches somebody; one that harms reaches nobody from then on, as a change like any."""

    def __init__(self, store: Records, flags: FlagStore, clock: Clock) -> None:
        self._store = store
        self._flags = flags
        self._clock = clock

    async def look(self) -> list[str]:
        """Return the keys of those that stepped back.

        Raises:
            StoreUnavailableError: some could not be looked at; the next time they are.
        """
        found = (await self._flags.load()).values()
        flown = [one for one in found if one.flag.status is Status.CANARY and _reaches_somebody(one.flag)]
        return [one.flag.key for one in flown if await self._look_at(one.flag, one.revision)]

    async def _look_at(self, flag: Flag, revision: int) -> bool:
        # Only of this revision: before, another share of other people was compared.
        subject = canary_subject(flag.key, revision)
        names = [variant.name for variant in flag.answers]
        decision = step_back(flag, await observed(self._store, subject, names, at=self._clock.now()))
        if decision is None:
            return False
        back = flag.model_copy(
            update={
                "percentage": 0.0,
                "segments": tuple(
                    segment.model_copy(update={"percentage": None if segment.percentage is None else 0.0})
                    for segment in flag.segments
                ),
            }
        )
        try:
            await self._flags.put(back, author=AUTHOR, reason=decision.reason[:500], expected=revision)
        except ChangeRefusedError:
            # Somebody changed it just now, perhaps another worker that saw the same.
            return False
        CANARY_STEPS_BACK.inc()
        log.error("flag.stepped_back", flag=flag.key, metric=decision.worse.metric.name, version=revision)
        return True


def _reaches_somebody(flag: Flag) -> bool:
    return any(flag.share_of(segment) > 0 for segment in flag.segments or (None,))


@asynccontextmanager
async def watching(watch: CanaryWatch, *, every: timedelta = LOOK_EVERY) -> AsyncIterator[None]:
    """Look at the canaries while the context is open."""
    async with running_beside(_keep(watch, every)):
        yield


async def _keep(watch: CanaryWatch, every: timedelta) -> None:
    while True:
        await asyncio.sleep(every.total_seconds())
        try:
            await watch.look()
        except TransientError as exc:
            log.warning("canaries.late", error=type(exc).__name__)
        except Exception as exc:
            log.error("canaries.defect", exc_info=exc)
