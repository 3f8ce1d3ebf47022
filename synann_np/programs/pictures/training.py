"""The curves of a training run."""

from os import PathLike
from typing import Any

from ...storage.png_file import drawable, own_settings, write_png
from ...train import EvalRecord, TrainRecord


@own_settings()
def training_curves(records: Any, path: str | PathLike, title: str = "") -> None:
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
    figure = Figure(figsize=(10, 3.6))
    figure.suptitle(drawable(title), parse_math=False)
    losses, accuracies = figure.subplots(1, 2)
    figure.subplots_adjust(
        0.085, 0.14, 0.985, 0.84, wspace=0.2
    )  # a constrained layout takes as long as all the drawing

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
    losses.locator_params(axis="x", nbins=5)
    accuracies.locator_params(axis="x", integer=True)
    if test:
        best = max(test, key=lambda r: r.accuracy)
        accuracies.set_title(
            f"best {best.accuracy:.2%} (epoch {best.epoch}), last {test[-1].accuracy:.2%}", fontsize=10
        )
    write_png(figure, path)
