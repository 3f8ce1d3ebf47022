"""Standard output and error of a program, which may be closed, full, unread, or unable to show a character."""

import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager

UNREAD = 141  # 128 + SIGPIPE, the exit status that a shell shows of other programs that end so


def prepare_streams() -> None:
    """For programs, at their start: from now on no print raises an error.

    - A closed descriptor 0, 1 or 2 is opened on the null device: the next file that is opened would get its number,
      and everything printed.
    - A character that the encoding does not have is printed as an escape, such as \\u2013.
    - A write that fails is remembered (take_failure) and the text is lost. When nobody reads standard output any more,
      as in `synann explain 7.png | head -1`, the process ends at once and without a word. SIGPIPE would also end a
      process that writes to a child that died, which is to be reported; so only this one file is watched.

    Only text files with a descriptor are replaced: what a notebook or a test put in their place stays.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    sys.stdout = _prepared(sys.stdout, ends_process=True)
    sys.stderr = _prepared(sys.stderr, ends_process=False)


@contextmanager
def stay_when_unread() -> Iterator[None]:
    """Inside, a standard output that nobody reads any more does not end the process: take_failure tells of it."""
    raw = _raw(sys.stdout)
    if raw is None or not raw.ends_process:
        yield
        return
    raw.ends_process = False
    try:
        yield
    finally:
        raw.ends_process = True


def take_failure() -> OSError | None:
    """The OSError of the first write to standard output that failed since the last call, None without one."""
    if sys.stdout is not None:
        sys.stdout.flush()
    raw = _raw(sys.stdout)
    if raw is None:
        return None
    failure, raw.failure = raw.failure, None
    return failure


class _Stream(io.FileIO):
    def __init__(self, descriptor, ends_process):
        super().__init__(descriptor, "wb", closefd=False)
        self.ends_process, self.failure = ends_process, None

    def write(self, content):
        try:
            while (written := super().write(content)) is None:  # a descriptor that does not block, and is full
                select.select([], [self], [])
            return written
        except OSError as error:
            if isinstance(error, BrokenPipeError) and self.ends_process:
                os._exit(UNREAD)  # the buffer cannot be emptied, and leaving in the usual way would try
            self.failure = self.failure or error
            return len(content)


def _prepared(old, ends_process):
    if type(old) is not io.TextIOWrapper and old is not None:
        return old
    try:
        descriptor = old.fileno()
    except (AttributeError, OSError, ValueError):  # None, without a descriptor, closed
        return open(os.devnull, "w", encoding="utf-8")
    if _raw(old) is not None:
        return old
    old.flush()
    lines = old.line_buffering or old.write_through
    buffer = io.BufferedWriter(_Stream(descriptor, ends_process))
    return io.TextIOWrapper(buffer, old.encoding, "backslashreplace", line_buffering=lines)


def _raw(stream):
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw if isinstance(raw, _Stream) else None
