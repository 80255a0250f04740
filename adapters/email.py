"""E-mail to the team through an SMTP server."""

import asyncio
import hashlib
import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from contracts.errors import TransientError

TIMEOUT_SECONDS = 10


class EmailError(TransientError):
    """The server did not take the message; the text holds neither address nor password."""


class Mailer:
    """Sender of plain texts. `url` is `smtp://` (STARTTLS where the server offers it) or `smtps://USER:PASSWORD@HOST:PORT`."""

    def __init__(self, url: str, *, to: Sequence[str]) -> None:
        parts = urlsplit(url)
        self._is_tls, self._host, self._port = parts.scheme == "smtps", parts.hostname or "", parts.port or 0
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._to = tuple(to)

    async def send(self, subject: str, text: str, *, message_id: str) -> None:
        """Send one message; the same `message_id` lets the receiver recognise a repetition.

        Raises:
            EmailError: it was not taken.
        """
        message = EmailMessage()
        message["Subject"] = " ".join(subject.split())
        message["From"] = self._user if "@" in self._user else f"prosa@{self._host}"
        message["To"] = ", ".join(self._to)
        message["Message-ID"] = f"<{message_id}@prosa>"
        message.set_content(text)
        try:
            await asyncio.to_thread(self._deliver, message)
        except (smtplib.SMTPException, OSError) as exc:
            # Its text may hold addresses.
            raise EmailError(type(exc).__name__) from None

    async def post(self, text: str) -> None:
        """Send a text whose first line is its subject; an equal text is the same message.

        Raises:
            EmailError: it was not taken.
        """
        subject, _, _ = text.partition("\n")
        await self.send(subject.replace("*", ""), text, message_id=hashlib.sha256(text.encode()).hexdigest()[:32])

    def _deliver(self, message: EmailMessage) -> None:
        context = ssl.create_default_context()
        if self._is_tls:
            server: smtplib.SMTP = smtplib.SMTP_SSL(self._host, self._port, timeout=TIMEOUT_SECONDS, context=context)
        else:
            server = smtplib.SMTP(self._host, self._port, timeout=TIMEOUT_SECONDS)
        with server:
            if not self._is_tls:
                server.ehlo()
                if server.has_extn("starttls"):
                    server.starttls(context=context)
            if self._user:
                server.login(self._user, self._password)
            server.send_message(message)
