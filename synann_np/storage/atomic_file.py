"""Files that are there whole or not at all."""

import errno
import os
import re
import secrets
import stat
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any

from .regular_file import regular_file

LONGEST_NAME = 80  # bytes of a file's name that its temporary file repeats: a name may have 255


def write_atomically(path: str | PathLike, content: Any) -> None:
    """Replace a file in one step: whoever reads, and whatever is killed when, sees the old content or the new.

    The content goes to a temporary file in the same folder, to the disk (fsync), then under its name. The folder is
    synced too, so that after a power failure the name is not older than the call. The name of the temporary file is
    random and the file must not exist yet, so no link that somebody put there is followed. If `path` is a link, the
    link is replaced, and what it points to is left alone.

    Arguments: path: the file. content: bytes, or an iterable of them.

    Raises: OSError if it cannot be written (no space, no permission, `path` is a folder, a pipe or a device); the old
        file is then untouched, and no temporary file remains.
    """
    path = Path(path)
    temporary = path.with_name(f"{_beginning(path)}{secrets.token_hex(8)}")
    try:
        _refuse_what_is_no_file(path)
        with open(temporary, "xb", opener=regular_file) as file:
            for block in [content] if isinstance(content, bytes) else content:
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno:  # a failed write does not know its file
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    _sync_folder(path.parent)


def remove_leftovers(path: str | PathLike) -> None:
    """Remove the temporary files of writers of `path` that were killed. Call it only where nobody else writes."""
    path = Path(path)
    temporary = re.compile(re.escape(_beginning(path)) + "([0-9]+|[0-9a-f]{16})")
    for other in path.parent.iterdir():
        if temporary.fullmatch(other.name):
            other.unlink(missing_ok=True)


def _beginning(path):
    """What the names of the temporary files of a path begin with."""
    return f".{os.fsdecode(os.fsencode(path.name)[:LONGEST_NAME])}."


def _refuse_what_is_no_file(path):
    """A rename would replace a pipe or a device, /dev/null included, by a file."""
    with suppress(FileNotFoundError):
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "Is a directory")
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file")


def _sync_folder(folder):
    # Not every system can open a folder, and not every file system can sync one: the rename itself has happened.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
