"""TensorBoard in a run of training, where it is asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def require_tensorboard(folder: Path | None) -> None:
    """Before anything is written. Raises: ImportError if TensorBoard is asked for and not installed."""
    if folder is not None:
        from ...bridges import tensorboard  # noqa: F401


@contextmanager
def tensorboard(folder: Any, model: Any, optimizer: Any, step: int) -> Iterator[Any]:
    """The callbacks of a run: TensorBoard's alone, or none where folder is None.

    Raises: ImportError if TensorBoard is not installed, OSError if the folder cannot be written.
    """
    if folder is None:
        yield []
        return
    from ...bridges.tensorboard import TensorBoard

    with TensorBoard(folder, model, optimizer, step) as board:
        yield [board]


def show_curves(callbacks: Any, curves: Any, step: int) -> None:
    """Show the picture of the curves, if it was drawn."""
    for board in callbacks:
        if curves.is_file():
            board.add_picture("curves", curves.read_bytes(), step)
