"""Whether what Task 1 decided was right, by what people and operators do next: through the pipeline, into a report."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from adapters.memory.events import MemoryEvents
from contracts.conversation import State
from contracts.ports import ModelRequest
from contracts.turn import TurnReason
from contracts.values import ConversationId
from flags.experiments.definitions import Experiment
from flags.experiments.exact import best_available
from flags.experiments.observations import Person, observed
from flags.experiments.recorder import Recorder
from flags.experiments.store import ExperimentStore
from flags.runtime import open_flags
from tests.builders import (
    EngineBed,
    SteppingClock,
    agreeable,
    conversation_id,
    decision,
    engine_bed,
    inbound,
    memory_inbox,
    memory_store,
    prompter,
)
from tests.scripted import ScriptedModel
from worker.drain import drain
from worker.people.notices import NO_NOTICES
from worker.people.operators import operators_without_engine
from worker.scheduling.keyed_queue import EmbeddedQueue
from worker.variants import BACK_WITHIN, FlagVariantAssigner, SettingsVariantAssigner

KEY = "ask-sooner"
SIGNED = {"author": "ana", "reason": "because"}
DELIVERY, TECHNOLOGY = decision(business_line="delivery"), decision(business_line="technology")
NO_LINE, UNCLEAR = decision(), decision(confidence=0.1)
DONE, SPAM, HUMAN = (decision(next_state=state) for state in ("COMPLETED", "SPAM", "ESCALATING"))


def experiment() -> Experiment:
    return Experiment.model_validate(
        {
            "key": KEY,
            "hypothesis": "Asking sooner is right more often.",
            "owner": "team",
            "arms": [{"name": "as before"}, {"name": "sooner", "config": {"confidence.ask_below": 0.6}}],
            "primary": {
                "name": "classification_accuracy",
                "kind": "ratio",
                "numerator": "classification_held",
                "denominator": "classification",
            },
            "secondary": [
                {"name": "cost_per_resolution", "kind": "ratio", "numerator": "cost_usd", "denominator": "conversion"}
            ],
            "plan": {"baseline": 0.8, "lift": 0.1, "deviation": 0.4},
        }
    )


class Course:
    """An engine under an experiment; what Task 1 decides is said beside what the person writes."""

    def __init__(self, bed: EngineBed, variants: FlagVariantAssigner, decide: Callable[[str], None]) -> None:
        self.bed, self.variants, self._decide = bed, variants, decide
        self.laboratory = ExperimentStore(bed.store.records, bed.events, bed.clock)

    async def say(self, decided: str, name: str = "c-1") -> None:
        self._decide(decided)
        at = self.bed.clock.now()
        await self.bed.inbox.append([inbound("Oi, e agora?", conversation=name, at=at)])
        await drain(conversation_id(name), self.bed.engine.drain)
        self.bed.clock.move(timedelta(seconds=20))

    async def people(self) -> dict[str, list[Person]]:
        await self.variants.recorder.flush()
        found = await observed(self.bed.store.records, KEY, experiment().weights, at=self.bed.clock.now())
        assert found.ignored == found.crossovers == 0
        return {name: list(arm.people) for name, arm in found.arms.items()}

    async def counted(self) -> tuple[int, int, int]:
        """Of the one person: classifications, those that held, and corrections."""
        ((person,),) = [people for people in (await self.people()).values() if people]
        return tuple(int(person.total(name)) for name in ("classification", "classification_held", "correction"))  # type: ignore[return-value]


@asynccontextmanager
async def under_way() -> AsyncIterator[Course]:
    store, events, clock, decided = memory_store(), MemoryEvents(), SteppingClock(), [NO_LINE]

    async def answer(request: ModelRequest) -> str:
        return decided[0] if request.schema_name == "state_decision" else await agreeable(request)

    model = ScriptedModel(answer)
    laboratory = ExperimentStore(store.records, events, clock)
    await laboratory.plan(experiment())
    await laboratory.start(KEY, **SIGNED)
    async with open_flags(store.records, events, clock, writer="worker", salt="salt", said={}) as flags:
        variants = FlagVariantAssigner(prompter(model), flags.recorder, flags.resolver, "pt-BR")
        bed = engine_bed(memory_inbox(), store, model=model, clock=clock, variants=variants)

        def decide(what: str) -> None:
            decided[0] = what

        yield Course(bed, variants, decide)


C1 = conversation_id()
Step = str | timedelta | Callable[[EngineBed], Awaitable[Any]]


def taken_over(bed: EngineBed) -> Awaitable[Any]:
    return bed.engine.operators.agents.escalate(C1, agent="ana", reason=TurnReason.BY_OPERATOR)


def undeliverable(bed: EngineBed) -> Awaitable[Any]:
    return bed.engine.operators.agents.escalate(C1, agent="", reason="undeliverable 131026")


def reopened(bed: EngineBed) -> Awaitable[Any]:
    return bed.engine.operators.agents.reopen(C1, agent="ana")


def handed_back(bed: EngineBed) -> Awaitable[Any]:
    return bed.engine.operators.agents.hand_back(C1, agent="ana")


def closed(bed: EngineBed) -> Awaitable[Any]:
    return bed.engine.operators.agents.close(C1, agent="ana")


@pytest.mark.parametrize(
    ("steps", "counted"),
    [
        # Held, as far as can be seen.
        pytest.param([DELIVERY, DELIVERY, NO_LINE], (3, 3, 0), id="nobody objects"),
        pytest.param([NO_LINE, DELIVERY], (2, 2, 0), id="a line where there was none"),
        pytest.param([DELIVERY, NO_LINE, TECHNOLOGY], (3, 3, 0), id="another line, but not at once"),
        pytest.param([DELIVERY, HUMAN], (2, 2, 0), id="a person asks for a person"),
        pytest.param([DELIVERY, UNCLEAR, DELIVERY], (2, 2, 0), id="a question back is no classification"),
        pytest.param([DELIVERY, DONE, BACK_WITHIN, DELIVERY], (3, 3, 0), id="another matter, later"),
        pytest.param([DELIVERY, DONE, NO_LINE], (3, 3, 0), id="thanks after the end"),
        pytest.param([HUMAN, handed_back, DELIVERY], (2, 2, 0), id="an operator hands back"),
        pytest.param([DELIVERY, closed, TECHNOLOGY], (2, 2, 0), id="an operator closes"),
        pytest.param([DELIVERY, undeliverable], (1, 1, 0), id="a reply could not be delivered"),
        # Wrong.
        pytest.param([DELIVERY, TECHNOLOGY], (2, 1, 1), id="another line at once"),
        pytest.param([DELIVERY, UNCLEAR, TECHNOLOGY], (2, 1, 1), id="another line after a question back"),
        pytest.param([DELIVERY, TECHNOLOGY, DELIVERY], (3, 1, 2), id="there and back"),
        pytest.param([DELIVERY, DONE, DELIVERY], (3, 2, 1), id="it was not the end"),
        pytest.param([DELIVERY, DONE, HUMAN], (3, 2, 1), id="it was not the end for somebody who wants a person"),
        pytest.param([DELIVERY, taken_over], (1, 0, 1), id="an operator takes over"),
        pytest.param([DELIVERY, DONE, reopened], (2, 1, 1), id="an operator reopens"),
        pytest.param([SPAM, reopened, DELIVERY], (2, 1, 1), id="it was no spam"),
        pytest.param([UNCLEAR, UNCLEAR, UNCLEAR], (1, 0, 1), id="never understood"),
        pytest.param([DELIVERY, taken_over, handed_back, TECHNOLOGY], (2, 1, 1), id="counted once"),
    ],
)
async def test_what_is_counted(steps: list[Step], counted: tuple[int, int, int]) -> None:
    async with under_way() as course:
        for step in steps:
            if isinstance(step, str):
                await course.say(step)
            elif isinstance(step, timedelta):
                course.bed.clock.move(step)
            else:
                await step(course.bed)
        assert await course.counted() == counted


async def test_the_turn_s_record_says_what_it_took_back() -> None:
    async with under_way() as course:
        await course.say(DELIVERY)
        await course.say(TECHNOLOGY)
        first, second = await course.bed.store.conversations.turns(C1)
        assert first.corrects is None
        assert second.corrects is not None
        assert (second.corrects.dest, second.corrects.business_line) == (State.PROCESSING, "delivery")
        assert second.corrects.arms == first.arms != ()
        await taken_over(course.bed)
        operation = (await course.bed.store.conversations.turns(C1))[-1]
        assert operation.corrects is not None
        assert operation.corrects.business_line == "technology"


async def test_a_correction_in_another_process_counts_for_the_arm_of_before() -> None:
    """A command and a webhook have no flags, and the conversation's arms all the same."""
    async with under_way() as course:
        await course.say(SPAM)
        command = Recorder(course.bed.store.records, writer="command", salt="salt", clock=course.bed.clock)
        elsewhere = engine_bed(
            memory_inbox(),
            course.bed.store,
            clock=course.bed.clock,
            variants=SettingsVariantAssigner(prompter(ScriptedModel(agreeable)), command),
        )
        await elsewhere.engine.operators.agents.reopen(C1, agent="ana")
        await command.flush()
        assert await course.counted() == (1, 0, 1)
        await course.say(DELIVERY)
        webhook = Recorder(course.bed.store.records, writer="webhook", salt="salt", clock=course.bed.clock)
        seen = webhook.note_correction
        queue = EmbeddedQueue(partial(drain, deps=course.bed.engine.drain))
        team = operators_without_engine(course.bed.store, course.bed.clock, queue, {}, NO_NOTICES, observe=seen)
        await team.take(C1, agent="ana")
        await webhook.flush()
        assert await course.counted() == (2, 0, 2)


