"""Instant queries to an HTTP API of Prometheus, Cloud Monitoring's included."""

import math
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

import orjson

from adapters.http.client import HttpError, ask, open_client
from contracts.errors import TransientError

CLOUD_MONITORING = "https://monitoring.googleapis.com/v1/projects/{}/location/global/prometheus"
WITHIN = timedelta(seconds=20)


class MetricsUnavailableError(TransientError):
    """The server of metrics gave no answer to a query."""


class PrometheusApi:
    """Reader of single numbers. `token` returns the bearer token of each request; None for a server that takes none.

    Source: https://prometheus.io/docs/prometheus/latest/querying/api/, which Cloud Monitoring answers below
    `CLOUD_MONITORING` (https://cloud.google.com/stackdriver/docs/managed-prometheus/query-api-ui).
    """

    def __init__(self, url: str, *, token: Callable[[], Awaitable[str]] | None = None) -> None:
        self._url = f"{url.rstrip('/')}/api/v1/query"
        self._token = token
        self._client = open_client(within=WITHIN)

    async def figures(self, queries: Mapping[str, str], *, at: datetime) -> dict[str, float]:
        """Return the values of queries with one series each, by their names; those without a number are missing.

        One request asks for all of them, so that they are of the same moment.

        Raises:
            MetricsUnavailableError: no answer, or one that is none of this API.
        """
        named = [f'label_replace({query}, "figure", "{name}", "", "")' for name, query in queries.items()]
        form = {"query": " or ".join(named), "time": f"{at.timestamp():.3f}"}
        headers = {"Authorization": f"Bearer {await self._token()}"} if self._token else {}
        try:
            answer = await ask(self._client, "POST", self._url, within=WITHIN, data=form, headers=headers)
        except HttpError as exc:
            raise MetricsUnavailableError(f"the server of metrics does not answer: {exc}") from exc
        if not answer.is_success:
            raise MetricsUnavailableError(f"the server of metrics answered {answer.status}")
        try:
            series = orjson.loads(answer.content)["data"]["result"]
            values = {one["metric"]["figure"]: float(one["value"][1]) for one in series}
        except (orjson.JSONDecodeError, LookupError, TypeError, ValueError) as exc:
            raise MetricsUnavailableError("the answer is none of Prometheus' query API") from exc
        return {name: value for name, value in values.items() if math.isfinite(value)}

    async def close(self) -> None:
        await self._client.aclose()
