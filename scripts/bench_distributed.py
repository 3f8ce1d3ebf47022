"""Distributed training measured: gradients, work of a rank, messages, and memory of a sharded synapse.

python scripts/bench_distributed.py gradients   float64 gradients on 0, 2, 4 ranks against those of the undivided batch
python scripts/bench_distributed.py cost        CPU time of a rank and bytes sent, a step
python scripts/bench_distributed.py sharded     memory of a rank with a synapse layer of 4,096 units

It needs mpiexec and mpi4py. More ranks than cores show CPU time, not speed. Equal bits: distributed_bits.py.
"""

import argparse
import hashlib
import json
import resource
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # of this checkout, installed or not

from benchmarks.ranks import on_ranks
from synann_np import fast
from synann_np.data import batches, load_mnist
from synann_np.data.augment import Augment
from synann_np.distributed import DataParallel, ShardedSynapse, communicator
from synann_np.fast.loops.synapse_graph import with_fast_graph
from synann_np.models import MODELS
from synann_np.optim import SGD
from synann_np.programs.process import run_program
from synann_np.train import gradients, train_steps

COST = ("synann", "mlp", "rnn", "cnn")
ROUNDING = 1e-15  # a gradient below this is 0: of a bias in front of batch-norm, which takes it away again
MIB = 2**20


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


def divided_gradients(comm, args):
    """Largest difference to the gradients of the whole batch on one process, relative to the largest element."""
    images, labels, *_ = load_mnist()
    data, N, augment = (images, labels.astype("int64")), 93, Augment(3, shift=2, elastic=1)
    ((x, targets),) = batches(*(a[:N] for a in data), N, dtype="float64", augment=augment, step=7)
    loss, expected = gradients(MODELS[args.model](5, "float64"), x, targets, 7)
    model = MODELS[args.model](5, "float64")
    runner = fast.compile(model, 2, input_gradient=False) if args.engine == "fast" else model
    parallel = DataParallel(runner, comm, 8)
    ((x, targets),) = parallel.batches(*data, N, np.arange(N), "float64", augment, 7)
    found_loss, found = parallel.gradients(x, targets, 7)
    largest = {name: np.abs(g).max() for name, g in expected.items()}
    differences = {
        name: float(np.abs(found[name] - g).max() / largest[name])
        for name, g in expected.items()
        if largest[name] > ROUNDING
    }
    worst = max(differences, key=differences.get)
    return {
        "largest": differences[worst], "of": worst, "tensors": len(differences),
        "zero": [name for name in expected if name not in differences], "loss": float(abs(found_loss / loss - 1)),
    }  # fmt: skip


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
    """Memory of a rank in a step of a synapse layer and its optimiser, and a hash of all that it computes.

    Peaks are those of the process; "before" is the peak before the layer was made: Python, NumPy, mpi4py, x and dy.
    """
    n, N = args.units, args.batch_size
    x, dy = np.random.default_rng(2).random((2, N, n), "float32")
    optimizer = SGD(0.01, 0.5)
    with_fast_graph(ShardedSynapse(8 * comm.size, comm=comm, rng=np.random.default_rng(1)), 1)  # compiles, loads
    before = peak()
    layer = ShardedSynapse(n, comm=comm, rng=np.random.default_rng(1), fused=SGD(0.01, 0.5) if args.fused else None)
    layer = with_fast_graph(layer, 1)
    rows = [N // 8] * (8 // comm.size)
    first = comm.rank * N // comm.size
    parts = [slice(first + k * N // 8, first + (k + 1) * N // 8) for k in range(len(rows))]
    started = time.perf_counter()
    ys, cache = layer.forward_chunks([x[part] for part in parts], rows, N)
    dxs, grads = layer.backward_chunks([dy[part] for part in parts], cache)
    optimizer.step(layer.params, grads)
    seconds, after = time.perf_counter() - started, peak()
    beta = (layer.params | layer.buffers)["beta"]
    blocks = [hashlib.sha256(beta[b].tobytes()).hexdigest() for b in layer.own_blocks]
    digest = hashlib.sha256("".join(text for rank in comm.gathered(blocks) for text in rank).encode())
    for rank_ys, rank_dxs in comm.gathered((ys, dxs)):
        for y, dx in zip(rank_ys, rank_dxs, strict=True):
            digest.update(y.tobytes() + dx.tobytes())
    copies = [beta, grads.get("beta"), optimizer.velocity.get("beta")]
    velocities = layer.fused or []
    copies += [a for one in velocities for a in one.velocity.values()]
    return {
        "sha256": digest.hexdigest()[:16], "beta MiB": beta.nbytes / MIB,
        "beta, dbeta, velocity MiB": sum(a.nbytes for a in copies if a is not None) / MIB,
        "before MiB": round(before), "peak MiB": round(after), "above MiB": round(after - before),
        "MB sent": round(comm.sent / 1e6, 1), "seconds": round(seconds, 1),
    }  # fmt: skip


def peak():
    """The largest resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def tables(args):
    if args.what == "gradients":
        print("| network | engine | ranks | tensors | largest difference / largest element | tensor |")
        print("|---|---|---|---|---|---|")
        for model in [args.model] if args.model else MODELS:
            for engine in ("plain", "fast"):
                for ranks in (0, 2, 4):
                    found = on_ranks(ranks, __file__, args.what, "--model", model, "--engine", engine)
                    where, difference = ranks or "no MPI", f"{found['largest']:.1e}"
                    print(f"| {model} | {engine} | {where} | {found['tensors']} | {difference} | {found['of']} |")
    elif args.what == "cost":
        for model in [args.model] if args.model else COST:
            for ranks in args.ranks:
                size, chunks = args.batch_size or 800, args.chunks or 8
                steps = args.steps or (5 if model == "cnn" else 20)
                words = ["--model", model, "--batch-size", size, "--chunks", chunks, "--steps", steps]
                found = on_ranks(ranks, __file__, args.what, *words)
                print(f"{model} batch {size}, {chunks} chunks, {ranks} ranks: {found}", flush=True)
    else:
        for ranks in args.ranks:
            words = ["--units", args.units or 4096, "--batch-size", args.batch_size or 128]
            found = on_ranks(ranks, __file__, args.what, *words, *(["--fused"] if args.fused else []))
            print(f"{words[1]} units, batch {words[3]}, {ranks} ranks: {found}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("what", choices=("gradients", "cost", "sharded"))
    add("--model", choices=tuple(MODELS), help="this one only")
    add("--ranks", type=int, nargs="+", default=[1, 2, 4], help="default: 1 2 4")
    add("--fused", action="store_true", help="sharded: update beta inside backward, so that no gradient is kept")
    for name in ("steps", "chunks", "batch-size", "units"):
        add(f"--{name}", type=int)
    add("--engine", choices=("fast", "plain"), default="fast", help=argparse.SUPPRESS)
    add("--worker", choices=("none", "mpi"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker is None:
        return tables(args)
    with communicator(args.worker) as comm:
        found = {"gradients": divided_gradients, "cost": cost, "sharded": sharded}[args.what](comm, args)
        if comm.rank == 0:
            print(json.dumps(found))


if __name__ == "__main__":
    sys.exit(run_program(main))
