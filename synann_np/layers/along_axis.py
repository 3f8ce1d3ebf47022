"""What layers that work along one axis share."""

from ..arguments import integer
from ..backend import Array
from .base import Layer


class AlongAxis(Layer):
    """x of any shape; `axis` is the one that the formula runs over, counted from the end if it is negative.

    axis=0 is the batch, whose rows then mix.

    Raises: TypeError if axis is not an integer; ValueError (forward) if x does not have that axis, it is empty, or a
    negative number means the batch: write axis=0.
    """

    def __init__(self, axis: int = -1) -> None:
        super().__init__(axis=axis)
        self.axis = self.config["axis"] = integer(self, "axis", axis, least=-64)

    @property
    def mixes_rows(self) -> bool:
        """True for the axis of the batch."""
        return self.axis == 0

    def check_axis(self, x: Array) -> None:
        """Refuse x unless it has elements along the axis."""
        self.check_input(x, ...)
        ndim = len(x.shape)
        if not -ndim <= self.axis < ndim or x.shape[self.axis] < 1:
            raise ValueError(f"{self}: expected input with elements along axis {self.axis}, got {tuple(x.shape)}")
        if self.axis == -ndim and ndim > 1:
            raise ValueError(f"{self}: axis {self.axis} of {tuple(x.shape)} is the batch; write axis=0 if it is meant")
