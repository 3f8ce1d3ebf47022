"""MNIST from its mirrors into the user's cache, every file checked by hash.

Only for a package that was installed without the repository, which carries the files. Needs pooch.
"""

import gzip
import hashlib
from pathlib import Path

from .data_error import DataError

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)

# sha256 as the mirrors pack the file (the repository's own .gz files are packed tighter) and of its content
FILES = {
    "train-images-idx3-ubyte.gz": (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    "train-labels-idx1-ubyte.gz": (
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    "t10k-images-idx3-ubyte.gz": (
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    "t10k-labels-idx1-ubyte.gz": (
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}

_REMEDY = "put the four MNIST files into a folder by hand and choose it as data directory"


def fetch_mnist() -> Path:
    """Make sure that the user's cache holds the four files; what is there and whole is not fetched again.

    Returns:
        the folder, a pathlib.Path.

    Raises:
        DataError: pooch is missing, no mirror delivers a file as it should be, the cache cannot be written.
    """
    try:
        import pooch  # importing the package needs NumPy only
    except ImportError as error:
        raise DataError(f"pooch is not installed, MNIST cannot be downloaded; {_REMEDY}") from error
    folder = pooch.os_cache("synann_np") / "mnist"
    for name, (packed_hash, content_hash) in FILES.items():
        _fetch_file(pooch.retrieve, folder, name, packed_hash)
        with gzip.open(folder / name) as content:
            if hashlib.file_digest(content, "sha256").hexdigest() != content_hash:
                raise DataError(f"{folder / name}: its content is not MNIST's; {_REMEDY}")
    return folder


def _fetch_file(retrieve, folder, name, packed_hash):
    failures = []
    for mirror in MIRRORS:
        try:
            retrieve(mirror + name, f"sha256:{packed_hash}", fname=name, path=folder)
            return
        except (OSError, ValueError) as error:  # network and disk; a hash that differs
            failures.append(f"{mirror}: {' '.join(str(error).split())}")
    raise DataError(f"{folder / name}: no mirror delivers it ({'; '.join(failures)}); {_REMEDY}")
