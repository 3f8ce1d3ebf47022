"""Four IDX files, images and labels of two splits, in a folder."""

from pathlib import Path

import numpy as np

from .data_error import DataError
from .idx import REMEDY, read_idx, read_idx_shape


def load_idx_files(
    directory: Path, side: int | None = None, classes: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Load the four IDX files of a folder: train-images, train-labels, t10k-images, t10k-labels.

    All headers are compared before any content is read.

    Arguments:
        directory: pathlib.Path. side: the images must be (N, side, side); None takes (N, H, W) and (N, C, H, W) of any
            size. classes: labels must be below; None takes any.

    Returns:
        train_images, train_labels, test_images, test_labels.

    Raises:
        DataError: file missing, bad file, images and labels that do not belong together, labels out of range.
    """
    return (*_load_split(directory, "train", side, classes), *_load_split(directory, "t10k", side, classes))


def has_idx_files(directory: Path) -> bool:
    """Whether one of the four files is there."""
    return any(
        _spellings(directory, f"{split}-{what}")[0] for split in ("train", "t10k") for what in ("images", "labels")
    )


def _load_split(directory, split, side, classes):
    image_path, label_path = _find(directory, f"{split}-images"), _find(directory, f"{split}-labels")
    image_shape, label_shape = read_idx_shape(image_path), read_idx_shape(label_path)
    if side is not None and image_shape[1:] != (side, side):
        raise DataError(
            f"{image_path}: shape {image_shape}, MNIST's are (N, {side}, {side}); load_dataset reads images of any size"
        )
    if len(image_shape) not in (3, 4):
        raise DataError(f"{image_path}: shape {image_shape}, images (N, H, W) or (N, C, H, W) are expected; {REMEDY}")
    if len(label_shape) != 1:
        raise DataError(f"{label_path}: shape {label_shape}, labels (N,) are expected; {REMEDY}")
    if image_shape[0] != label_shape[0]:
        raise DataError(
            f"{label_path}: {label_shape[0]} labels for the {image_shape[0]} images of {image_path.name}; "
            "take both files from the same data set"
        )
    labels = read_idx(label_path)
    # Checked here, once: a wrong index raises nothing on a GPU.
    if labels.min() < 0:
        raise DataError(f"{label_path}: label {labels.min()}, classes count from 0; write the labels again")
    if classes is not None and labels.max() >= classes:
        raise DataError(
            f"{label_path}: label {labels.max()}, MNIST's are 0..{classes - 1}; load_dataset reads more classes"
        )
    images = read_idx(image_path)
    if images.dtype != "uint8":
        raise DataError(f"{image_path}: {images.dtype} elements, images are unsigned bytes; write them as uint8")
    return images, labels


def _spellings(directory, name):
    """The files that are there, and all names that may stand for name."""
    names = [
        f"{name}{separator}idx{dimensions}-ubyte{suffix}"
        for suffix in ("", ".gz")
        for dimensions in ((3, 4) if name.endswith("images") else (1,))
        for separator in ("-", ".")
    ]
    return [directory / candidate for candidate in names if (directory / candidate).is_file()], names


def _find(directory, name):
    found, names = _spellings(directory, name)
    if not found:
        raise DataError(f"{directory}: none of {', '.join(names)} is there; put one of them into this folder")
    return found[0]
