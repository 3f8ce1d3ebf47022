"""Training on many processes and machines. docs/distributed.md shows how to start it and what it costs."""

from .communicator import Communicator, Serial
from .data_parallel import DataParallel
from .launch import LaunchError, communicator
from .norm import SyncedBatchNorm
from .sharded_file import load_sharded, save_sharded
from .synapse import ShardedSynapse

__all__ = [
    "Communicator",
    "DataParallel",
    "LaunchError",
    "Serial",
    "ShardedSynapse",
    "SyncedBatchNorm",
    "communicator",
    "load_sharded",
    "save_sharded",
]
