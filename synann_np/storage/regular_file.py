"""Opening files that somebody else may have put there: never waiting for a pipe, never writing through a link."""

import errno
import os
import stat
from os import PathLike

WRITES = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_TRUNC
# What a system lacks is 0: Windows has neither links that anybody may make nor pipes with file names.
NO_LINKS, DO_NOT_WAIT = getattr(os, "O_NOFOLLOW", 0), getattr(os, "O_NONBLOCK", 0)
IN_BINARY, NOT_INHERITED = getattr(os, "O_BINARY", 0), getattr(os, "O_CLOEXEC", 0)


def regular_file(path: str | PathLike, flags: int) -> int:
    """An `opener` for `open` that refuses pipes, devices and sockets, and, if the file is to be written, links.

        open(path, "rb", opener=regular_file)

    The opened file itself is looked at, not its name, so nobody can exchange it between the check and the use. Links
    may be read: a data set is often one.

    Raises: OSError if it cannot be opened or is not a regular file.
    """
    writes = flags & WRITES
    flags |= DO_NOT_WAIT | IN_BINARY | NOT_INHERITED | (NO_LINKS if writes else 0)
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        if writes and error.errno == errno.ELOOP:
            raise OSError(error.errno, "a symbolic link, which is not written through", str(path)) from error
        if error.errno == errno.ENXIO:  # a pipe without a reader, a socket
            raise OSError(error.errno, "not a regular file", str(path)) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return descriptor


def read_text(path: str | PathLike) -> str:
    """The content of a regular file as text (UTF-8, with or without a byte order mark). Raises: OSError, ValueError."""
    with open(path, encoding="utf-8-sig", opener=regular_file) as file:
        return file.read()
