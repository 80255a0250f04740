"""Lets work begin as fast as the event loop keeps up, and no faster.

Over its capacity a process that begins everything finishes less: its loop comes late to everything, leases run out
under work that is then thrown away, and calls time out that were answered long ago. How many conversations are too many
depends on the machine and on what they do; how late the loop is can be measured.
"""

import asyncio
from collections import deque
from contextlib import suppress

LATE_SECONDS = 0.1
BEAT_SECONDS = 0.02
BEGIN_EACH_BEAT = 10


class Pace:
    """Admits a few at each beat, none while a beat comes more than `late` seconds after its time.

    The first ones after a quiet moment are admitted at once.
    """

    def __init__(
        self, *, late: float = LATE_SECONDS, beat: float = BEAT_SECONDS, begin_each_beat: int = BEGIN_EACH_BEAT
    ) -> None:
        self._late = late
        self._beat = beat
        self._begin_each_beat = begin_each_beat
        self._room = begin_each_beat
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._beating: asyncio.Task[None] | None = None

    async def admitted(self) -> None:
        """Return when the work may begin; in the order of asking."""
        if self._beating is None:
            self._beating = asyncio.create_task(self._keep_time(), name="pace")
        if self._room > 0 and not self._waiting:
            self._room -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            with suppress(ValueError):
                self._waiting.remove(turn)
            raise

    async def _keep_time(self) -> None:
        """Beat until nobody has waited for a whole beat."""
        loop = asyncio.get_running_loop()
        while self._waiting or self._room < self._begin_each_beat:
            began = loop.time()
            await asyncio.sleep(self._beat)
            lateness = loop.time() - began - self._beat
            self._room = self._begin_each_beat if lateness <= self._late else 0
            while self._room and self._waiting:
                turn = self._waiting.popleft()
                if not turn.done():
                    turn.set_result(None)
                    self._room -= 1
        self._beating = None
