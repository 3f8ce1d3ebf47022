"""MNIST: the four IDX files as arrays."""

import os
from pathlib import Path

import numpy as np

from .data_error import DataError
from .download import fetch_mnist
from .idx_files import load_idx_files

CLASSES = 10
SIDE = 28
REPOSITORY_DATA = Path(__file__).resolve().parents[2] / "data" / "mnist"


def load_mnist(
    directory: str | os.PathLike | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Load the four files of MNIST, or of a data set in the same format (Fashion-MNIST, KMNIST).

    For images of other sizes, or more classes, see load_dataset.

    Arguments:
        directory: folder with the files, named `train-images-idx3-ubyte` or `train-images.idx3-ubyte` (and
            so on), with or without `.gz`. None takes `data/mnist` of the repository, and where the package
            was installed without it, downloads MNIST once into the user's cache.

    Returns:
        train_images (N, 28, 28), train_labels (N,), test_images (M, 28, 28), test_labels (M,): uint8.

    Raises:
        DataError: folder or file missing, bad file, images and labels that do not belong together, labels
            outside 0..9, failed download.
    """
    if directory is None:
        directory = REPOSITORY_DATA if REPOSITORY_DATA.is_dir() else fetch_mnist()
    directory = Path(directory)
    if not directory.is_dir():
        raise DataError(f"{directory}: no such folder; choose the folder that holds the four MNIST files")
    return load_idx_files(directory, SIDE, CLASSES)
