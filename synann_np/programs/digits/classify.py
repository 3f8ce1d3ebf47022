"""What a trained model says about pictures: probabilities, the best classes, the confusion of a labelled set."""

from typing import Any

import numpy as np

from ...storage.safetensors_file import CheckpointError
from ...train import outputs


def probabilities(model: Any, images: np.ndarray, batch_size: int = 1000) -> np.ndarray:
    """The model's probability of every class, in evaluation mode.

    Arguments:
        model: Sequential, x (N, ...) -> log probabilities (N, K).
        images: (N, ...), host array, as the model was trained on: of digits (N, 28, 28) uint8, light on dark.
        batch_size: pictures at a time.

    Returns: (N, K) float64, host array.

    Raises: CheckpointError: the model does not take such pictures, or does not give probabilities (wrong model, or
        weights that are not finite).
    """
    try:
        with np.errstate(all="ignore"):
            found = np.exp(outputs(model, images, batch_size).astype("float64"))
    except (ArithmeticError, TypeError, ValueError) as error:
        size = "×".join(map(str, images.shape[1:]))
        raise CheckpointError(f"the model cannot classify pictures of {size} pixels ({error})") from error
    if found.ndim != 2 or not np.allclose(found.sum(axis=1), 1, atol=1e-3):
        raise CheckpointError("the model gives no probabilities: not a classifier, or its weights are not finite")
    return found


def best_classes(row: np.ndarray, count: int = 3) -> list[tuple[int, float]]:
    """The most probable classes of one picture: list of (class, probability), best first. row: (K,)."""
    order = np.argsort(-row, kind="stable")[:count]
    return [(int(k), float(row[k])) for k in order]


def name_of(model: Any, k: int) -> str:
    """What class k is called: the model's name for it, or its number."""
    names = model.class_names or ()
    return names[k] if k < len(names) else str(k)


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int = 10) -> np.ndarray:
    """How often each class (row) was taken for which (column): (classes, classes) int64.

    Arguments: labels, predicted: (N,) integers in 0..classes−1, host arrays.
    """
    pairs = labels.astype("int64") * classes + predicted
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def worst_mistakes(labels: np.ndarray, probs: np.ndarray, count: int = 30) -> np.ndarray:
    """Indices of the pictures of which the model was most sure and wrong: (≤ count,), worst first.

    Arguments: labels: (N,) integers. probs: (N, K), as from probabilities.
    """
    wrong = np.flatnonzero(probs.argmax(axis=1) != labels)
    right_answer = probs[wrong, labels[wrong]]
    return wrong[np.argsort(right_answer, kind="stable")[:count]]
