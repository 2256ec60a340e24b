"""Ranges of images: what is not covered, and where it is cut."""

from collections.abc import Iterable, Iterator


def cut(pieces: Iterable[tuple[int, int]], place: int) -> Iterator[tuple[int, int]]:
    """The same, with a border at this place."""
    for start, stop in pieces:
        if start < place < stop:
            yield from ((start, place), (place, stop))
        else:
            yield start, stop


def gaps(have: list[tuple[int, int]], total: int, shard: int) -> Iterator[tuple[int, int]]:
    """What of 0 to `total` is not covered, cut at multiples of `shard`."""
    position = 0
    for start, stop in [*sorted(have), (total, total)]:
        while position < min(start, total):
            end = min(start, total, (position // shard + 1) * shard)
            yield position, end
            position = end
        position = max(position, stop)
