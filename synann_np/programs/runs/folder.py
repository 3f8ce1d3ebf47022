"""The folder of one run: which files it holds, and that only one process writes to it."""

import os
from pathlib import Path

from ...storage.atomic_file import remove_leftovers
from ...storage.regular_file import regular_file

try:
    import fcntl
except ModuleNotFoundError:  # Windows: the folder is not locked there
    fcntl = None


class RunFolderError(ValueError):
    """The folder cannot be used as asked. The message is one line: which folder, why, what to do."""


class RunFolder:
    """A folder, locked while it is open:

        run.json            the settings
        history.jsonl       every record
        last.safetensors    the state of training at the last save
        best.safetensors    the same after the best epoch so far
        curves.png

    Arguments:
        path: the folder; made if need be.
        resume: it is to be continued: it must be there. Otherwise it must not hold a run yet,
        overwrite: unless this is set; then the files of the old run are removed.

    Raises (on entering): RunFolderError if another process has it open, or the above does not hold; OSError if it
        cannot be written.
    """

    def __init__(self, path, resume=False, overwrite=False):
        self.path = Path(path)
        self.resume = resume
        self.overwrite = overwrite
        self.settings = self.path / "run.json"
        self.history = self.path / "history.jsonl"
        self.last = self.path / "last.safetensors"
        self.best = self.path / "best.safetensors"
        self.curves = self.path / "curves.png"
        self.lock = None

    def __enter__(self):
        if self.resume and not self.path.is_dir():
            raise RunFolderError(f"{self.path}: no such folder, so no run to continue; leave out --resume to start one")
        self.path.mkdir(parents=True, exist_ok=True)
        self.lock = self._take_lock()
        try:
            self._make_room()
        except BaseException:
            os.close(self.lock)
            raise
        return self

    def __exit__(self, *exception):
        os.close(self.lock)  # and so unlocks; the file stays, since removing it would race with the next owner

    def _take_lock(self):
        descriptor = regular_file(self.path / ".lock", os.O_RDWR | os.O_CREAT)
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.read(descriptor, 20).decode(errors="replace").strip()
            os.close(descriptor)
            raise RunFolderError(
                f"{self.path}: another run (process {owner}) is writing here; wait for it, or choose another --out"
            ) from error
        except OSError:  # a file system without locks: better unlocked than unusable
            pass
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        return descriptor

    def _make_room(self):
        files = [self.settings, self.history, self.last, self.best, self.curves]
        for path in files:
            remove_leftovers(path)
        present = [path for path in files if path.exists()]
        if self.resume or not present:
            return
        if not self.overwrite:
            raise RunFolderError(
                f"{self.path}: holds a run already ({present[0].name}); "
                "continue it with --resume, replace it with --overwrite, or choose another --out"
            )
        for path in present:
            path.unlink()
