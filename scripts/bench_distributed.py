"""Distributed training measured: equal bits, work of a rank, messages, and memory of a sharded synapse.

python scripts/bench_distributed.py bits      sha256 of every network, serial and on 1, 2, 4 ranks, 1 and 2 threads
python scripts/bench_distributed.py cost      CPU time of a rank and bytes sent, a step
python scripts/bench_distributed.py sharded   peak memory of a rank with a synapse layer of 4,096 units

It needs mpiexec and mpi4py. More ranks than cores are good for bits and for CPU time, not for speed.
"""

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # of this checkout, installed or not

from synann_np import fast
from synann_np.data import epoch_permutation, load_mnist
from synann_np.data.augment import Augment
from synann_np.distributed import DataParallel, ShardedSynapse, communicator
from synann_np.fast.loops.synapse_graph import with_fast_graph
from synann_np.models import MODELS
from synann_np.optim import SGD
from synann_np.programs.process import run_program
from synann_np.train import train_steps
from synann_np.training.tools import TrainingTools
from synann_np.training.weight_average import WeightAverage

STEPS = {"synann": 200, "mlp": 200, "rnn": 200, "cnn": 20}


class Clock:
    """Stands for a communicator and adds up the CPU time that its messages take: a rank that waits, polls."""

    def __init__(self, comm):
        self.comm, self.polling = comm, 0.0

    def __getattr__(self, name):
        return getattr(self.comm, name)

    def total(self, a):
        before = time.thread_time()
        a = self.comm.total(a)
        self.polling += time.thread_time() - before
        return a


