"""IDX files, the format of MNIST: a header of big-endian numbers, then the bytes of one array."""

import gzip
import math
import struct
import zlib

import numpy as np

from ..storage.regular_file import regular_file

REMEDY = "fetch the file again, or choose another data directory"
_GZIP_MAGIC = b"\x1f\x8b"
_UNSIGNED_BYTES = 8  # IDX code of the element type
_BLOCK = 1 << 20


class DataError(ValueError):
    """Data is missing or bad. The message is one line: which file or folder, what is wrong, what to do."""


def read_idx(path):
    """Read one IDX file, plain or gzip (told apart by the first two bytes, whatever the name says).

    Arguments:
        path: the file; unsigned bytes in 1 to 3 dimensions.

    Returns:
        uint8 array of the shape in the header, at least one item, C-contiguous and writable; it shares
        memory with nothing else.

    Raises:
        DataError: no such file, not IDX, another element type, no items, truncated, trailing bytes,
            corrupt gzip.

    Memory grows with the bytes that are really there, up to one more than the header promises: neither
    a header that lies nor a gzip bomb costs more.
    """
    try:
        with open(path, "rb", opener=regular_file) as file:
            packed = file.read(2) == _GZIP_MAGIC
            file.seek(0)
            with gzip.GzipFile(fileobj=file) if packed else file as stream:
                return _parse_idx(stream, path)
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


def _parse_idx(stream, path):
    magic = _read_up_to(stream, 4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise DataError(f"{path}: not an IDX file (it begins with 0x{magic.hex()}); {REMEDY}")
    kind, dimensions = magic[2:]
    if kind != _UNSIGNED_BYTES or not 1 <= dimensions <= 3:
        raise DataError(
            f"{path}: IDX type 0x{kind:02x} in {dimensions} dimensions, "
            f"unsigned bytes (0x08) in 1 to 3 are expected; {REMEDY}"
        )
    header = _read_up_to(stream, 4 * dimensions)
    if len(header) < 4 * dimensions:
        raise DataError(f"{path}: truncated inside its header; {REMEDY}")
    shape = struct.unpack(f">{dimensions}I", header)
    size = math.prod(shape)
    if size == 0:
        raise DataError(f"{path}: no items, its header promises shape {shape}; {REMEDY}")
    # One byte more shows whether anything follows, and at the end gzip compares its checksum.
    content = _read_up_to(stream, size + 1)
    if len(content) < size:
        raise DataError(f"{path}: truncated, {len(content)} of {size} bytes of data are there; {REMEDY}")
    if len(content) > size:
        raise DataError(f"{path}: trailing bytes after the {size} that its header promises; {REMEDY}")
    return np.frombuffer(content, np.uint8).reshape(shape)
