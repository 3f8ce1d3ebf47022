"""Checks of what the networks are made for: the shape of one example and the number of classes."""

from collections.abc import Sequence
from typing import Any

from ..arguments import integer


def shape_of_example(who: str, in_shape: Sequence[int]) -> Any:
    """in_shape as a tuple of positive integers. Raises: TypeError, ValueError."""
    if not isinstance(in_shape, tuple | list) or not in_shape:
        raise ValueError(f"{who}: expected in_shape to be a tuple such as (1, 28, 28), got {in_shape!r:.80}")
    return tuple(integer(who, "in_shape", size) for size in in_shape)


def image_features(who: str, in_shape: Sequence[int], steps: Any) -> Any:
    """The channels of the images, and the pixels that are left of them after steps: −k, or divided by k.

    Raises: ValueError for another shape, or images so small that none are left.
    """
    in_shape = shape_of_example(who, in_shape)
    if len(in_shape) != 3:
        raise ValueError(f"{who}: expected in_shape (channels, height, width), got {in_shape}; SynaMLP takes any shape")
    pixels, least = 1, 1
    for step in reversed(steps):
        least = least - step if step < 0 else least * step
    for side in in_shape[1:]:
        if side < least:
            raise ValueError(f"{who}: expected images of at least {least}×{least}, got {in_shape}; SynaMLP takes any")
        for step in steps:
            side = side + step if step < 0 else side // step
        pixels *= side
    return in_shape[0], pixels


def number_of_classes(who: str, classes: int) -> Any:
    """classes, checked: an integer of at least 2. Raises: TypeError, ValueError."""
    return integer(who, "classes", classes, 2)
