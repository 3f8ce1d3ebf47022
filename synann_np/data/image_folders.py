"""Pictures in folders by class. Needs Pillow."""

import math
import os
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..storage.regular_file import regular_file
from .data_error import DataError
from .idx_files import has_idx_files
from .limits import check_expansion

SUFFIXES = {".png", ".jpg", ".jpeg"}
GREY = {"1", "L", "LA"}  # Pillow's modes of one channel
EVERY = 5  # without a split of its own, every fifth picture of a class is for the test


def has_image_folders(directory: Path) -> bool:
    """Whether a folder holds folders, and a picture in one of them or one below."""
    folders = _folders(directory)
    return any(_pictures(folder) for folder in [*folders, *(inner for outer in folders for inner in _folders(outer))])


def load_image_folders(directory: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Load PNG and JPEG pictures from train/CLASS/ and test/CLASS/, or from CLASS/.

    Classes are numbered in the alphabetical order of their folders (`class_names`). Without the folders train and test,
    every fifth picture of each class, in the order of the names, is a test picture. Hidden files are left out.

    Arguments: directory: pathlib.Path.

    Returns: train_images, train_labels, test_images, test_labels: uint8 (N, H, W) if all pictures are grey, else
        (N, 3, H, W); int64 (N,).

    Raises: DataError: Pillow is missing, no pictures, pictures of different sizes, one that cannot be read, a class of
        the test set that is unknown, or more pixels than files of this size can hold, counted before any is decoded.
    """
    names = class_names(directory)
    train, test = _splits(directory, names)
    if not train or not test:
        raise DataError(f"{directory}: too few pictures to train and to test; put some into train/CLASS and test/CLASS")
    shapes = {path: _read_header(path) for path, _ in [*train, *test]}
    sizes = {size for size, _ in shapes.values()}
    if len(sizes) > 1:
        first, other = sorted(sizes)[:2]
        raise DataError(
            f"{directory}: pictures of different sizes, {first[0]}×{first[1]} and {other[0]}×{other[1]}; "
            "bring them to one size"
        )
    mode = "L" if all(mode in GREY for _, mode in shapes.values()) else "RGB"
    pixels = len(shapes) * math.prod(sizes.pop()) * (1 if mode == "L" else 3)
    check_expansion(directory, pixels, sum(path.stat().st_size for path in shapes))
    return (*_read_all(train, mode), *_read_all(test, mode))


def class_names(directory: str | os.PathLike) -> list[str] | None:
    """The names of the classes, in the order of their numbers; None unless the data set is folders of pictures."""
    directory = Path(directory)
    if has_idx_files(directory) or any(directory.glob("[!.]*.npz")):
        return None  # load_dataset reads those, whatever pictures there are, such as curves of runs
    top = directory / "train" if (directory / "train").is_dir() else directory
    names = [folder.name for folder in _folders(top) if _pictures(folder)]
    return names or None


def read_picture(path: str | os.PathLike, in_shape: tuple[int, ...]) -> np.ndarray:
    """One PNG or JPEG picture as load_image_folders reads it, for a model of that in_shape.

    Arguments: in_shape: (1, H, W) for grey pictures, (3, H, W) for colour ones.

    Returns: uint8 (H, W) or (3, H, W).

    Raises: DataError: the picture cannot be read, or has another size.
    """
    (height, width), _ = _read_header(Path(path))
    channels, *expected = in_shape
    if [height, width] != expected:
        raise DataError(
            f"{path}: {width}×{height} pixels, but the model was trained on pictures of {expected[1]}×{expected[0]}; "
            "resize it"
        )
    with _opened(Path(path)) as image:
        return _pixels(image, "L" if channels == 1 else "RGB")


def _splits(directory, names):
    """[(path, label), ...] to train on and to test with."""
    if (directory / "train").is_dir():
        if not (directory / "test").is_dir():
            raise DataError(f"{directory}: a folder train but no folder test; put the test pictures into test/CLASS")
        unknown = {folder.name for folder in _folders(directory / "test") if _pictures(folder)} - set(names or ())
        if unknown:
            raise DataError(f"{directory / 'test' / min(unknown)}: no such class in train; move or remove the folder")
        return tuple(
            [(path, label) for label, name in enumerate(names or ()) for path in _pictures(directory / split / name)]
            for split in ("train", "test")
        )
    labelled = [list(enumerate(_pictures(directory / name))) for name in names or ()]
    return tuple(
        [(path, label) for label, paths in enumerate(labelled) for n, path in paths if (n % EVERY == EVERY - 1) == test]
        for test in (False, True)
    )


def _read_header(path):
    """((height, width), Pillow's mode) without decoding any pixel."""
    with _opened(path) as image:
        if image.mode.startswith(("I", "F")):
            raise DataError(f"{path}: {image.mode} pixels, 8 bits per channel are expected; convert it")
        return (image.height, image.width), image.mode


def _read_all(labelled, mode):
    images = None
    for n, (path, _) in enumerate(labelled):
        with _opened(path) as image:
            pixels = _pixels(image, mode)
        images = np.empty((len(labelled), *pixels.shape), np.uint8) if images is None else images
        images[n] = pixels
    return images, np.array([label for _, label in labelled], "int64")


def _pixels(image, mode):
    pixels = np.asarray(image.convert(mode))
    return pixels if mode == "L" else pixels.transpose(2, 0, 1)


@contextmanager
def _opened(path):
    """The picture, its header read. What goes wrong in the block becomes a DataError."""
    try:
        from PIL import Image  # importing the package needs NumPy only
    except ImportError as error:
        raise DataError("pictures cannot be read, Pillow is missing; python -m pip install pillow") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # check_expansion counts them all
            with open(path, "rb", opener=regular_file) as file, Image.open(file, formats=("PNG", "JPEG")) as image:
                yield image
    except DataError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = str(error).replace(repr(str(path)), "").strip()
        raise DataError(f"{path}: no picture that can be read ({reason:.80}); replace or remove it") from error


def _folders(directory):
    inside = sorted(Path(directory).iterdir()) if Path(directory).is_dir() else []
    return [path for path in inside if path.is_dir() and not path.name.startswith(".")]


def _pictures(folder):
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in inside if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")]
