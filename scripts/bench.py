"""Measure synann_np against PyTorch on this machine, in one run, and print the tables.

    python scripts/bench.py                        tables on the terminal, bench.json and bench.png in docs/benchmarks
    python scripts/bench.py --only synapse         one part: step, evaluation, layers, synapse
    python scripts/bench.py --backend cupy         on a GPU: step, epoch, accuracy, synapse; gpu.json in docs/benchmarks
    python scripts/bench.py --backend cupy --list  what that would measure

Every peer lives in a process of its own and works while the others wait; they take turns, after a warm-up, so that a
slow minute of the machine hits all of them. Before the times count, the results of all peers are compared. Peers:

    fast            this package as train_mnist.py uses it
    fast-1-core     the same with --threads 1 (training and evaluation)
    fast-numpy      the same without loops in C, as where there is no C compiler
    plain           its layers as they are read
    torch           PyTorch eager, all data in memory, as a user gets it
    torch-tuned     the same with glibc told to keep freed memory (environment variables MALLOC_...)
    torch-listing   the published listing's synapse instead of the formula (another function: not compared in value)

and on a GPU fast, plain, torch and

    torch-graphs    PyTorch with a whole step captured as a CUDA graph
"""

import argparse
import importlib.util
import json
import math
import os
import platform
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
from tqdm import tqdm

sys.path.append(str(Path(__file__).resolve().parents[1]))  # for a checkout that is not installed

from benchmarks.cases import BATCH, LAYER_INPUTS
from benchmarks.children import child_environment
from benchmarks.gpu_bench import PARTS, PEERS
from benchmarks.gpu_cases import MOST_EPOCHS
from benchmarks.gpu_command import run_on_gpu
from benchmarks.report import draw, markdown
from synann_np import fast
from synann_np.programs.broken_pipe import end_with_the_reader

ROOT = Path(__file__).resolve().parents[1]
TUNED = {"MALLOC_MMAP_THRESHOLD_": 2**30, "MALLOC_TRIM_THRESHOLD_": 2**30, "MALLOC_TOP_PAD_": 2**26}
TRAIN_IMAGES = 60_000


class Peer:
    """A worker process."""

    def __init__(self, name, threads):
        self.name, threads = name, 1 if name == "fast-1-core" else threads
        changes = TUNED if name == "torch-tuned" else {"SYNANN_C": 0} if name == "fast-numpy" else {}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", name, str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=child_environment(**changes),
        )  # fmt: skip

    def do(self, work, calls, memory=False, **arguments):
        order = {"work": work, "arguments": arguments, "calls": calls, "memory": memory}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"bench: the peer {self.name} died in {work} {arguments}")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def measure(peers, work, calls, rounds, tolerance, **arguments):
    """{peer: {"ms": median, "low", "high": 10th and 90th percentile of the rounds' medians, ...}}."""
    values = {}
    for peer in peers:  # the first calls warm up, and their results are compared
        values[peer.name] = peer.do(work, min(3, calls), **arguments)["values"][0]
    reference = values.get("torch", values["plain" if "plain" in values else "fast"])
    for name, value in values.items():
        if name != "torch-listing" and not np.isclose(value, reference, rtol=tolerance):
            raise SystemExit(f"bench: {name} computes {value} in {work} {arguments}, expected {reference}")
    medians = {peer.name: [] for peer in peers}
    for _ in range(rounds):
        for peer in peers:
            medians[peer.name].append(float(np.median(peer.do(work, calls, **arguments)["ms"])))
    return {
        name: {"ms": float(np.median(m)), "low": float(np.percentile(m, 10)), "high": float(np.percentile(m, 90))}
        for name, m in medians.items()
    }


def check_steps(peers):
    """Three steps without dropout, from the same weights on the same batches: the same losses."""
    losses = {peer.name: peer.do("step", 3, batch_size=BATCH, dropout=False)["values"] for peer in peers}
    reference = losses.get("torch", losses["plain"])
    for name, values in losses.items():
        if name != "torch-listing" and not np.allclose(values, reference, rtol=1e-5):
            raise SystemExit(f"bench: the losses of {name} are {values}, expected {reference}")


def extra_memory(name, threads, n, kind):
    """MiB that one forward and backward needs beyond its inputs, in a fresh process."""
    peer = Peer(name, threads)
    try:
        return peer.do("synapse", 1, memory=True, n=n, kind=kind)["extra_mib"]
    finally:
        peer.close()


def is_measured(name, n):
    """Broadcasting holds about six arrays of 128 n² floats; they may take half of what is free.

    The plain layer, which is there to be read, holds more of them and takes 6 to 17 s a call at n = 1024: not measured.
    """
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return name.startswith("fast") or (6 * 128 * n * n * 4 < free / 2 and (name != "plain" or n < 1024))


