"""Training on many processes and machines. docs/distributed.md shows how to start it and what it costs."""

from .communicator import Communicator, Serial
from .data_parallel import DataParallel
from .launch import LaunchError, communicator
from .norm import SyncedBatchNorm

__all__ = ["Communicator", "DataParallel", "LaunchError", "Serial", "SyncedBatchNorm", "communicator"]
