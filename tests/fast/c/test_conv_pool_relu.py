"""What only the loops in C can get wrong; what they share with NumPy's way is in fast/test_conv_pool_relu.py."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fast.c.compiled import compiled_conv_pool_relu, require
from fast.test_conv_pool_relu import plain
from synann_np.fast.blocks import MOST_COMPILED, ConvPoolReluBlock
from synann_np.fast.conv_pool_relu import ConvPoolRelu
from synann_np.fast.loops.conv_pool_relu import BYTES_OF_PATCHES, CompiledConvPoolRelu, band, kernels_for
from synann_np.layers import Conv2d


def compare(N, C, side, filters, kernel, dtype="float64", mask=None):
    rng = np.random.default_rng(3)
    conv = Conv2d(C, filters, kernel, rng=rng, dtype=dtype)
    x = rng.standard_normal((N, C, *side)).astype(dtype)
    block = compiled_conv_pool_relu(conv, x)
    y, cache = block.forward(x, mask)
    dy = rng.standard_normal(y.shape).astype(dtype)
    dx, grads = block.backward(dy, cache)
    y_plain, dx_plain, grads_plain = plain(conv, x, mask, dy)
    tolerance = 1e-13 if dtype == "float64" else 1e-5
    for a, b in ((y, y_plain), (dx, dx_plain), (grads["weight"], grads_plain["weight"])):
        assert np.abs(a - b).max() <= tolerance * max(1, np.abs(b).max())


@pytest.mark.parametrize("filters", range(1, 8))
def test_any_number_of_filters(filters):
    """They are taken several at a time, and what is left over in a block of its own."""
    compare(3, 2, (8, 8), filters, 3)


@pytest.mark.parametrize("channels", [1, 2, 3, 5, 8, 9, 16, 17, 33])
def test_any_number_of_channels(channels):
    """They are padded to a power of two, or to whole vectors."""
    compare(2, channels, (7, 6), 3, 3)


def test_rows_of_patches_longer_than_all_registers():
    compare(2, 100, (6, 7), 2, 5)


@pytest.mark.parametrize("kernel", [1, 3, 5, 7, 9, (3, 1), (1, 9)])
def test_any_odd_kernel(kernel):
    """Rows of a patch that are shorter and longer than a vector, and more of them than there are registers."""
    compare(2, 3, (12, 11), 4, kernel)


@pytest.mark.parametrize(
    ("C", "side", "dtype", "left_over"),
    [(6, (40, 90), "float64", False), (6, (33, 65), "float64", False), (8, (10, 20), "float32", True)],
)
def test_images_in_several_bands(C, side, dtype, left_over):
    h, w = (side[0] - 4) // 2, (side[1] - 4) // 2
    itemsize = np.dtype(dtype).itemsize
    rows = band(C=C, F=2, H=side[0], W=side[1], KH=5, KW=5, itemsize=itemsize)
    assert rows < h
    assert (h % rows > 0) == left_over
    row, rows = (-(-rows * w * itemsize // 64) * 64 for rows in (1, rows))
    assert C * 36 * rows <= max(BYTES_OF_PATCHES, C * 36 * row)
    compare(2, C, side, 2, 5, dtype)


def test_a_band_leaves_few_lanes_empty():
    assert band(C=10, F=20, H=12, W=12, KH=5, KW=5, itemsize=4) == 4  # 4 windows of 4: a vector of 16
    assert band(C=1, F=10, H=28, W=28, KH=5, KW=5, itemsize=4) == 12  # all 144 windows: 9 vectors


def test_images_with_all_filters_dropped_and_with_none():
    mask = np.zeros((3, 4, 1, 1))
    mask[1] = 2.0
    compare(3, 2, (8, 8), 4, 3, mask=mask)


def test_arrays_may_lie_in_memory_in_any_way():
    rng = np.random.default_rng(5)
    conv, x = Conv2d(3, 4, 3, rng=rng), rng.standard_normal((5, 3, 10, 9)).astype("float32")
    dy = rng.standard_normal((5, 4, 4, 3)).astype("float32")
    block = compiled_conv_pool_relu(conv, x)
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
    conv, x = Conv2d(3, 4, 3, rng=rng), rng.standard_normal((2, 3, 8, 8)).astype("float32")
    block = compiled_conv_pool_relu(conv, x)
    y, cache = block.forward(x)
    dy = rng.standard_normal(y.shape).astype("float32")
    dx, grads = block.backward(dy, cache)
    dx_broadcast, _ = block.backward(dy[:, :1], cache)
    dx_full, _ = block.backward(np.repeat(dy[:, :1], 4, axis=1), cache)
    assert np.array_equal(dx_broadcast, dx_full)
    with pytest.raises(ValueError, match="broadcast"):
        block.backward(dy[:, :2], cache)
    with pytest.raises(ValueError, match="broadcast"):
        block.forward(x, np.ones((2, 3, 1, 1), "float32"))
    for name in conv.params:
        conv.params[name] = conv.params[name].astype("float64")
    y_2, cache = block.forward(x)
    dx_2, grads_2 = block.backward(dy.astype("float64"), cache)
    for a, b in ((y, y_2), (dx, dx_2), (grads["weight"], grads_2["weight"])):
        assert np.array_equal(a, b)
        assert b.dtype == "float32"
    conv.params["weight"] = conv.params["weight"][:3]
    with pytest.raises(ValueError, match="broadcast"):
        block.forward(x)


def test_a_sum_over_many_windows_keeps_its_digits():
    conv = Conv2d(1, 1, 1, rng=np.random.default_rng(0))
    conv.params["weight"][...] = 1.0
    x = np.full((20, 1, 128, 128), 1.0, "float32")
    conv.params["bias"][...] = 1.0
    _, cache = compiled_conv_pool_relu(conv, x).forward(x)
    _, grads = compiled_conv_pool_relu(conv, x).backward(np.full((20, 1, 64, 64), 0.1, "float32"), cache)
    assert abs(grads["bias"][0] / (20 * 64 * 64 * np.float32(0.1)) - 1) < 1e-7


def test_only_some_sizes_of_images_are_compiled_for_a_layer():
    """The compiler takes as long as some hundred steps: not for pictures that all have other sizes."""
    require()
    block = ConvPoolReluBlock("conv", Conv2d(1, 1, 1), None, True)
    for side in range(2, 2 + MOST_COMPILED + 2):
        block.forward(np.zeros((1, 1, side, side), "float32"), False, 0, 0)
    kinds = [type(way) for way in block.ways.values()]
    assert kinds == [CompiledConvPoolRelu] * MOST_COMPILED + [ConvPoolRelu] * 2


def test_a_nan_is_not_hidden_by_the_maximum_nor_by_relu():
    conv = Conv2d(1, 2, 1, rng=np.random.default_rng(0))
    for place in range(4):
        x = np.arange(4, dtype="float32").reshape(1, 1, 2, 2)
        x.reshape(-1)[place] = np.nan
        y, _ = compiled_conv_pool_relu(conv, x).forward(x)
        assert np.isnan(y).all()


def test_a_kernel_too_large_to_unroll_is_left_to_numpy():
    require()
    x = np.zeros((1, 1, 20, 20), "float32")
    assert kernels_for(Conv2d(1, 1, 9), x) is not None
    assert kernels_for(Conv2d(1, 1, 11), x) is None


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
    from fast.c.compiled import compiled_synapse
    from synann_np.layers import Synapse

    rng = np.random.default_rng(0)
    for shape, filters, kernel in SIZES:
        conv, x = Conv2d(shape[1], filters, kernel, rng=rng), rng.standard_normal(shape).astype("float32")
        for mask in (None, 2 * (rng.random((shape[0], filters, 1, 1)) < 0.5)):
            block = compiled_conv_pool_relu(conv, x)
            y, cache = block.forward(x, mask)
            block.backward(rng.standard_normal(y.shape).astype("float32"), cache)
    for N, n in ((1, 1), (3, 2), (13, 33), (5, 64), (2, 100)):
        compiled, x = compiled_synapse(Synapse(n, rng=rng)), rng.random((N, n)).astype("float32")
        y, cache = compiled.forward(x)
        assert cache[0] is compiled
        compiled.backward(x, cache)


def test_the_sanitizers_of_the_compiler_find_nothing(tmp_path):
    """Reads and writes outside of arrays, undefined arithmetic, misaligned vectors."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc, whose sanitizers are meant")
    libraries = [ask("gcc", f"-print-file-name=lib{name}.so") for name in ("asan", "ubsan")]
    if not all(Path(library).is_file() for library in libraries):
        pytest.skip("gcc has come without its sanitizers")
    environment = os.environ | {
        "CC": f"gcc {SANITIZERS}", "SYNANN_CACHE": str(tmp_path), "LD_PRELOAD": " ".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0", "PYTHONPATH": str(Path(__file__).parents[2]),
    }  # fmt: skip
    program = "from fast.c.test_conv_pool_relu import touch_everything; touch_everything(); print('nothing found')"
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (run.stdout, run.returncode) == ("nothing found\n", 0), run.stderr
    assert list((tmp_path / "compiled").iterdir())


def ask(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
