"""Changes of one row of the outbox, the same in every store."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime

from contracts.delivery import OutboxRow
from contracts.values import OutboxId


class RowChanges(ABC):
    """Part of the `Outbox` port, over a store's atomic change of a row."""

    @abstractmethod
    async def _change(self, row_id: OutboxId, change: Callable[[OutboxRow], OutboxRow | None]) -> OutboxRow | None:
        """Replace the row by the result of `change`; return None without a row, or when `change` returns None."""

    async def begin_send(self, row: OutboxRow, *, deadline: datetime, at: datetime) -> OutboxRow | None:
        return await self._change(
            row.id, lambda stored: stored.sending(deadline=deadline, at=at) if stored == row else None
        )

    async def postpone(self, row_id: OutboxId, *, not_before: datetime, error_code: str, at: datetime) -> None:
        await self._change(
            row_id,
            lambda row: row.postponed(not_before=not_before, error_code=error_code, at=at) if row.is_unsent else None,
        )

    async def mark_failed(
        self, row_id: OutboxId, *, error_code: str, at: datetime, in_any_form: bool = True
    ) -> OutboxRow | None:
        return await self._change(
            row_id,
            lambda row: row.failed(error_code=error_code, at=at, in_any_form=in_any_form) if row.is_unsent else None,
        )

    async def escalation_done(self, row_id: OutboxId) -> None:
        await self._change(row_id, lambda row: row.model_copy(update={"needs_escalation": False}))
