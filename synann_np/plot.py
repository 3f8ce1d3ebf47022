"""Pictures as PNG files. matplotlib is imported where it is used, and never through pyplot: no display needed."""

import os
from pathlib import Path

import numpy as np

from .train import EvalRecord, TrainRecord


def sample_grid(images, labels, path, per_class=10):
    """Draw samples of every class that occurs: one row a class, its first `per_class` images.

    Arguments:
        images (N, H, W) uint8, labels (N,): host arrays, N ≥ 1.
        path: the PNG file; an existing one is replaced when the new one is complete.

    Raises:
        ValueError: no images, lengths that differ, or per_class below 1.
        OSError: the file cannot be written.
    """
    if len(images) != len(labels) or not len(images) or per_class < 1:
        raise ValueError(f"{len(images)} images, {len(labels)} labels, {per_class} a class: nothing to draw")
    from matplotlib.figure import Figure

    height, width = images.shape[1:]
    classes = np.unique(labels)
    # One pixel of mid grey around every image; a class with too few leaves cells grey.
    mosaic = np.full((len(classes), height + 1, per_class, width + 1), 128, np.uint8)
    for row, label in enumerate(classes):
        samples = images[np.flatnonzero(labels == label)[:per_class]]
        mosaic[row, :height, : len(samples), :width] = samples.transpose(1, 0, 2)

    figure = Figure(figsize=(0.5 * per_class + 0.6, 0.5 * len(classes) + 0.2), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(mosaic.reshape(len(classes) * (height + 1), per_class * (width + 1)), cmap="gray", vmin=0, vmax=255)
    axes.set_xticks([])
    axes.set_yticks(np.arange(len(classes)) * (height + 1) + (height - 1) / 2, [str(c) for c in classes])
    axes.set_ylabel("class")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    _save_png(figure, path)


def training_curves(records, path, title=""):
    """Draw a run: train loss over examples seen, test loss and test accuracy per epoch.

    Arguments:
        records: list of TrainRecord and EvalRecord, in order, as a run yielded them.
        path: the PNG file; an existing one is replaced when the new one is complete.
        title: of the whole picture.
    Raises:
        OSError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    train = [r for r in records if isinstance(r, TrainRecord)]
    test = [r for r in records if isinstance(r, EvalRecord)]
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    figure.suptitle(title)
    losses, accuracies = figure.subplots(1, 2)

    losses.plot(
        [(r.epoch - 1) * r.total + r.seen for r in train], [r.loss for r in train], lw=0.6, label="train, a batch"
    )
    examples = train[0].total if train else 0
    losses.plot([r.epoch * examples for r in test], [r.loss for r in test], "o-", ms=3, label="test")
    losses.set(xlabel="examples seen", ylabel="negative log likelihood", yscale="log")
    losses.legend()

    epochs, accuracy = [r.epoch for r in test], [100 * r.accuracy for r in test]
    accuracies.plot(epochs, accuracy, "o-", ms=3)
    accuracies.set(xlabel="epoch", ylabel="test accuracy, %")
    accuracies.grid(alpha=0.3)
    if test:
        best = max(test, key=lambda r: r.accuracy)
        accuracies.set_title(
            f"best {best.accuracy:.2%} (epoch {best.epoch}), last {test[-1].accuracy:.2%}", fontsize=10
        )
    _save_png(figure, path)


def _save_png(figure, path):
    """Write under a temporary name in the same folder, then rename: a reader never sees half a picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        FigureCanvasAgg(figure)
        figure.savefig(unfinished, format="png", dpi=120)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
