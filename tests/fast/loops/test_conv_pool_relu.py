"""Convolution, channel dropout, pooling and relu as one layer in C, against the four plain layers."""

import os
import shutil
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from fast.loops.compiled import TOLERANCES, assert_equal, assert_same_bits, conv_pool_relu, run
from synann_np.layers import Conv2d, Dropout2d, MaxPool2d, ReLU

CASES = {
    "as conv1": ((3, 1, 28, 28), 4, 5, True),
    "as conv2": ((7, 10, 12, 12), 20, 5, True),
    "odd output, remainder unseen": ((2, 3, 9, 8), 2, 3, True),
    "kernel pair, no bias": ((1, 2, 7, 10), 3, (1, 5), False),
    "one window": ((4, 2, 4, 4), 2, 3, True),
    "kernel of one": ((2, 2, 4, 6), 3, 1, True),
    "even kernel": ((2, 3, 9, 8), 5, (2, 4), True),
    "wide kernel, odd image, unseen on both sides": ((3, 3, 13, 11), 4, (7, 3), True),
}


def plain(conv, dropout=None):
    return [layer for layer in (conv, dropout, MaxPool2d(2), ReLU()) if layer is not None]


# Every size of image and kernel is compiled for itself, half a second each: where it does not matter, one of these.
SIZE, ODD_SIZE = (7, 8), (9, 8)

IN_FLOAT64 = ("as conv2", "even kernel", "wide kernel, odd image, unseen on both sides")  # and all that compare() does


@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize(
    ("name", "dtype"), [*((name, "float32") for name in CASES), *((name, "float64") for name in IN_FLOAT64)]
)
def test_it_equals_the_plain_layers(name, background, dropped, dtype):
    shape, filters, kernel, bias = CASES[name]
    rng = np.random.default_rng(11)
    conv = Conv2d(shape[1], filters, kernel, bias=bias, rng=rng, dtype=dtype)
    x = rng.standard_normal(shape).astype(dtype)
    if background:  # constant pixels: whole windows tie, and the first has to win
        x[:, :, : shape[2] // 2] = -0.5
        for p in conv.params.values():  # few digits: every product is exact, and equal windows stay equal
            p[...] = np.round(p * 64) / 64
        x = np.round(x * 64) / 64
    dropout = Dropout2d(0.5, seed=3) if dropped else None
    before = x.copy()
    dy = rng.standard_normal(run(plain(conv), x, lambda y: y)["y"].shape).astype(dtype)
    expected = run(plain(conv, dropout), x, dy, dropped, 7)
    results = run([conv_pool_relu(conv, dropout)], x, dy, dropped, 7)
    assert_equal(results, expected, TOLERANCES[dtype])
    assert np.array_equal(x, before)
    assert_same_bits(run([conv_pool_relu(conv, dropout, threads=2)], x, dy, dropped, 7), results)


def test_ties_between_exact_equals_go_to_the_first_in_row_major_order():
    conv = Conv2d(1, 1, 1, rng=np.random.default_rng(0))
    conv.params["weight"][...], conv.params["bias"][...] = 1.0, 0.0
    windows = {(5, 5, 5, 5): 0, (1, 5, 5, 5): 1, (1, 2, 5, 5): 2, (1, 2, 4, 5): 3, (5, 2, 5, 1): 0, (2, 5, 1, 5): 1}
    for pixels, winner in windows.items():
        x = np.array(pixels, "float32").reshape(1, 1, 2, 2)
        dx = run([conv_pool_relu(conv)], x, np.ones((1, 1, 1, 1), "float32"))["dx"]
        assert dx.reshape(-1).tolist() == [float(k == winner) for k in range(4)], pixels


def test_where_relu_is_exactly_zero_there_is_no_gradient():
    conv, x = Conv2d(2, 3, 3, rng=np.random.default_rng(0)), np.zeros((2, 2, *SIZE), "float32")
    conv.params["bias"][...] = 0
    assert not any(a.any() for a in run([conv_pool_relu(conv)], x, np.ones_like).values())


def test_the_input_gradient_can_be_left_out():
    conv, x = Conv2d(2, 3, 3, rng=np.random.default_rng(1)), np.ones((4, 2, *SIZE), "float32")
    results = run([conv_pool_relu(conv, input_gradient=False)], x, np.ones_like)
    assert results["dx"] is None
    assert results.keys() == {"y", "dx", "weight", "bias"}


def work(seed, N=5):
    """A convolution, the same for all seeds, and x and dy."""
    rng = np.random.default_rng(seed)
    conv = Conv2d(3, 4, 3, rng=np.random.default_rng(0), dtype="float64")
    return conv, rng.standard_normal((N, 3, *SIZE)), rng.standard_normal((N, 4, 2, 3))


def test_calls_may_be_interleaved_and_backward_repeated():
    conv, x, dy = work(1)
    _, x_2, dy_2 = work(2)
    layer = conv_pool_relu(conv, threads=2)
    expected = run([layer], x, dy)
    y, cache = layer.forward(x)
    layer.backward(dy_2, layer.forward(x_2)[1])
    for _ in range(2):
        dx, grads = layer.backward(dy, cache)
        assert_same_bits({"y": y, "dx": dx, **grads}, expected)


def test_python_threads_may_use_one_layer():
    layer = conv_pool_relu(work(0)[0], threads=2)
    expected = {seed: run([layer], *work(seed, N=20)[1:]) for seed in range(4)}

    def repeat(seed):
        for _ in range(40):
            assert_same_bits(run([layer], *work(seed, N=20)[1:]), expected[seed])
        return True

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(repeat, range(4))) == [True] * 4


