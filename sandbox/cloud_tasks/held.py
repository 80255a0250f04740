"""A task while the service holds it, and the record of its attempts."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from google.cloud import tasks_v2
from google.rpc import code_pb2, status_pb2  # type: ignore[import-untyped]

from sandbox.cloud_tasks.schedule import RetryRules


class Outcome(StrEnum):
    """Outcome of an attempt."""

    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    DEADLINE = "deadline"
    NO_CONNECTION = "no_connection"
    DROPPED = "dropped"


_CODES = {
    Outcome.SUCCEEDED: code_pb2.OK,
    Outcome.DROPPED: code_pb2.OK,
    Outcome.DEADLINE: code_pb2.DEADLINE_EXCEEDED,
    Outcome.NO_CONNECTION: code_pb2.UNAVAILABLE,
}


@dataclass(frozen=True)
class Answer:
    """The worker's answer: a status and the requested delay, or neither."""

    outcome: Outcome
    status: int | None = None
    retry_after: timedelta = timedelta(0)

    @property
    def is_success(self) -> bool:
        return self.outcome in (Outcome.SUCCEEDED, Outcome.DROPPED)


@dataclass(frozen=True)
class AttemptRecord:
    """One attempt, for tests and inspection. Times are those of the double's clock."""

    task: str
    number: int
    scheduled_at: datetime
    dispatched_at: datetime
    ended_at: datetime
    outcome: Outcome
    status: int | None = None

    def view(self) -> tasks_v2.Attempt:
        code = _CODES.get(self.outcome, code_pb2.UNKNOWN)
        message = "" if self.status is None else f"HTTP {self.status}"
        return tasks_v2.Attempt(
            schedule_time=self.scheduled_at,
            dispatch_time=self.dispatched_at,
            response_time=self.ended_at,
            response_status=status_pb2.Status(code=code, message=message),
        )


@dataclass
class HeldTask:
    """A task with its history; only the queue that holds it changes it."""

    name: str
    request: tasks_v2.HttpRequest
    schedule_at: datetime
    created_at: datetime
    deadline: timedelta
    retry: RetryRules | None
    order: int
    running: int = 0
    dispatches: int = 0
    responses: int = 0
    failures: int = 0
    first_dispatch_at: datetime | None = None
    last: AttemptRecord | None = field(default=None)

    @property
    def id(self) -> str:
        return self.name.rpartition("/")[2]

    @property
    def queue_id(self) -> str:
        return self.name.split("/")[5]

    def view(self, view: int = tasks_v2.Task.View.BASIC) -> tasks_v2.Task:
        """Return the task as the API shows it: without its body except in the full view."""
        is_full = view == tasks_v2.Task.View.FULL
        request = tasks_v2.HttpRequest(self.request)
        if not is_full:
            request.body = b""
        shown = tasks_v2.Task(
            name=self.name,
            http_request=request,
            schedule_time=self.schedule_at,
            create_time=self.created_at.replace(microsecond=0),
            dispatch_deadline=self.deadline,
            dispatch_count=self.dispatches,
            response_count=self.responses,
            view=tasks_v2.Task.View.FULL if is_full else tasks_v2.Task.View.BASIC,
        )
        if self.first_dispatch_at is not None:
            shown.first_attempt = tasks_v2.Attempt(dispatch_time=self.first_dispatch_at)
        if self.last is not None:
            shown.last_attempt = self.last.view()
        return shown
