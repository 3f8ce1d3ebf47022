"""Train for a long time and check: is memory constant, is the run repeatable, do kills lose anything?

python scripts/soak.py                               200 epochs of 2000 images, then again with 10 kills
python scripts/soak.py --images 60000 --kills 0      all of MNIST, once, for the memory
python scripts/soak.py --threads 2 --batch-size 50   other options are passed to train_mnist.py

Exit code 1 if memory grew by more than --tolerance, or the second run ended with other weights or another history.
"""

import random
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # of this checkout, installed or not

from synann_np.data import load_mnist
from synann_np.programs.command_line import Parser
from synann_np.programs.process import run_program

TRAIN = Path(__file__).resolve().parent / "train_mnist.py"
FILES = ("last.safetensors", "best.safetensors", "history.jsonl")


def main(argv=None):
    parser = Parser(__doc__)
    parser.add_argument("--epochs", type=int, default=200, help="epochs of each run (default: 200)")
    parser.add_argument(
        "--images", type=int, default=2000, help="training images, and at most as many test images (default: 2000)"
    )
    parser.add_argument(
        "--kills", type=int, default=10, help="how often to kill -9 the second run; 0: no second run (default: 10)"
    )
    parser.add_argument("--seed", type=int, default=5, help="seed of the times of the kills (default: 5)")
    parser.add_argument("--tolerance", type=float, default=4.0, help="allowed growth of memory, in MB (default: 4)")
    args, more = parser.parse_known_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_data(folder / "data", args.images)
        command = ["--data-dir", folder / "data", "--epochs", args.epochs, "--save-every", "0min", *more]
        sizes = watched_run([*command, "--out", folder / "whole"])
        passed = report_memory(sizes, args.tolerance)
        if args.kills:
            killed_run(command, folder / "killed", args.kills, len(sizes), random.Random(args.seed))
            for name in FILES:
                same = (folder / "whole" / name).read_bytes() == (folder / "killed" / name).read_bytes()
                print(f"{name}: {'equal' if same else 'DIFFERENT'} after {args.kills} kills")
                passed &= same
    print("passed" if passed else "FAILED")
    return 0 if passed else 1


def write_data(folder, count):
    """The first images of MNIST as a data set of their own."""
    folder.mkdir()
    arrays = load_mnist()
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    for name, a in zip(names, arrays, strict=True):
        a = a[:count]
        header = bytes([0, 0, 8, a.ndim]) + b"".join(size.to_bytes(4, "big") for size in a.shape)
        (folder / name).write_bytes(header + a.tobytes())


def start(arguments):
    return subprocess.Popen([sys.executable, TRAIN, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


def watched_run(arguments):
    """Run to the end. Returns: list of the resident memory in MB after each line of the log."""
    sizes = []
    with start(arguments) as process:
        for line in process.stdout:
            if line.startswith(("Train", "Test set")):
                sizes.append(resident_megabytes(process.pid))
    if process.returncode:
        sys.exit(f"soak: train_mnist.py ended with exit code {process.returncode}")
    return [size for size in sizes if size]


def resident_megabytes(pid):
    """0 if the process is gone."""
    answer = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return int(answer.stdout or 0) / 1024


def report_memory(sizes, tolerance):
    """Compare the last tenth of a run with its second tenth: in the first, pools and caches still fill."""
    tenth = max(len(sizes) // 10, 1)
    early, late = statistics.median(sizes[tenth : 2 * tenth]), statistics.median(sizes[-tenth:])
    growth = late - early
    print(f"memory: {early:.1f} MB early, {late:.1f} MB late, at most {max(sizes):.1f} MB: grew by {growth:+.1f} MB")
    return growth <= tolerance


def killed_run(command, out, kills, lines, chance):
    """Run to the end with that many kills on the way, spread over the run by lines of its log."""
    arguments = [*command, "--out", out]
    for _ in range(kills):
        with start(arguments) as process:
            for _ in range(chance.randint(1, max(1, lines // kills))):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
        arguments = ["--resume", out]
    with start(arguments) as process:
        process.communicate()
    if process.returncode:
        sys.exit(f"soak: the resumed run ended with exit code {process.returncode}")


if __name__ == "__main__":
    sys.exit(run_program(main))
