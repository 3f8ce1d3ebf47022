"""A folder whose files may be executed, as nobody but this user and root can change what lies there."""

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path


def private_folder(path):
    """The folder, links on the way resolved; it is made if it is missing.

    It belongs to this user, and every folder on the way to it to this user or root; nobody else may write to one of
    them, but for those like /tmp, where nobody can move what belongs to another. So it stays private.

    Raises: OSError if there is no such folder.
    """
    path = Path(os.path.realpath(path))
    for folder in [*reversed(path.parents), path]:
        with suppress(OSError):  # it is there, or looking at it fails
            folder.mkdir(0o700)
        status = folder.lstat()
        ours = status.st_uid == os.geteuid() if folder == path else status.st_uid in (0, os.geteuid())
        closed = not status.st_mode & 0o022 or (folder != path and status.st_mode & stat.S_ISVTX)
        if not (stat.S_ISDIR(status.st_mode) and ours and closed):
            raise PermissionError(f"others can change a folder on the way to {path}: {folder}")
    return path


def read_file(path):
    """The content of a file; None if it is not an ordinary one of this user (a link, a pipe, somebody else's)."""
    with suppress(OSError):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
            return path.read_bytes()
    return None


def write_file(path, content):
    """A new file, or a new one in the place of whatever was there; it is there whole or not at all."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        new = Path(folder, path.name)
        new.write_bytes(content)
        new.chmod(0o600)
        os.replace(new, path)