async def test_accuracy_and_the_cost_of_a_resolved_conversation_stand_in_the_report_of_an_experiment() -> None:
    """By hand: 80 people in two arms; of the other arm every second one is taken for a matter of delivery at first."""
    async with under_way() as course:
        spent = {"as before": 0.0, "sooner": 0.0}
        expected = {"as before": [0, 0, 0], "sooner": [0, 0, 0]}
        for number in range(80):
            name = f"p{number}"
            await course.say(DELIVERY, name)
            arm = (await _head(course, name)).tuning.arms[0].partition("=")[2]
            seen = expected[arm][0]
            said = [TECHNOLOGY if arm == "sooner" and seen % 2 else DELIVERY]
            said += [DONE] if seen % 4 == 0 else []
            for what in said:
                await course.say(what, name)
            turns = await course.bed.store.conversations.turns(conversation_id(name))
            spent[arm] += sum(float(turn.cost_usd or 0) for turn in turns)
            expected[arm][0] += 1
            expected[arm][1] += len(turns)
            expected[arm][2] += DONE in said
        await course.variants.recorder.flush()
        found = await course.laboratory.report(KEY, best_available())
        assert {one["name"]: one["people"] for one in found["arms"]} == {name: one[0] for name, one in expected.items()}
        accuracy, price = found["metrics"]
        assert all(spent.values())
        people, classified, _ = expected["sooner"]
        assert accuracy["values"] == pytest.approx([1.0, 1 - (people // 2) / classified])
        assert accuracy["lift_interval"][1] < 0
        assert accuracy["state"] == "worse"
        assert price["values"] == pytest.approx([spent[name] / expected[name][2] for name in expected])


async def _head(course: Course, name: str) -> Any:
    return await course.bed.store.conversations.load(ConversationId(conversation_id(name)))
