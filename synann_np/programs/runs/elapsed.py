"""How long this process has been running."""

import os
import time
from pathlib import Path

IMPORTED = time.monotonic()


def seconds_since_start() -> float:
    """Seconds since this process began, in hundredths; on a system other than Linux, since this module was imported."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])  # proc(5): starttime, field 22
        # Of the system, not /proc/uptime, which some containers replace by their own.
        return round(time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"), 2)
    except (OSError, ValueError, IndexError, AttributeError):
        return round(time.monotonic() - IMPORTED, 2)
