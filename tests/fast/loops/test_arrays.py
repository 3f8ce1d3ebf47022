"""How numbers and arrays reach the loops in C."""

import weakref
from pathlib import Path

import numpy as np
import pytest

from fast.loops.compiled import require
from synann_np.fast.loops.arrays import CACHE_LINE, loops, scratch

SOURCE = """
#include "{headers}/vectors.h"
struct job {{ int64_t whole; double real; const REAL *array; const REAL *nothing; double *out; }};
void add(const struct job *job, int64_t part, int64_t seat)
{{
    (void)seat;
    job->out[part] = job->nothing ? -1 : job->whole + job->real + job->array[part];
}}
"""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_job_is_its_numbers_and_addresses_and_every_part_is_done(dtype, tmp_path):
    require()
    import synann_np.fast.loops as package

    source = tmp_path / f"add_{dtype}.c"
    source.write_text(SOURCE.format(headers=Path(package.__file__).parent))
    array, out = np.arange(5).astype(dtype), np.zeros(5)
    loops(dtype, source).run("add", 2, 5, -3, 0.5, array, None, out)
    assert out.tolist() == [-2.5, -1.5, -0.5, 0.5, 1.5]
    assert loops(dtype, source).lanes * array.itemsize in (16, 32, 64)


def test_another_dtype_has_no_loops():
    assert loops("int32", Path("any.c")) is None


def test_an_array_that_nobody_else_holds_lives_while_c_works_on_it():
    require()
    seen = []

    def temporary():
        a = np.ones(3)
        seen.append(weakref.ref(a))
        return a

    from synann_np.fast.loops import maxpool2d

    kernel = loops("float32", maxpool2d.SOURCE)
    before = kernel.on_threads
    try:
        kernel.on_threads = lambda *arguments: seen.append(seen[0]() is not None)
        kernel.run("pool", 1, 1, temporary())
    finally:
        kernel.on_threads = before
    assert seen[1] is True


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1,), (3, 5)])
def test_scratch_memory_begins_with_a_cache_line(shape, dtype):
    a = scratch(*shape, dtype=dtype)
    assert (a.shape, a.dtype.name) == (shape, dtype)
    assert a.ctypes.data % CACHE_LINE == 0
    a[...] = 0
