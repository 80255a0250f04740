"""Access tokens of the process's Google account, by Google's application default credentials."""

import asyncio

import google.auth
from google.auth.credentials import Credentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.auth.transport.requests import Request

from contracts.errors import TransientError

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)


class GoogleToken:
    """Token that is fetched again shortly before it expires; many callers wait for one fetch."""

    def __init__(self) -> None:
        self._credentials: Credentials | None = None
        self._fetching = asyncio.Lock()

    async def current(self) -> str:
        """Return a token that is valid now.

        Raises:
            TransientError: Google gives no token, or there are no credentials of Google Cloud.
        """
        async with self._fetching:
            if self._credentials is None or not self._credentials.valid:
                try:
                    self._credentials = await asyncio.to_thread(_refreshed, self._credentials)
                except DefaultCredentialsError as exc:
                    raise TransientError(
                        "no credentials of Google Cloud: set GOOGLE_APPLICATION_CREDENTIALS, or run on Google Cloud"
                    ) from exc
                except GoogleAuthError as exc:
                    raise TransientError(f"no token of Google: {type(exc).__name__}") from exc
            return str(self._credentials.token)


def _refreshed(credentials: Credentials | None) -> Credentials:
    if credentials is None:
        credentials, _ = google.auth.default(scopes=SCOPES)
    credentials.refresh(Request())  # type: ignore[no-untyped-call]
    return credentials
