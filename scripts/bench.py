"""Measure synann_np against PyTorch on this machine.

    python scripts/bench.py                                  everything, into runs/bench-DATE-TIME
    python scripts/bench.py --only networks --networks cnn   one part, one network
    python scripts/bench.py --backend cupy                   on a GPU: step, epoch, accuracy, synapse
    python scripts/bench.py --backend cupy --list            what that would measure

Parts on a CPU:

    networks   a training step, evaluation and peak memory of every network
    busy       a training step while the machine is quiet, and with another process computing on every core
    threads    a training step with 1 and with 2 threads
    synapse    the synapse layer alone, forward and backward, n = 64, 1024, 4096, in fresh processes

Peers, each in a process of its own, take turns:

    ours         fast.compile(model), as train_mnist.py uses it
    plain        the readable NumPy layers (SYNANN_FAST=0); only if --peers names it, or without PyTorch
    torch        PyTorch eager, all data in memory, as a user gets it
    torch-tuned  PyTorch eager, glibc tuned to keep freed memory (environment variables MALLOC_...)

The parts busy and threads leave torch-tuned out. Log-probabilities and gradients are compared before any time counts.
bench.json and bench.md are written after every row. Exit code 1 if something could not be measured, or a peer computed
something else.
"""

import importlib.util
import json
import math
import os
import platform
import sys
from datetime import datetime
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # of this checkout, installed or not

import synann_np
from benchmarks import cpu_bench
from benchmarks.gpu_bench import PARTS as GPU_PARTS
from benchmarks.gpu_bench import PEERS as GPU_PEERS
from benchmarks.gpu_cases import MOST_EPOCHS
from benchmarks.gpu_command import run_on_gpu
from benchmarks.report import markdown
from synann_np import fast
from synann_np.models import MODELS
from synann_np.programs.command_line import Parser, path
from synann_np.programs.process import run_program
from synann_np.storage.atomic_file import write_atomically

HAS_TORCH = importlib.util.find_spec("torch") is not None


def machine(threads):
    """What the times depend on."""
    cpu = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), cpu)
    found = {"date": datetime.now().isoformat(timespec="minutes"), "cpu": cpu}
    found |= {"cores": fast.usable_cores(), "threads": threads}
    if hasattr(os, "getloadavg"):
        found["load average before"] = round(os.getloadavg()[0], 2)
    found |= {"synann_np": synann_np.__version__, "python": platform.python_version(), "numpy": np.__version__}
    if working_compiler := getattr(fast, "working_compiler", None):
        found["C compiler"] = str(working_compiler())
    if HAS_TORCH:
        found["torch"] = importlib.metadata.version("torch")
    return found


def parse(argv, prog):
    parser = Parser(__doc__, prog)
    option, default_peers = parser.add_argument, ["ours", "torch", "torch-tuned"] if HAS_TORCH else ["ours", "plain"]
    option("--backend", choices=("numpy", "cupy"), default="numpy", help="where to measure (default: numpy)")
    option("--only", choices=sorted({*cpu_bench.PARTS, *GPU_PARTS}), nargs="+", help="parts to measure (default: all)")
    option("--networks", choices=MODELS, nargs="+", default=list(MODELS), help="networks to measure (default: all)")
    option("--sizes", type=int, nargs="+", default=cpu_bench.SIZES, help="n of the synapse layer (64 1024 4096)")
    all_peers = dict.fromkeys((*cpu_bench.PEERS, *GPU_PEERS))
    option("--peers", choices=all_peers, nargs="+", help=f"default: {' '.join(default_peers)}; with cupy: all")
    option("--threads", type=int, default=fast.usable_cores(), help="threads of every peer (default: all cores)")
    option("--rounds", type=int, default=5, help="turns of every peer, and fresh processes, at most 5 (default: 5)")
    option("--out", type=path, help="folder for the results (default: runs/bench-DATE-TIME)")
    gpu = parser.add_argument_group("with --backend cupy").add_argument
    gpu("--most-epochs", type=int, default=MOST_EPOCHS, help=f"epochs of a run to an accuracy (default: {MOST_EPOCHS})")
    gpu("--deadline", type=float, default=math.inf, help="seconds after which no row is started (default: none)")
    gpu("--list", action="store_true", help="print what would be measured")
    args = parser.parse_args(argv)
    parts = cpu_bench.PARTS if args.backend == "numpy" else GPU_PARTS
    args.only = args.only or parts
    known = cpu_bench.PEERS if args.backend == "numpy" else GPU_PEERS
    if unknown := sorted(set(args.peers or ()) - set(known)):
        parser.error(f"argument --peers: {unknown} is not a peer on {args.backend}, which has {', '.join(known)}")
    if args.backend == "numpy":
        args.peers = args.peers or default_peers
    if unknown := sorted(set(args.only) - set(parts)):
        parser.error(
            f"argument --only: {unknown} is not a part of --backend {args.backend}, which has {', '.join(parts)}"
        )
    if args.rounds < 1 or args.threads < 1 or min(args.sizes) < 1:
        parser.error("arguments --rounds, --threads and --sizes: expected numbers of 1 or more")
    if args.backend == "numpy" and not HAS_TORCH and any(name.startswith("torch") for name in args.peers):
        parser.error("argument --peers: PyTorch is not installed: python -m pip install -e '.[parity]'")
    args.out = args.out or Path("runs") / f"bench-{datetime.now():%Y%m%d-%H%M%S}"
    if args.backend == "numpy" and (args.out / "bench.json").exists():
        parser.error(f"argument --out: {args.out} has a bench.json already: choose another folder")
    return args


def main(argv=None, prog="bench"):
    args = parse(argv, prog)
    if args.backend == "cupy":
        return run_on_gpu(args.only, args.rounds, args.out, args.peers, args.most_epochs, args.deadline, args.list)

    def save(result):
        write_atomically(args.out / "bench.json", (json.dumps(result, indent=1) + "\n").encode())
        write_atomically(args.out / "bench.md", markdown(result).encode())

    args.out.mkdir(parents=True, exist_ok=True)
    bench = cpu_bench.CpuBench(args.peers, args.threads, args.rounds, machine(args.threads), save)
    try:
        bench.run(args.only, args.networks, args.sizes)
    except KeyboardInterrupt:
        print(f"bench: interrupted; the finished rows are in {args.out}", file=sys.stderr)
        return 130
    print(markdown(bench.result))
    print(f"Written: {args.out / 'bench.json'}, {args.out / 'bench.md'}")
    for failure in bench.result["failures"]:
        print(f"bench: {failure}", file=sys.stderr)
    return 1 if bench.result["failures"] else 0


if __name__ == "__main__":
    sys.exit(run_program(main))
