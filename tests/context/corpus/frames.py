"""Puts drafts together from frames and the things that fill them, always the same ones."""

from collections.abc import Iterator, Sequence


def lines(block: str) -> tuple[str, ...]:
    """The lines of a block that hold something."""
    return tuple(line.strip() for line in block.strip().splitlines() if line.strip())


def filled(frames: Sequence[str], fillings: Sequence[str], *, each: int) -> Iterator[str]:
    """Every frame with `each` of the fillings, walking through them so that all get their turn."""
    at = 0
    for frame in frames:
        for _ in range(each):
            yield frame.replace("{x}", fillings[at % len(fillings)])
            at += 1


def opened(openings: Sequence[str], texts: Sequence[str]) -> Iterator[str]:
    """Every text after one of the openings."""
    for at, text in enumerate(texts):
        yield f"{openings[at % len(openings)]} {text}"
