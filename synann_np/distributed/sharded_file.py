"""Models with a ShardedSynapse, saved and loaded as the file of one process, without β in one place."""

import hashlib
import json
from collections.abc import Callable, Iterator
from os import PathLike
from typing import Any

import numpy as np

from ..backend import array_module
from ..storage.atomic_file import write_atomically
from ..storage.checkpoint import CheckpointError, read_checkpoint
from ..storage.checkpoint_parts import arrays_of, metadata
from ..storage.model_config import describe
from .file_layout import as_one_process, header, is_sharded, sharded_names, whole_shapes

PIECE = 2**20  # bytes of an array that are sent at a time


class ShardedContent:
    """The bytes of a file whose arrays are partly those of other ranks: what checkpoint.to_bytes gives in one process.

    It is iterated block by block, and may be again: nothing is kept but the checksum, for which the first time goes
    through all arrays twice. The arrays must stay as they are meanwhile.

    Arguments:
        shapes: dict name -> (shape in one process, array here, whether the array is a part of it), see whole_shapes.
        texts: metadata of the file. dtype: of all arrays.
        parts: function of a name -> iterator of the rows of an array, on the host, some at a time.
    """

    def __init__(self, shapes: dict[str, Any], texts: dict[str, str], dtype: Any, parts: Callable) -> None:
        self.shapes, self.texts, self.dtype, self.parts = shapes, texts, np.dtype(dtype), parts

    def __iter__(self) -> Iterator[bytes]:
        if "sha256" not in self.texts:
            self.texts["sha256"] = self._checksum()
        yield header(self.shapes, self.texts, self.dtype)
        for name in sorted(self.shapes):
            for part in self.parts(name):
                yield np.ascontiguousarray(part).tobytes()

    def _checksum(self):
        """As storage.checkpoint computes it."""
        index = [[name, self.dtype.str, list(shape)] for name, (shape, _, _) in sorted(self.shapes.items())]
        digest = hashlib.sha256(json.dumps([sorted(self.texts.items()), index]).encode())
        for name in sorted(self.shapes):
            for part in self.parts(name):
                digest.update(np.ascontiguousarray(part))
        return digest.hexdigest()


def save_sharded(path: str | PathLike, model: Any, comm: Any) -> None:
    """Write a model as `storage.checkpoint.save` would write the model of one process, byte for byte.

    Rank 0 writes, into a new file that then takes the name. Rows of β come to it some at a time. Called by all ranks.

    Arguments: path: the file. model: Sequential, on NumPy, with layers ShardedSynapse. comm: their Communicator.

    Raises: OSError on rank 0 alone, where the others then wait: call it inside `launch.communicator`.
    """
    shapes = whole_shapes(arrays_of(model), sharded_names(model), comm.size)
    texts = metadata(describe(as_one_process(model)))

    def parts(name):
        _, a, sharded = shapes[name]
        if not sharded:
            yield a
            return
        for piece in pieces(a, comm.size):
            yield from gathered_piece(a, *piece, comm)

    content = ShardedContent(shapes, texts, model.dtype, parts)
    if comm.rank == 0:
        write_atomically(path, content)
    else:
        for _ in content:
            pass
    comm.barrier()


def pieces(a: Any, size: int) -> Iterator[tuple[int | None, slice]]:
    """(owner, rows) that together are the array of all ranks, about 1 MiB at a time; owner None: of every rank."""
    step = max(1, PIECE // a[:1].nbytes)
    if len(a) <= step:
        yield None, slice(None)
        return
    for owner in range(size):
        for row in range(0, len(a), step):
            yield owner, slice(row, row + step)


def gathered_piece(a: Any, owner: int | None, rows: slice, comm: Any) -> list:
    """The rows of an array of the owner, or of each rank, on all of them: list of host arrays. Called by all ranks."""
    mine = owner in (None, comm.rank)
    found = comm.gathered(np.ascontiguousarray(a[rows]) if mine else None)
    return [part for part in found if part is not None]


def load_sharded(path: str | PathLike, model: Any, comm: Any) -> None:
    """Fill a model with the weights of a file, of one process or of save_sharded. Rank 0 reads. Called by all ranks.

    Raises: CheckpointError, on all ranks: the file cannot be read, is damaged, or holds another model.
    """
    whole, problem = None, None
    if comm.rank == 0:
        try:
            whole = _state(path, model, comm)
        except CheckpointError as error:
            problem = str(error)
    if problem := comm.from_first(problem):
        raise CheckpointError(problem)
    spread(whole, arrays_of(model), sharded_names(model), comm)


def spread(whole: Any, arrays: dict[str, Any], names: Any, comm: Any) -> None:
    """Copy arrays of rank 0 into those of every rank, of which some are a part. Called by all ranks.

    Arguments:
        whole: on rank 0 dict name -> host array in one process, which may stay on the disk; None on other ranks.
        arrays: dict name -> array of this rank, on any backend: at least all of `whole`. names: see sharded_names.
    """
    shapes = comm.from_first({name: a.shape for name, a in whole.items()} if comm.rank == 0 else None)
    for name, shape in shapes.items():
        a, sharded = arrays[name], is_sharded(name, names)
        first = comm.rank * len(a) if sharded else 0
        step = max(1, PIECE // a[:1].nbytes) if sharded else 1
        for row in range(0, shape[0], step) if sharded else (0,):
            rows = slice(row, row + step) if sharded else ...
            part = comm.from_first(np.array(whole[name][rows]) if comm.rank == 0 else None)
            if not sharded:
                _copy(a, part)
                continue
            begin, end = max(first, row), min(first + len(a), row + len(part))
            if begin < end:
                _copy(a[begin - first : end - first], part[begin - row : end - row])


def own_part(whole: dict[str, Any], names: Any, comm: Any) -> dict[str, Any]:
    """dict name -> host array in one process, with the rows of this rank alone where an array is divided."""

    def part(name, a):
        n = len(a) // comm.size
        return a[comm.rank * n : (comm.rank + 1) * n]

    return {name: part(name, a) if is_sharded(name, names) else a for name, a in whole.items()}


def _copy(a, part):
    a[...] = array_module(a).asarray(part)


def _state(path, model, comm):
    """The arrays of the model in a file. Raises: CheckpointError."""
    checkpoint = read_checkpoint(path, mapped=True)
    expected = json.loads(json.dumps(describe(as_one_process(model))))
    if checkpoint.config != expected:
        raise CheckpointError(f"{path}: holds another model; choose another file")
    return checkpoint.state
