"""Models with a ShardedSynapse, saved and loaded as the file of one process, without β in one place."""

import json
import os
import secrets
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..storage.safetensors_file import CheckpointError
from .file_layout import checksum, header, texts_of, whole_shapes
from .synapse import ROWS


def save_sharded(path: str | PathLike, model: Any, comm: Any) -> None:
    """Write a model as `storage.checkpoint.save` would write the model of one process, byte for byte.

    Rank 0 writes, into a new file that then takes the name. Rows of β come to it some at a time. Called by all ranks.

    Arguments: path: the file. model: Sequential, on NumPy, with layers ShardedSynapse. comm: their Communicator.

    Raises: OSError on rank 0 alone, where the others then wait: call it inside `launch.communicator`.
    """
    arrays = whole_shapes(model, comm)
    texts, dtype = texts_of(model), np.dtype(model.dtype)
    path = Path(path)
    temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}")
    file = open(temporary, "x+b") if comm.rank == 0 else None  # noqa: SIM115
    try:
        head = header(arrays, texts, dtype)
        if file:
            file.write(head)
        for _, (shape, a, sharded) in sorted(arrays.items()):
            for part in _parts(shape, a, sharded, comm):
                if file:
                    file.write(np.ascontiguousarray(part).tobytes())
        if file:
            texts["sha256"] = checksum(file, len(head), arrays, texts, dtype)
            file.seek(0)
            file.write(header(arrays, texts, dtype))
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, path)
    except BaseException:
        if file:
            temporary.unlink(missing_ok=True)
        raise
    finally:
        if file:
            file.close()
    comm.barrier()


def load_sharded(path: str | PathLike, model: Any, comm: Any) -> None:
    """Fill a model with the weights of a file, of one process or of save_sharded. Rank 0 reads. Called by all ranks.

    Raises: CheckpointError, on all ranks: the file cannot be read, is damaged, or holds another model.
    """
    arrays = whole_shapes(model, comm)
    file, problem = None, None
    if comm.rank == 0:
        try:
            file = _opened(path, arrays, model)
        except (OSError, ValueError, KeyError) as error:
            problem = f"{path}: cannot be loaded into this model ({error}); choose another file"
    if problem := comm.from_first(problem):
        raise CheckpointError(problem)
    try:
        for _, (shape, a, sharded) in sorted(arrays.items()):
            width = len(a) if shape else 1
            for row in range(0, shape[0], ROWS):
                count = min(ROWS, shape[0] - row)
                part = comm.from_first(_read_rows(file, (count, *shape[1:]), a.dtype) if file else None)
                first = row - (comm.rank * width if sharded else 0)
                keep = slice(max(first, 0), max(min(first + count, width), 0))
                a[keep] = part[keep.start - first : keep.stop - first] if keep.start < keep.stop else part[:0]
    finally:
        if file:
            file.close()


def _parts(shape, a, sharded, comm):
    """The rows of an array in order, some at a time, on rank 0; the other ranks give theirs."""
    if not sharded or comm.size == 1:
        yield a
        return
    for owner in range(comm.size):
        for row in range(0, len(a), ROWS):
            part = np.ascontiguousarray(a[row : row + ROWS]) if comm.rank == owner else None
            yield comm.gathered(part)[owner]


def _opened(path, arrays, model):
    """The open file at its first array. Raises: OSError, ValueError, KeyError."""
    file = open(path, "rb")  # noqa: SIM115
    try:
        head = file.read(8)
        head += file.read(min(int.from_bytes(head, "little"), 10**8))
        texts = json.loads(head[8:])["__metadata__"]
        expected = texts_of(model) | {"sha256": texts["sha256"], "package_version": texts["package_version"]}
        dtype = np.dtype(model.dtype)
        if head != header(arrays, expected, dtype):
            raise ValueError("it holds another model, or more than a model")
        if texts["sha256"] != checksum(file, len(head), arrays, texts, dtype):
            raise ValueError("damaged, its checksum is wrong")
        file.seek(len(head))
        return file
    except BaseException:
        file.close()
        raise


def _read_rows(file, shape, dtype):
    count = int(np.prod(shape))
    return np.frombuffer(file.read(count * dtype.itemsize), dtype).reshape(shape)
