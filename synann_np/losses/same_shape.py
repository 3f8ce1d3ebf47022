"""What losses of values, not of labels, ask of their arguments."""

from ..backend import Array


def check_same_shape(who: str, outputs: Array, targets: Array) -> None:
    """Refuse outputs and targets of different shapes, an empty batch, and what is not a float.

    Raises: ValueError, TypeError.
    """
    if outputs.shape != targets.shape or outputs.ndim < 1 or len(outputs) == 0:
        cure = ""
        if outputs.shape == (*targets.shape, 1):
            cure = ": use targets[:, None]"
        raise ValueError(
            f"{who}: expected outputs and targets of one shape (N, ...) with N > 0, "
            f"got {tuple(outputs.shape)} and {tuple(targets.shape)}{cure}"
        )
    for name, a in (("outputs", outputs), ("targets", targets)):
        if a.dtype != outputs.dtype or a.dtype.kind != "f":
            raise TypeError(f"{who}: expected {name} of float32 or float64 like the outputs, got {a.dtype}")
