"""Everything that has to be seen on a GPU, in one command, the most valuable first. A part that fails ends no other.

python scripts/gpu_check.py                            results in runs/gpu/DEVICE-DATE
python scripts/gpu_check.py --out DIR --seconds 540    ends within 540 seconds; parts that find no time are not run
python scripts/gpu_check.py --only onestep step        some parts
python scripts/gpu_check.py --list                     the parts and their time limits

Needs CuPy and pytest; the package need not be installed, and there need be no network. Results, complete at every
moment: summary.md, results.json (parts and training runs), step/gpu.json and epoch/gpu.json (benchmarks), log.txt (all
output).

Exit code: 0 if no part failed, 1 if one did, 2 where no GPU answers or the folder holds results, 130 if interrupted.
"""

import importlib.metadata
import math
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # of this checkout, installed or not

from benchmarks.children import child_environment
from benchmarks.gpu_check_command import SECONDS_TO_END, run_limited
from benchmarks.gpu_check_parts import PARTS
from benchmarks.gpu_check_report import Report
from synann_np.backend import BackendError, get_backend
from synann_np.programs.command_line import Parser, path
from synann_np.programs.process import run_program

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("numpy", "cupy-cuda12x", "cupy-cuda13x", "torch", "pytest")
FILES = ("summary.md", "results.json", "log.txt", "step", "epoch")
FEWEST_SECONDS = 5  # that a part is started for
TOOLS = "/usr/local/cuda/bin"  # often not on the PATH


def main(argv=None):
    parser = Parser(__doc__)
    parser.add_argument("--out", type=path, help="folder of the results (default: runs/gpu/DEVICE-DATE)")
    parser.add_argument("--seconds", type=float, default=math.inf, help="for everything (default: no limit)")
    names = [part.name for part in PARTS]
    parser.add_argument("--only", choices=names, nargs="+", default=names, metavar="PART", help="parts to run")
    parser.add_argument("--list", action="store_true", help="print the parts and their time limits, and run nothing")
    args = parser.parse_args(argv)
    deadline = time.monotonic() + args.seconds - SECONDS_TO_END
    parts = [part for part in PARTS if part.name in args.only]
    if args.list:
        print("\n".join(f"{part.name:8} {part.limit:4g} s  {part.what}" for part in parts))
        return 0
    try:
        device = device_name()
    except BackendError as error:
        print(f"gpu_check: {error}", file=sys.stderr)
        return 2
    date = datetime.now()
    name = f"{re.sub('[^A-Za-z0-9]+', '-', device).strip('-')}-{date:%Y%m%d-%H%M%S}"
    folder = (args.out or ROOT / "runs" / "gpu" / name).absolute()
    if found := [file for file in FILES if (folder / file).exists()]:
        print(f"gpu_check: {folder} already holds {', '.join(found)}: choose another --out", file=sys.stderr)
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    about = {"device": device, "date": f"{date:%Y-%m-%d %H:%M}", "seconds": str(args.seconds), "versions": versions()}
    with tempfile.TemporaryDirectory() as scratch, open(folder / "log.txt", "wb") as log:
        report = Report(folder, Path(scratch), ROOT / "docs" / "results", parts, about)
        try:
            for part in parts:
                run(part, report, folder, Path(scratch), log, deadline)
        except KeyboardInterrupt:
            print("gpu_check: interrupted", file=sys.stderr)
            return 130
    failed = report.failed()
    print(f"{'Failed: ' + ', '.join(failed) if failed else 'No part failed'}. Results: {folder}")
    return 1 if failed else 0


def device_name():
    """Raises: BackendError where no GPU answers."""
    cuda = get_backend("cupy").xp.cuda
    return cuda.runtime.getDeviceProperties(cuda.Device().id)["name"].decode()


def versions():
    """{package: version} of those that are installed."""
    found = {"python": sys.version.split()[0]}
    for package in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def run(part, report, folder, scratch, log, deadline):
    """Run one part, and report and print how it ended."""
    seconds = min(part.limit, deadline - time.monotonic())
    command, path = part.words(folder, scratch), f"{os.environ.get('PATH', os.defpath)}{os.pathsep}{TOOLS}"
    output = []
    if seconds < min(FEWEST_SECONDS, part.limit):
        result = "not run: the time was up"
    elif shutil.which(command[0], path=path) is None:
        result = f"not run: {command[0]} was not found"
    else:
        environment = child_environment(
            PATH=path, PYTHONUNBUFFERED=1, PYTEST_DISABLE_PLUGIN_AUTOLOAD=1, SYNANN_REQUIRE_GPU=1, SYNANN_CACHE=scratch
        )
        report.start(part.name)
        start = log.seek(0, os.SEEK_END)
        result = "failed: interrupted"
        try:
            code = run_limited(command, seconds, log, report.write, cwd=ROOT, env=environment)
            stopped = f"failed: stopped after {seconds:.0f} s"
            result = stopped if code is None else f"failed: exit code {code}" if code else "passed"
        except Exception as error:  # the other parts are to be seen all the same
            result = f"failed: {type(error).__name__}: {error}".replace("\n", " ")
        finally:
            output = lines_from(folder / "log.txt", start)
            report.finish(part.name, result, output)
            print(f"{part.name}: {report.states[part.name]['result']}", flush=True)
        return
    report.finish(part.name, result)
    print(f"{part.name}: {result}", flush=True)


def lines_from(path, start):
    """The lines of a log from a position on."""
    with open(path, "rb") as file:
        file.seek(start)
        return file.read().decode(errors="replace").splitlines()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the child is ended, and the report written
    sys.exit(run_program(main))
