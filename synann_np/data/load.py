"""A data set of any size from a folder or a file, whatever of the known formats it has."""

import os
from pathlib import Path

import numpy as np

from .data_error import DataError
from .idx_files import has_idx_files, load_idx_files
from .image_folders import has_image_folders, load_image_folders
from .mnist import load_mnist
from .npz_file import load_npz


def load_dataset(
    directory: str | os.PathLike | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Load images (or rows of a table) and labels of two splits, of any size and any number of classes.

    Arguments:
        directory: a folder with four IDX files (see load_mnist), with one .npz file (see load_npz), or with pictures in
            folders by class (see load_image_folders); or the .npz file itself. None: MNIST, see load_mnist.

    Returns:
        train_images, train_labels, test_images, test_labels: (N, H, W), (N, C, H, W) or what a .npz file holds, (N,).

    Raises:
        DataError: no such folder, none of these in it, or a bad file.
    """
    if directory is None:
        return load_mnist()
    directory = Path(directory)
    if directory.suffix == ".npz" and not directory.is_dir():
        return load_npz(directory)
    if not directory.is_dir():
        raise DataError(f"{directory}: no such folder; choose the folder that holds the data set")
    if has_idx_files(directory):
        return load_idx_files(directory)
    archives = sorted(directory.glob("[!.]*.npz"))
    if len(archives) == 1:
        return load_npz(archives[0])
    if archives:
        raise DataError(f"{directory}: it holds {len(archives)} .npz files; name one of them instead of the folder")
    if has_image_folders(directory):
        return load_image_folders(directory)
    raise DataError(
        f"{directory}: no data set: neither IDX files (train-images-idx3-ubyte, ...) nor a .npz file nor pictures in "
        "train/CLASS and test/CLASS; choose another data directory"
    )


def shape_and_classes(data: tuple[np.ndarray, ...]) -> tuple[tuple[int, ...], int]:
    """What a network for a data set is made for: shape of one example, and number of classes, at least 2.

    Arguments: data: as from load_dataset. Returns: in_shape, classes.
    """
    images, labels, _, test_labels = data
    shape = images.shape[1:]
    in_shape = (1, *shape) if len(shape) == 2 and images.dtype == "uint8" else shape
    return in_shape, max(int(labels.max()), int(test_labels.max()), 1) + 1
