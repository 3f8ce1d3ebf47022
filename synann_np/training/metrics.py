"""Metrics: functions of all outputs and all targets of a set, host arrays, that return a number.

`fit(..., metrics={"top 3": top_k(3)})` puts them into its EvalRecords. Any function of that form is a metric:
`lambda outputs, labels: sklearn.metrics.f1_score(labels, outputs.argmax(axis=1), average="macro")`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..arguments import integer
from ..backend import Array


def accuracy(outputs: Array, labels: Array) -> Any:
    """Share of the rows whose largest output is at the label. outputs (N, K), labels (N,) integers.

    Raises: ValueError for other shapes.
    """
    return top_k(1)(outputs, labels)


def top_k(k: int) -> Callable[..., Any]:
    """The metric that counts a row as right if its label is among the k largest outputs; of equal outputs the first
    classes win, as in argmax.

    Returns: function of outputs (N, K), labels (N,), which raises ValueError for other shapes. Raises:
    TypeError, ValueError unless k is an integer of at least 1.
    """
    k = integer("top_k", "k", k)

    def share(outputs, labels):
        outputs, labels = np.asarray(outputs), np.asarray(labels)
        if outputs.ndim != 2 or labels.shape != outputs.shape[:1] or len(labels) == 0:
            raise ValueError(f"accuracy: expected outputs (N, K) and labels (N,), got {outputs.shape}, {labels.shape}")
        best = np.argsort(-outputs, axis=1, kind="stable")[:, :k]
        return float((best == labels[:, None]).any(axis=1).mean())

    return share


def mean_squared_error(outputs: Array, targets: Array) -> Any:
    """Mean of (outputs − targets)² over all elements, float64. Raises: ValueError for shapes that differ."""
    outputs, targets = np.asarray(outputs, "float64"), np.asarray(targets, "float64")
    if outputs.shape != targets.shape or outputs.size == 0:
        raise ValueError(f"mean_squared_error: expected arrays of one shape, got {outputs.shape}, {targets.shape}")
    return float(np.square(outputs - targets).mean())
