"""Validation and defaults of the service. Source: the comments of the google.cloud.tasks.v2 messages."""

import re
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import grpc  # type: ignore[import-untyped]
from google.cloud import tasks_v2

from sandbox.cloud_tasks.schedule import (
    BURST,
    CONCURRENT_DISPATCHES,
    DISPATCHES_PER_SECOND,
    MAX_ATTEMPTS,
    MAX_BACKOFF,
    MAX_DOUBLINGS,
    MIN_BACKOFF,
    RetryRules,
)

MAX_TASK_BYTES = 100 * 1024
MAX_HEADER_BYTES = 80 * 1024
MAX_URL_LENGTH = 2083
MAX_SCHEDULED_AHEAD = timedelta(days=30)
SHORTEST_DEADLINE = timedelta(seconds=15)
LONGEST_DEADLINE = timedelta(minutes=30)
DEFAULT_DEADLINE = timedelta(minutes=10)
MOST_DISPATCHES_PER_SECOND = 500
MOST_CONCURRENT_DISPATCHES = 5000
MAX_BATCH = 100

_LOCATION = r"projects/[A-Za-z0-9.:-]+/locations/[A-Za-z0-9-]+"
_QUEUE = rf"{_LOCATION}/queues/[A-Za-z0-9-]{{1,100}}"
_IS_LOCATION = re.compile(_LOCATION).fullmatch
_IS_QUEUE = re.compile(_QUEUE).fullmatch
_IS_TASK = re.compile(rf"{_QUEUE}/tasks/[A-Za-z0-9_-]{{1,500}}").fullmatch
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_WITH_BODY = frozenset({tasks_v2.HttpMethod.POST, tasks_v2.HttpMethod.PUT, tasks_v2.HttpMethod.PATCH})


class Refusal(Exception):
    """A refused call, with its gRPC status."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def invalid(message: str) -> Refusal:
    return Refusal(grpc.StatusCode.INVALID_ARGUMENT, message)


def check_location(name: str) -> None:
    if not _IS_LOCATION(name):
        raise invalid("The location must have the format projects/PROJECT_ID/locations/LOCATION_ID.")


def check_queue_name(name: str) -> None:
    if not _IS_QUEUE(name):
        raise invalid("Queue name must be formatted: projects/PROJECT_ID/locations/LOCATION_ID/queues/QUEUE_ID")


def check_task_name(name: str) -> str:
    """Check the name and return the name of the task's queue."""
    if not _IS_TASK(name):
        raise invalid("Task name must be formatted: <queue name>/tasks/TASK_ID")
    return name.rpartition("/tasks/")[0]


def completed_queue(queue: tasks_v2.Queue) -> tasks_v2.Queue:
    """Return the queue with defaults filled in; durations are cut to whole seconds, zero means unset."""
    limits, retry = queue.rate_limits, queue.retry_config
    per_second = limits.max_dispatches_per_second or DISPATCHES_PER_SECOND
    concurrent = limits.max_concurrent_dispatches or CONCURRENT_DISPATCHES
    if not 0 < per_second <= MOST_DISPATCHES_PER_SECOND:
        raise invalid(f"max_dispatches_per_second must be above 0 and at most {MOST_DISPATCHES_PER_SECOND}.")
    if not 0 < concurrent <= MOST_CONCURRENT_DISPATCHES:
        raise invalid(f"max_concurrent_dispatches must be above 0 and at most {MOST_CONCURRENT_DISPATCHES}.")
    rules = retry_rules(retry)
    completed = tasks_v2.Queue(queue)
    # Output only: the service chooses it.
    completed.rate_limits = tasks_v2.RateLimits(
        max_dispatches_per_second=per_second,
        max_burst_size=max(1, min(BURST, round(per_second))),
        max_concurrent_dispatches=concurrent,
    )
    completed.retry_config = tasks_v2.RetryConfig(
        max_attempts=rules.max_attempts,
        max_retry_duration=rules.max_retry_duration,
        min_backoff=rules.min_backoff,
        max_backoff=rules.max_backoff,
        max_doublings=rules.max_doublings,
    )
    return completed


