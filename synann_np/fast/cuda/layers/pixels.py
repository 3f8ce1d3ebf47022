"""Convolution and pooling whose way back is one kernel."""

from ....layers import Conv2d, MaxPool2d
from ....product import product
from .launches import arrays_of, batch_innermost


class CudaConv2d(Conv2d):
    """layers.Conv2d, the same parameters: every pixel collects its gradient in one kernel, not patch by patch.

    Arguments: layer: Conv2d. launcher: Launcher of its dtype. wants_dx: False: backward returns None for dx.
    """

    def __init__(self, layer, launcher, wants_dx=True):
        self.__dict__ |= layer.__dict__
        self.launcher, self.wants_dx = launcher, wants_dx

    def backward(self, dy, cache):
        cols, (N, C, H, W), y_shape = cache  # H, W with padding
        if N == 0:
            return super().backward(dy, cache)
        self.check_gradient(dy, y_shape)
        weight, G = self.params["weight"], self.groups
        (F, _, KH, KW), (SH, SW), (DH, DW) = weight.shape, self.stride, self.dilation
        dy = dy.transpose(1, 2, 3, 0).reshape(G, F // G, -1)  # (F, H'W'N), in groups
        grads = {"weight": product(dy, cols.swapaxes(1, 2)).reshape(weight.shape)}
        if "bias" in self.params:
            grads["bias"] = dy.sum(axis=2).reshape(F)
        if not self.wants_dx:
            return None, grads
        dcols = product(weight.reshape(G, F // G, -1).swapaxes(1, 2), dy)
        (above, below), (left, right) = self.border
        sizes = {
            "C": C, "H": H - above - below, "W": W - left - right, "N": N, "OH": y_shape[2], "OW": y_shape[3],
            "KH": KH, "KW": KW, "SH": SH, "SW": SW, "DH": DH, "DW": DW, "top": above, "left": left,
        }  # fmt: skip
        given = {"dcols": dcols.reshape(C, KH, KW, *y_shape[2:], N)}
        arrays = arrays_of(self, "pixels", ["columns_to_pixels"], sizes, given)
        return arrays["dx"].transpose(3, 0, 1, 2), grads


class CudaMaxPool2d(MaxPool2d):
    """layers.MaxPool2d of windows side by side, forward and backward one kernel each.

    Arguments: layer: MaxPool2d that `fits`. launcher: Launcher. backend: of the arrays.
    """

    def __init__(self, layer, launcher, backend):
        self.__dict__ |= layer.__dict__
        self.launcher, self.backend = launcher, backend

    @staticmethod
    def fits(layer):
        """Whether the windows of a MaxPool2d lie side by side, with a number that fits a byte."""
        plain = layer.stride == layer.kernel_size and layer.padding == (0, 0) and not layer.ceil_mode
        return plain and layer.dilation == (1, 1) and layer.kernel_size[0] * layer.kernel_size[1] <= 256

    def forward(self, x, train=False):
        self.check_input(x, "N", "C", "H", "W")
        counts = self.window_counts(x.shape[2:])
        if x.dtype != self.launcher.dtype or min(counts) < 1 or not x.size:
            return super().forward(x, train)
        (N, C, H, W), (KH, KW) = x.shape, self.kernel_size
        sizes = {"C": C, "H": H, "W": W, "N": N, "OH": counts[0], "OW": counts[1], "KH": KH, "KW": KW}
        arrays = arrays_of(self, "pixels", ["pool_forward"], sizes, {"x": batch_innermost(x)})
        return arrays["y"].transpose(3, 0, 1, 2), (arrays["winner"], sizes)

    def backward(self, dy, cache):
        if len(cache) > 2:
            return super().backward(dy, cache)
        winner, sizes = cache
        self.check_gradient(dy, tuple(sizes[name] for name in ("N", "C", "OH", "OW")), self.launcher.dtype)
        given = {"winner": winner, "dy": batch_innermost(dy)}
        return arrays_of(self, "pixels", ["pool_backward"], sizes, given)["dx"].transpose(3, 0, 1, 2), {}
