"""Samples of a data set, in rows by class."""

from collections.abc import Sequence
from os import PathLike

import numpy as np

from ...storage.png_file import own_settings, write_png
from .pixels import to_pixels


@own_settings()
def sample_grid(
    images: np.ndarray, labels: np.ndarray, path: str | PathLike, per_class: int = 10, columns: Sequence[str] = ()
) -> None:
    """Draw samples of every class that occurs: one row a class, its first `per_class` images.

    Arguments:
        images (N, H, W) or (N, 3, H, W) uint8, labels (N,): host arrays, N ≥ 1.
        path: the PNG file; an existing one is replaced when the new one is complete.
        columns: texts above the first columns.

    Raises:
        ValueError: no images, lengths that differ, or per_class below 1.
        OSError: the file cannot be written.
    """
    if len(images) != len(labels) or not len(images) or per_class < 1:
        raise ValueError(f"{len(images)} images, {len(labels)} labels, {per_class} a class: nothing to draw")
    from matplotlib.figure import Figure

    height, width = images.shape[-2:]
    classes = np.unique(labels)
    colours = to_pixels(images[:1]).shape[3:]
    # One pixel of mid grey around every image; a class with too few leaves cells grey.
    mosaic = np.full((len(classes), height + 1, per_class, width + 1, *colours), 128, np.uint8)
    for row, label in enumerate(classes):
        samples = to_pixels(images[np.flatnonzero(labels == label)[:per_class]])
        mosaic[row, :height, : len(samples), :width] = samples.swapaxes(0, 1)

    figure = Figure(figsize=(0.5 * per_class + 0.6, 0.5 * len(classes) + 0.2), layout="constrained")
    axes = figure.add_subplot()
    mosaic = mosaic.reshape(len(classes) * (height + 1), per_class * (width + 1), *colours)
    axes.imshow(mosaic, cmap="gray", vmin=0, vmax=255)
    axes.set_xticks(np.arange(len(columns)) * (width + 1) + (width - 1) / 2, columns, fontsize=9)
    axes.xaxis.tick_top()
    axes.set_yticks(np.arange(len(classes)) * (height + 1) + (height - 1) / 2, [str(c) for c in classes])
    axes.set_ylabel("class")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    write_png(figure, path)
