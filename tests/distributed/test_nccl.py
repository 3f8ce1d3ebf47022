"""The communicator of GPUs on a fake of CuPy's NCCL: it has not been run on GPUs."""

import queue
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from distributed.thread_ranks import ThreadRank, on_ranks
from synann_np.distributed import nccl
from synann_np.distributed.chunks import tree_sum
from synann_np.distributed.nccl import Nccl, with_nccl


class FakeNccl:
    """cupyx.distributed.NCCLBackend's two calls: they compare nothing and write into what they are given."""

    def __init__(self, rank):
        self.rank, self.calls = rank, []

    def send_recv(self, give, out, peer):
        self.calls.append("send_recv")
        mail = self.rank.world.mail
        mail[self.rank.rank, peer].put(give.copy())
        out[...] = mail[peer, self.rank.rank].get(timeout=30)

    def all_reduce(self, give, out):
        self.calls.append("all_reduce")
        out[...] = self.rank.allreduce(give)


class FakeMpi(ThreadRank):
    """What Nccl takes over from Mpi: the ranks, and `comm` with a sendrecv of any object."""

    def __init__(self, world, rank):
        super().__init__(world, rank)
        self.talks = 0
        self.comm = SimpleNamespace(sendrecv=self.sendrecv)

    def sendrecv(self, value, partner, source):
        self.talks += 1
        post = self.world.__dict__.setdefault("post", {})
        for pair in ((self.rank, partner), (partner, self.rank)):
            post.setdefault(pair, queue.Queue())
        post[self.rank, partner].put(value)
        return post[partner, self.rank].get(timeout=30)


def nccl_rank(world, rank):
    mpi = FakeMpi(world, rank)
    return Nccl(mpi, FakeNccl(mpi), np)


@pytest.mark.parametrize("size", [2, 4])
def test_sums_on_gpus_are_the_tree_of_the_ranks(size):
    parts = [np.random.default_rng(r).standard_normal((size, 3)).astype("float32") for r in range(size)]

    def work(comm):
        a = parts[comm.rank]
        return comm.total(a), comm.slices(a), comm.scattered(a), comm.allreduce(a), comm.backend.calls

    for rank, (total, slices, scattered, plain, calls) in enumerate(on_ranks(size, work, nccl_rank)):
        assert np.array_equal(total, tree_sum(parts))
        assert np.array_equal(slices, np.concatenate(parts))
        assert np.array_equal(scattered, tree_sum(parts)[rank : rank + 1])
        assert np.allclose(plain, tree_sum(parts), rtol=1e-5)
        assert set(calls) == {"send_recv", "all_reduce"}


def test_arrays_of_another_kind_are_refused_before_nccl_would_misread_them():
    def work(comm):
        with pytest.raises(ValueError, match="all ranks must pass arrays of one kind"):
            comm.total(np.ones(4 + comm.rank, "float32"))
        return comm.backend.calls

    assert on_ranks(2, work, nccl_rank) == [[], []]


def test_ranks_agree_on_a_kind_of_array_once():
    def work(comm):
        for _ in range(3):
            comm.total(np.ones(4))
        return len(comm.agreed), comm.backend.calls

    assert on_ranks(2, work, nccl_rank) == [(1, ["send_recv"] * 3)] * 2


def test_host_arrays_are_refused():
    device = SimpleNamespace(__name__="device")
    with pytest.raises(TypeError, match="expected an array of device, got one of numpy"):
        on_ranks(1, lambda comm: Nccl(comm, None, device).total(np.ones(2)))


def test_each_rank_of_a_machine_takes_a_gpu_and_nccl_is_started_by_mpi(monkeypatch):
    started, used = [], []
    library = SimpleNamespace(NCCLBackend=lambda *a, **b: started.append((a, b)) or "backend")
    monkeypatch.setitem(sys.modules, "cupyx", SimpleNamespace(distributed=library))
    monkeypatch.setitem(sys.modules, "cupyx.distributed", library)
    device = SimpleNamespace(
        Device=lambda number: SimpleNamespace(use=lambda: used.append(number)),
        runtime=SimpleNamespace(getDeviceCount=lambda: 2),
    )
    backend = SimpleNamespace(name="device", xp=SimpleNamespace(cuda=device))
    mpi = SimpleNamespace(rank=5, size=8, local_rank=3)
    found = with_nccl(mpi, backend)
    assert isinstance(found, Nccl)
    assert found.backend == "backend"
    assert started == [((8, 5), {"use_mpi": True})]
    assert used == [1]


def test_numpy_and_a_rank_that_is_alone_need_no_nccl(monkeypatch):
    monkeypatch.setattr(nccl, "start", None)
    several, alone = SimpleNamespace(size=2), SimpleNamespace(size=1)
    assert with_nccl(several, SimpleNamespace(name="numpy")) is several
    assert with_nccl(alone, SimpleNamespace(name="device")) is alone
