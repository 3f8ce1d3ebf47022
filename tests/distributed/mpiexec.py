"""Programs on several ranks, each with a limit of time; tests that need them skip where MPI cannot be had."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
SECONDS = "100"


def why_not():
    """Why no program can be run on two ranks here; an empty text if it can."""
    try:
        import mpi4py  # noqa: F401
    except ImportError:
        return "mpi4py is not installed"
    if MPIEXEC is None:
        return "there is no mpiexec"
    two = mpiexec(2, "-c", "from mpi4py.MPI import COMM_WORLD as c; c.rank or print(c.size)")
    if two.stdout.split() != ["2"]:
        return f"mpiexec and mpi4py do not work together: {two.stdout[:80]} {two.stderr[:300]}"
    return ""


def command(ranks, *arguments):
    return [MPIEXEC, "-n", str(ranks), sys.executable, *map(str, arguments)]


def environment(**more):
    return {**os.environ, "PYTHONPATH": str(ROOT), "MPIEXEC_TIMEOUT": SECONDS, **more}


def mpiexec(ranks, *arguments, **more):
    """A finished run. Its attribute `seconds` is the time from what it calls "broken at" to the end of all ranks."""
    done = subprocess.run(
        command(ranks, *arguments), env=environment(**more), capture_output=True, text=True, timeout=120, check=False
    )
    broken = re.findall(r"broken at ([\d.]+)", done.stderr)
    done.seconds = time.monotonic() - min(map(float, broken)) if broken else None
    return done


@pytest.fixture(scope="session")
def mpi():
    """Skips the test where MPI cannot be had."""
    if reason := why_not():
        pytest.skip(reason)
