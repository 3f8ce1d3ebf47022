"""Do all ranks still hold the same weights?"""

import hashlib
import platform
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import Backend


class ReplicasDiffer(ArithmeticError):
    """Ranks hold different weights, though all of them have done the same steps. The message names ranks and CPUs."""


def check_replicas(arrays: Any, backend: Backend, comm: Any) -> None:
    """Compare a hash of the arrays (dict name -> array on `backend`) over all ranks.

    Raises: ReplicasDiffer, on every rank.
    """
    if comm.size == 1:
        return
    digest = hashlib.sha256()
    for name, a in sorted(arrays.items()):
        digest.update(name.encode() + np.ascontiguousarray(backend.to_host(a)).tobytes())
    found = comm.gathered((digest.hexdigest()[:8], processor(), platform.node()))
    if len({one[0] for one in found}) > 1:
        ranks = "; ".join(f"rank {r}: {text} on {cpu} of {node}" for r, (text, cpu, node) in enumerate(found))
        raise ReplicasDiffer(
            f"the weights are no longer equal on all ranks ({ranks}): training stopped. Equal bits need equal types of "
            "CPU, versions and libraries"
        )


def processor() -> Any:
    """The type of this machine's CPU, as text."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
