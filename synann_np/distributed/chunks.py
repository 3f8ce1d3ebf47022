"""A batch in a fixed number of chunks, whatever the number of ranks, and sums over them in one fixed tree."""

from collections.abc import Sequence
from typing import Any

SMALL = 50  # rows of a chunk: with fewer, the calls cost more than the arithmetic


def bounds(N: int, chunks: int) -> list[int]:
    """Where the chunks of N rows begin and end: chunk c is rows ⌊N c / chunks⌋ up to ⌊N (c + 1) / chunks⌋.

    They depend on N and chunks alone: matrix products of other shapes round differently.
    """
    return [N * c // chunks for c in range(chunks + 1)]


def own_chunks(N: int, chunks: int, rank: int, size: int) -> list[slice]:
    """The chunks of a rank as slices of the rows of the batch; some are empty where N < chunks."""
    edges, count = bounds(N, chunks), chunks // size
    return [slice(edges[c], edges[c + 1]) for c in range(rank * count, (rank + 1) * count)]


def check_chunks(chunks: int, size: int) -> None:
    """Refuse what cannot give the same bits on any number of ranks.

    Raises: ValueError unless chunks and size are powers of two and there is a chunk for each rank.
    """
    powers = all(n >= 1 and n & (n - 1) == 0 for n in (chunks, size))
    if not powers or size > chunks:
        raise ValueError(
            f"DataParallel: {chunks} chunks on {size} ranks: expected powers of two, and at least as many chunks as "
            "ranks; choose 1, 2, 4, 8, ... chunks (--chunks) and as many ranks or fewer"
        )


def tree_sum(parts: Sequence[Any]) -> Any:
    """((0+1)+(2+3))+… of a power of two of arrays: the part of the tree inside a rank."""
    while len(parts) > 1:
        parts = [a + b for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]
