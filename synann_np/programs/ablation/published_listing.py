"""What the published PyTorch listing computes in the place of its formula. For comparison only: see Synapse."""

from typing import Any

import numpy as np

from ...backend import Array, BackendLike, DTypeLike, Rng, array_module
from ...layers import Layer
from ...layers.initializers import fan_in_uniform


class PublishedListing(Layer):
    """y_ni = x_ni F_i,    F_i = ∏_m ∏_j (1 − β_ij x_mj)

    x, y (N, n); beta (n, n); there is no α. The formula of the paper has j alone; here m runs over all rows of the
    batch, so that F_i is one number a unit and depends on the whole batch, in evaluation too. A batch-norm behind it
    cancels F_i, up to its eps.

    Backward. y_ni depends on every q_mij = 1 − β_ij x_mj through F_i, ∂F_i/∂q_mij = F_i / q_mij. With
    t_i = Σ_n dy_ni y_ni,

        dβ_ij = − t_i Σ_m x_mj / q_mij
        dx_nj = dy_nj F_j − Σ_i t_i β_ij / q_nij

    As published, β_ij x_mj ≥ 1 gives NaN. Memory: arrays of N n² elements.

    Raises: ValueError, TypeError (forward) if x is not (N, n) or not of the weights' dtype.
    """

    mixes_rows = True

    def __init__(
        self, features: int, *, rng: Rng = None, dtype: DTypeLike = "float32", backend: BackendLike = "numpy"
    ) -> None:
        super().__init__(dtype, backend, features=features)
        self.features = features
        beta = fan_in_uniform(rng, (features, features), features)
        self.params = {"beta": self.backend.asarray(beta, self.dtype)}

    @np.errstate(under="ignore")
    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        self.check_input(x, "N", self.features)
        xp = array_module(x)
        z = self.params["beta"] * x[:, None, :]  # (m, i, j)
        F = xp.exp(xp.log1p(-z).sum(axis=(0, 2)))
        y = x * F
        return y, (x, z, F, y)

    @np.errstate(under="ignore")
    def backward(self, dy: Array, cache: Any) -> tuple[Any, dict[str, Array]]:
        x, z, F, y = cache
        t = (dy * y).sum(axis=0)
        t_over_q = t[:, None] / (1 - z)
        grads = {"beta": -(t_over_q * x[:, None, :]).sum(axis=0)}
        return dy * F - (t_over_q * self.params["beta"]).sum(axis=1), grads
