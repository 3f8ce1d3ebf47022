"""How arrays reach the loops in C."""

import weakref

import numpy as np
import pytest

from synann_np.fast.loops.arrays import call


def test_an_array_that_nobody_else_holds_lives_while_c_works_on_it():
    seen = []

    def temporary():
        a = np.ones(3)
        seen.append(weakref.ref(a))
        return a

    def in_c(threads, address, nothing):
        seen.append((threads, address == seen[0]().ctypes.data, nothing))
        return 1

    assert call(in_c, 2, temporary(), None) == 1
    assert seen[1] == (2, True, None)


def test_0_is_a_lack_of_memory():
    with pytest.raises(MemoryError, match="no memory for the scratch space"):
        call(lambda: 0)
    assert call(lambda: -1) == -1
