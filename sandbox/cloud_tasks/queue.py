"""One queue: its held tasks, its reserved names, and its dispatch loop."""

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta

import grpc  # type: ignore[import-untyped]
from google.cloud import tasks_v2

from sandbox.behaviour import Counters
from sandbox.cloud_tasks.held import Answer, AttemptRecord, HeldTask
from sandbox.cloud_tasks.rules import Refusal, retry_rules
from sandbox.cloud_tasks.schedule import DispatchRate, RetryRules, ScaledClock

Deliver = Callable[[HeldTask], Awaitable[Answer]]
SLOWING_DOWN = frozenset({429, 503})


class TaskQueue:
    """Queue that runs from `start` to `stop`; its tasks stay while it is stopped."""

    def __init__(
        self,
        queue: tasks_v2.Queue,
        *,
        deliver: Deliver,
        record: Callable[[AttemptRecord], None],
        clock: ScaledClock,
        counters: Counters,
    ) -> None:
        self._deliver = deliver
        self._record = record
        self._clock = clock
        self._counters = counters
        self._tasks: dict[str, HeldTask] = {}
        self._tombstones: dict[str, datetime] = {}
        self._heap: list[tuple[datetime, int, str]] = []
        self._out = 0
        self._attempts: set[asyncio.Task[None]] = set()
        self._loop: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self.configure(queue)

    def configure(self, queue: tasks_v2.Queue) -> None:
        """Take a completed queue's limits and rules; the state is kept in it."""
        self.queue = queue
        self._retry = retry_rules(queue.retry_config)
        limits = queue.rate_limits
        self.rate = DispatchRate(
            limits.max_dispatches_per_second,
            limits.max_burst_size,
            limits.max_concurrent_dispatches,
            self._clock.now(),
        )
        self._changed.set()

    def set_state(self, state: int) -> None:
        self.queue.state = tasks_v2.Queue.State(state)
        self._changed.set()

    @property
    def tasks(self) -> list[HeldTask]:
        """Return the held tasks, in the order of their creation."""
        return list(self._tasks.values())

    def add(self, task: HeldTask, *, tombstone: timedelta) -> None:
        """Hold the task.

        Raises:
            Refusal: ALREADY_EXISTS while a task of that name is held, or was less than `tombstone` ago.
        """
        ended_at = self._tombstones.get(task.name)
        is_entombed = ended_at is not None and self._clock.now() < ended_at + tombstone
        if task.name in self._tasks or is_entombed:
            self._counters.add("names_taken")
            raise Refusal(grpc.StatusCode.ALREADY_EXISTS, "The task cannot be created because its name is taken.")
        self._tasks[task.name] = task
        self._push(task)

    def get(self, name: str) -> HeldTask:
        if name not in self._tasks:
            raise Refusal(grpc.StatusCode.NOT_FOUND, "The task does not exist, or no longer.")
        return self._tasks[name]

    def delete(self, name: str) -> None:
        self._end(self.get(name))

    def purge(self) -> None:
        for task in self.tasks:
            self._end(task)
        self.queue.purge_time = self._clock.now()

    def run_now(self, name: str) -> HeldTask:
        """Send the task at once, whatever the state, the rate, and whether an attempt is under way."""
        task = self.get(name)
        self._send_out(task)
        return task

    def start(self) -> None:
        self._loop = asyncio.create_task(self._dispatch(), name=f"dispatch {self.queue.name}")

    async def stop(self) -> None:
        """Stop sending; running attempts are cancelled and do not count."""
        running = [*self._attempts, *([self._loop] if self._loop else [])]
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _dispatch(self) -> None:
        while True:
            self._changed.clear()
            pause = self._send_due()
            seconds = None if pause is None else pause.total_seconds() / self._clock.scale
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._changed.wait()

    def _send_due(self) -> timedelta | None:
        """Send the due tasks; return the time until the next one, or None when only a change can bring one."""
        if self.queue.state != tasks_v2.Queue.State.RUNNING:
            return None
        while self._heap:
            at, _, name = self._heap[0]
            task = self._tasks.get(name)
            if task is None or task.running or task.schedule_at != at:
                # Deleted, sent by hand, or rescheduled since it was pushed.
                heapq.heappop(self._heap)
                continue
            now = self._clock.now()
            if at > now:
                return at - now
            if self._out >= self.rate.room:
                return None
            pause = self.rate.take(now)
            if pause > timedelta(0):
                return pause
            heapq.heappop(self._heap)
            self._send_out(task)
        return None

    def _send_out(self, task: HeldTask) -> None:
        task.running += 1
        task.dispatches += 1
        self._out += 1
        attempt = asyncio.create_task(self._attempt(task))
        self._attempts.add(attempt)
        attempt.add_done_callback(self._attempts.discard)

    async def _attempt(self, task: HeldTask) -> None:
        number, scheduled_at, dispatched_at = task.dispatches, task.schedule_at, self._clock.now()
        task.first_dispatch_at = task.first_dispatch_at or dispatched_at
        try:
            answer = await self._deliver(task)
        except asyncio.CancelledError:
            task.dispatches -= 1
            self._push(task)
            raise
        finally:
            task.running -= 1
            self._out -= 1
            self._changed.set()
        ended_at = self._clock.now()
        record = AttemptRecord(task.name, number, scheduled_at, dispatched_at, ended_at, answer.outcome, answer.status)
        self._settle(task, record, answer)
        self._record(record)

    def _settle(self, task: HeldTask, record: AttemptRecord, answer: Answer) -> None:
        """End the task, or schedule its next attempt; one that was deleted during the attempt stays deleted."""
        self._counters.add(f"attempts_{answer.outcome}")
        task.last = record
        task.responses += answer.status is not None
        if answer.is_success:
            self.rate.recover()
        elif answer.status in SLOWING_DOWN:
            self._counters.add("slowed_down")
            self.rate.slow_down()
        if self._tasks.get(task.name) is not task:
            return
        if answer.is_success:
            self._counters.add("tasks_done")
            self._end(task)
            return
        task.failures += 1
        rules, at = self._rules(task), record.ended_at
        if rules.is_used_up(task.dispatches, since_first_attempt=at - (task.first_dispatch_at or at)):
            self._counters.add("tasks_used_up")
            self._end(task)
            return
        task.schedule_at = at + max(rules.interval(task.failures), answer.retry_after)
        self._push(task)

    def _rules(self, task: HeldTask) -> RetryRules:
        return task.retry or self._retry

    def _push(self, task: HeldTask) -> None:
        heapq.heappush(self._heap, (task.schedule_at, task.order, task.name))
        self._changed.set()

    def _end(self, task: HeldTask) -> None:
        del self._tasks[task.name]
        self._tombstones[task.name] = self._clock.now()
