"""What `prosa load` concludes from messages and replies, on cases that were thought out."""

from cli.load import Reply, match, percentiles
from cli.traffic import Load, Planned, Sent, plan


def sent(at: float, *, person: str = "a", number: int = 1, measured: bool = True) -> Sent:
    return Sent(Planned(at, 0, number, doubled=False, measured=measured), person, at, at + 0.01, at + 0.02, 0)


def reply(at: float, *, person: str = "a", reference: str = "wa:a/1/0") -> Reply:
    return Reply(reference, person, at)


def test_a_reply_takes_its_time_from_the_intended_moment() -> None:
    matched = match([sent(1.0)], [reply(3.5)])
    assert matched.seconds == (2.5,)
    assert (matched.answered, matched.lost, matched.doubled, matched.reordered) == (1, 0, 0, 0)


def test_a_message_with_no_reply_after_it_is_lost() -> None:
    matched = match([sent(1.0), sent(5.0, number=2)], [reply(3.0)])
    assert (matched.answered, matched.lost) == (1, 1)


def test_a_reply_to_somebody_else_answers_nothing() -> None:
    assert match([sent(1.0)], [reply(2.0, person="b")]).lost == 1


def test_the_same_reply_twice_is_doubled_and_answers_once() -> None:
    matched = match([sent(1.0), sent(2.5, number=2)], [reply(2.0), reply(3.0)])
    assert (matched.doubled, matched.answered, matched.lost) == (1, 1, 1)


def test_a_message_in_between_has_no_time_of_its_own() -> None:
    matched = match([sent(1.0), sent(2.0, number=2)], [reply(3.0, reference="wa:a/2/0")])
    assert (matched.seconds, matched.overlapping, matched.answered, matched.lost) == ((), 1, 2, 0)


def test_a_reply_that_overtakes_an_earlier_one_is_reordered() -> None:
    replies = [reply(3.0, reference="wa:a/10/0"), reply(4.0, reference="wa:a/9/0")]
    assert match([sent(1.0), sent(2.0, number=2)], replies).reordered == 1


def test_the_hot_conversation_is_not_measured() -> None:
    matched = match([sent(1.0, measured=False)], [])
    assert (matched.lost, matched.answered) == (0, 0)


def test_a_plan_repeats_and_keeps_its_rate() -> None:
    load = Load(messages=2_000, people=7, rate=100, hot_rate=10, seed=3)
    assert plan(load) == plan(load)
    measured = [message for message in plan(load) if message.measured]
    assert 18 < measured[-1].at < 22
    assert 60 < sum(message.doubled for message in measured) < 140
    assert [one.number for one in measured if one.person == 6] == list(range(1, 286))
    assert len(plan(load)) - len(measured) == 200


def test_all_at_once_means_one_moment() -> None:
    assert {message.at for message in plan(Load(messages=50, people=50, rate=None))} == {0.0}


def test_percentiles_are_milliseconds_of_what_was_measured() -> None:
    assert percentiles([n / 1000 for n in range(1, 101)]) == {"p50": 51.0, "p95": 96.0, "p99": 100.0, "max": 100.0}
    assert percentiles([]) == {}
