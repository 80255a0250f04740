"""Scores from 0 to 10 at the end of a conversation: the question, the answers that count, and what is counted."""

from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from adapters.channels.telegram import LIMITS as TELEGRAM
from adapters.channels.whatsapp import LIMITS as WHATSAPP
from context.publishing import InstitutionSource
from contracts.conversation import TurnRecord
from contracts.delivery import TurnCommit
from contracts.errors import InstitutionError
from contracts.institution import FixedText
from contracts.messages import MessageType
from contracts.performance import Page
from flags.experiments.observations import observed
from flags.experiments.recorder import Recorder
from flags.resolver import Assignment
from reports.cost import Span
from reports.performance import PerformanceReport, figures
from reports.render.page import performance_page
from reports.render.words import Wording
from tests.builders import (
    DOCUMENTS,
    START,
    EngineBed,
    RecordingChannel,
    SteppingClock,
    conversation_id,
    decision,
    engine_bed,
    inbound,
    memory_inbox,
    memory_store,
    prompter,
    pyloto,
    scripted,
)
from worker.bootstrap import Rulebooks
from worker.drain import drain
from worker.routing import score_of
from worker.variants import SettingsVariantAssigner

C1 = conversation_id()
ENDING = [decision(), decision(next_state="COMPLETED"), decision(), decision(next_state="COMPLETED")]
QUESTION = "De 0 a 10, quanto você nos recomendaria?"
SCORES = [str(score) for score in range(11)]


def documents(folder: Path, *, without: tuple[FixedText, ...] = ()) -> Path:
    for page in (DOCUMENTS / "pyloto").glob("*.md"):
        text = page.read_text(encoding="utf-8")
        if page.name == "taxonomy.md":
            for which in without:
                text = text.replace(f"## {which}\n\n> {pyloto().text(which)}\n", "")
            text = text.replace("\n# Texts\n", f"\n# Texts\n\n## nps\n\n> {QUESTION}\n", 1)
        (folder / page.name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def beds(tmp_path: Path) -> Any:
    def bed(*, beside: bool = False, **options: Any) -> EngineBed:
        asked = () if beside else (FixedText.SATISFACTION, FixedText.SATISFIED, FixedText.UNSATISFIED)
        books = Rulebooks(InstitutionSource(documents(tmp_path, without=asked)))
        return engine_bed(memory_inbox(), memory_store(), model=scripted(state=ENDING), rulebooks=books, **options)

    return bed


async def say(bed: EngineBed, *texts: str) -> TurnRecord:
    for text in texts:
        await bed.inbox.append([inbound(text, at=bed.clock.now())])
        await drain(C1, bed.engine.drain)
    return (await bed.store.conversations.turns(C1))[-1]


@pytest.mark.parametrize("limits", [TELEGRAM, WHATSAPP])
async def test_a_list_where_it_has_room_for_eleven_else_a_question_to_type_the_answer_to(
    beds: Any, limits: Any
) -> None:
    bed = beds(channel=RecordingChannel(limits=limits))
    asked = (await say(bed, "Oi", "era isso")).replies[-1]
    assert (asked.type is MessageType.LIST) is (limits is TELEGRAM)
    assert (asked.text, [row.title for row in asked.rows]) == (QUESTION, SCORES if limits is TELEGRAM else [])
    rated = await say(bed, "10")
    assert (rated.reason, rated.rating, rated.episode, rated.tasks) == ("scored", 10, 1, ())
    assert rated.replies[0].text == pyloto().text(FixedText.RATED)
    # Once; the score stays with its episode.
    assert (await say(bed, "10")).episode == 2
    head = await bed.store.conversations.load(C1)
    assert head is not None
    assert (head.rating, [episode.rating for episode in head.previous_episodes]) == (None, [10])


async def test_beside_the_buttons_it_is_asked_once_they_are_answered(beds: Any) -> None:
    bed = beds(beside=True)
    asked = (await say(bed, "Oi", "era isso")).replies[-1]
    assert asked.text == pyloto().text(FixedText.SATISFACTION)
    assert [reply.text for reply in (await say(bed, "Sim, resolveu")).replies] == [QUESTION]
    assert ((await say(bed, "0/10")).reason, len(bed.channel.accepted[-1].message.rows)) == ("scored", 0)


@pytest.mark.parametrize(("said", "score"), [(" 7. ", 7), ("9/10", 9), ("10 / 10!", 10), ("3️⃣", 3), ("0", 0)])
def test_a_number_from_0_to_10_is_a_score(said: str, score: int) -> None:
    assert score_of(said) == score


@pytest.mark.parametrize("said", ["11", "-1", "10 caixas", "dois", "", "9/5"])
async def test_anything_else_begins_the_next_conversation(beds: Any, said: str) -> None:
    assert score_of(said) is None
    if said:
        assert (await say(beds(), "Oi", "era isso", said)).episode == 2


async def test_the_score_is_in_the_report_and_in_the_experiment(beds: Any) -> None:
    clock, store, arm = SteppingClock(), memory_store(), Assignment("exp", "v1")
    recorder = Recorder(store.records, writer="w1", salt="salt", clock=clock)
    bed = beds(clock=clock, variants=SettingsVariantAssigner(prompter(scripted(state=ENDING)), recorder))
    await say(bed, "Oi", "era isso")
    head = await bed.store.conversations.load(C1)
    assert head is not None
    tuning = head.tuning.model_copy(update={"arms": (str(arm),)})
    await bed.store.conversations.commit(TurnCommit(conversation=head.model_copy(update={"tuning": tuning})))
    recorder.expose([arm], C1)
    rated = await say(bed, "9")
    await recorder.flush()
    [person] = (await observed(store.records, "exp", ["v1"], at=clock.now())).arms["v1"].people
    assert person.total("nps") == 100
    page = Page()
    for rating in (10, 9, 8, 7, 6):
        page.add_turn(rated.model_copy(update={"rating": rating}))
    found = figures(Page.of_body(page.body()))
    assert (found["nps"], found["ratings"]) == (20.0, {"10": 1, "6": 1, "7": 1, "8": 1, "9": 1})
    assert figures(Page())["nps"] is None
    report = PerformanceReport(Span(START.date(), START.date(), UTC), {START.date(): page}, Page())
    tile = performance_page(report, Wording("en")).tiles[-1]
    assert (tile.value, tile.detail) == ("20", "5 answers")


def test_the_question_needs_its_thanks_and_not_the_buttons(tmp_path: Path) -> None:
    with pytest.raises(InstitutionError, match='"rated" is missing'):
        InstitutionSource(
            documents(
                tmp_path,
                without=(FixedText.SATISFACTION, FixedText.SATISFIED, FixedText.UNSATISFIED, FixedText.RATED),
            )
        )
