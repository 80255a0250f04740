"""Time of every pattern of the product: it grows with the text and not with its square, or its text is bounded."""

import importlib
import pkgutil
import re
import time
from collections.abc import Callable, Iterator

import pytest

PACKAGES = (
    "adapters", "cli", "context", "contracts", "flags", "fsm", "observability", "prompts", "reports", "sandbox",
    "webhook", "worker",
)  # fmt: skip
PIECES = (
    "1", "a", "A", "é", " ", ".", "<", "[", "(", "*", "@", "\n", "-", "/", "&", "`", "_", "~", ":", "|", "=", "'", '"',
    "%", "1.", "1,", "1 ", "1:", "a ", "a.", "a-", "a@", "a@a.", "[a](", "<a", "(1", "!)", "- ", "# ", "{{", "+1", "http://",
    "1k ",
)  # fmt: skip
SHORT, TIMES = 1_000, 4
# Searched anywhere these take the square. None is: each is matched at a place, or its text is short.
BOUNDED = {
    "adapters.channels.telegram.outbound._REASON": "fullmatch of a description of Telegram's",
    "cli.comparing._QUESTION": "replies, which the gate bounds",
    "cli.release.DURATION": "fullmatch of an option",
    "context.guardrails.atoms._CALLED": "fullmatch of the beginning of a sentence, which has 1,000 characters",
    "context.guardrails.atoms._GLUED": "fullmatch of one word",
    "context.guardrails.atoms._HOUSE": "24 characters before a number",
    "context.guardrails.atoms._LABEL": "24 characters before a number",
    "context.guardrails.atoms._MARKER": "match at the beginning of a sentence",
    "context.guardrails.atoms._WORD_BEFORE": "14 characters before a number",
    "context.guardrails.floor._BARE_RANGE": "fullmatch of one atom",
    "context.guardrails.sentences._MARKER": "match within five characters",
    "context.loader._DOMAIN": "fullmatch of a domain of the documents",
    "contracts.settings.HEADER": "fullmatch of a setting",
    "prompts.templating.source._VERSIONED": "fullmatch of a file's name",
    "sandbox.brain._LAST_SENTENCE": "texts of the sandbox",
    "sandbox.citing._SENTENCE": "texts of the sandbox",
}


def patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    """Yield each pattern that a module of the product keeps, alone or in a collection, with its name."""
    for package in PACKAGES:
        found = importlib.import_module(package)
        for info in pkgutil.walk_packages(found.__path__, f"{package}."):
            if info.name == "worker.engines.celery_app":
                continue  # makes an application of Celery out of the settings
            for name, value in vars(importlib.import_module(info.name)).items():
                kept = (
                    value.values()
                    if isinstance(value, dict)
                    else value
                    if isinstance(value, (list, tuple))
                    else [value]
                )
                for one in kept:
                    if isinstance(one, re.Pattern) and isinstance(one.pattern, str):
                        yield f"{info.name}.{name}", one


def seconds(work: Callable[[], object]) -> float:
    """Processor time, the least of three."""
    times = []
    for _ in range(3):
        started = time.thread_time()
        work()
        times.append(time.thread_time() - started)
    return min(times)


def is_linear(pattern: re.Pattern[str], piece: str) -> bool:
    short, long = ((piece * length)[:length] for length in (SHORT, SHORT * TIMES))
    of_short = seconds(lambda: sum(1 for _ in pattern.finditer(short)))
    # A square would make it 16 times as long; two milliseconds are within what a busy machine adds.
    return seconds(lambda: sum(1 for _ in pattern.finditer(long))) <= 2 * TIMES * of_short + 0.002


def test_no_pattern_takes_the_square_of_its_text() -> None:
    slow = {name for name, one in patterns() if not all(is_linear(one, piece) for piece in PIECES)}
    # Once more alone: what was slow by the machine is not slow twice.
    again = {name: one for name, one in patterns() if name in slow - BOUNDED.keys()}
    assert [name for name, one in again.items() if not all(is_linear(one, piece) for piece in PIECES)] == []


@pytest.mark.parametrize("name", BOUNDED)
def test_what_is_excepted_is_there(name: str) -> None:
    assert name.rpartition(".")[2] in vars(importlib.import_module(name.rpartition(".")[0]))


def test_a_square_is_found() -> None:
    assert not is_linear(re.compile(r"a+b"), "a")
    assert is_linear(re.compile(r"a+"), "a")
