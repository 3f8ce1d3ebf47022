"""A command with a time limit, of which nothing is left when it ends."""

import os
import shlex
import signal
import subprocess
import time
from contextlib import suppress

SECONDS_BETWEEN_TICKS = 2
SECONDS_TO_END = 3  # between SIGTERM and SIGKILL


def run_limited(command, seconds, log, tick, **options):
    """Run a command until it ends or the time is up; then end its whole process group.

    Arguments:
        command: list of words.
        seconds: limit. Ending it may take SECONDS_TO_END more.
        log: binary file that its output goes to.
        tick: function without arguments, called now and then while it runs.
        options: of subprocess.Popen.

    Returns: exit code, or None if it was stopped. Raises: OSError if it cannot be started.
    """
    log.write(f"\n$ {shlex.join(command)}\n".encode())
    log.flush()
    end = time.monotonic() + seconds
    pipes = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": subprocess.STDOUT}
    process = subprocess.Popen(command, **pipes, process_group=0, **options)
    try:
        while (left := end - time.monotonic()) > 0:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(min(left, SECONDS_BETWEEN_TICKS))
            tick()
        return None
    finally:
        end_group(process)


def end_group(process):
    """End a process and those that it started, the impolite way if the polite one takes too long."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS_TO_END)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