def test_memory_does_not_grow():
    conv, x, dy = work(0, N=90)
    layer = conv_pool_relu(conv)
    run([layer], x, dy)
    tracemalloc.start()
    try:
        run([layer], x, dy)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(100):
            run([layer], x, dy)
        assert tracemalloc.get_traced_memory()[0] - before < x.nbytes / 4
    finally:
        tracemalloc.stop()


def test_images_too_small_for_one_window_are_refused():
    with pytest.raises(ValueError, match="4 by 4 pixels or more, got"):
        conv_pool_relu(Conv2d(1, 2, 3)).forward(np.zeros((1, 1, 3, 8), "float32"))


def compare(N, C, side, filters, kernel, dtype="float64"):
    rng = np.random.default_rng(3)
    conv = Conv2d(C, filters, kernel, rng=rng, dtype=dtype)
    x = rng.standard_normal((N, C, *side)).astype(dtype)
    dy = rng.standard_normal(run(plain(conv), x, lambda y: y)["y"].shape).astype(dtype)
    assert_equal(run([conv_pool_relu(conv)], x, dy), run(plain(conv), x, dy), TOLERANCES[dtype])


@pytest.mark.parametrize("filters", range(1, 8))
def test_any_number_of_filters(filters):
    """They are taken several at a time, and what is left over in a block of its own."""
    compare(3, 2, SIZE, filters, 3)


@pytest.mark.parametrize("channels", [1, 2, 3, 5, 8, 9, 17, 33])
def test_any_number_of_channels(channels):
    """They are padded to a power of two, or to whole vectors."""
    compare(2, channels, SIZE, 3, 3)


def test_rows_of_patches_longer_than_all_registers():
    compare(2, 100, (6, 7), 2, 5)


@pytest.mark.parametrize("kernel", [1, 2, 4, 5, 7, 10, (3, 1), (1, 9)])
def test_any_kernel(kernel):
    """Rows of a patch that are shorter and longer than a vector, and more of them than there are registers."""
    compare(2, 3, (12, 11), 4, kernel)


@pytest.mark.parametrize("N", [1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 33])
def test_any_number_of_images(N):
    """They are taken a vector at a time, and in eight chunks."""
    compare(N, 2, SIZE, 3, 3)
    compare(N, 2, SIZE, 3, 3, "float32")


