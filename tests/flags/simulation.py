"""People who take part in an experiment, by the day, through the recorder as the engine would use it."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from contracts.ports import Store
from flags.experiments.definitions import Experiment
from flags.experiments.recorder import CONVERSION, ERROR, QUALITY_SCORE, RESPONSE_TIME_MS, Recorder
from flags.resolver import Assignment
from tests.builders import SteppingClock
from tests.flags.making import evaluator, person


@dataclass(frozen=True)
class Effect:
    """What an arm does to people: the chance to convert and to meet an error, how long answers take, what they cost,
    and how many classifications are right.
    """

    conversion: float
    error: float = 0.03
    milliseconds: float = 900
    quality: float = 0.8
    cost_usd: float = 0.002
    accuracy: float = 0.9


async def take_part(
    experiment: Experiment,
    store: Store,
    clock: SteppingClock,
    effects: Mapping[str, Effect],
    *,
    days: int,
    a_day: int,
    seed: int = 1,
) -> None:
    """So many new people each day, assigned by the experiment's own flag; `clock` ends where the last day does."""
    drawn, apart = random.Random(seed), random.Random(f"apart {seed}")
    flags = evaluator(experiment.flag(clock.now()))
    recorder = Recorder(store.records, writer=f"seed-{seed}", salt="salt", clock=clock)
    for day in range(days):
        for number in range(a_day):
            who = f"{seed}-{day}-{number}"
            arm = flags.variant(experiment.flag_key, person(who), default="")
            effect, side = effects[arm], [Assignment(experiment.key, arm)]
            recorder.expose(side, who)
            for _ in range(drawn.randint(1, 4)):
                recorder.note(side, who, RESPONSE_TIME_MS, drawn.gammavariate(4, effect.milliseconds / 4))
            recorder.note(side, who, QUALITY_SCORE, min(1.0, max(0.0, drawn.gauss(effect.quality, 0.1))))
            for _ in range(apart.randint(1, 4)):
                recorder.note(side, who, "cost_usd", apart.gammavariate(4, effect.cost_usd / 4))
                recorder.note(side, who, "classification")
                recorder.note(side, who, "classification_held")
                if apart.random() > effect.accuracy:
                    recorder.note(side, who, "classification_held", -1)
            if drawn.random() < effect.conversion:
                recorder.note(side, who, CONVERSION)
            if drawn.random() < effect.error:
                recorder.note(side, who, ERROR)
            clock.move(timedelta(days=1) / a_day)
        await recorder.flush()
