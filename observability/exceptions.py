"""Origin of an exception without its text, which may quote a person."""

import traceback
from collections.abc import Iterator
from pathlib import Path

FRAMES = 6


def places(error: BaseException) -> Iterator[str]:
    """Yield each exception of a group and each cause, with its innermost frames."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    yield f"{type(error).__name__} at {where}" if where else type(error).__name__
    for part in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        yield from places(part)
    if error.__cause__ is not None:
        yield from places(error.__cause__)