def retry_rules(config: tasks_v2.RetryConfig) -> RetryRules:
    """Return the rules of a client's retry config."""
    if config.max_attempts < -1:
        raise invalid("max_attempts must be greater than or equal to -1.")
    if config.max_doublings < 0:
        raise invalid("max_doublings must not be negative.")
    given = [config.max_retry_duration, config.min_backoff, config.max_backoff]
    if any(duration is not None and duration < timedelta(0) for duration in given):
        raise invalid("Durations must not be negative.")
    shortest = _whole_seconds(config.min_backoff) or MIN_BACKOFF
    longest = _whole_seconds(config.max_backoff) or MAX_BACKOFF
    if longest < shortest:
        raise invalid("max_backoff must not be shorter than min_backoff.")
    return RetryRules(
        max_attempts=config.max_attempts or MAX_ATTEMPTS,
        max_retry_duration=_whole_seconds(config.max_retry_duration),
        min_backoff=shortest,
        max_backoff=longest,
        max_doublings=config.max_doublings or MAX_DOUBLINGS,
    )


def completed_task(parent: str, task: tasks_v2.Task, *, at: datetime) -> tasks_v2.Task:
    """Return the task to be held: validated, without output-only fields, with defaults."""
    if task.name and check_task_name(task.name) != parent:
        raise invalid("The queue name from request must match the queue name in the task.")
    if "http_request" not in task:
        if "app_engine_http_request" in task:
            raise Refusal(grpc.StatusCode.UNIMPLEMENTED, "The stand-in offers HTTP tasks only.")
        raise invalid("Task.http_request is required.")
    if tasks_v2.Task.pb(task).ByteSize() > MAX_TASK_BYTES:
        raise invalid(f"Task size too large: the maximum is {MAX_TASK_BYTES} bytes.")
    schedule_at = task.schedule_time or at
    if schedule_at > at + MAX_SCHEDULED_AHEAD:
        raise invalid("Task.schedule_time is too far in the future: the maximum is 30 days.")
    request = _checked_request(task.http_request)
    deadline = task.dispatch_deadline or DEFAULT_DEADLINE
    if not SHORTEST_DEADLINE <= deadline <= LONGEST_DEADLINE:
        raise invalid("Task.dispatch_deadline must be between [15s, 30m].")
    return tasks_v2.Task(
        name=task.name,
        http_request=request,
        schedule_time=max(schedule_at, at),
        create_time=at,
        dispatch_deadline=timedelta(milliseconds=deadline // timedelta(milliseconds=1)),
        **({"retry_config": task.retry_config} if "retry_config" in task else {}),
    )


def _checked_request(request: tasks_v2.HttpRequest) -> tasks_v2.HttpRequest:
    _check_url(request.url)
    method = request.http_method or tasks_v2.HttpMethod.POST
    if not isinstance(method, tasks_v2.HttpMethod):
        # proto-plus leaves a number that names no method a number.
        raise invalid("HttpRequest.http_method is unknown.")
    if request.body and method not in _WITH_BODY:
        raise invalid("HttpRequest.body is allowed only with POST, PUT or PATCH.")
    if sum(len(name) + len(value) for name, value in request.headers.items()) >= MAX_HEADER_BYTES:
        raise invalid("The size of the headers must be less than 80KB.")
    for name, value in request.headers.items():
        is_printable = value.isascii() and not any(ord(one) < 32 and one != "\t" for one in value)
        if not _HEADER_NAME(name) or not is_printable:
            raise invalid("A header's name or value is invalid.")
    if "oauth_token" in request:
        raise Refusal(grpc.StatusCode.UNIMPLEMENTED, "The stand-in offers OIDC tokens only.")
    if "oidc_token" in request and "@" not in request.oidc_token.service_account_email:
        raise invalid("OidcToken.service_account_email is required and must be an e-mail address.")
    completed = tasks_v2.HttpRequest(request)
    completed.http_method = tasks_v2.HttpMethod(method)
    return completed


def _check_url(url: str) -> None:
    if not url.startswith(("http://", "https://")) or len(url) > MAX_URL_LENGTH:
        raise invalid(f"HttpRequest.url must begin with http:// or https://, with at most {MAX_URL_LENGTH} characters.")
    try:
        parts = urlsplit(url)
        is_usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_usable = False
    if not is_usable:
        raise invalid("HttpRequest.url is not a URL.")


def _whole_seconds(duration: timedelta | None) -> timedelta:
    return timedelta(seconds=(duration or timedelta(0)) // timedelta(seconds=1))
