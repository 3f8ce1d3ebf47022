"""The fixture of tests that start mpiexec."""

from distributed.mpiexec import mpi

__all__ = ["mpi"]
