"""Pictures about predictions. matplotlib is imported where it is used."""

import math
from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np

from ...storage.png_file import drawable, own_settings, write_png
from .pixels import to_pixels

MOST = 200  # pictures in one file


@own_settings()
def digit_sheet(images: Any, titles: Sequence[str], path: str | PathLike) -> None:
    """Draw digits with a title each, ten a row; of more than 200 the first 200.

    Arguments:
        images: (N, H, W) or (N, C, H, W), N ≥ 1. titles: N strings.
        path: the PNG file, replaced when the new one is complete.

    Raises: OSError if the file cannot be written.
    """
    from matplotlib.figure import Figure

    rows = math.ceil(min(len(images), MOST) / 10)
    figure = Figure(figsize=(12, 1.5 * rows), layout="constrained")
    _draw_digits(figure, images[: 10 * rows], titles, rows, 10)
    write_png(figure, path)


@own_settings()
def evaluation_picture(confusion: Any, images: Any, titles: Sequence[str], path: str | PathLike) -> None:
    """Draw a confusion matrix (K, K) and the worst mistakes; other arguments as digit_sheet, N may be 0."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 6), layout="constrained")
    parts: Any = figure.subfigures(1, 2, width_ratios=(1, 1.2))
    left, right = parts
    axes = left.add_subplot()
    share = confusion / confusion.sum(axis=1, keepdims=True).clip(1)
    axes.imshow(np.sqrt(share), cmap="Blues", vmin=0, vmax=1)  # the root makes rare confusions visible
    for row, column in np.argwhere(confusion):
        colour = "white" if share[row, column] > 0.4 else "black"
        axes.text(column, row, confusion[row, column], ha="center", va="center", color=colour, fontsize=8)
    axes.set(xlabel="predicted", ylabel="true", xticks=range(len(confusion)), yticks=range(len(confusion)))
    right.suptitle("worst mistakes: true → predicted")
    _draw_digits(right, images[:30], titles, 5, 6)
    write_png(figure, path)


def _draw_digits(figure, images, titles, rows, columns):
    images = to_pixels(images) if len(images) else images
    for number, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.set_axis_off()
        if number < len(images):
            axes.imshow(images[number], cmap="gray", vmin=0, vmax=255)
            axes.set_title(drawable(titles[number]), fontsize=8, parse_math=False)
