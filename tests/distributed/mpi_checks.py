"""What mpiexec runs for test_mpi.py, once: every check on every rank, the results as JSON from rank 0."""

import hashlib
import json
import sys

import numpy as np

from synann_np import fast
from synann_np.data import load_mnist
from synann_np.distributed import DataParallel, communicator, tree
from synann_np.distributed.chunks import tree_sum
from synann_np.models import MODELS
from synann_np.optim import SGD
from synann_np.train import train_steps


def arrays(comm, shape):
    """What every rank brings."""
    return [np.random.default_rng(r).standard_normal(shape).astype("float32") ** 5 for r in range(comm.size)]


def check_sums(comm):
    parts = arrays(comm, (comm.size, 6))
    mine, whole = parts[comm.rank], tree_sum(parts)
    yield "total", np.array_equal(comm.total(mine), whole)
    tree.LARGE, tree.MANY, before = 0, 2, (tree.LARGE, tree.MANY)
    yield "total by halves", np.array_equal(comm.total(mine), whole)
    tree.LARGE, tree.MANY = before
    yield "slices", np.array_equal(comm.slices(mine), np.concatenate(parts))
    yield "scattered", np.array_equal(comm.scattered(mine), whole[comm.rank : comm.rank + 1])
    yield "swapped", np.array_equal(comm.swapped(mine), np.stack([part[comm.rank] for part in parts]))
    yield "allreduce", np.allclose(comm.allreduce(mine), whole, rtol=1e-5)
    yield "largest", comm.largest(comm.rank % 3) == min(2, comm.size - 1)
    yield "from_first", comm.from_first({"rank": comm.rank}) == {"rank": 0}
    yield "gathered", comm.gathered(comm.rank) == list(range(comm.size))


def check_refusals(comm):
    odd = comm.rank % 2
    cases = {
        "Fortran order": np.ones((3, 2), order="F"),
        "integers": np.ones(3, "int64"),
        "a dtype of its own": np.ones(8 - 4 * odd, ("float32", "float64")[odd]),  # the same number of bytes
        "a length of its own": np.ones(3 + odd),
    }
    for name, a in cases.items():
        try:
            comm.total(a)
        except (TypeError, ValueError) as error:
            yield f"refuses {name}", str(error).startswith("communicator: ")
        else:
            yield f"refuses {name}", False
        comm.barrier()


def trained(comm, threads):
    """Hash of weights and statistics after three steps."""
    x, labels, *_ = load_mnist()
    model = MODELS["synann"](5)
    parallel = DataParallel(fast.compile(model, threads, input_gradient=False), comm, 8)
    train_steps(parallel, SGD(0.01, 0.5), x, labels.astype("int64"), np.arange(249), 83, 0)
    state = model.state_dict()
    return hashlib.sha256(b"".join(state[name].tobytes() for name in sorted(state))).hexdigest()


if __name__ == "__main__":
    with communicator("mpi") as comm:
        found = {**dict(check_sums(comm)), **dict(check_refusals(comm))}
        found |= {f"hash with {threads} threads": trained(comm, threads) for threads in (1, 2)}
        every = comm.gathered({name: value if isinstance(value, str) else bool(value) for name, value in found.items()})
        if comm.rank == 0:
            json.dump(every, sys.stdout)
