"""The images to train on and to look at, loaded once, when they are first needed."""

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..data import DataError, load_mnist


class DataSet:
    """MNIST, or a data set in its format.

    Arguments: directory: as of load_mnist.

    Raises: DataError: `directory` is not a folder. What is wrong with its files is found when they are read.
    """

    def __init__(self, directory: Path | None = None) -> None:
        if directory is not None and not directory.is_dir():
            raise DataError(f"{directory}: no such folder; choose the folder that holds the four MNIST files")
        self.directory = directory
        self._lock = threading.Lock()
        self._arrays: Any = None

    def arrays(self) -> Any:
        """train_images, train_labels, test_images, test_labels, uint8. Raises: DataError."""
        with self._lock:
            if self._arrays is None:
                self._arrays = load_mnist(self.directory)
            return self._arrays

    def test_image(self, index: int) -> tuple[Any, int]:
        """Image (28, 28) uint8 and its label; the index wraps around."""
        _, _, images, labels = self.arrays()
        return images[index % len(images)], int(labels[index % len(labels)])

    def preload(self) -> None:
        """Load in the background. A fault is not reported here: whoever needs the images meets it again."""
        with suppress(DataError, OSError):
            self.arrays()
