"""MNIST, or any data set in its format: the four IDX files as arrays."""

from pathlib import Path

from .download import fetch_mnist
from .idx import REMEDY, DataError, read_idx

CLASSES = 10
SIDE = 28
REPOSITORY_DATA = Path(__file__).resolve().parents[2] / "data" / "mnist"


def load_mnist(directory=None):
    """Load the four files of MNIST, or of a data set in the same format (Fashion-MNIST, KMNIST).

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
    return (*_load_split(directory, "train"), *_load_split(directory, "t10k"))


def _load_split(directory, split):
    image_path = _find(directory, f"{split}-images-idx3-ubyte")
    label_path = _find(directory, f"{split}-labels-idx1-ubyte")
    images, labels = read_idx(image_path), read_idx(label_path)
    if images.shape[1:] != (SIDE, SIDE):
        raise DataError(f"{image_path}: shape {images.shape}, (N, {SIDE}, {SIDE}) is expected; {REMEDY}")
    if labels.ndim != 1:
        raise DataError(f"{label_path}: shape {labels.shape}, labels (N,) are expected; {REMEDY}")
    if len(images) != len(labels):
        raise DataError(
            f"{label_path}: {len(labels)} labels for the {len(images)} images of {image_path.name}; "
            "take both files from the same data set"
        )
    # Checked here, once: a wrong index raises nothing on a GPU.
    if labels.max() >= CLASSES:
        raise DataError(f"{label_path}: label {labels.max()}, 0..{CLASSES - 1} are expected; {REMEDY}")
    return images, labels


def _find(directory, name):
    spellings = (name, name.replace("-idx", ".idx"))
    names = [spelling + suffix for suffix in ("", ".gz") for spelling in spellings]
    for candidate in names:
        if (directory / candidate).is_file():
            return directory / candidate
    raise DataError(f"{directory}: none of {', '.join(names)} is there; put one of them into this folder")
