"""A folder whose files may be executed, as nobody but this user and root can change what lies there."""

import os
import shutil
import stat
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

MADE_BY_US, OLD = "synann_np-work-", 3600  # seconds after which nobody works there any more


class PrivateFolder:
    """A folder that is held open, so that it stays the same whatever happens to its name.

    It is made if it is missing. It belongs to this user, and every folder on the way to it to this user or root; nobody
    else may write to one of them, but for those like /tmp, where nobody can move what belongs to another. Links on the
    way are resolved first, and none is followed.

    Raises: OSError if there is no such folder.
    """

    def __init__(self, path):
        self.path = Path(os.path.realpath(path))
        self.descriptor = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
        try:
            for name in self.path.parts[1:]:
                self._enter(name)
            status = os.fstat(self.descriptor)
            if status.st_uid != os.geteuid() or status.st_mode & 0o022 or not os.access(self.path, os.W_OK):
                raise PermissionError(f"{self.path} is not this user's alone")
        except BaseException:
            os.close(self.descriptor)
            raise

    def _enter(self, name):
        status, outer = os.fstat(self.descriptor), self.descriptor
        if status.st_uid not in (0, os.geteuid()) or (status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX):
            raise PermissionError(f"others can change a folder on the way to {self.path}")
        with suppress(OSError):  # it is there, or opening it fails
            os.mkdir(name, 0o700, dir_fd=outer)
        self.descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=outer)
        os.close(outer)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        os.close(self.descriptor)

    def names(self):
        return os.listdir(self.descriptor)

    def read(self, name):
        """The content of a file; None if it is not an ordinary one of this user (a link, a pipe, somebody else's)."""
        with suppress(OSError):
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # opening a pipe would wait for a writer
            with open(os.open(name, flags, dir_fd=self.descriptor), "rb") as file:
                status = os.fstat(file.fileno())
                if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
                    return file.read()
        return None

    def write(self, name, content):
        """A new file, or a new one in the place of an old one; it is there whole or not at all."""
        temporary = f".{os.urandom(8).hex()}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with open(os.open(temporary, flags, 0o600, dir_fd=self.descriptor), "wb") as file:
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                os.replace(temporary, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
            except BaseException:
                os.unlink(temporary, dir_fd=self.descriptor)
                raise

    def place_of(self, name):
        """A path of a file that leads through the open folder, where the system has such paths."""
        through = Path(f"/proc/self/fd/{self.descriptor}")
        return str((through if through.exists() else self.path) / name)


@contextmanager
def work_folder():
    """A PrivateFolder among the temporary files, removed at the end, with those that killed processes left."""
    parent = Path(tempfile.gettempdir())
    for left in parent.glob(f"{MADE_BY_US}*"):
        with suppress(OSError):
            status = left.lstat()
            if status.st_uid == os.geteuid() and time.time() - status.st_mtime > OLD:
                shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=MADE_BY_US) as path, PrivateFolder(path) as folder:
        yield folder
