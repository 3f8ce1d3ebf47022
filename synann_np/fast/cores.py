"""How many cores this process may use."""

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def usable_cores():
    """The process's CPU affinity and its container's CPU quota (cgroup v1 and v2), rounded down, at least 1.

    OMP_NUM_THREADS and OPENBLAS_NUM_THREADS in the environment lower it.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    named = (os.environ.get(name, "") for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"))
    limits = [int(limit) for limit in named if limit.isdecimal() and int(limit) > 0]
    return max(1, int(min(cores, cpu_quota(CGROUP), *limits)))


def cpu_quota(cgroup):
    """CPUs that a container may use, a float; infinity without a limit or without cgroups.

    Arguments: cgroup: pathlib.Path of the mounted control groups.
    """
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = (int(word) for file in files for word in (cgroup / file).read_text().split())
        except (OSError, ValueError):  # no such file, or "max"
            continue
        if quota > 0 and period > 0:
            return quota / period
    return math.inf
