"""Static proof that the table is sound. `make check` and the tests run it; so does `prosa doctor`."""

from collections.abc import Iterator, Sequence
from itertools import product

from contracts.conversation import FINAL_STATES, RESTING_STATES, State, Trigger
from fsm.table import MOVES, STATES, Facts, Move, StateRow


def problems(states: Sequence[StateRow] = STATES, moves: Sequence[Move] = MOVES) -> list[str]:
    """List the errors of the table, one sentence each; empty when it is sound."""
    named = [row.state for row in states]
    keys = [(move.source, move.trigger) for move in moves]
    reached = _reachable_from(State.INIT, moves)
    return [
        *(f"{state} has no row" for state in State if state not in named),
        *(f"{state} has two rows" for state in set(named) if named.count(state) > 1),
        *(f"'{key[1]}' from {key[0]} leads to two places" for key in set(keys) if keys.count(key) > 1),
        *(f"{state} cannot be reached from INIT" for state in named if state not in reached),
        *(f"{move.source} is final but has the move '{move.trigger}'" for move in moves if move.source in FINAL_STATES),
        *(problem for row in states for problem in _without_end(row, moves)),
        *(problem for move in moves for problem in _partial_guard(move)),
    ]


def all_facts() -> Iterator[Facts]:
    """Yield every combination of the guards' facts."""
    names = list(Facts.model_fields)
    for values in product((False, True), repeat=len(names)):
        yield Facts(**dict(zip(names, values, strict=True)))


def _reachable_from(start: State, moves: Sequence[Move]) -> set[State]:
    seen, frontier = {start}, [start]
    while frontier:
        here = frontier.pop()
        for move in moves:
            if move.source is here and move.dest not in seen:
                seen.add(move.dest)
                frontier.append(move.dest)
    return seen


def _without_end(row: StateRow, moves: Sequence[Move]) -> Iterator[str]:
    """Find what could keep a conversation in the state; a time-out is no way out, whatever the facts are."""
    own = [move for move in moves if move.source is row.state]
    has_time_out = any(move.trigger is Trigger.TIME_OUT for move in own)
    out = [move for move in own if move.trigger is not Trigger.TIME_OUT and move.dest is not move.source]
    if row.is_final and (has_time_out or row.limit):
        yield f"{row.state} is final but has a time-out"
    if not row.is_final and not (has_time_out and row.limit):
        yield f"{row.state} has no time-out"
    for facts in all_facts():
        if not row.is_final and not any(move.guard is None or move.guard(facts) for move in out):
            yield f"{row.state} has no way out when {facts!r}"
    if not _reachable_from(row.state, moves) & (RESTING_STATES - {State.INIT}):
        yield f"from {row.state} no resting state can be reached"


def _partial_guard(move: Move) -> Iterator[str]:
    if move.guard is not None:
        answers = [move.guard(facts) for facts in all_facts()]
        if not all(isinstance(answer, bool) for answer in answers):
            yield f"the guard of '{move.trigger}' from {move.source} is not a plain yes or no"
        if not any(answers):
            yield f"the guard of '{move.trigger}' from {move.source} is never open"
