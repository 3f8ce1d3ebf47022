"""The environment of processes that a script starts."""

import os
from pathlib import Path

import synann_np

SCRIPTS = Path(__file__).resolve().parents[1]
PACKAGE_FOLDER = Path(synann_np.__file__).resolve().parents[1]  # of the package that this process has found


def child_environment(**changes):
    """dict: this process's environment, with which a child finds `benchmarks` and the same package.

    Arguments: changes: further variables, of any type that str takes.
    """
    paths = [str(SCRIPTS), str(PACKAGE_FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | {name: str(value) for name, value in changes.items()}
