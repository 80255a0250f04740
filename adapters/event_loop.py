"""The event loop of a process that serves for days, and what its garbage collector looks at."""

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

R = TypeVar("R")

# Young objects between two collections. At the default of 700 a worker collected thirty times a second.
COLLECT_EVERY = 10_000


def run_serving(main: Coroutine[Any, Any, R]) -> R:
    """As `asyncio.run`, on libuv's loop: a tenth less of a process's time (`docs/decisions/0013-lean-processes.md`)."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def load_without_collecting() -> None:
    """Called when a process starts: nearly all that it makes until it is ready stays to its end."""
    gc.disable()


def keep_what_is_loaded() -> None:
    """Take everything that was made so far out of the collector's sight: code, documents and patterns stay anyway.

    Called when a process is ready. A full collection took 70 ms of a worker before, which everything waited for.
    """
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(COLLECT_EVERY, 20, 20)
