"""A model whose batches are divided among ranks: the same bits on any number of them."""

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from ..backend import Array, DTypeLike, array_module
from ..data import batches
from ..losses import nll_loss
from ..losses.row_weights import batch_weight, total_weight
from ..sequential import Sequential
from .chunks import check_chunks, own_chunks, tree_sum
from .clipping import clip
from .evaluation import evaluate
from .norm import SyncedBatchNorm
from .replicas import check_replicas


class DataParallel:
    """Trains a Sequential on the batch of all ranks: to `train.fit` it is a model.

    The N rows of a batch are divided into a fixed number of chunks, and each rank computes its own ones, one after the
    other, all with calls of the same shapes wherever they run. Batch-norm takes its statistics over the whole batch
    (SyncedBatchNorm); dropout masks and augmentation are numbered by the row of the batch. The gradients of the chunks
    are added in a fixed binary tree, first inside a rank, then over the ranks, together with the loss in one message.
    So weights, loss and running statistics have the same bits on 1, 2, 4, ... ranks, each with any number of threads.
    Every rank then does the same step of the optimiser.

    Evaluation: batch b is computed by rank b mod size, and the losses are added in the order of b.

    Arguments:
        model: Sequential, as it is or from fast.compile.
        comm: Communicator.
        chunks: a power of two, at least the number of ranks, which is a power of two too. Other chunks give other bits.
            None: one for each of any number of ranks; sums are those of the library and depend on the ranks.

    Everything else is that of the model: params, buffers, backend, dtype, forward (of a whole batch), state_dict, ...

    Raises: ValueError for other chunks, and for a layer that mixes rows and is not batch-norm, or that draws masks and
        takes no first_row.
    """

    def __init__(self, model: Any, comm: Any, chunks: int | None = None) -> None:
        self.model, self.comm = model, comm
        self.chunks = comm.size if chunks is None else chunks
        self.total = comm.allreduce if chunks is None else comm.total
        if chunks is not None:
            check_chunks(chunks, comm.size)
        self.stages = [self._stage(*named) for named in _flat(model)]
        self.sharded = {
            f"{name}.{key}": stage
            for name, stage in self.stages
            if getattr(stage, "sharded", False)
            for key in stage.params | stage.buffers
        }

    def __getattr__(self, name):
        if name == "model":  # not there yet, while it is copied
            raise AttributeError(name)
        return getattr(self.model, name)

    def own(self, N: int) -> Any:
        """The chunks of this rank: slices of the rows of a batch of N."""
        return own_chunks(N, self.chunks, self.comm.rank, self.comm.size)

    def batches(
        self, images: Array, labels: Array, batch_size: int, order: Array, dtype: DTypeLike = "float32",
        augment: Any = None, step: int = 0, *more: Any,
    ) -> Iterator[Any]:  # fmt: skip
        """As data.batches, but of this rank alone.

        Yields: (N, xs), labels: rows of the batch, and lists of the chunks. An empty chunk holds the first row of the
        batch, which counts nothing.
        """
        for number, start in enumerate(range(0, len(order), batch_size), start=step):
            chosen = order[start : start + batch_size]
            parts: list[Any] = []
            for part in self.own(len(chosen)):
                rows = chosen[part] if part.start < part.stop else chosen[:1]
                change = augment and partial(augment, first_row=part.start)
                parts += batches(images, labels, len(rows), rows, dtype, change, number, *more)
            yield (len(chosen), [x for x, _ in parts]), [targets for _, targets in parts]

    def gradients(self, x: Array, labels: Array, step: int, loss: Callable = nll_loss) -> tuple[Any, dict[str, Array]]:
        """Loss and gradients of the whole batch, as train.gradients gives them; x and labels as `batches` yields them.

        `loss` must be a mean over rows; a weighted one needs an attribute batch_weight, as those of losses have.
        Raises: FloatingPointError on the rank whose rows give NaN.
        """
        N, xs = x
        parts = self.own(N)
        rows = [part.stop - part.start for part in parts]
        caches = []
        for _, stage in self.stages:
            if hasattr(stage, "forward_chunks"):
                xs, cache = stage.forward_chunks(xs, rows, N)
            else:
                drawn = [(step, part.start) if stage.draws_masks else () for part in parts]
                done = [stage.forward(x, True, *its) for x, its in zip(xs, drawn, strict=True)]
                xs, cache = [y for y, _ in done], [its for _, its in done]
            caches.append(cache)
        losses, dys = [], []
        for y, targets, share in zip(xs, labels, self._shares(loss, xs, labels, rows, N), strict=True):
            value, dy = loss(y, targets)
            losses.append(value * share)
            dys.append(dy * share)
        whole: dict[str, Array] = {}
        own: list[dict[str, Array]] = [{} for _ in dys]
        for (name, stage), cache in zip(reversed(self.stages), reversed(caches), strict=True):
            if dys[0] is None:  # nobody asked for the input gradient, and no stage before this one has parameters
                break
            if hasattr(stage, "forward_chunks"):
                dys, grads = stage.backward_chunks(dys, cache)
                whole |= {f"{name}.{key}": g for key, g in grads.items()}
                continue
            for c, (dy, its) in enumerate(zip(dys, cache, strict=True)):
                dys[c], grads = stage.backward(dy, its)
                own[c] |= {f"{name}.{key}": g for key, g in grads.items()}
        value, grads = self._summed(losses, own)
        return value, whole | grads

    def clip_grad_norm(self, grads: dict[str, Array], max_norm: float) -> Any:
        """As training.clipping.clip_grad_norm, with the norm over the units of all ranks."""
        return clip(grads, max_norm, self.sharded, self.total)

    def evaluate(self, images: Array, labels: Array, batch_size: int) -> Any:
        """Mean loss and number of right answers, the numbers of one process. The replicas are compared first.

        Raises: ReplicasDiffer.
        """
        arrays = self.params | self.buffers
        check_replicas({name: a for name, a in arrays.items() if name not in self.sharded}, self.backend, self.comm)
        return evaluate(self.model, images, labels, batch_size, self.comm, every_batch=bool(self.sharded))

    def _shares(self, loss, ys, labels, rows, N):
        """What each chunk of this rank counts in the mean: its rows, or the sum of their weights, over those of all.

        A loss has divided by that sum; where it is 0, by 1 (losses.row_weights.total_weight).
        """
        weights = [batch_weight(loss, y, targets) for y, targets in zip(ys, labels, strict=True)]
        if weights[0] is None:
            return [count / N for count in rows]
        counted = [min(count, 1) for count in rows]
        whole = self.total(tree_sum([weight.reshape(1) * one for weight, one in zip(weights, counted, strict=True)]))
        return [total_weight(weight) * one / total_weight(whole) for weight, one in zip(weights, counted, strict=True)]

    def _summed(self, losses, chunk_grads):
        """The sums over all chunks and ranks, in one message: all gradients by name, and the loss."""
        xp, names = array_module(losses[0]), sorted(chunk_grads[0])
        flat = [
            xp.concatenate([*(grads[name].ravel() for name in names), xp.asarray(loss).reshape(1)])
            for loss, grads in zip(losses, chunk_grads, strict=True)
        ]
        summed, found, at = self.total(tree_sum(flat)), {}, 0
        for name in names:
            like = chunk_grads[0][name]
            found[name] = summed[at : at + like.size].reshape(like.shape)
            at += like.size
        return summed[-1], found

    def _stage(self, name, layer):
        if SyncedBatchNorm.replaces(layer):
            return name, SyncedBatchNorm(layer, self.total)
        if layer.mixes_rows and not hasattr(layer, "forward_chunks"):
            raise ValueError(f"DataParallel: {name}: {layer!r} mixes rows; only batch-norm can be divided among ranks")
        if layer.draws_masks and "first_row" not in inspect.signature(layer.forward).parameters:
            raise ValueError(
                f"DataParallel: {name}: {layer!r} draws masks; its forward must take first_row, as Dropout's"
            )
        return name, layer


def _flat(model, prefix=""):
    """(dotted name, layer) of all layers, those of a Sequential inside included."""
    for name, layer in model.layers.items():
        if isinstance(layer, Sequential):
            yield from _flat(layer, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", layer
