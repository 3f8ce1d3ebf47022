"""A run whose synapse layer is divided among ranks: its files, read and written by rank 0, are those of one process."""

from collections.abc import Callable
from contextlib import nullcontext
from os import PathLike
from typing import Any

import numpy as np

from ...distributed.file_layout import as_one_process, is_sharded, sharded_names, whole_shapes
from ...distributed.sharded_file import ShardedContent, gathered_piece, own_part, pieces, spread
from ...storage.checkpoint import Checkpoint, read_checkpoint
from ...storage.checkpoint_parts import OPTIMIZER, WEIGHTS, arrays_of, metadata
from ...storage.model_config import describe
from ...train import NonFiniteLoss, evaluate


class Shards:
    """What ranks do together outside the steps of a run. Rank 0 calls a method and broadcasts its name; the other ranks
    wait for it (ranks.follow_first) and call the function of that name in `orders`.

    Arguments:
        comm: Communicator. model: what `fit` trains. optimizer, average: of the run. test_set: images, labels, or None.
        batch_size: of evaluation.
    """

    def __init__(self, comm: Any, model: Any, optimizer: Any, average: Any, test_set: tuple, batch_size: int) -> None:
        self.comm, self.model, self.optimizer, self.average = comm, model, optimizer, average
        self.test_set, self.batch_size, self.names = test_set, batch_size, sharded_names(model)
        self.orders: dict[str, Callable] = {"rows": self._give_rows, "test": self._test}
        self.whole: dict[str, Any] = {}  # on rank 0 the divided arrays of the file that was read last

    def content(self, training: Any) -> ShardedContent:
        """The content of a file with the present state, for write_atomically. See storage.checkpoint.save."""
        texts = metadata(describe(as_one_process(self.model)), self.optimizer, training, self.average)
        shapes = whole_shapes(self._arrays(), self.names, self.comm.size)
        return ShardedContent(shapes, texts, self.model.dtype, lambda name: self._rows(name, *shapes[name]))

    def read(self, path: str | PathLike) -> Checkpoint:
        """The Checkpoint of a file, with the rows of this rank. Raises: CheckpointError."""
        checkpoint = read_checkpoint(path, mapped=True)
        arrays = {f"{WEIGHTS}{name}": a for name, a in checkpoint.weights.items()}
        arrays |= {f"{OPTIMIZER}{name}": a for name, a in checkpoint.optimizer_arrays.items()}
        arrays |= checkpoint.state
        self.whole = {name: a for name, a in arrays.items() if is_sharded(name, self.names)}
        for part in (checkpoint.state, checkpoint.weights, checkpoint.optimizer_arrays):
            part |= own_part(part, self.names, self.comm)
        return checkpoint

    def share(self) -> None:
        """After rank 0 has read: every rank gets its rows. Called by all ranks."""
        for name in self.comm.from_first(list(self.whole)):  # the optimiser has none before its first step
            key, _, parameter = name.removeprefix(OPTIMIZER).partition(".")
            if name.startswith(OPTIMIZER) and parameter not in vars(self.optimizer)[key]:
                vars(self.optimizer)[key][parameter] = self.model.backend.xp.zeros_like(self.model.params[parameter])
        spread(self.whole, self._arrays(), self.names, self.comm)
        self.whole = {}

    def test(self, best: str | PathLike | None = None) -> Any:
        """Loss and right answers on the test set. best: a file whose weights take the place of the last ones.

        Raises: CheckpointError.
        """
        state = best and read_checkpoint(best, mapped=True).state
        self.comm.from_first(("test", bool(best)))
        return self._test(bool(best), state)

    def _test(self, best, state=None):
        if best:
            spread(state, self.model.params | self.model.buffers, self.names, self.comm)
        with self.average.in_place() if self.average and not best else nullcontext():
            return evaluate(self.model, *self.test_set, self.batch_size)

    def _arrays(self):
        return arrays_of(self.model, self.optimizer, self.average)

    def _rows(self, name, shape, a, sharded):
        """The rows of an array on the host, on rank 0. Raises: NonFiniteLoss for NaN or infinity in divided ones."""
        if not sharded:
            yield self.model.backend.to_host(a)
            return
        for piece in pieces(a, self.comm.size):
            self.comm.from_first(("rows", name, *piece))
            for part in self._give_rows(name, *piece):
                if not np.isfinite(part).all():
                    raise NonFiniteLoss(f"{name} is not finite: training stopped, the last good checkpoint is kept")
                yield part

    def _give_rows(self, name, owner, rows):
        return gathered_piece(self.model.backend.to_host(self._arrays()[name]), owner, rows, self.comm)
