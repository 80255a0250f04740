"""Errors, grouped by what the worker does next.

WorkerError
  + TransientError(retry_after)   the work is kept and tried again with backoff; after five attempts dead-lettered
  + PermanentError                dead-lettered at once: a retry would fail the same way
  + ConfigurationError            raised while starting, so that the process does not come up
"""

from datetime import timedelta
from typing import Literal, TypeAlias

ErrorFamily: TypeAlias = Literal["transient", "permanent", "defect"]
FAMILIES: tuple[ErrorFamily, ...] = ("transient", "permanent", "defect")


class WorkerError(Exception):
    """Base of every error the product raises on purpose. Its text never contains what a person wrote."""


class TransientError(WorkerError):
    """Something outside is busy or unavailable; `retry_after` is the pause it asks for, if any."""

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StoreUnavailableError(TransientError):
    """The store did not answer within its time-out."""


class InboxUnavailableError(TransientError):
    """The inbox could not make a message durable; the webhook answers 503 and the platform sends it again."""


class ConversationConflictError(TransientError):
    """The stored version is not the loaded one: another worker wrote in between."""

    def __init__(self, conversation_id: str, what: str = "kept changing: try again") -> None:
        super().__init__(f"{conversation_id} {what}")


class ConversationMovedError(TransientError):
    """Another store holds the conversation now; its messages wait here until they are moved there."""


class ConversationJoinedError(TransientError):
    """The conversation is another thread of a person, and was joined to `into`, which answers its messages."""

    def __init__(self, into: str) -> None:
        super().__init__(f"joined to {into}")
        self.into = into


class CacheUnavailableError(TransientError):
    """The cache did not answer within its time-out; what it holds can be made again."""


class LeaseLostError(TransientError):
    """The lease expired and another worker holds the conversation now."""


class ModelUnavailableError(TransientError):
    """The model could not be reached, timed out, or is overloaded (429, 529, 5xx)."""


class GroupClosedError(TransientError):
    """Work waited to be done together with other work when the process began to stop."""


class ChannelUnavailableError(TransientError):
    """The platform refused for now (rate limit, 5xx, no connection): nothing was sent."""


class ChannelAccountError(ChannelUnavailableError):
    """The platform takes nothing from our account until a person repairs it: token, permission, lock."""


class SendOutcomeUnknownError(TransientError):
    """The request left and no answer came back: the platform may or may not have the message."""


class CallbackRefusedError(TransientError):
    """The receiver of a finished analysis did not answer 2xx in time."""


class PermanentError(WorkerError):
    """A retry would fail in the same way."""


class MalformedMessageError(PermanentError):
    """A body that is not what its platform documents."""


class BadCursorError(PermanentError):
    """The cursor of a list is none that a page has returned."""


class IllegalTransitionError(PermanentError):
    """The table has no such move."""


class ReplyRefusedError(PermanentError):
    """The platform does not take this message of an agent: it is too long, or of a kind that it does not know."""


class ReplyWindowClosedError(ReplyRefusedError):
    """The platform takes no free text of an agent any more: only a template may be sent."""


class UnusableModelOutputError(PermanentError):
    """The model's answer stayed invalid after its one repair."""


class BudgetSpentError(PermanentError):
    """The call might cost more than a ceiling leaves: no model is asked, neither this one nor a smaller one."""


class ModelRequestRejectedError(PermanentError):
    """The provider refuses the request as such (400, 401, 403): a retry with the same request cannot help.

    `status` is its HTTP status, None where it was not asked.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ChannelRefusedError(PermanentError):
    """The platform refuses this message for good by `code`; `in_any_form`: as plain text too (window, blocked)."""

    def __init__(self, message: str, *, code: str, in_any_form: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.in_any_form = in_any_form


class ChangeRefusedError(PermanentError):
    """A change of a flag or an experiment that cannot be made; the text says why and what to do."""


class ConfigurationError(WorkerError):
    """Start-up cannot go on; the text names the variable or the file and says what to do."""


class PromptNotFoundError(ConfigurationError):
    """No template of that name."""


class InstitutionError(ConfigurationError):
    """The institution's documents do not say what they must; one line per problem, with file and line."""


def family_of(error: BaseException) -> ErrorFamily:
    """Return the family of `error`; `defect` is everything that the product does not raise on purpose at run time."""
    if isinstance(error, TransientError):
        return "transient"
    return "permanent" if isinstance(error, PermanentError) else "defect"


def leaves_of(error: BaseException) -> list[BaseException]:
    """Return the errors inside an exception group, in order; of any other error, itself."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in leaves_of(part)]
    return [error]
