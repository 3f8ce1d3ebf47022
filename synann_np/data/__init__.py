"""Data sets: files to arrays, arrays to batches, images to other images."""

from .batches import CLASSES, MEAN, STD, batches, class_counts, epoch_permutation, normalise, split_validation, to_input
from .data_error import DataError
from .idx import read_idx, write_idx
from .image_folders import class_names, read_picture
from .load import load_dataset, shape_and_classes
from .mnist import SIDE, load_mnist

__all__ = [
    "CLASSES",
    "MEAN",
    "SIDE",
    "STD",
    "DataError",
    "batches",
    "class_counts",
    "class_names",
    "epoch_permutation",
    "load_dataset",
    "load_mnist",
    "normalise",
    "read_idx",
    "read_picture",
    "shape_and_classes",
    "split_validation",
    "to_input",
    "write_idx",
]
