"""Sums and gathering by exchanges of pairs: the same bits on every rank, whatever the way."""

import numpy as np
import pytest

from distributed.thread_ranks import on_ranks
from synann_np.distributed import Serial, tree
from synann_np.distributed.chunks import bounds, check_chunks, own_chunks, tree_sum

SIZES = pytest.mark.parametrize("size", [1, 2, 4, 8])


def parts_of(size, shape, dtype="float32"):
    """What each rank brings: numbers of very different sizes, whose sum depends on the order."""
    rng = np.random.default_rng(size)
    return [(rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 4, shape)).astype(dtype) for _ in range(size)]


@SIZES
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_total_is_the_tree_of_the_ranks_to_the_bit_on_every_rank(size, dtype):
    parts = parts_of(size, (3, 50), dtype)
    for found in on_ranks(size, lambda comm: comm.total(parts[comm.rank])):
        assert found.dtype == dtype
        assert np.array_equal(found, tree_sum(parts))


def test_the_order_of_the_sum_matters_so_the_test_above_can_fail():
    parts = parts_of(8, (3, 50))
    assert not np.array_equal(tree_sum(parts), sum(parts))


def test_halving_gives_the_bits_of_doubling_and_sends_less(monkeypatch):
    parts = parts_of(8, (7, 13))  # 91 elements: 5 are missing to a multiple of 8
    doubled = on_ranks(8, lambda comm: (comm.total(parts[comm.rank]), comm.sent))
    monkeypatch.setattr(tree, "LARGE", 0)
    halved = on_ranks(8, lambda comm: (comm.total(parts[comm.rank]), comm.sent))
    for (a, sent_a), (b, sent_b) in zip(doubled, halved, strict=True):
        assert np.array_equal(a, b)
        assert sent_b < 0.65 * sent_a


@SIZES
def test_slices_stand_in_the_order_of_the_ranks(size):
    parts = parts_of(size, (3, 2))
    for found in on_ranks(size, lambda comm: comm.slices(parts[comm.rank])):
        assert np.array_equal(found, np.concatenate(parts))


@SIZES
def test_a_scattered_sum_is_the_slice_of_the_total(size):
    parts = parts_of(size, (2 * size, 3))
    found = on_ranks(size, lambda comm: comm.scattered(parts[comm.rank]))
    assert np.array_equal(np.concatenate(found), tree_sum(parts))


@SIZES
def test_swapped_parts_go_to_their_ranks(size):
    parts = parts_of(size, (size, 5))
    found = on_ranks(size, lambda comm: comm.swapped(parts[comm.rank]))
    assert np.array_equal(np.stack(found), np.stack(parts).swapaxes(0, 1))


def test_nothing_that_is_passed_changes():
    parts = parts_of(4, (4, 3))
    before = [part.copy() for part in parts]

    def work(comm):
        for method in (comm.total, comm.slices, comm.scattered, comm.swapped):
            method(parts[comm.rank])

    on_ranks(4, work)
    assert all(np.array_equal(a, b) for a, b in zip(parts, before, strict=True))


@pytest.mark.parametrize("method", ["total", "slices", "scattered", "swapped"])
def test_what_mpi_would_misread_is_refused(method):
    def refused(a, kind, words):
        for comm in (Serial(), *on_ranks(1, lambda comm: comm)):
            with pytest.raises(kind, match=words):
                getattr(comm, method)(a)

    refused(np.ones((3, 2), order="F"), ValueError, "C-contiguous")
    refused(np.ones((6, 2))[::2], ValueError, "C-contiguous")
    refused(np.ones(3, "int64"), TypeError, "int64")
    refused(np.ones(3, "float16"), TypeError, "float16")


def test_rows_that_do_not_fit_the_ranks_are_refused():
    with pytest.raises(ValueError, match="3 rows cannot be scattered over 2"):
        on_ranks(2, lambda comm: comm.scattered(np.ones(3)))
    with pytest.raises(ValueError, match="one part for each of 2 ranks, got 3"):
        on_ranks(2, lambda comm: comm.swapped(np.ones((3, 1))))
    with pytest.raises(ValueError, match=r"1, 2, 4, 8, \.\.\. ranks, got 3"):
        on_ranks(3, lambda comm: comm.total(np.ones(3)))


@pytest.mark.parametrize("N", [0, 1, 5, 93, 100])
def test_chunks_cover_the_batch_once_and_do_not_depend_on_the_ranks(N):
    of_one = own_chunks(N, 8, 0, 1)
    assert [row for part in of_one for row in range(N)[part]] == list(range(N))
    assert max(np.diff(bounds(N, 8))) - min(np.diff(bounds(N, 8))) <= 1
    for size in (2, 4, 8):
        assert [part for rank in range(size) for part in own_chunks(N, 8, rank, size)] == of_one


@pytest.mark.parametrize(("chunks", "size"), [(0, 1), (3, 1), (6, 2), (8, 3), (2, 4), (-8, 1)])
def test_chunks_that_cannot_give_equal_bits_are_refused(chunks, size):
    with pytest.raises(ValueError, match=f"{chunks} chunks on {size} ranks: expected powers of two"):
        check_chunks(chunks, size)
