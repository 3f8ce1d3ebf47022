"""Convolution, pooling and relu as one block, against the three plain layers."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fast.c.compiled import compiled_conv_pool_relu
from synann_np.fast.conv_pool_relu import ConvPoolRelu
from synann_np.fast.lent_memory import KEYS_KEPT, Lender, aligned_empty
from synann_np.layers import Conv2d, MaxPool2d, ReLU

CASES = {
    "as conv1": ((3, 1, 28, 28), 4, 5, True),
    "as conv2": ((7, 10, 12, 12), 20, 5, True),
    "odd output, remainder unseen": ((2, 3, 9, 8), 2, 3, True),
    "kernel pair, no bias": ((1, 2, 7, 10), 3, (1, 5), False),
    "one window": ((4, 2, 4, 4), 2, 3, True),
    "kernel of one": ((2, 2, 4, 6), 3, 1, True),
    "wide kernel, odd image, unseen on both sides": ((3, 3, 13, 11), 4, (7, 3), True),
}

# What makes a block for a convolution and images like x: one file of NumPy, one of loops in C, the same tests for both.
WAYS = {
    "numpy": lambda conv, x, input_gradient=True: ConvPoolRelu(conv, input_gradient),
    "c": compiled_conv_pool_relu,
}
both_ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def plain(conv, x, mask, dy):
    pool, relu = MaxPool2d(2), ReLU()
    z, conv_cache = conv.forward(x)
    if mask is not None:
        z = z * mask
    p, pool_cache = pool.forward(z)
    y, relu_cache = relu.forward(p)
    dp, _ = relu.backward(dy, relu_cache)
    dz, _ = pool.backward(dp, pool_cache)
    dx, grads = conv.backward(dz if mask is None else dz * mask, conv_cache)
    return y, dx, grads


@both_ways
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-13)])
def test_it_equals_the_plain_layers(name, background, masked, dtype, tolerance, way):
    shape, filters, kernel, bias = CASES[name]
    rng = np.random.default_rng(11)
    conv = Conv2d(shape[1], filters, kernel, bias=bias, rng=rng, dtype=dtype)
    x = rng.standard_normal(shape).astype(dtype)
    if background:  # constant pixels: whole windows tie, and the first has to win
        x[:, :, : shape[2] // 2] = -0.5
        for p in conv.params.values():  # few digits: every product is exact, and equal windows stay equal
            p[...] = np.round(p * 64) / 64
        x = np.round(x * 64) / 64
    mask = (2.0 * (rng.random((shape[0], filters, 1, 1)) < 0.5)).astype(dtype) if masked else None
    block = way(conv, x)
    y, cache = block.forward(x, mask)
    dy = rng.standard_normal(y.shape).astype(dtype)
    dx, grads = block.backward(dy, cache)
    y_plain, dx_plain, grads_plain = plain(conv, x, mask, dy)
    assert grads.keys() == grads_plain.keys()
    for tensor, a, b in (("y", y, y_plain), ("dx", dx, dx_plain), *((k, grads[k], grads_plain[k]) for k in grads)):
        assert a.dtype == dtype, tensor
        assert a.shape == b.shape, tensor
        assert np.abs(a - b).max() <= tolerance * max(1, np.abs(b).max()), tensor


@both_ways
def test_ties_between_exact_equals_go_to_the_first_in_row_major_order(way):
    conv = Conv2d(1, 1, 1, rng=np.random.default_rng(0), dtype="float64")
    conv.params["weight"][...], conv.params["bias"][...] = 1.0, 0.0
    dy = np.ones((1, 1, 1, 1))
    windows = {(5, 5, 5, 5): 0, (1, 5, 5, 5): 1, (1, 2, 5, 5): 2, (1, 2, 4, 5): 3, (5, 2, 5, 1): 0, (2, 5, 1, 5): 1}
    for pixels, winner in windows.items():
        x = np.array(pixels, "float64").reshape(1, 1, 2, 2)
        block = way(conv, x)
        _, cache = block.forward(x)
        dx, _ = block.backward(dy, cache)
        assert dx.reshape(-1).tolist() == [float(k == winner) for k in range(4)], pixels


@both_ways
def test_where_relu_is_exactly_zero_there_is_no_gradient(way):
    conv, x = Conv2d(2, 3, 3, rng=np.random.default_rng(0)), np.zeros((2, 2, 6, 6), "float32")
    conv.params["bias"][...] = 0
    block = way(conv, x)
    y, cache = block.forward(x)
    dx, grads = block.backward(np.ones_like(y), cache)
    assert not any(a.any() for a in (y, dx, grads["weight"], grads["bias"]))


@both_ways
def test_inputs_are_not_modified_and_the_input_gradient_can_be_left_out(way):
    rng = np.random.default_rng(1)
    conv = Conv2d(2, 3, 3, rng=rng)
    x, mask = rng.standard_normal((4, 2, 8, 8)).astype("float32"), np.full((4, 3, 1, 1), 2.0, "float32")
    before = x.copy(), mask.copy()
    block = way(conv, x, input_gradient=False)
    _y, cache = block.forward(x, mask)
    dy = (
        rng.standard_normal((3, 3, 3, 4)).astype("float32").transpose(3, 0, 1, 2)
    )  # batch innermost: copied, not reused
    dy_before = dy.copy()
    dx, grads = block.backward(dy, cache)
    assert dx is None
    assert grads.keys() == {"weight", "bias"}
    for a, b in ((x, before[0]), (mask, before[1]), (dy, dy_before)):
        assert np.array_equal(a, b)


def work(seed, N=5, side=11):
    """A convolution, the same for all seeds, and x and dy."""
    rng = np.random.default_rng(seed)
    conv = Conv2d(3, 4, 3, rng=np.random.default_rng(0), dtype="float64")
    x = rng.standard_normal((N, 3, side, side))
    dy = rng.standard_normal((N, 4, (side - 2) // 2, (side - 2) // 2))
    return conv, x, dy


def flat(y, dx, grads):
    return np.concatenate([a.ravel() for a in (y, dx, grads["weight"], grads["bias"])])


def alone(way, conv, x, dy):
    block = way(conv, x)
    y, cache = block.forward(x)
    return flat(y, *block.backward(dy, cache))


@both_ways
def test_calls_may_be_interleaved_and_backward_repeated(way):
    conv, x, dy = work(1)
    _, x_2, dy_2 = work(2)
    block = way(conv, x)
    y, cache = block.forward(x)
    y_2, cache_2 = block.forward(x_2)
    second = flat(y_2, *block.backward(dy_2, cache_2))
    first = flat(y, *block.backward(dy, cache))
    assert np.array_equal(first, alone(way, conv, x, dy))
    assert np.array_equal(second, alone(way, conv, x_2, dy_2))
    assert np.array_equal(flat(y_2, *block.backward(dy_2, cache_2)), second)


@both_ways
def test_results_that_are_held_stay_as_they_are(way):
    block, held = way(*work(0)[:2]), []
    for seed in range(6):
        _, x, dy = work(seed)
        y, cache = block.forward(x)
        arrays = [y, *(block.backward(dy, cache))]
        held.append((arrays, flat(*arrays)))
    for arrays, as_it_was in held:
        assert np.array_equal(flat(*arrays), as_it_was)


@both_ways
def test_two_threads_may_use_one_block(way):
    conv, x, _ = work(0, N=20)
    block = way(conv, x)
    expected = {seed: alone(way, conv, *work(seed, N=20)[1:]) for seed in range(4)}

    def repeat(seed):
        _, x, dy = work(seed, N=20)
        with np.errstate(all="raise"):
            for _ in range(60):
                y, cache = block.forward(x)
                if not np.array_equal(flat(y, *block.backward(dy, cache)), expected[seed]):
                    return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(repeat, range(4))) == [True] * 4


def test_what_is_lent_is_not_lent_again_until_the_loan_is_gone():
    lender = Lender(lambda *key: [key])
    first, second = lender.lend(1, 2), lender.lend(1, 2)
    assert first.item is not second.item
    item = first.item
    del first
    assert lender.lend(1, 2).item is item
    assert lender.lend(1, 3).item == [(1, 3)]


@pytest.mark.parametrize("dtype", ["float32", "float64", "bool", "uint64"])
def test_memory_begins_at_a_cache_line(dtype):
    for size in (1, 7, 1000):
        a = aligned_empty((size, 3), dtype)
        assert a.ctypes.data % 64 == 0
        assert a.shape == (size, 3)
        assert a.dtype == dtype
        assert a.flags.writeable


@both_ways
def test_memory_does_not_grow_with_or_without_backward(way):
    conv, x, dy = work(0, N=40)
    block = way(conv, x)

    def call(k):
        _, cache = block.forward(x, keep=k % 3 > 0)
        if k % 2:
            block.backward(dy, cache)

    for k in range(6):
        call(k)
    tracemalloc.start()
    try:
        call(1)
        before = tracemalloc.get_traced_memory()[0]
        for k in range(200):
            call(k)
        assert tracemalloc.get_traced_memory()[0] - before < x.nbytes / 4
    finally:
        tracemalloc.stop()


def test_spare_memory_is_bounded_over_many_shapes():
    block = ConvPoolRelu(work(0)[0])
    for side in range(4, 24):
        _, x, dy = work(0, side=side)
        _, cache = block.forward(x)
        block.backward(dy, cache)
        del cache
    for lender in (block.kept, block.scratch):
        assert [len(shelf) for shelf in lender.shelves.values()] == [1] * KEYS_KEPT


@both_ways
def test_without_keep_the_numbers_are_the_same_and_backward_still_works(way):
    conv, x, dy = work(3)
    mask = 2.0 * (np.random.default_rng(4).random((5, 4, 1, 1)) < 0.5)
    block = way(conv, x)
    y, cache = block.forward(x, mask)
    y_2, cache_2 = block.forward(x, mask, keep=False)
    assert np.array_equal(flat(y, *block.backward(dy, cache)), flat(y_2, *block.backward(dy, cache_2)))
