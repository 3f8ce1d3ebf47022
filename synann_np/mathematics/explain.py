"""What a trained synapse says: every channel's share of a unit's surprisal and of a class's logit, exact and additive.

Units. Since y_i = α_i x_i ∏_j q_ij with q_ij = 1 − β_ij x_j, the surprisal of a unit is a sum,

    −log |y_i| = −log |α_i| − log |x_i| + Σ_j s_ij,        s_ij = −log |q_ij|

α, the unit's own input, and one share of each inhibitory channel, in nats: s > 0 closes the unit, s < 0 (a negative β)
opens it. A free β may make a factor negative, which has no logarithm: then |q| is taken and the sign kept separately. A
factor or an input of 0 has the share ∞.

Classes. Batch-norm and the linear layer after it are linear in y: with μ, σ² the running statistics, w, c weight and
bias of the batch-norm, W, b of the linear layer, and a_ki = W_ki w_i / √(σ²_i + eps),

    logit_k = base_k + Σ_i a_ki (y_i − μ_i),        base_k = b_k + Σ_i W_ki c_i

so a_ki (y_i − μ_i) is the share of unit i, measured from the average image. What inhibition did to it is
a_ki (y_i − α_i x_i), and to divide that among the channels the shares s_ij are let in together, t s_ij with t from 0 to
1 (the path integral of Aumann and Shapley). As y_i(t) = α_i x_i e^(−t S_i), S_i = Σ_j s_ij, channel j gets

    ∫ (∂y_i/∂s_ij) s_ij dt = −s_ij α_i x_i (1 − e^−S_i) / S_i

and Σ_j of it is y_i − α_i x_i. This division is a convention, the sum is not: a product says what its factors do
together, and the path treats all channels alike. Where a factor of the unit is ≤ 0 there is no such path, and the whole
a_ki (y_i − α_i x_i) goes to `unsplit`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backend import Array
from ..layers import BatchNorm1d, Linear, LogSoftmax, Synapse


@dataclass(frozen=True)
class UnitShares:
    """Shares of the surprisals of n units, for N inputs; host arrays, float64.

    Attributes:
        alpha: (n,), −log |α|. own: (N, n), −log |x|. inhibition: (N, n, n), s: row i is what unit i gets.
        factors: (N, n, n), q: its signs are what s cannot tell. y: (N, n), the outputs.
    """

    alpha: np.ndarray
    own: np.ndarray
    inhibition: np.ndarray
    factors: np.ndarray
    y: np.ndarray

    @property
    def total(self) -> Array:
        """(N, n), the sum of all shares, −log |y|."""
        return self.alpha + self.own + self.inhibition.sum(axis=2)


@dataclass(frozen=True)
class ClassShares:
    """Shares of the logits of K classes; host arrays, float64.

    logits = base + excitation.sum(2) + inhibition.sum(2) + unsplit = base + by_unit.sum(2), up to rounding.

    Attributes:
        logits: (N, K), the input of the log-softmax. base: (K,).
        by_unit: (N, K, n), a_ki (y_i − μ_i).
        excitation: (N, K, n), a_ki (α_i x_i − μ_i), by unit i.
        inhibition: (N, K, n), by channel j, through all units. unsplit: (N, K).
        units: UnitShares.
    """

    logits: np.ndarray
    base: np.ndarray
    by_unit: np.ndarray
    excitation: np.ndarray
    inhibition: np.ndarray
    unsplit: np.ndarray
    units: UnitShares


@np.errstate(divide="ignore", under="ignore")  # log 0 = −∞ is meant
def unit_shares(layer: Any, x: Array) -> UnitShares:
    """UnitShares of a Synapse (of any parametrisation) for inputs x (N, n), on its backend."""
    alpha, beta, x = (_host(layer, a) for a in (*layer.coefficients(), x))
    z = beta * x[:, None, :]
    factors = 1 - z
    inhibition = -np.where(z < 1, np.log1p(-np.minimum(z, 1)), np.log(np.abs(factors)))
    y = alpha * x * factors.prod(axis=2)
    return UnitShares(0 - np.log(np.abs(alpha)), 0 - np.log(np.abs(x)), inhibition, factors, y)


@np.errstate(invalid="ignore", over="ignore", under="ignore")
def class_shares(model: Any, x: Array) -> ClassShares:
    """ClassShares of a model whose top is Synapse, BatchNorm1d, Linear and perhaps a LogSoftmax, as SynaNN's.

    Arguments: x: inputs of the model (images normalised), on its backend. The model is used in evaluation mode.

    Raises: ValueError for a model without that top.
    """
    layers = list(model.layers.values())
    place = [i for i, layer in enumerate(layers) if isinstance(layer, Synapse)]
    top = layers[place[0] + 1 : place[0] + 3] if len(place) == 1 else []
    after = layers[place[0] + 3 :] if top else []
    if [type(layer) for layer in top] != [BatchNorm1d, Linear] or [type(layer) for layer in after] not in (
        [],
        [LogSoftmax],
    ):
        raise ValueError(
            "explain: expected a model with one Synapse, after it BatchNorm1d and Linear, and at the end LogSoftmax or "
            f"nothing; got {', '.join(type(layer).__name__ for layer in layers):.200}"
        )
    for layer in layers[: place[0]]:
        x, _ = layer.forward(x)
    synapse, (norm, linear) = layers[place[0]], top
    units = unit_shares(synapse, x)
    excited = _host(synapse, synapse.coefficients()[0]) * _host(synapse, x)  # (N, i), α x
    mean, var = (_host(norm, norm.buffers[name]) for name in ("running_mean", "running_var"))
    W = _host(linear, linear.params["weight"])
    a = W * _host(norm, norm.params["weight"]) / np.sqrt(var + norm.eps)  # (k, i)
    base = W @ _host(norm, norm.params["bias"])
    if "bias" in linear.params:
        base += _host(linear, linear.params["bias"])

    S = units.inhibition.sum(axis=2)
    positive: Any = (units.factors > 0).all(axis=2)  # (N, i)
    slope = np.where(S == 0, 1, -np.expm1(-S) / np.where(S == 0, 1, S))
    pull = np.where(positive, excited * slope, 0)  # −∂y_i/∂s_ij, averaged over the path
    shares = np.where(positive[:, :, None], units.inhibition, 0)
    by_unit = a * (units.y - mean)[:, None, :]
    return ClassShares(
        logits=base + by_unit.sum(axis=2),
        base=base,
        by_unit=by_unit,
        excitation=a * (excited - mean)[:, None, :],
        inhibition=-(a * pull[:, None, :]) @ shares,
        unsplit=np.where(positive, 0, units.y - excited) @ a.T,
        units=units,
    )


def _host(layer, a):
    return layer.backend.to_host(a).astype("float64")
