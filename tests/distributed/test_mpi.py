"""Sums, refusals and training by MPI itself: one mpiexec of four ranks, looked at by many tests."""

import json
from pathlib import Path

import pytest

from distributed.mpi_checks import trained
from distributed.mpiexec import mpiexec
from synann_np.distributed import LaunchError, Serial, communicator
from synann_np.distributed.launch import SIZES, start

CHECKS = Path(__file__).with_name("mpi_checks.py")


@pytest.fixture(scope="module")
def found(mpi):
    """dict name -> list of what each rank found, with MPICH's own sums in a ring, which would give other bits."""
    run = mpiexec(4, CHECKS, MPIR_CVAR_ALLREDUCE_INTRA_ALGORITHM="ring")
    assert run.returncode == 0, run.stderr
    ranks = json.loads(run.stdout)
    return {name: [rank[name] for rank in ranks] for name in ranks[0]}


@pytest.mark.parametrize(
    "name",
    ["total", "total by halves", "slices", "scattered", "swapped", "allreduce", "largest", "from_first", "gathered"],
)
def test_the_methods_of_the_communicator_are_right_on_every_rank(name, found):
    assert found[name] == [True] * 4


@pytest.mark.parametrize("name", ["Fortran order", "integers", "a dtype of its own", "a length of its own"])
def test_what_mpi_would_misread_is_refused_on_every_rank(name, found):
    assert found[f"refuses {name}"] == [True] * 4


def test_four_ranks_with_one_and_two_threads_have_the_bits_of_one_process(found):
    expected = trained(Serial(), 2)
    for threads in (1, 2):
        assert found[f"hash with {threads} threads"] == [expected] * 4


@pytest.mark.parametrize("name", SIZES)
def test_processes_of_mpiexec_that_would_all_do_the_same_run_are_refused(name, monkeypatch):
    monkeypatch.setenv(name, "4")
    with pytest.raises(LaunchError, match=r"4 processes were started.*add --distributed mpi"), communicator("none"):
        pass


def test_the_mpiexec_of_another_mpi_is_refused(mpi, monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    run = mpiexec(1, "-c", "from synann_np.distributed.launch import start; start('mpi')")
    assert "2 processes were started" in run.stderr
    assert "the MPI library that mpi4py uses" in run.stderr


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="none, mpi, got 'nccl'"):
        start("nccl")
