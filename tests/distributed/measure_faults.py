"""What happens to four ranks when one of them fails, as a table.

    PYTHONPATH=. python tests/distributed/measure_faults.py

Each rank is killed in turn, and the run resumed on another number of ranks. Seconds are those from the fault until no
process of the run is left.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from distributed.mpiexec import command, environment, mpiexec
from distributed.small_run import FAULTY, SCRIPT, hashes, small_run

WORDS = (
    "train_mnist: ", "RuntimeError: ", "ended with code", "Stopped after", "Stopped early", "KILLED BY SIGNAL",
    "EXIT CODE",
)  # fmt: skip
RESUMED_ON = {0: 0, 1: 1, 2: 2, 3: 4}  # the killed rank: ranks of the resumed run, 0 for one process without MPI


def processes_of(folder):
    """The numbers of all processes that have the folder among their arguments."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in path.read_bytes() and int(path.parent.name) != os.getpid():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def until_none_is_left(folder):
    """Seconds until no process of the run is left; after ten of them it gives up."""
    started = time.monotonic()
    while processes_of(folder) and time.monotonic() - started < 10:
        time.sleep(0.01)
    return time.monotonic() - started


def said(*texts):
    """The first line that tells what happened."""
    lines = [line.strip(" =") for text in texts for line in text.splitlines()]
    return next((line for words in WORDS for line in lines if words in line), "")


def started(ranks, *arguments):
    """A finished run on so many ranks, or on one process without MPI."""
    if ranks:
        return mpiexec(ranks, *arguments, "--distributed", "mpi")
    words = [sys.executable, *map(str, arguments)]
    return subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=100, check=False)


def row(name, run, folder, more=""):
    seconds = run.seconds + until_none_is_left(folder)
    text = said(run.stderr, run.stdout).replace(str(folder), "RUN").replace("|", "/")
    print(f"| {name} | {run.returncode} | {seconds:.2f} | {text[:100]} | {more} |", flush=True)


def killed(options, folder, expected):
    for rank, ranks in RESUMED_ON.items():
        out = folder / f"killed{rank}"
        run = mpiexec(4, FAULTY, "kill", rank, 12, *options, "--distributed", "mpi", "--out", out)
        resumed = started(ranks, SCRIPT, "--resume", out)
        equal = "equal" if resumed.returncode == 0 and hashes(out) == expected else f"NOT equal {resumed.stderr}"
        where = f"{ranks} ranks" if ranks else "one process without MPI"
        row(f"SIGKILL of rank {rank}", run, out, f"resumed on {where}: {equal}")


def broken(options, folder):
    for fault, rank in [
        *((fault, rank) for fault in ("exception", "exit_2", "exit_0", "nan", "bit", "terminate") for rank in (0, 3)),
        ("save", 0),
    ]:
        out = folder / f"{fault}{rank}"
        arguments = [*options, "--distributed", "mpi", "--out", out, "--stop-if-unsaved"]
        row(f"{fault} on rank {rank}", mpiexec(4, FAULTY, fault, rank, 3, *arguments), out)


def stopped_early(options, folder):
    out = folder / "early"
    more = ["--lr", 0, "--patience", 1, "--schedule", "constant", "--distributed", "mpi", "--out", out]
    row("early stopping (from the end of the first rank)", mpiexec(4, FAULTY, "none", 0, 0, *options, *more), out)


def interrupted(options, folder):
    out = folder / "interrupted"
    more = ["--epochs", 4000, "--schedule", "constant", "--distributed", "mpi", "--out", out]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command(4, SCRIPT, *options, *more), env=environment(), **pipes) as run:
        for line in run.stdout:
            if line.startswith("Train Epoch: 2"):
                run.send_signal(signal.SIGINT)
                sent = time.monotonic()
                break
        texts = run.communicate(timeout=60)
    done = subprocess.CompletedProcess(run.args, run.returncode, *texts)
    done.seconds = time.monotonic() - sent
    row("Ctrl-C at mpiexec", done, out)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        options = small_run(folder / "data")
        whole = started(0, SCRIPT, *options, "--out", folder / "whole")
        assert whole.returncode == 0, whole.stderr
        print("| what | exit code | seconds | message | |\n|---|---|---|---|---|")
        killed(options, folder, hashes(folder / "whole"))
        broken(options, folder)
        stopped_early(options, folder)
        interrupted(options, folder)


if __name__ == "__main__":
    main()
