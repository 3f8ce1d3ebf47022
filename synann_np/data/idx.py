"""IDX files, the format of MNIST: a header of big-endian numbers, then the bytes of one array."""

import gzip
import math
import os
import struct
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..storage.atomic_file import write_atomically
from ..storage.regular_file import regular_file
from .data_error import DataError
from .limits import check_expansion

REMEDY = "fetch the file again, or choose another data directory"
TYPES: dict[int, Any] = {0x08: np.dtype("u1"), 0x0B: np.dtype(">i2"), 0x0C: np.dtype(">i4")}  # IDX code: elements
MOST_DIMENSIONS = 4
_GZIP_MAGIC = b"\x1f\x8b"
_BLOCK = 1 << 20


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """Read one IDX file, plain or gzip (told apart by the first two bytes, whatever the name says).

    Arguments:
        path: the file; unsigned bytes, or integers of 16 or 32 bits, in 1 to 4 dimensions.

    Returns:
        array of the shape in the header, at least one item, C-contiguous and writable; uint8, int16 or int32; it shares
        memory with nothing else.

    Raises:
        DataError: no such file, not IDX, another element type, no items, truncated, trailing bytes,
            corrupt gzip, or more data than a packed file of this size can hold.

    Memory grows with the bytes that are really there, up to one more than the header promises: neither
    a header that lies nor a gzip bomb costs more.
    """
    with _opened(path) as (stream, stored):
        dtype, shape = _parse_header(stream, path)
        size = math.prod(shape) * dtype.itemsize
        if stored is not None:
            check_expansion(path, size, stored)
        # One byte more shows whether anything follows, and at the end gzip compares its checksum.
        content = _read_up_to(stream, size + 1)
        if len(content) < size:
            raise DataError(f"{path}: truncated, {len(content)} of {size} bytes of data are there; {REMEDY}")
        if len(content) > size:
            raise DataError(f"{path}: trailing bytes after the {size} that its header promises; {REMEDY}")
    a = np.frombuffer(content, dtype).reshape(shape)
    return a if dtype.isnative else a.astype(dtype.newbyteorder("="))


def read_idx_shape(path: str | os.PathLike) -> tuple[int, ...]:
    """The shape that the header of an IDX file promises; nothing else is read. Raises: DataError as read_idx."""
    with _opened(path) as (stream, _):
        return _parse_header(stream, path)[1]


def write_idx(path: str | os.PathLike, array: Any) -> None:
    """Write an array as an IDX file, packed with gzip if the name ends with .gz; a file of that name is replaced whole.

    Arguments: path: the file. array: host array of integers in 1 to 4 dimensions, not empty: uint8 images (N, H, W) or
        (N, C, H, W), labels (N,). Integers of other types are written as bytes if they fit, else as 32 bits.

    Raises: ValueError, TypeError: another array. OSError: the file cannot be written.
    """
    a = np.asarray(array)
    if a.dtype.kind not in "iu":
        raise TypeError(
            f"write_idx: expected integers, got {a.dtype}; for pixels in 0..1 use (255 * x).round().astype('uint8')"
        )
    if not 1 <= a.ndim <= MOST_DIMENSIONS or a.size == 0:
        raise ValueError(f"write_idx: expected 1 to {MOST_DIMENSIONS} dimensions and at least one item, got {a.shape}")
    low, high = int(a.min()), int(a.max())
    if not -(2**31) <= low <= high < 2**31:
        raise ValueError(f"write_idx: {low}..{high} needs more than 32 bits, which IDX does not have")
    code = 0x08 if low >= 0 and high < 256 else 0x0C
    content = struct.pack(f">4B{a.ndim}I", 0, 0, code, a.ndim, *a.shape) + a.astype(TYPES[code]).tobytes()
    write_atomically(path, gzip.compress(content, mtime=0) if Path(path).suffix == ".gz" else content)


@contextmanager
def _opened(path):
    """The content of a file, unpacked; if it is packed, its size on the disk, else None.

    What goes wrong in the block becomes a DataError.
    """
    try:
        with open(path, "rb", opener=regular_file) as file:
            packed = file.read(2) == _GZIP_MAGIC
            file.seek(0)
            with gzip.GzipFile(fileobj=file) if packed else file as stream:
                yield stream, os.fstat(file.fileno()).st_size if packed else None
    except (OSError, EOFError, zlib.error) as error:
        # An OSError's own text would name the file a second time.
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read ({reason}); {REMEDY}") from error


def _read_up_to(stream, size):
    # In blocks: read(size) would allocate the whole promise before looking.
    content = bytearray()
    while block := stream.read(min(size - len(content), _BLOCK)):
        content += block
    return content


def _parse_header(stream, path):
    """dtype and shape of the elements."""
    magic = _read_up_to(stream, 4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise DataError(f"{path}: not an IDX file (it begins with 0x{magic.hex()}); {REMEDY}")
    kind, dimensions = magic[2:]
    if kind not in TYPES or not 1 <= dimensions <= MOST_DIMENSIONS:
        raise DataError(
            f"{path}: IDX type 0x{kind:02x} in {dimensions} dimensions, unsigned bytes (0x08) or integers "
            f"(0x0b, 0x0c) in 1 to {MOST_DIMENSIONS} are expected; {REMEDY}"
        )
    header = _read_up_to(stream, 4 * dimensions)
    if len(header) < 4 * dimensions:
        raise DataError(f"{path}: truncated inside its header; {REMEDY}")
    shape = struct.unpack(f">{dimensions}I", header)
    if math.prod(shape) == 0:
        raise DataError(f"{path}: no items, its header promises shape {shape}; {REMEDY}")
    return TYPES[kind], shape