def bits(comm, args):
    """Hash of weights, statistics and their average after steps with everything on, and a smaller last batch."""
    model = MODELS[args.model](5)
    runner = model if args.engine == "plain" else fast.compile(model, args.threads, input_gradient=False)
    parallel = DataParallel(runner, comm, 8)
    tools = TrainingTools(
        schedule=lambda step: 0.01 / (1 + step / 100), label_smoothing=0.1, max_norm=1.0,
        average=WeightAverage(model, 0.99), augment=Augment(5, shift=2, rotate=10, elastic=1),
    )  # fmt: skip
    images, labels, *_ = load_mnist()
    optimizer, step, epoch = SGD(0.01, 0.5), 0, 0
    while step < args.steps:
        epoch += 1
        order = epoch_permutation(1000, 5, epoch)[: (args.steps - step) * 93]  # 10 batches of 93, one of 70
        train_steps(parallel, optimizer, images, labels.astype("int64"), order, 93, step, tools)
        step += -(-len(order) // 93)
    arrays = model.state_dict() | {f"average {name}": a for name, a in tools.average.state_dict().items()}
    digest = hashlib.sha256(b"".join(arrays[name].tobytes() for name in sorted(arrays))).hexdigest()
    return {"sha256": digest[:16], "equal": len(set(comm.gathered(digest))) == 1}


def cost(comm, args):
    """CPU milliseconds of a rank and bytes and messages it sends, a step of plain training."""
    comm = Clock(comm)
    parallel = DataParallel(fast.compile(MODELS[args.model](5), 1, input_gradient=False), comm, args.chunks)
    images, labels, *_ = load_mnist()
    work = partial(train_steps, parallel, SGD(0.01, 0.5), images, labels.astype("int64"))
    size, steps, found = args.batch_size, args.steps, []
    work(np.arange(2 * size), size, 0)
    comm.comm.sent = comm.comm.calls = 0
    for step in range(steps):
        before, comm.polling = time.thread_time(), 0.0
        work(np.arange(step * size % 50000, step * size % 50000 + size), size, step)
        found.append(time.thread_time() - before - comm.polling)
    return {
        "CPU ms": round(1e3 * float(np.median(found)), 2), "kB": round(comm.sent / steps / 1e3, 1),
        "messages": comm.calls / steps,
    }  # fmt: skip


def sharded(comm, args):
    """Peak memory of a rank in a step of a synapse layer, and a hash of all that it computes."""
    n, N = args.units, args.batch_size
    rng = np.random.default_rng(1)
    layer = with_fast_graph(ShardedSynapse(n, comm=comm, rng=rng), 1)
    x, dy = np.random.default_rng(2).random((2, N, n), "float32")
    rows = [N // 8] * (8 // comm.size)
    first = comm.rank * N // comm.size
    parts = [slice(first + k * N // 8, first + (k + 1) * N // 8) for k in range(len(rows))]
    started = time.perf_counter()
    ys, cache = layer.forward_chunks([x[part] for part in parts], rows, N)
    dxs, grads = layer.backward_chunks([dy[part] for part in parts], cache)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    blocks = [hashlib.sha256(grads["beta"][b].tobytes()).hexdigest() for b in layer.own_blocks]
    digest = hashlib.sha256("".join(text for rank in comm.gathered(blocks) for text in rank).encode())
    for rank_ys, rank_dxs in comm.gathered((ys, dxs)):
        for y, dx in zip(rank_ys, rank_dxs, strict=True):
            digest.update(y.tobytes() + dx.tobytes())
    return {
        "sha256": digest.hexdigest()[:16], "beta MiB": layer.params["beta"].nbytes // 2**20, "peak MiB": round(peak),
        "MB sent": round(comm.sent / 1e6, 1), "seconds": round(seconds, 1),
    }  # fmt: skip


def run(ranks, what, **options):
    """The result of rank 0 of a worker on so many ranks; 0: one process without MPI."""
    words = [sys.executable, __file__, what, "--worker", "mpi" if ranks else "none"]
    words += [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
    if ranks:
        folder = Path(sys.executable).parent
        mpiexec = shutil.which("mpiexec", path=f"{folder}{os.pathsep}{os.environ['PATH']}") or sys.exit("no mpiexec")
        words = [mpiexec, "-n", str(ranks), *words]
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # of BLAS
    environment = {"MPIEXEC_TIMEOUT": "600"} | os.environ | one_thread
    done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def tables(args):
    models = [args.model] if args.model else list(STEPS)
    if args.what == "bits":
        for model in models:
            for engine in ("fast", "plain") if model == "synann" else ("fast",):
                for ranks in (0, 1, 2, 4):
                    for threads in (1, 2) if engine == "fast" else (1,):
                        steps = args.steps or STEPS[model]
                        found = run(ranks, "bits", model=model, threads=threads, steps=steps, engine=engine)
                        where = f"{ranks} ranks" if ranks else "no MPI"
                        print(f"{model} {engine} {steps} steps, {where}, {threads} threads: {found}", flush=True)
    elif args.what == "cost":
        for model in models:
            for ranks in (1, 2, 4):
                size, chunks = args.batch_size or 800, args.chunks or 8
                steps = args.steps or (5 if model == "cnn" else 20)
                found = run(ranks, "cost", model=model, batch_size=size, chunks=chunks, steps=steps)
                print(f"{model} batch {size}, {chunks} chunks, {ranks} ranks: {found}", flush=True)
    else:
        for ranks in (1, 2, 4):
            units, size = args.units or 4096, args.batch_size or 128
            print(f"{units} units, batch {size}, {ranks} ranks: {run(ranks, 'sharded', units=units, batch_size=size)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("what", choices=("bits", "cost", "sharded"))
    add("--model", choices=tuple(MODELS), help="this one only")
    add("--engine", choices=("fast", "plain"), default="fast", help=argparse.SUPPRESS)
    add("--worker", choices=("none", "mpi"), help=argparse.SUPPRESS)
    for name in ("steps", "chunks", "batch-size", "units", "threads"):
        add(f"--{name}", type=int, help=argparse.SUPPRESS if name == "threads" else None)
    args = parser.parse_args()
    if args.worker is None:
        return tables(args)
    with communicator(args.worker) as comm:
        found = {"bits": bits, "cost": cost, "sharded": sharded}[args.what](comm, args)
        if comm.rank == 0:
            print(json.dumps(found))


if __name__ == "__main__":
    sys.exit(run_program(main))