def test_all_filters_may_be_dropped():
    conv, x = Conv2d(2, 4, 3, rng=np.random.default_rng(0), dtype="float64"), np.ones((3, 2, *SIZE))
    assert not any(a.any() for a in run([conv_pool_relu(conv, Dropout2d(1.0, seed=0))], x, np.ones_like, True).values())


def test_arrays_may_lie_in_memory_in_any_way():
    rng = np.random.default_rng(5)
    conv, x = Conv2d(3, 4, 3, rng=rng), rng.standard_normal((5, 3, *ODD_SIZE)).astype("float32")
    dy = rng.standard_normal((5, 4, 3, 3)).astype("float32")
    block = conv_pool_relu(conv)
    y, cache = block.forward(x)
    dx, grads = block.backward(dy, cache)
    records = np.zeros(x.shape, [("value", "float32"), ("byte", "uint8")])  # 5 bytes apart: no whole elements
    records["value"] = x
    orders = {
        "batch innermost": lambda a: np.ascontiguousarray(a.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2),
        "channels innermost": lambda a: np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
        "every other element": lambda a: np.repeat(a, 2, axis=3)[..., ::2],
        "backwards": lambda a: np.ascontiguousarray(a[::-1, :, ::-1, ::-1])[::-1, :, ::-1, ::-1],
        "parts of elements apart": lambda a: records["value"] if a is x else a,
    }
    for name, order in orders.items():
        y_2, cache_2 = block.forward(order(x))
        dx_2, grads_2 = block.backward(order(dy), cache_2)
        for a, b in ((y, y_2), (dx, dx_2), *((grads[key], grads_2[key]) for key in grads)):
            assert np.array_equal(a, b), name


def test_what_the_loops_get_has_the_shape_and_dtype_that_they_take_for_granted():
    rng = np.random.default_rng(5)
    conv, x = Conv2d(3, 4, 3, rng=rng), rng.standard_normal((2, 3, *ODD_SIZE)).astype("float32")
    block = conv_pool_relu(conv)
    expected = run([block], x, np.ones_like)
    y, cache = block.forward(x)
    with pytest.raises(ValueError, match=r"expected dy \(2, 4, 3, 3\)"):
        block.backward(y[:, :2], cache)
    for name in conv.params:
        conv.params[name] = conv.params[name].astype("float64")
    assert_same_bits(run([block], x, np.ones_like), expected)
    conv.params["weight"] = conv.params["weight"][:3]
    with pytest.raises(ValueError, match="expected an array of shape"):
        block.backward(y, cache)
    with pytest.raises(ValueError, match="expected an array of shape"):
        block.forward(x)
    for other in (np.zeros((4, 2, 3, 3), "float32"), np.zeros((4, 3, 2, 3), "float32")):  # not what is compiled in
        twin = conv_pool_relu(Conv2d(3, 4, 3, rng=rng))
        twin.params["weight"] = other
        with pytest.raises(ValueError, match="expected an array of shape"):
            twin.forward(np.zeros((2, 3, *ODD_SIZE), "float32"))
    before = conv.params["bias"]
    conv.params["bias"] = before[:3]
    assert block.forward(x)[0].shape == (2, 3, 3, 3)  # a smaller layer, compiled anew


def test_a_sum_over_many_windows_keeps_its_digits():
    conv = Conv2d(1, 1, 1, rng=np.random.default_rng(0))
    conv.params["weight"][...] = 1.0
    x = np.full((20, 1, 128, 128), 1.0, "float32")
    conv.params["bias"][...] = 1.0
    results = run([conv_pool_relu(conv)], x, np.full((20, 1, 64, 64), 0.1, "float32"))
    assert abs(results["bias"][0] / (20 * 64 * 64 * np.float32(0.1)) - 1) < 1e-7


