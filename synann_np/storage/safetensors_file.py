"""The safetensors file format: named arrays and a little text, nothing that could be executed.

    8 bytes     length of the header, little-endian
    header      JSON: {"__metadata__": {str: str}, name: {"dtype", "shape", "data_offsets": [begin, end]}, ...}
    data        the elements of all arrays, little-endian, row-major, without gaps

The format is simple enough to be written out here, and that has two uses: equal content gives equal bytes (the
reference library writes the metadata in random order), and what a damaged header can cost is bounded in plain sight.
The tests compare both directions with the reference library.
"""

import json
import math
import mmap
import os
from os import PathLike
from typing import Any

import numpy as np

from .other_formats import other_format
from .regular_file import regular_file

BFLOAT16 = np.dtype("V2")  # NumPy has no such numbers: the upper half of a float32
_NAMES: dict[str, Any] = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": BFLOAT16, "BOOL": "?"}
_NAMES |= {f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)}
DTYPES: dict[str, np.dtype] = {code: np.dtype(dtype) for code, dtype in _NAMES.items()}
CODES = {dtype: code for code, dtype in DTYPES.items()}
LONGEST_HEADER = 100_000_000  # bytes, the limit of the reference library


class CheckpointError(ValueError):
    """A model file is missing or bad. The message is one line: which file, what is wrong, what to do."""


def in_one_line(error: object, longest: int = 200) -> str:
    """The text of an error without what could disturb a terminal: a file may have put anything into it."""
    text = " ".join(str(error).split())[:longest]
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def encode(tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    """The content of a file.

    Arguments:
        tensors: dict name -> host array, of a dtype in DTYPES, any memory order.
        metadata: dict str -> str.

    Returns: bytes, a function of names, values and metadata alone, whatever the order of the dicts.

    Raises: TypeError for an array of another dtype.
    """
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    blocks, position = [], 0
    # Wide elements first: every array starts at a multiple of its element size.
    for name, a in sorted(tensors.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])):
        code = CODES.get(a.dtype.newbyteorder("<"))
        if code is None:
            raise TypeError(f"a safetensors file cannot hold {name!r:.80}, which is {a.dtype}; use astype first")
        blocks.append(a.astype(DTYPES[code], order="C").tobytes())
        end = position + len(blocks[-1])
        header[name] = {"dtype": code, "shape": list(a.shape), "data_offsets": [position, end]}
        position = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *blocks])


def read(path: str | PathLike, mapped: bool = False) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read one file.

    Arguments: path: the file. mapped: the arrays stay on the disk until they are looked at.

    Returns: tensors (dict name -> read-only array; bfloat16 has the dtype BFLOAT16, see to_float32), metadata (dict
        str -> str).

    Raises: CheckpointError: no such file, not a regular file, not safetensors, truncated, longer than its header says,
        or a header that contradicts itself.

    Memory grows with the bytes that are really there, and nothing is read before the header has proved to fit them.
    """
    try:
        with open(path, "rb", opener=regular_file) as file:
            return decode(file, os.fstat(file.fileno()).st_size, path, mapped)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error}); choose another file") from error


def decode(
    file: Any, size: int, path: str | PathLike, mapped: bool = False
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The same from a binary file of `size` bytes that is open at its beginning; path: what errors call it."""
    beginning = file.read(8)
    length = int.from_bytes(beginning, "little")
    if size < 8 or length > min(size - 8, LONGEST_HEADER):
        other = other_format(beginning) or "or truncated; choose another file"
        raise CheckpointError(f"{path}: not a safetensors file, {other}")
    header = _parse(file.read(length), path)
    metadata = header.pop("__metadata__", {})
    places = _places(header, metadata, size - 8 - length, path)
    start = 0
    if mapped:
        start, data = 8 + length, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    else:
        data = file.read(size - 8 - length)
    if len(data) - start != size - 8 - length:
        raise CheckpointError(f"{path}: changed while it was read; try again")
    tensors = {
        name: np.frombuffer(data, dtype, math.prod(shape), start + begin).reshape(shape)
        for name, (dtype, shape, begin, _) in places.items()
    }
    return tensors, metadata


def to_float32(a: np.ndarray) -> np.ndarray:
    """An array of dtype BFLOAT16 as float32, exactly."""
    return (a.view("<u2").astype("<u4") << 16).view("<f4").reshape(a.shape)


def _parse(text, path):
    try:
        header = json.loads(text.decode(), object_pairs_hook=_without_duplicates, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: not a safetensors file (its header is not JSON); choose another file"
        ) from error
    if not isinstance(header, dict):
        raise CheckpointError(f"{path}: not a safetensors file (its header is not an object); choose another file")
    return header


def _without_duplicates(pairs):
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("a name occurs twice")
    return result


def _refuse(constant):
    raise ValueError(f"{constant} is not JSON")


def _places(header, metadata, size, path):
    """name -> (dtype, shape, begin, end), after proof that together they cover the data exactly once."""
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise CheckpointError(f"{path}: bad header (metadata that is not text); download or copy the file again")
    places = {}
    for name, entry in header.items():
        try:
            code, shape = entry["dtype"], entry["shape"]
            if isinstance(code, str) and code not in DTYPES:
                raise CheckpointError(
                    f"{path}: {name!r:.80} is stored as {code!r:.20}, which synann_np does not read; convert it to F32 "
                    "where the file was written"
                )
            dtype = DTYPES[code]
            begin, end = entry["data_offsets"]
            fits = len(entry) == 3 and len(shape) <= 8 and all(type(d) is int and 0 <= d < 2**48 for d in shape)
            fits = fits and type(begin) is type(end) is int and end - begin == math.prod(shape) * dtype.itemsize
        except CheckpointError:
            raise
        except (KeyError, TypeError, ValueError):
            fits = False
        if not fits:
            raise CheckpointError(f"{path}: bad header (entry {name!r:.80}); download or copy the file again")
        places[name] = dtype, shape, begin, end
    position = 0
    for _, _, begin, end in sorted(places.values(), key=lambda place: place[2:]):
        if begin != position:
            raise CheckpointError(f"{path}: bad header (arrays overlap or leave gaps); download or copy the file again")
        position = end
    if position != size:
        raise CheckpointError(
            f"{path}: {size} bytes of data, its header promises {position}: truncated or damaged; "
            "download or copy the file again"
        )
    return places
