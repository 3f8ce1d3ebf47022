"""Connected parts of a boolean picture, and which of them are the digit."""

from typing import Any

import numpy as np

from .photo_file import PhotoError

MOST_PARTS = 8  # of a digit or two; more marks of one size are texture
SPECK = 1 / 8  # of the area of the largest part: what is smaller is not part of the digit


class Part:
    """A connected part: rows, columns (index arrays of its pixels), and its bounding box, ends excluded."""

    def __init__(self, rows: np.ndarray, columns: np.ndarray) -> None:
        self.rows, self.columns = rows, columns
        self.top, self.bottom = rows.min(), rows.max() + 1
        self.left, self.right = columns.min(), columns.max() + 1
        self.height, self.width = self.bottom - self.top, self.right - self.left
        self.area = len(rows)

    def sides_touched(self, shape: Any, within: int = 0) -> Any:
        """How many sides of a picture of that shape the part touches, or comes as near to as `within` pixels."""
        distances = self.top, self.left, shape[0] - self.bottom, shape[1] - self.right
        return sum(distance <= within for distance in distances)

    def surrounds(self, other: Any) -> bool:
        """Whether it is a thin outline around the other: a frame, or a circle drawn around a digit."""
        around = self.top < other.top and self.bottom > other.bottom
        around = around and self.left < other.left and self.right > other.right
        return around and self.area < 0.35 * self.height * self.width and other.height > 0.35 * self.height


def components(mask: np.ndarray) -> list[Part]:
    """Connected parts (8 neighbours) of a boolean picture: list of Part, largest first."""
    starts_and_ends = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype("int8"), axis=1)
    row_of, left = np.nonzero(starts_and_ends == 1)  # runs of pixels, row by row
    right = np.nonzero(starts_and_ends == -1)[1]
    first_of_row = np.searchsorted(row_of, np.arange(len(mask) + 1))
    parent = list(range(len(left)))

    def root(run):
        while parent[run] != run:
            parent[run] = run = parent[parent[run]]
        return run

    start, end = left.tolist(), right.tolist()
    for above, here, stop in zip(first_of_row[:-2], first_of_row[1:-1], first_of_row[2:], strict=True):
        a, b = above, here
        while a < here and b < stop:
            if start[a] <= end[b] and start[b] <= end[a]:  # they touch, if only at a corner
                parent[root(b)] = root(a)
            a, b = (a + 1, b) if end[a] < end[b] else (a, b + 1)
    roots = [root(run) for run in range(len(start))]
    rows, columns = np.nonzero(mask)
    label = np.repeat(roots, np.subtract(end, start)) if roots else np.zeros(0, int)
    order = np.argsort(label, kind="stable")
    borders = np.flatnonzero(np.diff(label[order])) + 1
    found = [Part(r, c) for r, c in zip(*(np.split(x[order], borders) for x in (rows, columns)), strict=True) if len(r)]
    return sorted(found, key=lambda part: -part.area)


def parts_of_digit(parts: Any, area: Any) -> list[Part]:
    """Those of the parts that are the digit: no specks, and no frame drawn around it.

    Arguments: parts: list of Part, largest first, not empty. area: of all ink, in pixels.

    Raises: PhotoError if there are several digits, or nothing but specks.
    """
    parts = [part for part in parts if not any(part.surrounds(other) for other in parts)]
    kept = [part for part in parts if part.area >= SPECK * parts[0].area]
    if sum(part.area for part in kept) < 0.2 * area or len(kept) > MOST_PARTS:
        raise PhotoError("no digit found: nothing but texture")
    if (count := _digits_among(kept)) > 1:
        raise PhotoError(f"{count} digits, or other marks of their size: photograph one digit at a time")
    return kept


def _digits_among(parts):
    """How many groups of parts stand apart, side by side or one above the other, and are of the size of a digit."""
    size = max(max(part.height, part.width) for part in parts)
    large = [part for part in parts if max(part.height, part.width) >= 0.5 * size and part.area >= parts[0].area / 5]
    side_by_side = _groups([(part.left, part.right) for part in large], 0.1 * size)
    return max(side_by_side, _groups([(part.top, part.bottom) for part in large], 0.15 * size))


def _groups(intervals, gap):
    """How many groups of intervals have more than a gap between them."""
    groups, reached = 0, None
    for start, end in sorted(intervals):
        if reached is None or start > reached + gap:
            groups += 1
        reached = end if reached is None else max(end, reached)
    return groups