def run(parts, threads, rounds):
    names = ["fast", "fast-1-core", "fast-numpy", "plain"]
    if importlib.util.find_spec("torch"):
        names += ["torch", "torch-tuned", "torch-listing"]
    result = {"machine": machine(threads), "missing": [] if "torch" in names else ["torch (not installed)"]}
    peers = {name: Peer(name, threads) for name in names}
    formula = [peer for name, peer in peers.items() if name != "torch-listing"]
    in_full = [peer for peer in formula if peer.name != "fast-1-core"]
    cases = [("synapse", n, kind) for n in (64, 256, 1024, 4096) for kind in ("softmax", "uniform", "worst")]
    work = [p for p in parts if p in ("step", "evaluation")]
    work += [("layer", name) for name in LAYER_INPUTS] if "layers" in parts else []
    work += cases if "synapse" in parts else []
    for item in tqdm(work, unit="row", disable=None):
        if item == "step":
            check_steps(formula)
            result["step"] = measure_steps(list(peers.values()), rounds)
        elif item == "evaluation":
            result["evaluation"] = measure(formula, "evaluation", 1, rounds, 1e-4)
        elif item[0] == "layer":
            result.setdefault("layers", {})[item[1]] = measure(in_full, "layer", 20, rounds, 1e-4, name=item[1])
        else:
            _, n, kind = item
            able = [p for p in in_full if is_measured(p.name, n)]
            calls = max(1, min(20, 2**18 // n**2))
            row = measure(able, "synapse", calls, rounds if n < 1024 else 3, 1e-3, n=n, kind=kind)
            for name in row:
                row[name]["extra_mib"] = extra_memory(name, threads, n, kind)
            result.setdefault("synapse", {})[f"n = {n}, {kind}"] = row
    for peer in peers.values():
        peer.close()
    return result


def measure_steps(peers, rounds):
    """A training step with dropout: the masks differ between the peers, so the losses were compared without."""
    medians = {peer.name: [] for peer in peers}
    for r in range(rounds + 1):
        for peer in peers:
            ms = peer.do("step", 30 if r else 10, batch_size=BATCH)["ms"]
            if r:  # the first round warms up
                medians[peer.name].append(float(np.median(ms)))
    peaks = {peer.name: peer.do("peak", 0) for peer in peers}
    return {
        name: {"ms": float(np.median(m)), "low": float(np.percentile(m, 10)), "high": float(np.percentile(m, 90))}
        | peaks[name]
        for name, m in medians.items()
    }


def machine(threads):
    cpu = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), cpu)
    versions = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "C compiler": str(fast.working_compiler()),
    }
    if importlib.util.find_spec("torch"):
        versions["torch"] = importlib.metadata.version("torch")
    return {"date": date.today().isoformat(), "cpu": cpu, "threads": threads, **versions}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    all_parts = ["step", "evaluation", "layers", "synapse"]
    parser.add_argument("--backend", choices=("numpy", "cupy"), default="numpy", help="where to measure (numpy)")
    parser.add_argument("--only", choices=sorted({*all_parts, *PARTS}), nargs="+", help="parts to measure (all)")
    parser.add_argument("--threads", type=int, default=fast.usable_cores(), help="threads of every peer (all cores)")
    parser.add_argument("--rounds", type=int, default=15, help="turns that every peer takes (15)")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks", help="folder (docs/benchmarks)")
    gpu = parser.add_argument_group("with --backend cupy")
    gpu.add_argument("--peers", choices=PEERS, nargs="+", help="who is measured (all; for the accuracy: fast)")
    gpu.add_argument("--most-epochs", type=int, default=MOST_EPOCHS, help=f"of a run to an accuracy ({MOST_EPOCHS})")
    gpu.add_argument("--deadline", type=float, default=math.inf, help="seconds after which no row is started (none)")
    gpu.add_argument("--list", action="store_true", help="say what would be measured")
    args = parser.parse_args(argv)
    parts = all_parts if args.backend == "numpy" else PARTS
    args.only = args.only or parts
    if unknown := sorted(set(args.only) - set(parts)):
        parser.error(f"argument --only: {unknown} is no part of --backend {args.backend}, which has {', '.join(parts)}")
    if args.backend == "cupy":
        return run_on_gpu(args.only, args.rounds, args.out, args.peers, args.most_epochs, args.deadline, args.list)
    result = run(args.only, args.threads, args.rounds)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "bench.json").write_text(json.dumps(result, indent=1) + "\n")
    draw(result, args.out / "bench.png")
    print(markdown(result, TRAIN_IMAGES, BATCH))
    print(f"\nWritten: {args.out / 'bench.json'}, {args.out / 'bench.png'}")
    return 0


if __name__ == "__main__":
    end_with_the_reader()
    sys.exit(main())
