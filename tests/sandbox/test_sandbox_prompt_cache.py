"""The prompt cache: what is written, read, renewed and forgotten, alone and as the SDK reports it."""

import anthropic
import pytest
from sandbox_requests import PREFIX, request

from sandbox.prompt_cache import FIVE_MINUTES, ONE_HOUR, Block, PromptCache


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def blocks(*sizes: tuple[str, int, float | None]) -> list[Block]:
    return [Block(content.encode(), tokens, ttl) for content, tokens, ttl in sizes]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> PromptCache:
    return PromptCache(clock)


def test_written_once_then_read(cache: PromptCache) -> None:
    prompt = blocks(("core", 2000, FIVE_MINUTES), ("question", 50, None))
    first, second = cache.use(b"m", prompt), cache.use(b"m", prompt)
    assert (first.uncached, first.read, first.written_5m) == (50, 0, 2000)
    assert (second.uncached, second.read, second.written) == (50, 2000, 0)
    assert first.total == second.total


def test_what_is_written_meanwhile_is_not_read(cache: PromptCache, clock: Clock) -> None:
    prompt = blocks(("core", 2000, FIVE_MINUTES), ("question", 50, None))
    clock.now = 1.0
    assert cache.use(b"m", prompt, asked_at=0.0).written == 2000
    assert cache.use(b"m", prompt, asked_at=0.5).written == 2000
    assert cache.use(b"m", prompt, asked_at=1.0).read == 2000


def test_short_prefix_is_ignored_silently(cache: PromptCache) -> None:
    prompt = blocks(("core", 1023, FIVE_MINUTES), ("question", 50, None))
    assert cache.use(b"m", prompt) == cache.use(b"m", prompt)
    assert cache.use(b"m", prompt).uncached == 1073


def test_models_do_not_share(cache: PromptCache) -> None:
    prompt = blocks(("core", 2000, FIVE_MINUTES))
    cache.use(b"one", prompt)
    assert cache.use(b"other", prompt).read == 0


def test_reading_renews_and_silence_forgets(cache: PromptCache, clock: Clock) -> None:
    prompt = blocks(("core", 2000, FIVE_MINUTES))
    cache.use(b"m", prompt)
    for _ in range(3):
        clock.now += FIVE_MINUTES - 1
        assert cache.use(b"m", prompt).read == 2000
    clock.now += FIVE_MINUTES + 1
    assert cache.use(b"m", prompt).written_5m == 2000


def test_an_hour_outlives_five_minutes(cache: PromptCache, clock: Clock) -> None:
    prompt = blocks(("core", 2000, ONE_HOUR), ("task", 1500, FIVE_MINUTES), ("question", 10, None))
    first = cache.use(b"m", prompt)
    assert (first.written_1h, first.written_5m, first.uncached) == (2000, 1500, 10)
    clock.now += FIVE_MINUTES + 1
    later = cache.use(b"m", prompt)
    assert (later.read, later.written_5m, later.uncached) == (2000, 1500, 10)


def test_another_task_reads_the_common_prefix(cache: PromptCache) -> None:
    cache.use(b"m", blocks(("core", 2000, FIVE_MINUTES), ("state", 1100, FIVE_MINUTES)))
    other = cache.use(b"m", blocks(("core", 2000, FIVE_MINUTES), ("response", 1200, FIVE_MINUTES)))
    assert (other.read, other.written_5m) == (2000, 1200)


def test_a_growing_conversation_reads_what_was_there(cache: PromptCache) -> None:
    """The breakpoint moves with each turn; the earlier prefix is found within twenty blocks."""
    cache.use(b"m", blocks(("core", 2000, None), ("one", 10, FIVE_MINUTES)))
    grown = cache.use(b"m", blocks(("core", 2000, None), ("one", 10, None), ("two", 20, FIVE_MINUTES)))
    assert (grown.read, grown.written_5m) == (2010, 20)


def test_the_oldest_goes_when_it_is_full(clock: Clock) -> None:
    cache = PromptCache(clock, size=2)
    for name in ("a", "b", "c"):
        cache.use(b"m", blocks((name, 2000, FIVE_MINUTES)))
    assert len(cache) == 2
    assert cache.use(b"m", blocks(("a", 2000, FIVE_MINUTES))).read == 0


async def test_usage_of_the_sdk_tells_reads_from_writes(sdk: anthropic.AsyncAnthropic) -> None:
    first = (await sdk.messages.create(**request("state", "oi", cached=True))).usage
    second = (await sdk.messages.create(**request("response", "olá", cached=True))).usage
    assert first.cache_creation_input_tokens == (len(PREFIX) + 3) // 4
    assert first.cache_creation is not None
    assert first.cache_creation.ephemeral_5m_input_tokens == first.cache_creation_input_tokens
    assert first.cache_read_input_tokens == 0
    assert second.cache_read_input_tokens == first.cache_creation_input_tokens
    assert second.cache_creation_input_tokens == 0
    assert 0 < second.input_tokens < 200
    async with sdk.messages.stream(**request("response", "olá", cached=True)) as stream:
        assert (await stream.get_final_message()).usage.cache_read_input_tokens == second.cache_read_input_tokens
