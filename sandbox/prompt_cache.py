"""The provider's prompt cache: prefixes that end at a breakpoint are kept for five minutes or an hour."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

FIVE_MINUTES = 300.0
ONE_HOUR = 3600.0
LOOK_BACK_BLOCKS = 20


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a prompt in the order the model reads it: tools, then system, then messages.

    `content` is what the cache compares, `tokens` its estimated length; `ttl_seconds` is set where a breakpoint ends.
    """

    content: bytes
    tokens: int
    ttl_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class CacheUse:
    """Billing of the tokens of one prompt."""

    uncached: int
    read: int = 0
    written_5m: int = 0
    written_1h: int = 0

    @property
    def written(self) -> int:
        return self.written_5m + self.written_1h

    @property
    def total(self) -> int:
        return self.uncached + self.read + self.written


@dataclass(slots=True)
class _Entry:
    since: float
    expires_at: float
    ttl_seconds: float


MINIMUM_TOKENS = 1024


class PromptCache:
    """Least recently used prefixes; `clock` gives seconds and may be a test's own."""

    def __init__(self, clock: Callable[[], float], *, size: int = 20_000) -> None:
        self._clock = clock
        self._size = size
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        self._entries.clear()

    def use(self, scope: bytes, blocks: Sequence[Block], *, asked_at: float | None = None) -> CacheUse:
        """Read the longest prefix that is kept, keep what the breakpoints ask for; `scope` separates models.

        A prefix shorter than the minimum is not kept, silently. Reading a prefix renews its time. What another request
        has written since `asked_at` (default: now) is not read: the provider has a prefix only once the answer to who
        wrote it begins.
        """
        now = self._clock()
        if not any(block.ttl_seconds for block in blocks):
            return CacheUse(uncached=sum(block.tokens for block in blocks))
        running, tokens = blake2b(scope, digest_size=16), 0
        keys, ends = list[bytes](), list[int]()
        for block in blocks:
            running.update(len(block.content).to_bytes(8))
            running.update(block.content)
            tokens += block.tokens
            keys.append(running.digest())
            ends.append(tokens)
        breakpoints = [index for index, block in enumerate(blocks) if block.ttl_seconds]
        last_read = self._longest_kept(keys, breakpoints, now, now if asked_at is None else asked_at)
        read = ends[last_read] if last_read is not None else 0
        written = {FIVE_MINUTES: 0, ONE_HOUR: 0}
        position = read
        for index in breakpoints:
            if ends[index] <= read:
                self._renew(keys[index], now)
            elif ends[index] >= MINIMUM_TOKENS:
                ttl = blocks[index].ttl_seconds or FIVE_MINUTES
                written[ttl] += ends[index] - position
                position = ends[index]
                key = keys[index]
                earlier = self._entries.get(key)
                since = earlier.since if earlier is not None and earlier.expires_at > now else now
                self._entries[key] = _Entry(since, now + ttl, ttl)
                self._entries.move_to_end(key)
                if len(self._entries) > self._size:
                    self._entries.popitem(last=False)
        return CacheUse(
            uncached=ends[-1] - position, read=read, written_5m=written[FIVE_MINUTES], written_1h=written[ONE_HOUR]
        )

    def _longest_kept(
        self, keys: Sequence[bytes], breakpoints: Sequence[int], now: float, asked_at: float
    ) -> int | None:
        for end in reversed(breakpoints):
            for index in range(end, max(end - LOOK_BACK_BLOCKS, 0) - 1, -1):
                entry = self._entries.get(keys[index])
                if entry is not None and entry.since <= asked_at and entry.expires_at > now:
                    self._renew(keys[index], now)
                    return index
        return None

    def _renew(self, key: bytes, now: float) -> None:
        entry = self._entries.get(key)
        if entry is not None and entry.expires_at > now:
            entry.expires_at = now + entry.ttl_seconds
            self._entries.move_to_end(key)
