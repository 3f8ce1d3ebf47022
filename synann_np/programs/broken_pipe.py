"""Output into a pipe whose reader has gone, as in `python scripts/explain.py 7 | head -1`."""

import io
import os
import sys

STATUS = 141  # 128 + SIGPIPE, what a shell shows of other programs that end so


def end_with_the_reader():
    """From now on the process ends at once and without a word when nobody reads its standard output any more.

    For programs, at their start. Python raises BrokenPipeError there, and once more when it exits. The signal SIGPIPE
    would also end a process that writes to a child that died, which is to be reported; so only this one file is
    watched.
    """
    old = sys.stdout
    lines = old.line_buffering or old.write_through
    raw = _StandardOutput(old.fileno(), "wb", closefd=False)
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(raw), old.encoding, old.errors, line_buffering=lines)


class _StandardOutput(io.FileIO):
    def write(self, content):
        try:
            return super().write(content)
        except BrokenPipeError:
            os._exit(STATUS)  # the buffer cannot be emptied, and leaving in the usual way would try
