"""A data set in one .npz file, as NumPy, Keras and MedMNIST write them."""

import math
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np

from ..storage.regular_file import regular_file
from .data_error import DataError
from .limits import check_expansion

NAMES = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
)
REMEDY = "write it with numpy.savez(path, x_train=..., y_train=..., x_test=..., y_test=...)"


def load_npz(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Load images and labels of two splits from a .npz file.

    The headers of all four arrays are compared with the size of the file before any is read. Nothing is executed:
    arrays of objects are refused. Images with the channels last, (N, H, W, C) with C = 1, 3 or 4, are turned into
    (N, C, H, W), and labels (N, 1) into (N,).

    Arguments: path: the file, with arrays x_train, y_train, x_test, y_test, or train_images, train_labels, test_images,
        test_labels; others are ignored.

    Returns: train_images, train_labels, test_images, test_labels.

    Raises: DataError: no such file, not .npz, an array missing or of objects, lengths that differ, labels that are no
        classes, or more data than the file can hold.
    """
    try:
        with open(path, "rb", opener=regular_file) as file, zipfile.ZipFile(file) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            names = next((names for names in NAMES if members.keys() >= set(names)), None)
            if names is None:
                found = ", ".join(members) or "nothing"
                raise DataError(f"{path}: none of the sets of names that are known, but {found:.200}; {REMEDY}")
            headers = [_header(archive, members[name], path) for name in names]
            promised = sum(math.prod(shape) * dtype.itemsize for shape, dtype in headers)
            check_expansion(path, promised, os.fstat(file.fileno()).st_size)
            arrays = [_read(archive, members[name]) for name in names]
    except (OSError, EOFError, ValueError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: cannot be read as .npz ({error!s:.120}); {REMEDY}") from error
    for split in (0, 2):
        arrays[split : split + 2] = _checked(arrays[split], arrays[split + 1], names[split : split + 2], path)
    if arrays[0].shape[1:] != arrays[2].shape[1:]:
        raise DataError(f"{path}: {names[0]} is {arrays[0].shape} but {names[2]} {arrays[2].shape}; {REMEDY}")
    return tuple(arrays)


def _header(archive, info, path):
    """Shape and dtype that a member promises, checked against its unpacked size."""
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
        header_size = stream.tell()
    if dtype.kind not in "biuf":
        raise DataError(f"{path}: {info.filename} holds {dtype}, numbers are expected; {REMEDY}")
    if math.prod(shape) * dtype.itemsize != info.file_size - header_size:
        raise DataError(f"{path}: {info.filename} is damaged: shape {shape} does not fit its size; {REMEDY}")
    return shape, dtype


def _read(archive, info):
    with archive.open(info) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _checked(images, labels, names, path):
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if images.ndim < 2 or len(images) == 0 or labels.shape != (len(images),):
        raise DataError(f"{path}: {names[0]} {images.shape} and {names[1]} {labels.shape} do not fit; {REMEDY}")
    if labels.dtype.kind == "f" or labels.min() < 0:
        raise DataError(f"{path}: {names[1]} holds {labels.dtype} from {labels.min()}, classes count 0, 1, 2; {REMEDY}")
    if images.ndim == 4 and images.shape[-1] in (1, 3, 4) and images.shape[1] not in (1, 3, 4):
        images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return images, labels.astype("int64")
