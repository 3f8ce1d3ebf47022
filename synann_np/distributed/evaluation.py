"""Evaluation by all ranks together."""

from typing import Any

from ..backend import Array
from ..data import batches
from ..losses import nll_loss
from ..training.data_set import scaling


def evaluate(
    model: Any, images: Array, labels: Array, batch_size: int, comm: Any, every_batch: bool = False
) -> tuple[Any, Any]:
    """Mean loss and number of right answers by nll_loss: the numbers of training.evaluation, on all ranks.

    Batch b is computed by rank b mod size, and the losses are added in the order of b.

    Arguments: every_batch: all ranks compute all batches, as layers divided among them need.
    """
    starts, found = range(0, len(images), batch_size), {}
    mine = slice(None) if every_batch else slice(comm.rank, None, comm.size)
    for b in range(len(starts))[mine]:
        rows = slice(starts[b], starts[b] + batch_size)
        found[b] = _evaluate_batch(model, images[rows], labels[rows])
    merged = {b: one for ranks in comm.gathered(found) for b, one in ranks.items()}
    losses, correct = 0.0, 0
    for _, (loss, right) in sorted(merged.items()):
        losses, correct = losses + loss, correct + int(right)
    return float(losses) / len(images), correct


def _evaluate_batch(model, images, labels):
    ((x, targets),) = batches(images, labels, len(images), dtype=model.input_dtype, scaling=scaling(model))
    log_probs, _ = model.forward(x)
    loss, _ = nll_loss(log_probs, targets)
    to_host = model.backend.to_host
    return to_host(loss * len(targets))[()], to_host((log_probs.argmax(axis=1) == targets).sum())
