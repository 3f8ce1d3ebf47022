"""Arrays to batches: split, shuffle, normalise.

`normalise`, `batches` and `class_counts` stay on the backend of their arrays: nothing is copied to the host.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..backend import Array, DTypeLike, array_module

CLASSES = 10
MEAN = 0.1307  # of the pixels of the MNIST training images, scaled to 0..1
STD = 0.3081


def split_validation(
    images: Array, labels: Array, size: int = 5000, seed: int = 5
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Set `size` random images aside for validation.

    Arguments:
        images (N, ...), labels (N,): host arrays.
        size: 0 < size < N.
        seed: the same seed gives the same split.

    Returns:
        (train_images, train_labels), (val_images, val_labels): copies, disjoint, together everything, each
        in the order of the original.

    Raises:
        ValueError: lengths that differ, or a size that leaves one side empty.
    """
    _check_pairs(images, labels)
    if not 0 < size < len(images):
        raise ValueError(f"a validation split of {size} from {len(images)} images leaves one side empty")
    order = np.random.default_rng(seed).permutation(len(images))
    val, train = np.sort(order[:size]), np.sort(order[size:])
    return (images[train], labels[train]), (images[val], labels[val])


def normalise(images: Array, dtype: DTypeLike = "float32", mean: Array = MEAN, std: Array = STD) -> Array:
    """Scale bytes to about zero mean and unit variance: (x / 255 − mean) / std.

    Arguments:
        images (N, H, W) or (N, C, H, W): uint8, on either backend.

    Returns:
        (N, C, H, W) of `dtype` on the same backend, C-contiguous, C = 1 for (N, H, W).

    Raises:
        ValueError: not uint8 (pixels that are normalised already, say), or of other dimensions.
    """
    if images.ndim not in (3, 4) or images.dtype != "uint8":
        raise ValueError(
            f"normalise needs uint8 images (N, H, W) or (N, C, H, W), got {images.dtype} {tuple(images.shape)}"
        )
    return to_input(images, dtype, mean, std)


def to_input(x: Array, dtype: DTypeLike = "float32", mean: Array = MEAN, std: Array = STD) -> Array:
    """Rows of a data set as a model takes them: bytes are pixels and scaled as by `normalise`, other numbers are cast.

    Arguments: x (N, ...): uint8 images (N, H, W) become (N, 1, H, W). mean, std: of bytes only.

    Returns: (N, ...) of `dtype`, on the same backend, C-contiguous.
    """
    pixels = x.dtype == "uint8"
    if pixels and x.ndim == 3:
        x = x[:, None]
    x = x.astype(dtype, order="C")
    if pixels:
        x /= 255.0  # in place throughout: whatever mean and std are, the dtype stays
        x -= mean
        x /= std
    return x


def batches(
    images: Array,
    labels: Array,
    batch_size: int,
    permutation: Array = None,
    dtype: DTypeLike = "float32",
    augment: Any = None,
    step: int = 0,
    scaling: tuple[Any, Any] = (MEAN, STD),
) -> Iterator[tuple[Array, Array]]:
    """Iterate over batches as a model takes them; the last one holds the rest.

    Arguments:
        images (N, ...): uint8 images (N, H, W) or (N, C, H, W), or other numbers; labels (N, ...): on one backend.
        batch_size: at least 1.
        permutation: integer indices on the same backend, in the order wanted (fewer than N walk through a
            part). Their range is not checked: a GPU wraps wrong ones around silently. None walks in order.
        augment: function of (images (batch_size, H, W) uint8, step) -> images, uint8, on the same backend; None leaves
            them as they are.
        step: of the first batch; it counts up.
        dtype: of x. "uint8" leaves the bytes as they are, for a model that normalises them itself.
        scaling: mean and standard deviation of the pixels of uint8 images, see `normalise`.

    Yields:
        x (batch_size, ...) as of `to_input`, or bytes (batch_size, H, W); labels (batch_size, ...)

    Raises:
        ValueError: at once, not at the first batch: lengths that differ, batch_size below 1, indices that
            are not integers.
    """
    _check_pairs(images, labels)
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if permutation is not None and permutation.dtype.kind not in "iu":
        # A boolean mask would select quietly, and on a GPU wait for the count.
        raise ValueError(f"permutation must hold integers, got {permutation.dtype}")

    def walk():
        count = len(images) if permutation is None else len(permutation)
        for number, start in enumerate(range(0, count, batch_size)):
            chosen = slice(start, start + batch_size)
            if permutation is not None:
                chosen = permutation[chosen]
            rows = images[chosen] if augment is None else augment(images[chosen], step + number)
            yield (rows if dtype == "uint8" else to_input(rows, dtype, *scaling)), labels[chosen]

    return walk()


def epoch_permutation(n: int, seed: int, epoch: int) -> Array:
    """The order in which an epoch visits n images: host array (n,), int64.

    A function of seed and epoch alone, not of a generator carried along: a run resumed at epoch 40 shuffles
    as the uninterrupted run did, although no generator state was saved.
    """
    return np.random.default_rng([seed, epoch]).permutation(n)


def class_counts(labels: Array, classes: int = CLASSES) -> Array:
    """How often each class occurs: (classes,) int64, on the backend of labels (N,).

    Raises:
        ValueError: a label of `classes` or above.
    """
    counts = array_module(labels).bincount(labels, minlength=classes)
    if len(counts) > classes:
        raise ValueError(f"label {len(counts) - 1} found where 0..{classes - 1} are expected")
    return counts


def _check_pairs(images, labels):
    if len(images) != len(labels):
        raise ValueError(f"{len(images)} images but {len(labels)} labels")
