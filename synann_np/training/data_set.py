"""What a user hands to the training loop, checked at the door, once, before anything is trained."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backend import Array
from ..data.batches import MEAN, STD, to_input
from ..data.host_arrays import as_labels, as_numbers


@dataclass(frozen=True)
class DataSet:
    """Arrays of one length, on the backend of a model: inputs x (N, ...), targets (N, ...), weights (N,) or None."""

    x: Any
    targets: Any
    weights: Any = None

    def __len__(self):
        return len(self.x)


def check_data_set(model: Any, data_set: Any, loss: Callable, name: str, batch_size: int) -> DataSet:
    """The arrays of a data set, checked: kinds, lengths, that the model takes the inputs and the loss what it gives.

    For that the model computes one batch, in evaluation mode, which changes nothing.

    Arguments:
        model: Sequential. data_set: (x, targets) or (x, targets, sample weights), see train.fit.
        loss: function, see losses. name: of the data set, for messages. batch_size: of that one batch.

    Returns: DataSet; targets are int64 labels or, for a loss of values, floats of the model's dtype.

    Raises: TypeError, ValueError naming the array, what is wrong and what to do.
    """
    if not isinstance(data_set, tuple | list) or len(data_set) not in (2, 3):
        raise TypeError(
            f"{name}: expected a pair (x, targets), or (x, targets, weights), got {type(data_set).__name__}"
        )
    x, targets, *weights = data_set
    x = as_numbers(x, f"{name}: x", model.backend)
    y = first_outputs(model, x, name, batch_size)
    targets = _check_targets(model, targets, y, loss, name)
    if len(x) != len(targets):
        raise ValueError(f"{name}: {len(x)} inputs but {len(targets)} targets")
    check_outputs = getattr(plain(loss), "check_outputs", None)
    if check_outputs is not None:
        check_outputs(y)
    return DataSet(to_backend(model, x), model.backend.asarray(targets), _check_weights(model, weights, x, name))


def first_outputs(model: Any, x: Array, name: str, batch_size: int) -> Array:
    """What the model makes of the first rows of x, as a host array. Raises: ValueError if it does not take them."""
    first = model.backend.asarray(x[:batch_size])
    if model.input_dtype != "uint8":
        first = to_input(first, model.input_dtype, *scaling(model))
    try:
        with np.errstate(all="ignore"):
            return model.backend.to_host(model.forward(first)[0])
    except (IndexError, TypeError, ValueError) as error:
        raise ValueError(f"{name}: the model does not take x {tuple(x.shape)}: {error}{_cure_of_shape(x)}") from error


def check_last_batch(model: Any, train_set: Any, batch_size: int) -> None:
    """Refuse batches of one row where the model cannot be trained on one, as batch-norm cannot, before training begins.

    The model computes such a batch in training mode; batch-norm's running statistics are put back.

    Raises: ValueError.
    """
    if batch_size > 1 and len(train_set) % batch_size != 1:
        return
    kept = {name: buffer.copy() for name, buffer in model.buffers.items()}
    try:
        with np.errstate(all="ignore"):
            model.forward(to_input(train_set.x[:1], model.dtype, *scaling(model)), train=True, step=0)
    except ValueError as error:
        raise ValueError(
            f"fit: the model cannot be trained on a batch of one row ({error}): choose a batch_size that does not "
            f"leave 1 of {len(train_set)}"
        ) from error
    finally:
        for name, buffer in model.buffers.items():
            buffer[...] = kept[name]


def scaling(model: Any) -> tuple[float, float]:
    """Mean and standard deviation with which bytes are scaled for this model: its own layer has them, or MNIST's."""
    return (0.0, 1.0) if getattr(model, "normalizes", False) else (MEAN, STD)


def plain(loss: Callable) -> Callable:
    """The function itself, if it is wrapped by functools.partial."""
    while hasattr(loss, "func"):
        loss = loss.func
    return loss


def to_backend(model: Any, x: Array) -> Array:
    """x where the model lives. On the host nothing is copied; a device gets numbers as small as the model's."""
    wide = x.dtype.kind == "f" and x.dtype.itemsize > np.dtype(model.dtype).itemsize
    cast = model.dtype if wide and model.backend.xp is not np else None
    return model.backend.asarray(x, dtype=cast)


def _check_targets(model, targets, y, loss, name):
    kind = getattr(plain(loss), "targets", None)
    name = f"{name}: targets"
    if kind == "labels":
        if y.ndim != 2:
            raise ValueError(f"{name}: labels need outputs (N, K), the model gives {tuple(y.shape)}: add a Flatten")
        ignored = getattr(loss, "keywords", {}).get("ignore_index")
        return as_labels(targets, name, y.shape[1], ignored, model.backend)
    targets = as_numbers(targets, name, model.backend)
    if kind is None and targets.dtype.kind in "biu":
        return targets.astype("int64")
    return targets.astype(np.dtype(model.dtype))


def _check_weights(model, weights, x, name):
    if not weights or weights[0] is None:
        return None
    w = as_numbers(weights[0], f"{name}: sample weights", model.backend)
    if w.shape != (len(x),):
        raise ValueError(f"{name}: expected sample weights ({len(x)},), got {tuple(w.shape)}")
    if model.backend.to_host(w.min()) < 0 or model.backend.to_host(w.max()) <= 0:
        raise ValueError(f"{name}: expected sample weights >= 0, not all of them 0")
    return model.backend.asarray(w, dtype=np.dtype(model.dtype))


def _cure_of_shape(x):
    if x.ndim == 3 and x.dtype != "uint8":
        return ": images of one channel are (N, 1, H, W), use x[:, None]"
    if x.ndim == 4 and x.shape[-1] in (1, 3, 4) and x.shape[1] not in (1, 3, 4):
        return ": channels come second, use x.transpose(0, 3, 1, 2)"
    return ""
