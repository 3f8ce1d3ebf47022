"""The history of a run as a file that can be cut back to any earlier state of the run."""

import hashlib
import os
from pathlib import Path
from typing import Any

from ...storage.regular_file import regular_file
from ...training.history import to_line


class HistoryFile:
    """history.jsonl, open for appending.

    `size` and `sha256` of what is written are saved with each checkpoint. A resumed run cuts the file to that size, so
    lines that a killed run wrote after its last checkpoint are written once more and not twice.

    Arguments:
        path: the file; made if need be.
        size, sha256: of the part to keep; by default nothing is kept.

    Raises: ValueError if the file does not begin with that part; OSError if it cannot be opened.
    """

    def __init__(self, path: Path, size: int = 0, sha256: Any = None) -> None:
        self.digest = hashlib.sha256()
        self.size = 0
        self.pending = b""  # lines that could not be written yet
        mode = "r+b" if Path(path).exists() else "w+b"
        self.file = open(path, mode, buffering=0, opener=regular_file)  # noqa: SIM115
        kept = self.file.read(size) or b""
        if sha256 not in (None, hashlib.sha256(kept).hexdigest()):
            self.file.close()
            raise ValueError(f"{path}: not the history that belongs to the checkpoint in the same folder")
        self._keep(kept)
        self.file.truncate(self.size)

    @property
    def sha256(self) -> str:
        """Of the lines that are written, in hexadecimal."""
        return self.digest.hexdigest()

    def add(self, record: Any) -> None:
        """Append a record. If that fails (OSError), its line is kept and written by the next call that succeeds."""
        self.pending += to_line(record).encode()
        self.write()

    def write(self) -> None:
        """Write what is pending. A write that failed half way is cut off first, so lines stay whole."""
        if self.pending:
            os.lseek(self.file.fileno(), self.size, os.SEEK_SET)
            self.file.truncate(self.size)
            written = 0
            while written < len(self.pending):
                written += self.file.write(self.pending[written:])
            self._keep(self.pending)
            self.pending = b""

    def sync(self) -> None:
        """Everything to the disk, before a checkpoint refers to it. Raises: OSError."""
        self.write()
        os.fsync(self.file.fileno())

    def close(self) -> None:
        self.file.close()

    def _keep(self, content):
        self.digest.update(content)
        self.size += len(content)
