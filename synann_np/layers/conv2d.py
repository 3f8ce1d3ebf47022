"""Two-dimensional convolution (cross-correlation, as in every framework)."""

import math
from typing import Any

from ..backend import Array, BackendLike, DTypeLike, Rng, array_module
from ..product import product
from .base import IntPair, Layer
from .initializers import fan_in_uniform


class Conv2d(Layer):
    """y_nfhw = Σ_cij weight_fcij x̃_n,c,Sh+Di,Sw+Dj + bias_f,    x̃ = x with a border of `padding` zeros

    x (N, C, H, W), y (N, F, H', W') with H' = ⌊(H + 2 padding − D (K − 1) − 1) / S⌋ + 1 and W' alike; weight
    (F, C, K, K), bias (F,); C = in_channels, F = out_channels, K = kernel_size, S = stride, D = dilation. K, S, D and
    padding may be pairs. padding="same" with S = 1 gives H' = H and W' = W; of an odd number of zeros, one more
    is after.

    With the patches laid out as columns, cols_cij,hwn = x̃_n,c,Sh+Di,Sw+Dj, the sum is one matrix product:

        y = weight cols + bias

    With G = groups, filters and channels are cut into G equal parts, and each part of the filters sees its part of the
    channels only: weight (F, C/G, K, K), and all products are G products of the parts.

    Backward, from dy_nfhw = ∂L/∂y_nfhw:

        dweight_fcij = Σ_hwn dy_f,hwn cols_cij,hwn
        dbias_f      = Σ_hwn dy_f,hwn
        dcols        = weightᵀ dy
        dx̃_n,c,Sh+Di,Sw+Dj += dcols_cij,hwn      each pixel collects from all patches that it was copied to

    The columns keep the batch as the innermost axis in memory: long contiguous runs are what copying is fast at. The
    output is seen as (N, F, H', W') and keeps that memory order.

    Raises: ValueError, TypeError if a size is no integer >= 1 (padding: >= 0), C or F no multiple of G; if x is not
    (N, C, H, W) with H, W large enough for one patch, dy not like y, or one of them not of the weights' dtype.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: IntPair, stride: IntPair = 1,
        padding: IntPair | str = 0, bias: bool = True, dilation: IntPair = 1, groups: int = 1,
        *, rng: Rng = None, dtype: DTypeLike = "float32", backend: BackendLike = "numpy",
    ) -> None:  # fmt: skip
        super().__init__(
            dtype, backend, in_channels=in_channels, out_channels=out_channels, kernel_size=kernel_size,
            stride=stride, padding=padding, bias=bias, dilation=dilation, groups=groups,
        )  # fmt: skip
        self.kernel_size, self.stride = self.pair("kernel_size"), self.pair("stride")
        self.dilation, self.groups = self.pair("dilation"), self.integer("groups")
        self.border = self.sides()  # zeros (above, below), (left, right)
        self.padding = tuple(before for before, _ in self.border)
        C, F = self.integer("in_channels"), self.integer("out_channels")
        if C % self.groups or F % self.groups:
            raise ValueError(f"{self}: expected in_channels and out_channels to be multiples of groups")
        self.in_channels, weight_shape = C, (F, C // self.groups, *self.kernel_size)
        shapes = {"weight": weight_shape} | ({"bias": (F,)} if self.flag("bias") else {})
        self.params = {
            name: self.backend.asarray(fan_in_uniform(rng, shape, math.prod(weight_shape[1:])), self.dtype)
            for name, shape in shapes.items()
        }

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        weight = self.params["weight"]
        (F, part, KH, KW), (SH, SW), (DH, DW), G = weight.shape, self.stride, self.dilation, self.groups
        self.check_input(x, "N", self.in_channels, "H", "W")
        xp = array_module(x)
        if any(map(any, self.border)):
            x = xp.pad(x, ((0, 0), (0, 0), *self.border))
        EH, EW = DH * (KH - 1) + 1, DW * (KW - 1) + 1  # what a patch reaches over
        if x.shape[2] < EH or x.shape[3] < EW:
            raise ValueError(f"{self}: expected at least {EH} by {EW} pixels with padding, got {tuple(x.shape[2:])}")
        patches = xp.lib.stride_tricks.sliding_window_view(x, (EH, EW), axis=(2, 3))[:, :, ::SH, ::SW, ::DH, ::DW]
        N, _, H, W = patches.shape[:4]  # H', W' of the docstring
        # patches (N, C, H', W', KH, KW): what is summed, C KH KW, comes first, what is not, H' W' N, last.
        cols = patches.transpose(1, 4, 5, 2, 3, 0).reshape(G, part * KH * KW, H * W * N)
        y = product(weight.reshape(G, F // G, -1), cols).reshape(F, -1)  # (F, H'W'N)
        if "bias" in self.params:
            y = y + self.params["bias"][:, None]
        return y.reshape(F, H, W, N).transpose(3, 0, 1, 2), (cols, x.shape, (N, F, H, W))

    def backward(self, dy: Array, cache: Any) -> tuple[Any, dict[str, Array]]:
        cols, (N, C, H, W), y_shape = cache  # H, W with padding
        self.check_gradient(dy, y_shape)
        weight = self.params["weight"]
        (F, _, KH, KW), (SH, SW), (DH, DW), G = weight.shape, self.stride, self.dilation, self.groups
        dy_h, dy_w = y_shape[2:]
        dy = dy.transpose(1, 2, 3, 0).reshape(G, F // G, -1)  # (F, H'W'N), in groups
        grads = {"weight": product(dy, cols.swapaxes(1, 2)).reshape(weight.shape)}
        if "bias" in self.params:
            grads["bias"] = dy.sum(axis=2).reshape(F)
        dcols = product(weight.reshape(G, F // G, -1).swapaxes(1, 2), dy)
        dcols = dcols.reshape(C, KH, KW, dy_h, dy_w, N)
        dx = array_module(dy).zeros((C, H, W, N), dy.dtype)
        for i in range(KH):
            for j in range(KW):
                rows, columns = slice(DH * i, DH * i + SH * dy_h, SH), slice(DW * j, DW * j + SW * dy_w, SW)
                dx[:, rows, columns] += dcols[:, i, j]
        (above, below), (left, right) = self.border
        return dx[:, above : H - below, left : W - right].transpose(3, 0, 1, 2), grads

    def sides(self) -> tuple[tuple[int, int], ...]:
        """The zeros around an image: (above, below), (left, right)."""
        if self.config["padding"] != "same":
            return tuple((P, P) for P in self.pair("padding", least=0))
        if self.stride != (1, 1):
            raise ValueError(f"{self}: expected stride 1 with padding='same', whose output is as large as the input")
        reach = (D * (K - 1) for D, K in zip(self.dilation, self.kernel_size, strict=True))
        return tuple((r // 2, r - r // 2) for r in reach)
