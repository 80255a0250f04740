"""Access tokens of Google's application default credentials."""

import asyncio

import google.auth
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.auth.transport.requests import Request

from contracts.errors import ConfigurationError, TransientError

SCOPE = "https://www.googleapis.com/auth/monitoring.read"


class AccessToken:
    """Token of the account that this process runs as, fetched again when it has expired."""

    def __init__(self) -> None:
        """Find the credentials.

        Raises:
            ConfigurationError: there are none.
        """
        try:
            self._credentials, _ = google.auth.default(scopes=[SCOPE])
        except DefaultCredentialsError as exc:
            message = "no credentials of Google Cloud: run where a service account is, or use gcloud auth"
            raise ConfigurationError(message) from exc

    async def __call__(self) -> str:
        """Return a valid token.

        Raises:
            TransientError: Google gives none now.
        """
        if not self._credentials.valid:
            try:
                await asyncio.to_thread(self._credentials.refresh, Request())
            except GoogleAuthError as exc:
                raise TransientError(f"no access token of Google: {type(exc).__name__}") from exc
        return str(self._credentials.token)
