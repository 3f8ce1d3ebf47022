"""2×2 pooling, relu and the memory of who won, on four planes."""

import numpy as np

from .lent_memory import aligned_empty


class WindowMaximum:
    """y_e = max(0, m (max_ab z_ab,e + bias)) and its backward; e runs over all windows.

    z (2, 2, ...) holds the four elements of the windows as planes (a, b): a = 0 the top row, b = 0 the left column. Of
    equal ones the first in row-major order wins, (0, 0), (0, 1), (1, 0), (1, 1) as (a, b): a top row that equals the
    bottom row is preferred, and in either row the left element.

        won_ab,e = 1 if y_e > 0 and (a, b) has won, else 0          dz_ab,e = won_ab,e m dy_e

    won is all that backward needs: four bytes a window. It is combined from three comparisons, eight bytes at a time
    as integers: x & c where c holds, and the rest of x, which is x ^ (x & c), where it does not.
    """

    def __init__(self, windows):
        """windows: their number."""
        self.windows = windows
        words = -(-windows // 8)
        self.won_words = aligned_empty((2, 2, words), np.uint64)
        self.left_words = aligned_empty((2, words), np.uint64)
        self.top_words = aligned_empty((words,), np.uint64)
        self.won, self.left, self.top = (
            a.view(bool)[..., :windows] for a in (self.won_words, self.left_words, self.top_words)
        )

    def take(self, z, y, compare=True):
        """y_e = max_ab z_ab,e; overwrites z. z (2, 2, windows), y (windows,)"""
        if compare:
            np.greater_equal(z[:, 0], z[:, 1], out=self.left)
        rows = np.maximum(z[:, 0], z[:, 1], out=z[:, 0])
        if compare:
            np.greater_equal(rows[0], rows[1], out=self.top)
        np.maximum(rows[0], rows[1], out=y)

    def close(self, y):
        """Note who won, from what `take` has seen and the final y (windows,)."""
        won, left, top = self.won_words, self.left_words, self.top_words
        np.greater(y, 0, out=self.won[1, 1])
        np.bitwise_and(won[1, 1], top, out=won[0, 1])
        np.bitwise_xor(won[1, 1], won[0, 1], out=won[1, 1])
        np.bitwise_and(won[:, 1], left, out=won[:, 0])
        np.bitwise_xor(won[:, 1], won[:, 0], out=won[:, 1])

    def give(self, dy, dz):
        """dz_ab,e = won_ab,e dy_e. dy (windows,), dz (2, 2, windows)"""
        np.copyto(dz, self.won)  # a cast and a product are faster than a product of bytes and floats
        dz *= dy
