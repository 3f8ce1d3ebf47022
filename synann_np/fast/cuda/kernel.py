"""One entry of the table of kernels, and how its entries are written."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kernel:
    """One entry point.

    reads, writes: names of arrays (arrays.py). sizes: names of sizes, passed as int32. grid: function of the dict of
    sizes -> (x, y). block: threads. numbers: names of numbers, passed as "real": those that never change.
    """

    reads: tuple
    writes: tuple
    sizes: tuple
    grid: object
    block: int
    numbers: tuple = ()

    @property
    def arrays(self):
        """Names of all arrays, in the order of the arguments."""
        return self.reads + self.writes


def words(text):
    """The words of a text."""
    return tuple(text.split())


def of(prefix, text):
    """The words of a text, each after a prefix and a dot."""
    return tuple(f"{prefix}.{name}" for name in text.split())


def tiles(size, tile):
    """How many tiles cover a size."""
    return -(-size // tile)
