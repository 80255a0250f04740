"""Access tokens of the process's Google account, by Google's application default credentials."""

import asyncio

import google.auth
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.auth.transport.requests import Request

from contracts.errors import ConfigurationError, TransientError

CLOUD = "https://www.googleapis.com/auth/cloud-platform"
MONITORING = "https://www.googleapis.com/auth/monitoring.read"


class GoogleToken:
    """Token of one scope that is fetched again shortly before it expires; many callers wait for one fetch."""

    def __init__(self, scope: str) -> None:
        """Find the credentials. Raises ConfigurationError: there are none."""
        try:
            self._credentials, _ = google.auth.default(scopes=[scope])
        except DefaultCredentialsError as exc:
            raise ConfigurationError(
                "no credentials of Google Cloud: set GOOGLE_APPLICATION_CREDENTIALS, or run on Google Cloud"
            ) from exc
        self._fetching = asyncio.Lock()

    async def current(self) -> str:
        """Return a token that is valid now. Raises TransientError: Google gives none."""
        async with self._fetching:
            if not self._credentials.valid:
                try:
                    await asyncio.to_thread(self._credentials.refresh, Request())
                except GoogleAuthError as exc:
                    raise TransientError(f"no token of Google: {type(exc).__name__}") from exc
            return str(self._credentials.token)
