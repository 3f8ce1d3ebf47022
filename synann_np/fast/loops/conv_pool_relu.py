"""Conv2d → (Dropout2d) → MaxPool2d(2) → ReLU as one layer by loops in C."""

import ctypes
from pathlib import Path

import numpy as np

from ...counter_random import keep_mask
from ...layers import Layer
from .arrays import REAL, call, contiguous, strided, whole_strides
from .compiler import library

SOURCE = Path(__file__).with_suffix(".c")
MOST_COMPILED = 4  # image sizes of a layer; compiling takes as long as hundreds of steps
LARGEST_KERNEL = 81  # pixels; their loops are unrolled
LARGEST_IMAGE = 2**24  # elements: offsets in it are C's int
BYTES_OF_PATCHES = 2**15  # gathered at a time: two thirds of a cache of the first level, or one of them

_number, _array = ctypes.c_int64, ctypes.c_void_p
_strided = [_array, _number, _number, _number, _number]


class ConvPoolReLU(Layer):
    """relu(maxpool(m · conv(x))) with the parameters of `conv` and the numbers of the four layers, m the dropout mask.

    Image by image, so that everything stays in the first-level cache. Forward: the four outputs under a pooling window
    read one patch of (KH+1) by (KW+1) pixels,

        z_f,ab,hw = Σ_cij weight_fcij patches_c,i+a,j+b,hw        a, b = 0, 1
        y_f,hw    = max(0, m_f (max_ab z_f,ab,hw + bias_f))

    for several filters and all (a, b) in registers, the windows hw of a row in one vector. A filter with m_f = 0 is
    left out: its y is 0, whatever x.

    Backward: of the four outputs of a window only the first of the largest gets a gradient, and only where y > 0. So
    with (a*, b*) that winner, kept as one byte a window, and all sums going over the windows that have one,

        d_f,hw      = m_f dy_f,hw
        dbias_f     = Σ_n,hw d_f,hw
        dweight_fcij = Σ_n,hw d_f,hw x_c,2h+a*+i,2w+b*+j
        dx_c,2h+a*+i,2w+b*+j += d_f,hw weight_fcij

    a quarter of the multiplications of the plain layers, or less. Here the channels are innermost, (H, W, C), so that a
    row of a patch is one run of KW · C numbers.

    x and dy may have any strides. y is (N, F, h, w) in C order; dx is a view of (N, H, W, C), C padded. The cache holds
    x itself, which must not change before backward. The loops are compiled for each image size, for at most
    MOST_COMPILED of them; other sizes run the plain layers.
    """

    draws_masks = True

    def __init__(self, conv, dropout, pool, relu, threads, input_gradient=True):
        super().__init__(conv.dtype, conv.backend, **conv.config)
        self.params = conv.params
        self.conv, self.dropout, self.after = conv, dropout, (pool, relu)
        self.threads, self.input_gradient = threads, input_gradient
        self.compiled = {}  # (C, H, W) -> loops, or None

    def forward(self, x, train=False, step=0, first_row=0):
        self.conv.check_input(x, "N", self.conv.params["weight"].shape[1], "H", "W")
        weight_shape = self.params["weight"].shape
        F, _, KH, KW = weight_shape
        N, _, H, W = x.shape
        if H <= KH or W <= KW:
            raise ValueError(
                f"{self.conv} and pooling: expected {KH + 1} by {KW + 1} pixels or more, got {x.shape[2:]}"
            )
        size = (*x.shape[1:], *weight_shape)
        if size not in self.compiled and len(self.compiled) < MOST_COMPILED:
            self.compiled[size] = kernels_for(self.conv, x)
        kernels = self.compiled.get(size)
        if kernels is None:
            return self.plain_forward(x, train, step, first_row)
        m = None
        if train and self.dropout is not None:
            keep = keep_mask((N, F, 1, 1), self.dropout.p, self.dropout.seed, step, like=x, first=first_row * F)
            m = keep.astype(x.dtype) * self.dropout.scale
        x = whole_strides(x)
        y = np.empty((N, F, (H - KH + 1) // 2, (W - KW + 1) // 2), x.dtype)
        won = np.empty(y.shape, np.uint8)
        call(kernels.forward, self.threads, N, *strided(x), *self.weights(weight_shape, x.dtype), m, y, won)
        return y, (kernels, x, m, won, weight_shape)

    def plain_forward(self, x, train, step, first_row):
        """The layers one by one."""
        layers = [layer for layer in (self.conv, self.dropout, *self.after) if layer is not None]
        caches = []
        for layer in layers:
            which = (step, first_row) if layer.draws_masks else ()
            x, cache = layer.forward(x, train, *which)
            caches.append((layer, cache))
        return x, (None, caches)

    def backward(self, dy, cache):
        """dy (N, F, h, w) -> dx (None without input_gradient), {"weight", "bias"}."""
        kernels, *cache = cache
        if kernels is None:
            for layer, its in reversed(cache[0]):
                dy, grads = layer.backward(dy, its)
            return dy, grads
        x, m, won, weight_shape = cache
        N, C, H, W = x.shape
        if dy.shape != won.shape or dy.dtype != x.dtype:
            dy = contiguous(dy, won.shape, x.dtype)
        dy = whole_strides(dy)
        weight, bias = self.weights(weight_shape, x.dtype)
        dweight, dbias = np.empty_like(weight), np.empty(len(weight), x.dtype)
        memory, channels = None, ctypes.c_int.in_dll(kernels, "channels").value
        if self.input_gradient:
            memory = np.empty((N, H, W, channels), x.dtype)
        arrays = (*strided(x), weight, m, won, *strided(dy), dweight, dbias, memory)
        call(kernels.backward, self.threads, N, *arrays)
        grads = {"weight": dweight} | ({} if bias is None else {"bias": dbias})
        if memory is None:
            return None, grads
        return memory[..., :C].transpose(0, 3, 1, 2), grads

    def weights(self, shape, dtype):
        """weight, of the shape that the loops were compiled for, and bias, or None, as the loops take them."""
        weight, bias = map(self.params.get, ("weight", "bias"))
        return contiguous(weight, shape, dtype), None if bias is None else contiguous(bias, shape[:1], dtype)


def kernels_for(conv, x):
    """The loops for this layer (odd kernel, stride 1, no padding) and images like x, or None: not compiled."""
    F, C, KH, KW = conv.params["weight"].shape
    H, W = x.shape[2:]
    if x.dtype.name not in REAL or KH * KW > LARGEST_KERNEL or max(C, 16) * H * W > LARGEST_IMAGE:
        return None
    sizes = {"C": C, "F": F, "H": H, "W": W, "KH": KH, "KW": KW}
    kernels = library(SOURCE, REAL=REAL[x.dtype.name], BAND=band(**sizes, itemsize=x.itemsize), **sizes)
    if kernels is not None:
        kernels.forward.argtypes = [_number, _number, *_strided, *[_array] * 5]
        kernels.backward.argtypes = [_number, _number, *_strided, *[_array] * 3, *_strided, *[_array] * 3]
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
