"""Checks of the options of `fit`, before anything is trained."""

import inspect
from collections.abc import Callable
from typing import Any


def check_options(loss: Callable, metrics: dict[str, Callable] | None, tools: Any) -> None:
    """Refuse what would fail only after the first step or the first epoch.

    Raises: TypeError: a loss that is not a function, metrics that are not a dict of functions. ValueError: label
        smoothing with a loss that takes none.
    """
    if not callable(loss):
        raise TypeError(f"fit: expected loss to be a function such as nll_loss, got {loss!r:.80}")
    if metrics is not None and not (isinstance(metrics, dict) and all(map(callable, metrics.values()))):
        raise TypeError(f"fit: expected metrics to be a dict of functions, {{'top 3': top_k(3)}}, got {metrics!r:.80}")
    if tools.label_smoothing and "label_smoothing" not in inspect.signature(loss).parameters:
        raise ValueError(f"fit: label_smoothing {tools.label_smoothing}, but the loss has no such argument")


def check_divisible(train_set: Any, loss: Callable) -> None:
    """Refuse weights where distributed.DataParallel divides a batch and the loss does not tell the weight of a part.

    Raises: ValueError.
    """
    options = getattr(loss, "keywords", {})  # of functools.partial
    if hasattr(getattr(loss, "func", loss), "batch_weight"):
        return
    weights = [name for name in ("class_weights", "ignore_index") if options.get(name) is not None]
    weights += ["sample weights"] if train_set.weights is not None else []
    if weights:
        raise ValueError(
            f"fit: {', '.join(weights)} cannot be divided over processes: the loss has no attribute batch_weight; give "
            "it one (see losses/row_weights.py), or train in one process without chunks"
        )
