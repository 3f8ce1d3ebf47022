"""Files that are there whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path


def write_atomically(path, content):
    """Replace a file in one step: whoever reads, and whatever is killed when, sees the old content or the new.

    The content goes to a temporary file in the same folder, to the disk (fsync), then under its name. The folder is
    synced too, so that after a power failure the name is not older than the call.

    Arguments: path: the file. content: bytes.

    Raises: OSError if it cannot be written (no space, no permission); the old file is then untouched, and nothing is
        left beside it.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
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


def remove_leftovers(path):
    """Remove the temporary files of writers of `path` that were killed. Call it only where nobody else writes."""
    path = Path(path)
    for leftover in path.parent.glob(f".{path.name}.*"):
        if leftover.suffix[1:].isdecimal():
            leftover.unlink(missing_ok=True)


def _sync_folder(folder):
    # Not every system can open a folder, and not every file system can sync one: the rename itself has happened.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
