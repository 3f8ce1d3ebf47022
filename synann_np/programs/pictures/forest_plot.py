"""Odds ratios with their intervals, one a row, on a logarithmic axis."""

from collections.abc import Sequence
from os import PathLike
from typing import Any

from ...storage.png_file import drawable, own_settings, write_png


@own_settings()
def draw_forest(
    path: str | PathLike, labels: Sequence[str], ratios: Any, lows: Any, highs: Any, title: str = "",
    xlabel: str = "odds ratio",
) -> None:  # fmt: skip
    """Write a forest plot.

    Arguments:
        path: the PNG file.
        labels: text a row, from the top.
        ratios, lows, highs: host numbers a row, positive and finite (correct tables with a zero cell); the 95 %
            interval is from low to high.

    Raises: OSError if the file cannot be written; ValueError if the lengths differ or a number cannot be drawn.
    """
    from matplotlib.figure import Figure

    rows = list(zip(labels, map(float, ratios), map(float, lows), map(float, highs), strict=True))
    for label, *numbers in rows:
        if not all(0 < v < float("inf") for v in numbers):
            raise ValueError(f"draw_forest: {label!r}: expected positive finite numbers, got {numbers}")
    figure = Figure(figsize=(9, 1.6 + 0.42 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    axes.axvline(1, color="0.5", lw=1, ls="--")
    for y, (_, ratio, low, high) in enumerate(rows):
        axes.plot([low, high], [y, y], color="tab:blue", lw=2)
        axes.plot(ratio, y, "s", color="tab:blue", ms=7)
        text = f"{ratio:.2f}  ({low:.2f} to {high:.2f})"
        axes.text(1.02, y, text, transform=axes.get_yaxis_transform(), va="center", fontsize=9)
    axes.text(1.02, -0.75, "value (95 % interval)", transform=axes.get_yaxis_transform(), va="center", fontsize=9)
    axes.set_yticks(range(len(rows)), [drawable(label) for label, *_ in rows], parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(rows) - 0.5, -1)  # the first row on top, the header above it
    axes.set(xscale="log", xlabel=xlabel)
    axes.set_title(drawable(title), parse_math=False)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.spines[["top", "right", "left"]].set_visible(False)
    write_png(figure, path)
