"""How large a data set may become in memory: as much as its files can justify, counted before anything is allocated.

Files that are packed can promise a thousand times their size (deflate packs zeros 1 : 1030). Pictures and tables pack
1 : 2 to 1 : 50; what promises more than 1 : 200 holds no data worth the memory.
"""

from os import PathLike

from .data_error import DataError

FREE = 256 << 20  # bytes that need no justification
RATIO = 200


def check_expansion(path: str | PathLike, promised: int, stored: int) -> None:
    """Refuse data of `promised` bytes in memory from `stored` bytes on disk if no data pack so tightly.

    Raises: DataError naming both numbers.
    """
    if promised > max(FREE, RATIO * stored):
        raise DataError(
            f"{path}: {stored:,} bytes on disk promise {promised:,} bytes in memory, which no real data set does; "
            "unpack or split it"
        )
