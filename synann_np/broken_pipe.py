"""Output into a pipe whose reader has gone, as in `python scripts/explain.py 7 | head -1`."""

import signal


def end_with_the_reader():
    """From now on the process ends without a word when it writes to a pipe that nobody reads, as other programs do.

    For programs, at their start; Python raises BrokenPipeError otherwise, and once more when it exits. Nothing where
    the system has no such signal.
    """
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
