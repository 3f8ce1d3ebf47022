"""Data sets: files to arrays, arrays to batches, images to other images."""

from .batches import CLASSES, MEAN, STD, batches, class_counts, epoch_permutation, normalise, split_validation, to_input
from .idx import DataError, read_idx
from .mnist import SIDE, load_mnist

__all__ = [
    "CLASSES",
    "MEAN",
    "SIDE",
    "STD",
    "DataError",
    "batches",
    "class_counts",
    "epoch_permutation",
    "load_mnist",
    "normalise",
    "read_idx",
    "split_validation",
    "to_input",
]
