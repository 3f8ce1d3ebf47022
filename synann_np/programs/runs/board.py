"""TensorBoard in a run of training, where it is asked for."""

from contextlib import contextmanager


def require_tensorboard(folder):
    """Before anything is written. Raises: ImportError if TensorBoard is asked for and not installed."""
    if folder is not None:
        from ...bridges import tensorboard  # noqa: F401


@contextmanager
def tensorboard(folder, model, optimizer, step):
    """The callbacks of a run: TensorBoard's alone, or none where folder is None.

    Raises: ImportError if TensorBoard is not installed, OSError if the folder cannot be written.
    """
    if folder is None:
        yield []
        return
    from ...bridges.tensorboard import TensorBoard

    with TensorBoard(folder, model, optimizer, step) as board:
        yield [board]


def show_curves(callbacks, curves, step):
    """Show the picture of the curves, if it was drawn."""
    for board in callbacks:
        if curves.is_file():
            board.add_picture("curves", curves.read_bytes(), step)
