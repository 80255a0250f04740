"""What the webhook needs, gathered once when the process starts."""

from dataclasses import dataclass, field
from datetime import timedelta

from contracts.ports import Analyses, Clock, Events, Faults, Inbox, Reports, Store, WakeUps


@dataclass(frozen=True)
class WhatsAppSecrets:
    """`app_secrets` are the current and, while it is being changed, the previous one."""

    app_secrets: tuple[str, ...]
    verify_token: str


@dataclass(frozen=True)
class WebhookDependencies:
    """The ports and secrets of the HTTP side. `whatsapp` is None where the channel is not set up.

    A body that has not come in `read_within` is answered 408, what is not durable in `durable_within` 503. A stream of
    events that has had no news for `look_again` looks into the store for replies, and says it is there.
    """

    inbox: Inbox
    store: Store
    queue: WakeUps
    analyses: Analyses
    reports: Reports
    events: Events
    clock: Clock
    faults: Faults
    id_salt: str
    whatsapp: WhatsAppSecrets | None = None
    console_token: str | None = None
    allowed_origins: frozenset[str] = field(default=frozenset())
    is_sandbox_model: bool = False
    read_within: timedelta = timedelta(seconds=10)
    durable_within: timedelta = timedelta(seconds=2)
    look_again: timedelta = timedelta(seconds=15)
