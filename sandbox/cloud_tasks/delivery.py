"""One delivery attempt: the HTTP request to the worker, with the headers and the token of the real service."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
from google.cloud import tasks_v2

from sandbox.behaviour import Counters
from sandbox.chance import Chance
from sandbox.cloud_tasks.behaviour import TasksBehaviour, TokenFault
from sandbox.cloud_tasks.held import Answer, HeldTask, Outcome
from sandbox.cloud_tasks.tokens import TokenSigner

USER_AGENT = "Google-Cloud-Tasks"
_REPLACED = ("host", "content-length", "user-agent", "x-google-", "x-appengine-", "x-cloudtasks-")


class Postman:
    """Sender of the attempts. `deadline_scale` shortens dispatch deadlines; tokens carry the wall-clock time."""

    def __init__(self, signer: TokenSigner, counters: Counters, *, deadline_scale: float) -> None:
        self._signer = signer
        self._counters = counters
        self._deadline_scale = deadline_scale
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
        self._client = httpx.AsyncClient(timeout=None, limits=limits, follow_redirects=True, trust_env=False)  # noqa: S113
        self.behave(TasksBehaviour(), Chance(0))

    def behave(self, behaviour: TasksBehaviour, chance: Chance) -> None:
        self._behaviour = behaviour
        self._chance = chance

    async def close(self) -> None:
        await self._client.aclose()

    async def deliver(self, task: HeldTask) -> Answer:
        """Send the request once (twice if drawn so) and return the worker's answer."""
        dice, _ = self._chance.dice(task.request.body or task.request.url.encode())
        if dice.happens("dropped", self._behaviour.dropped):
            return Answer(Outcome.DROPPED)
        if dice.happens("held back", self._behaviour.held_back):
            self._counters.add("held_back")
            await asyncio.sleep(dice.draw("held back for") * self._behaviour.held_back_ms / 1000)
        if not dice.happens("doubled", self._behaviour.doubled):
            return await self._post(task)
        self._counters.add("doubled")
        first, _ = await asyncio.gather(self._post(task), self._post(task))
        return first

    async def _post(self, task: HeldTask) -> Answer:
        request = task.request
        method = tasks_v2.HttpMethod(request.http_method).name
        try:
            async with asyncio.timeout(task.deadline.total_seconds() / self._deadline_scale):
                response = await self._client.request(
                    method, request.url, content=request.body, headers=self._headers(task)
                )
        except TimeoutError:
            return Answer(Outcome.DEADLINE)
        except httpx.HTTPError:
            return Answer(Outcome.NO_CONNECTION)
        outcome = Outcome.SUCCEEDED if response.is_success else Outcome.REFUSED
        return Answer(outcome, response.status_code, _retry_after(response))

    def _headers(self, task: HeldTask) -> httpx.Headers:
        """Return the client's headers, then those it may not set itself."""
        given = task.request.headers.items()
        headers = httpx.Headers([(name, value) for name, value in given if not name.lower().startswith(_REPLACED)])
        headers["User-Agent"] = USER_AGENT
        headers["X-CloudTasks-QueueName"] = task.queue_id
        headers["X-CloudTasks-TaskName"] = task.id
        headers["X-CloudTasks-TaskRetryCount"] = str(task.dispatches - 1)
        headers["X-CloudTasks-TaskExecutionCount"] = str(task.responses)
        headers["X-CloudTasks-TaskETA"] = f"{task.schedule_at.timestamp():.6f}"
        if task.last is not None:
            headers["X-CloudTasks-TaskRetryReason"] = task.last.outcome.value
            if task.last.status is not None:
                headers["X-CloudTasks-TaskPreviousResponse"] = str(task.last.status)
        fault = self._behaviour.token_fault
        if "oidc_token" in task.request and fault is not TokenFault.ABSENT:
            oidc = task.request.oidc_token
            token = self._signer.token(
                email=oidc.service_account_email,
                audience=oidc.audience or task.request.url,
                at=datetime.now(UTC),
                fault=fault,
            )
            headers["Authorization"] = f"Bearer {token}"
        return headers


def _retry_after(response: httpx.Response, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> timedelta:
    """Return the delay that the worker requests, in seconds or as a date; zero without a request."""
    wish = response.headers.get("retry-after", "").strip()
    if wish.isascii() and wish.isdigit():
        return timedelta(seconds=min(int(wish[:9]), 86_400))
    try:
        at = parsedate_to_datetime(wish)
    except ValueError:
        return timedelta(0)
    return max(timedelta(0), (at if at.tzinfo else at.replace(tzinfo=UTC)) - now())
