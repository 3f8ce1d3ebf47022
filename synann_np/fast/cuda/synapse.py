"""The synapse layer of any size by kernels that never hold its N n² factors."""

from .arrays import shape_of
from .kernels import SYNAPSE


class CudaSynapse:
    """y_ni = α_i x_ni ∏_j (1 − β_ij x_nj), as layers.Synapse, whose parameters (and parametrisation) it shares.

    The factors are computed where they are multiplied, forward and again backward, so memory is that of x, β and their
    gradients. A factor of 0 is kept apart, as in the plain layer.

    Arguments: layer: Synapse. launcher: Launcher of its dtype.
    """

    draws_masks = False
    mixes_rows = False

    def __init__(self, layer, launcher):
        self.layer, self.launcher = layer, launcher
        self.params, self.buffers = layer.params, layer.buffers

    def __repr__(self):
        return f"CUDA {self.layer!r}"

    def forward(self, x, train=False):
        self.layer.check_input(x, "N", self.layer.features)
        if len(x) == 0:
            return x.copy(), None
        alpha, beta = (contiguous(a) for a in self.layer.coefficients())
        x = contiguous(x)
        arrays = self.launch(SYNAPSE[:1], {"x": x, "v": x, "alpha": alpha, "beta": beta})
        return arrays["synapse.y"], arrays

    def backward(self, dy, cache):
        if cache is None:
            return self.layer.backward(dy, self.layer.forward(dy)[1])
        arrays = self.launch(SYNAPSE[1:], {"dy": contiguous(dy)}, cache)
        dx = arrays["synapse.dx"]
        dx += arrays["synapse.dv"]  # x came in on both ways
        return dx, self.layer.gradients(arrays["synapse.dalpha"], arrays["synapse.dbeta"])

    def launch(self, kernels, given, before=None):
        """Run kernels over the given arrays and those of kernels before, and new ones -> dict of all."""
        arrays = (before or {}) | {f"synapse.{name}": a for name, a in given.items()}
        N, n = arrays["synapse.x"].shape
        sizes, xp = {"N": N, "I": n, "J": n}, self.layer.backend.xp
        for name in self.launcher.array_names(kernels):
            if name not in arrays:
                arrays[name] = xp.empty(shape_of(name, sizes), self.launcher.numpy_dtype(name))
        for kernel in kernels:
            self.launcher.launch(kernel, sizes, arrays)
        return arrays


def contiguous(a):
    """a, or a row-major copy: kernels know no strides."""
    return a if a.flags.c_contiguous else a.copy()
