"""What is checked on a GPU, in order of value: each part is a command with a time limit of its own."""

import sys
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1]
METRICS = (
    "gpu__time_duration.sum",
    "sm__warps_active.avg.pct_of_peak_sustained_active",
    "sm__inst_executed.avg.per_cycle_active",
    "l1tex__data_bank_conflicts_pipe_lsu_mem_shared.sum",
)
# CuPy's warnings about the machine are shown, and do not fail the tests. One line a test: a part may be stopped.
_PYTEST = (sys.executable, "-m", "pytest", "-m", "gpu", "-W", "default", "-rs", "-vv", "--durations=5")
_PYTEST += ("-p", "no:cacheprovider")
_BENCH = (sys.executable, str(SCRIPTS / "bench.py"), "--backend", "cupy")
_TRAIN = (sys.executable, str(SCRIPTS / "train_mnist.py"), "--backend", "cupy")
_STEPS = (sys.executable, "-m", "benchmarks.gpu_steps")
_NCU = ("ncu", "--clock-control", "none", "-k", "regex:^train_", "--metrics", ",".join(METRICS))
_SANITIZER = ("compute-sanitizer", "--error-exitcode", "3", "--kernel-regex", "kns=train_")


@dataclass(frozen=True)
class Part:
    """A command. "OUT" in it stands for the folder of the results, "SCRATCH" for one that is removed at the end.

    Attributes:
        limit: seconds.
        lines: how many of the last lines of its output the summary shows if it passes.
        recorded: a training run's folder of docs/results that it must agree with, made on a CPU by the same recipe.
    """

    name: str
    limit: float
    command: tuple
    what: str
    lines: int = 1
    recorded: str | None = None

    @property
    def trains(self):
        return self.command[: len(_TRAIN)] == _TRAIN

    @property
    def measures(self):
        return self.command[: len(_BENCH)] == _BENCH

    def words(self, out, scratch):
        """The command with its folders."""
        return [word.replace("OUT", str(out)).replace("SCRATCH", str(scratch)) for word in self.command]


def _train(name, limit, *options, recorded=None):
    command = (*_TRAIN, "--recipe", *options, "--out", f"SCRATCH/{name}")
    return Part(name, limit, command, f"training, recipe {' '.join(options)}", 0, recorded)


def _bench(name, limit, rounds):
    command = (*_BENCH, "--only", name, "--rounds", str(rounds), "--deadline", str(0.8 * limit), "--out", f"OUT/{name}")
    return Part(name, limit, command, f"benchmark: {name}", 0)


PARTS = (
    Part("device", 20, ("nvidia-smi",), "driver and device", lines=20),
    Part("onestep", 90, (*_PYTEST, "tests/test_gpu_fast.py", "-k", "one_step"), "one step by the kernels"),
    _train("seed", 60, "seed", recorded="synann-seed5"),
    _bench("step", 150, 5),
    Part("recipes", 90, (sys.executable, "-m", "benchmarks.gpu_recipes"), "a step of every recipe", lines=8),
    Part("ncu", 60, (*_NCU, *_STEPS), "counters of the kernels", lines=200),
    Part("race", 60, (*_SANITIZER, "--tool", "racecheck", *_STEPS), "races in shared memory"),
    Part("fast", 120, (*_PYTEST, "tests/test_gpu_fast.py"), "tests of the kernels"),
    Part("plain", 150, (*_PYTEST, "tests/test_gpu.py", "tests/test_checkpoint.py"), "tests of the plain layers"),
    _train("quick", 45, "quick"),
    _train("best", 60, "best", "--epochs", "4"),
    _bench("epoch", 90, 3),
    Part("memory", 45, (*_SANITIZER, *_STEPS), "reads and writes out of bounds"),
)