def test_a_nan_is_not_hidden_by_the_maximum_nor_by_relu():
    conv = Conv2d(1, 2, 1, rng=np.random.default_rng(0))
    for place in range(4):
        x = np.arange(4, dtype="float32").reshape(1, 1, 2, 2)
        x.reshape(-1)[place] = np.nan
        y, _ = conv_pool_relu(conv).forward(x)
        assert np.isnan(y).all()


SANITIZERS = "-fsanitize=address,undefined -fno-sanitize-recover=undefined"
SIZES = [
    ((2, 10, 12, 12), 6, 5),
    ((2, 3, 9, 8), 2, 3),
    ((1, 2, 7, 10), 3, (1, 5)),
    ((1, 1, 2, 2), 1, 1),
    ((1, 8, 10, 20), 2, 5),
]


def touch_everything():
    """All loops, on sizes that leave remainders: run by the sanitizers' process below."""
    from fast.loops import test_batchnorm, test_conv2d, test_synapse_graph, test_synapse_rnn
    from synann_np.fast.loops.batchnorm import FastBatchNorm
    from synann_np.fast.loops.conv2d import FastConv2d
    from synann_np.fast.loops.maxpool2d import FastMaxPool2d

    rng = np.random.default_rng(0)
    for shape, filters, kernel in SIZES:
        conv, x = Conv2d(shape[1], filters, kernel, rng=rng), rng.standard_normal(shape).astype("float32")
        for dropout in (None, Dropout2d(0.5, seed=1)):
            run([conv_pool_relu(conv, dropout, threads=2)], x, np.ones_like, True)
    for name in test_conv2d.CASES:
        conv, x, dy = test_conv2d.make(name, "float32")
        run([FastConv2d(conv, 2)], x, dy)
    for shape in test_batchnorm.SHAPES.values():
        norm, x, dy = test_batchnorm.make(shape, "float32")
        run([FastBatchNorm(norm, True, 2)], x, dy, True)
    for world in test_synapse_graph.WORLDS:
        for size in test_synapse_graph.SIZES:
            for dtype in ("float32", "float64"):
                inputs, dy = test_synapse_graph.arrays(world, *size, dtype)
                forward = test_synapse_graph.synapse_graph_forward, test_synapse_graph.synapse_graph_backward
                test_synapse_graph.evaluate(*forward, inputs, dy, threads=2)
    for size in test_synapse_rnn.SIZES:
        layer, x, dy = test_synapse_rnn.make(size, "float32", return_sequences=True, truncate=2)
        run([test_synapse_rnn.fast(layer, 2)], x, dy)
    run([FastMaxPool2d(MaxPool2d((3, 2)), 2)], rng.random((5, 3, 7, 9)).astype("float32"), np.ones_like)


@pytest.mark.slow
def test_the_sanitizers_of_the_compiler_find_nothing(tmp_path):
    """Reads and writes outside of arrays, undefined arithmetic, misaligned vectors."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc, whose sanitizers are meant")
    libraries = [ask("gcc", f"-print-file-name=lib{name}.so") for name in ("asan", "ubsan")]
    if not all(Path(library).is_file() for library in libraries):
        pytest.skip("gcc has come without its sanitizers")
    compiler = tmp_path / "gcc-with-sanitizers"  # optimised less, it compiles in a fifth of the time
    compiler.write_text(f'#!/bin/sh\nexec gcc "$@" {SANITIZERS} -O1\n')
    compiler.chmod(0o700)
    environment = os.environ | {
        "CC": str(compiler), "SYNANN_CACHE": str(tmp_path), "LD_PRELOAD": " ".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0", "PYTHONPATH": str(Path(__file__).parents[2]),
    }  # fmt: skip
    program = "from fast.loops.test_conv_pool_relu import touch_everything; touch_everything(); print('nothing found')"
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (run.stdout, run.returncode) == ("nothing found\n", 0), run.stderr
    assert list((tmp_path / "compiled").iterdir())


def ask(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
