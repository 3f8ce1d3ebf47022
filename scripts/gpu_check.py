"""Everything that has to be seen on a GPU, in one go: tests, training, benchmark. What fails does not stop the rest.

python scripts/gpu_check.py                          results in runs/gpu/<device>-<date>
python scripts/gpu_check.py --only tests training    some parts: environment, tests, training, benchmark
python scripts/gpu_check.py --rounds 5               fewer turns in the benchmark

environment   driver, device, versions                                          environment.txt
tests         pytest -m gpu                                                     tests.txt
training      3 epochs by the kernels, by the plain layers and on the CPU       training.txt
benchmark     scripts/bench.py --backend cupy                                   benchmark.txt, gpu.json

Exit code 0 if all parts passed, 1 if one failed (summary.md says which), 2 where no GPU answers.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from synann_np.backend import BackendError, get_backend
from synann_np.programs.broken_pipe import end_with_the_reader
from synann_np.train import EvalRecord
from synann_np.training.history import read_history

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("environment", "tests", "training", "benchmark")
EPOCHS = 3
RUNS = {"cpu": ("numpy", "fast"), "gpu": ("cupy", "fast"), "gpu-plain": ("cupy", "plain")}
# Runs that differ in rounding alone drift apart: the first losses must agree, the last accuracy be like.
FIRST_LOSS, LAST_ACCURACY = 1e-4, 0.01


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS, help="parts to do (all)")
    parser.add_argument("--rounds", type=int, default=15, help="turns of the benchmark (15)")
    parser.add_argument("--limit", type=float, default=40, help="minutes that a command may take (40)")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "gpu", help="folder of the folders (runs/gpu)")
    args = parser.parse_args(argv)
    try:
        device = device_name()
    except BackendError as error:
        print(f"gpu_check: {error}", file=sys.stderr)
        return 2
    date = datetime.now()
    folder = args.out / f"{re.sub('[^A-Za-z0-9]+', '-', device).strip('-')}-{date:%Y%m%d-%H%M}"
    folder.mkdir(parents=True, exist_ok=True)
    checks = Checks(folder, args.limit, args.rounds)
    lines = [f"# {device}, {date:%Y-%m-%d %H:%M}", "", "| part | result | seconds |", "|---|---|---|"]
    failed = []
    for part in args.only:
        print(f"{part} ...", flush=True)
        started = time.monotonic()
        result = checks.do(part)
        lines.append(f"| {part} | {result or 'passed'} | {time.monotonic() - started:.0f} |")
        print(lines[-1], flush=True)
        failed += [part] * bool(result)
        (folder / "summary.md").write_text("\n".join(lines) + "\n", encoding="utf-8")  # what there is, if it is killed
    print(f"{'Failed: ' + ', '.join(failed) if failed else 'All passed'}. Results: {folder}")
    return 1 if failed else 0


def device_name():
    """Raises: BackendError where no GPU answers."""
    cuda = get_backend("cupy").xp.cuda
    return cuda.runtime.getDeviceProperties(cuda.Device().id)["name"].decode()


class Checks:
    """The parts. Each returns what went wrong, in a line, or "".

    Arguments: folder: of the results. limit: minutes a command. rounds: of the benchmark.
    """

    def __init__(self, folder, limit, rounds):
        self.folder, self.limit, self.rounds = folder, limit, rounds

    def do(self, part):
        """Do a part; whatever happens in it is told, not raised."""
        try:
            return getattr(self, part)()
        except Exception as error:  # the other parts are to be seen all the same
            return f"failed: {type(error).__name__}: {error}".replace("\n", " ")

    def run(self, log, *command):
        """Run a command; its output goes into a file of the folder, behind what is there."""
        with open(self.folder / log, "a", encoding="utf-8") as file:
            file.write(f"$ {' '.join(map(str, command))}\n")
            file.flush()
            try:
                done = subprocess.run(
                    [str(word) for word in command], stdout=file, stderr=subprocess.STDOUT, cwd=ROOT, check=False,
                    timeout=60 * self.limit,
                )  # fmt: skip
            except FileNotFoundError:
                file.write("no such program\n")
                return f"failed: {command[0]} is not there"
            except subprocess.TimeoutExpired:
                return f"failed: stopped after {self.limit:g} minutes, see {log}"
        return f"failed: exit code {done.returncode}, see {log}" if done.returncode else ""

    def environment(self):
        python = [sys.executable, "-c", "import cupy; cupy.show_config()"]
        return self.run("environment.txt", "nvidia-smi") or self.run("environment.txt", *python)

    def tests(self):
        # Warnings of CuPy about the machine shall be seen, and not fail what they do not concern.
        options = ["-m", "gpu", "-W", "default", "-rs", "--durations=10"]
        return self.run("tests.txt", sys.executable, "-m", "pytest", *options, "tests")

    def benchmark(self):
        bench = [ROOT / "scripts" / "bench.py", "--backend", "cupy", "--rounds", self.rounds, "--out", self.folder]
        return self.run("benchmark.txt", sys.executable, *bench)

    def training(self):
        histories = {}
        with tempfile.TemporaryDirectory() as scratch:
            for name, (backend, engine) in RUNS.items():
                out = Path(scratch) / name
                train = [ROOT / "scripts" / "train_mnist.py", "--backend", backend, "--engine", engine]
                wrong = self.run("training.txt", sys.executable, *train, "--epochs", EPOCHS, "--out", out)
                if wrong:
                    return f"{name}: {wrong}"
                histories[name] = read_history(out / "history.jsonl")
        table, wrong = compare(histories)
        with open(self.folder / "training.txt", "a", encoding="utf-8") as file:
            file.write("\n".join(["", *table, ""]))
        print("\n".join(table))
        return wrong


def compare(histories):
    """Table of the losses and accuracies of runs that should be alike, and what is not alike to that of the CPU."""
    names = list(histories)
    table = [f"| step | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for records in zip(*histories.values(), strict=True):
        right = [f", {record.accuracy:.2%}" if isinstance(record, EvalRecord) else "" for record in records]
        losses = [f"{record.loss:.5f}{more}" for record, more in zip(records, right, strict=True)]
        table.append(f"| {records[0].step} | {' | '.join(losses)} |")
    expected = histories["cpu"]
    for name, records in histories.items():
        if abs(records[0].loss - expected[0].loss) > FIRST_LOSS * expected[0].loss:
            return table, f"failed: the first loss of {name} is {records[0].loss}, on the CPU {expected[0].loss}"
        if abs(records[-1].accuracy - expected[-1].accuracy) > LAST_ACCURACY:
            return table, f"failed: {name} ends at {records[-1].accuracy:.2%}, the CPU at {expected[-1].accuracy:.2%}"
    return table, ""


if __name__ == "__main__":
    end_with_the_reader()
    sys.exit(main())
