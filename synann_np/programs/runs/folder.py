"""The folder of one run: which files it holds, and that only one process writes to it."""

import itertools
import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from ...storage.atomic_file import remove_leftovers
from ...storage.regular_file import regular_file

try:
    import fcntl
except ModuleNotFoundError:  # Windows: the folder is not locked there
    fcntl = None  # type: ignore[assignment]


class RunFolderError(ValueError):
    """The folder cannot be used as asked. The message is one line: which folder, why, what to do."""


class RunFolder:
    """A folder, locked while it is open:

        run.json            the settings
        history.jsonl       every record
        last.safetensors    the state of training at the last save
        best.safetensors    the same after the best epoch so far: on the validation split, without one on the test set
        curves.png

    A run that ends with an exception before `begin` is called leaves nothing behind, and an old run that it was to
    replace is there again.

    Arguments:
        path: the folder; made if need be.
        resume: it is to be continued: it must be there. Otherwise it must not hold a run yet,
        overwrite: unless this is set; then the files of the old run are removed.

    Raises (on entering): RunFolderError if another process has it open, or the above does not hold; OSError if it
        cannot be written.
    """

    def __init__(self, path: Any, resume: bool = False, overwrite: bool = False) -> None:
        self.path = Path(path)
        self.resume = resume
        self.overwrite = overwrite
        self.settings = self.path / "run.json"
        self.history = self.path / "history.jsonl"
        self.last = self.path / "last.safetensors"
        self.best = self.path / "best.safetensors"
        self.curves = self.path / "curves.png"
        self.files = [self.settings, self.history, self.last, self.best, self.curves]
        self.lock = None
        self.made = False  # by this run
        self.begun = resume  # there are results to keep

    @classmethod
    def named_by_date(cls, parent: Any) -> Any:
        """A new folder in `parent`, whose name nobody else was given: a second run of the same second gets "...-2"."""
        name = datetime.now().strftime("%Y%m%d-%H%M%S")
        for number in itertools.count(1):
            folder = cls(Path(parent) / (name if number == 1 else f"{name}-{number}"))
            with suppress(FileExistsError):
                folder.path.mkdir(parents=True)
                folder.made = True
                return folder

    def __enter__(self):
        if self.resume and not self.path.is_dir():
            raise RunFolderError(f"{self.path}: no such folder, so no run to continue; leave out --resume to start one")
        if not self.path.is_dir():
            self.path.mkdir(parents=True, exist_ok=True)
            self.made = True
        self.lock = self._take_lock()
        try:
            self._make_room()
        except BaseException:
            os.close(self.lock)
            raise
        return self

    def __exit__(self, kind, *exception):
        with suppress(OSError):
            if kind is not None and not self.begun:
                self._undo()
            else:
                self.begin()
        os.close(self.lock)  # and so unlocks; the file stays, since removing it would race with the next owner

    def begin(self) -> None:
        """There are results from now on: nothing is undone, and a run that was replaced is gone."""
        self.begun = True
        for path in self.files:
            _aside(path).unlink(missing_ok=True)

    def check_nothing_began(self) -> None:
        """Raises: RunFolderError if files tell of a run that has begun here."""
        began = self.history.exists() and b"\n" in self.history.read_bytes()
        if began or self.best.exists():
            raise RunFolderError(
                f"{self.last}: is gone, and with it the state of the run; put it back, or start anew with --overwrite"
            )

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
        for path in self.files:
            remove_leftovers(path)
            if _aside(path).exists():  # of a run that was killed before its first record
                _aside(path).replace(path)
        present = [path for path in self.files if path.exists()]
        if self.resume or not present:
            return
        if not self.overwrite:
            raise RunFolderError(
                f"{self.path}: holds a run already ({present[0].name}); "
                "continue it with --resume, replace it with --overwrite, or choose another --out"
            )
        for path in present:
            path.replace(_aside(path))

    def _undo(self):
        for path in self.files:
            path.unlink(missing_ok=True)
            if _aside(path).exists():
                _aside(path).replace(path)
        if self.made:
            (self.path / ".lock").unlink(missing_ok=True)
            self.path.rmdir()


def _aside(path):
    """Where a file of a run that is being replaced waits until the new run has a result."""
    return path.with_name(f".replaced-{path.name}")
