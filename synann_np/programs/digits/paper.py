"""Ink and paper: how far each pixel of a photograph stands out from the paper around it."""

from typing import Any

import numpy as np

WINDOW = 0.35  # of the longer side; wider than any stroke, so that every window shows some paper
STRIP = 0.3  # of a side; a darker or lighter strip along an edge that is wider is not cut off


def otsu_threshold(values: np.ndarray) -> float:
    """The threshold that best splits values (any shape, floats) into two groups: largest variance between the means."""
    counts, edges = np.histogram(values, 256)
    middles = (edges[1:] + edges[:-1]) / 2
    below = counts.cumsum()[:-1]
    above = values.size - below
    sums = (counts * middles).cumsum()
    mean_below, mean_above = sums[:-1] / below.clip(1), (sums[-1] - sums[:-1]) / above.clip(1)
    between = below * above * (mean_above - mean_below) ** 2
    # Between groups far apart every threshold is as good: the middle one.
    return edges[1:-1][between >= (1 - 1e-9) * between.max()].mean()


def without_table(grey: np.ndarray) -> np.ndarray:
    """The picture without strips along its edges that show what the paper lies on.

    A strip is uniform, ends at a sharp edge, and differs clearly from the middle of the picture.
    """
    for _ in range(2):  # a second strip may show once the first is cut off
        for turns in range(4):
            turned = np.rot90(grey, turns)  # the side in question is left
            grey = np.rot90(turned[:, _strip_width(turned) :], -turns)
    return grey


def relief(grey: np.ndarray) -> np.ndarray:
    """How far each pixel stands out from the paper around it, to the side of ink: (H, W), about 0 on paper.

    The brightness of the paper at a place is that of the darkest window around the place, each window counting by its
    brightest pixel (a morphological closing): strokes are narrower than the window and vanish, shades and the edge of a
    shadow stay. Light ink is treated as dark ink of the negative.
    """
    size = round(WINDOW * max(grey.shape))
    padded = np.pad(_smoothed(grey), size - 1, constant_values=-np.inf)  # of a window, the part inside counts
    brightest = running(running(padded, size, np.maximum), size, np.maximum, 1)
    return running(running(brightest, size, np.minimum), size, np.minimum, 1) - grey


def holds_a_window(mask: np.ndarray, share: float) -> bool:
    """Whether a square of that share of the longer side lies in the mask as a whole: then it is not a stroke."""
    size = round(share * max(mask.shape))
    return size <= min(mask.shape) and bool(running(running(mask, size, np.minimum), size, np.minimum, 1).any())


def running(a: np.ndarray, size: int, pick: Any, axis: int = 0) -> np.ndarray:
    """pick (np.maximum or np.minimum) over windows of `size` along an axis, which becomes shorter by size − 1."""
    a, length = np.moveaxis(a, axis, 0), 1
    while length < size:  # windows of twice the length out of two
        step = min(length, size - length)
        a, length = pick(a[:-step], a[step:]), length + step
    return np.moveaxis(a, 0, axis)


def residual_of_surface(grey: np.ndarray) -> np.ndarray:
    """grey minus a quadratic surface fitted to the paper."""
    y, x = np.linspace(-1, 1, grey.shape[0])[:, None], np.linspace(-1, 1, grey.shape[1])
    surface = np.stack(np.broadcast_arrays(1.0, y, x, y * x, y**2, x**2), axis=-1)
    paper = np.ones(grey.shape, bool)
    for _ in range(4):  # each time without what is not paper
        weights = np.linalg.lstsq(surface[paper], grey[paper], rcond=None)[0]
        difference = grey - surface @ weights
        paper = np.abs(difference) <= max(1.5 * difference[paper].std(), 1e-3)
        if paper.sum() < 50:
            break
    return difference


def separation(values: np.ndarray, threshold: float) -> float:
    """How much of the variance lies between the groups below and above a threshold: 0..1, 1 for two values only."""
    above = values > threshold
    share = above.mean()
    if share in (0, 1):
        return 0.0
    return share * (1 - share) * (values[above].mean() - values[~above].mean()) ** 2 / values.var()


def _strip_width(grey):
    width = grey.shape[1]
    profile = np.median(grey, axis=0)
    middle = np.median(profile[width // 4 : -(width // 4)])
    difference = profile - middle
    end = int(np.argmax(np.abs(difference) < abs(difference[0]) / 2))
    if abs(difference[0]) < 0.15 or end > STRIP * width or min(grey.shape) < 32:
        return 0
    step = abs(profile[min(end + 2, width - 1)] - profile[max(end - 3, 0)])
    strip = grey[:, : max(end - 2, 1)]
    uniform = np.mean(np.abs(strip - np.median(strip)) < 0.15) > 0.98
    return end + 2 if uniform and step > 0.6 * abs(difference[0]) else 0


def _smoothed(a):
    """The mean of each pixel and its 8 neighbours: the brightest pixel of a window shall be paper, not grain."""
    padded = np.pad(a, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9
