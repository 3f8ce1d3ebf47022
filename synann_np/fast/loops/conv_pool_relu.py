"""Convolution, 2×2 pooling and relu as one block, by loops in C."""

import ctypes
from pathlib import Path

import numpy as np

from .arrays import REAL, address, contiguous, strided, whole_strides
from .compiler import library

SOURCE = Path(__file__).with_suffix(".c")
LARGEST_KERNEL = 81  # pixels; their loops are unrolled
LARGEST_IMAGE = 2**24  # elements: offsets in it are C's int
BYTES_OF_PATCHES = 2**15  # gathered at a time: two thirds of a cache of the first level, or one of them

_number, _array = ctypes.c_int64, ctypes.c_void_p
_strided = [_array, _number, _number, _number, _number]


class CompiledConvPoolRelu:
    """relu(maxpool(m · conv(x))): the same signature, numbers and gradients as ConvPoolRelu of fast/conv_pool_relu.py.

    Image by image, so that all of it stays in the cache of the first level. Forward as there: the four outputs under a
    pooling window read one patch of (KH+1) by (KW+1) pixels,

        z_f,ab,hw = Σ_cij weight_fcij patches_c,i+a,j+b,hw        a, b = 0, 1
        y_f,hw    = max(0, m_f (max_ab z_f,ab,hw + bias_f))

    but the kernel is not shifted in a frame of zeros: the loops add just the products that there are, for several
    filters and all (a, b) in registers, the windows hw side by side in a vector. A filter with m_f = 0 is left out: its
    y is 0, whatever x.

    Backward: of the four outputs of a window only the first of the largest gets a gradient, and only where y > 0. So
    with (a*, b*) that winner, kept as one byte a window, and all sums going over the windows that have one,

        d_f,hw      = m_f dy_f,hw
        dbias_f     = Σ_n,hw d_f,hw
        dweight_fcij = Σ_n,hw d_f,hw x_c,2h+a*+i,2w+b*+j
        dx_c,2h+a*+i,2w+b*+j += d_f,hw weight_fcij

    a quarter of the multiplications of the plain layers, or less. Here the channels are innermost, (H, W, C), so that a
    row of a patch is one run of KW · C numbers.

    x and dy may lie in memory in any way. y is (N, F, h, w) as NumPy orders it; dx is a view of (N, H, W, C), C padded.
    The cache holds x itself, which must not change before backward.
    """

    def __init__(self, conv, kernels, threads, input_gradient=True):
        self.conv, self.kernels, self.threads, self.input_gradient = conv, kernels, threads, input_gradient
        self.weight_shape = conv.params["weight"].shape  # what the loops were compiled for

    def forward(self, x, mask=None, keep=True):
        """x (N, C, H, W), mask (N, F, 1, 1) or None -> y (N, F, h, w), cache. keep makes no difference."""
        F, _, KH, KW = self.weight_shape
        N, _, H, W = x.shape
        x = whole_strides(x)
        m = None if mask is None else contiguous(mask, (N, F, 1, 1), x.dtype)
        y = np.empty((N, F, (H - KH + 1) // 2, (W - KW + 1) // 2), x.dtype)
        won = np.empty(y.shape, np.uint8)
        arrays = (*self.weights(x.dtype), m, y, won)
        done = self.kernels.forward(N, *strided(x), *map(address, arrays))
        _check(done)
        return y, (x, m, won)

    def backward(self, dy, cache):
        """dy (N, F, h, w) -> dx (None without input_gradient), {"weight", "bias"}."""
        x, m, won = cache
        N, C, H, W = x.shape
        if dy.shape != won.shape or dy.dtype != x.dtype:
            dy = contiguous(dy, won.shape, x.dtype)
        dy = whole_strides(dy)
        weight, bias = self.weights(x.dtype)
        dweight, dbias = np.empty_like(weight), np.empty(len(weight), x.dtype)
        memory = None
        if self.input_gradient:
            channels, overhang = (ctypes.c_int.in_dll(self.kernels, name).value for name in ("channels", "overhang"))
            memory = np.empty(N * H * W * channels + overhang, x.dtype)
        done = self.kernels.backward(
            N, *strided(x), address(weight), address(m), address(won), *strided(dy),
            address(dweight), address(dbias), address(memory),
        )  # fmt: skip
        _check(done)
        grads = {"weight": dweight} | ({} if bias is None else {"bias": dbias})
        if memory is None:
            return None, grads
        return memory[: N * H * W * channels].reshape(N, H, W, channels)[..., :C].transpose(0, 3, 1, 2), grads

    def weights(self, dtype):
        """weight and bias, or None, as the loops take them."""
        weight, bias = map(self.conv.params.get, ("weight", "bias"))
        bias = None if bias is None else contiguous(bias, self.weight_shape[:1], dtype)
        return contiguous(weight, self.weight_shape, dtype), bias


def kernels_for(conv, x):
    """The loops for this layer (odd kernel, stride 1, no padding) and images like x, or None: not compiled."""
    F, C, KH, KW = conv.params["weight"].shape
    H, W = x.shape[2:]
    if x.dtype.name not in REAL or KH * KW > LARGEST_KERNEL or max(C, 16) * H * W > LARGEST_IMAGE:
        return None
    sizes = {"C": C, "F": F, "H": H, "W": W, "KH": KH, "KW": KW}
    kernels = library(SOURCE, REAL=REAL[x.dtype.name], BAND=band(**sizes, itemsize=x.itemsize), **sizes)
    if kernels is not None:
        kernels.forward.argtypes = [_number, *_strided, _array, _array, _array, _array, _array]
        kernels.backward.argtypes = [_number, *_strided, *[_array] * 3, *_strided, *[_array] * 3]
    return kernels


def band(C, F, H, W, KH, KW, itemsize):
    """How many rows of pooling windows to take at a time: the patches of a band fit BYTES_OF_PATCHES, if one row does,
    and of those that fit, the one that leaves fewest lanes of vectors of 64 bytes empty.
    """
    h, w, lanes = (H - KH + 1) // 2, (W - KW + 1) // 2, 64 // itemsize

    def vectors(rows):
        return -(-rows * w // lanes)

    fitting = [rows for rows in range(1, h + 1) if C * (KH + 1) * (KW + 1) * vectors(rows) * 64 <= BYTES_OF_PATCHES]
    return min(fitting or [1], key=lambda rows: (-(-h // rows) * vectors(rows), -rows))


def _check(done):
    if not done:
        raise MemoryError("fast.c.conv_pool_relu: no memory for the patches of an image")
