"""A script of this folder run on several ranks of mpiexec, and what its rank 0 found."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path


def on_ranks(ranks, script, *words, **variables):
    """The JSON that `script words...` prints as its last line on so many ranks; 0: one process without MPI.

    Each rank has one thread of BLAS. variables: more of the environment.
    """
    words = [sys.executable, str(script), *map(str, words), "--worker", "mpi" if ranks else "none"]
    if ranks:
        folder = Path(sys.executable).parent
        mpiexec = shutil.which("mpiexec", path=f"{folder}{os.pathsep}{os.environ['PATH']}") or sys.exit("no mpiexec")
        words = [mpiexec, "-n", str(ranks), *words]
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment = {"MPIEXEC_TIMEOUT": "600"} | os.environ | one_thread | variables
    done = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words)} ended with {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])
