"""Synapse graphs stacked: a synapse tensor with hidden layers."""

from typing import Any

from ..arguments import integer
from ..backend import Array, BackendLike, DTypeLike, Rng, array_module
from .composed import Composed
from .synapse import SynapseGraph


class SynapseTensor(Composed):
    """h_k = G_k(1, [x, h_1, ..., h_k−1]) for k = 1..K,    y = G(x, [x, h_1, ..., h_K])

    with G(x, v) the synapse graph y_i = α_i x_i ∏_j (1 − β_ij v_j); x, y (N, n) with n = features, h_k (N, m_k) with
    m_k = hidden[k − 1].

    A synapse graph has as many outputs as excitatory inputs, so a hidden layer of any other size is excited by the
    constant 1: its units are open unless what comes before closes them, and since they inhibit in turn, an input can
    lift an inhibition. Without hidden layers it is the Synapse, y = G(x, x). At inputs 0 and 1, α = 1 and β of 0 and 1
    a hidden unit is the NOR of any inputs and hidden units before it, and y_i = x_i AND NOR(...): one hidden layer for
    the NOTs and one for the clauses give every Boolean function of the inputs, if one input is the constant 1. A
    Synapse alone gives x_i AND NOR only.

    Backward. G_k is the only source of h_k, and everything after it reads h_k, so with g the gradient of the joined
    [x, h_1, ..., h_K], from the last to the first:

        (dx, g) from G;    then for k = K..1, with dh_k = the columns of g that belong to h_k,
        (d1, dv) from G_k,    g[columns before h_k] += dv                            (d1 of the constant is dropped)

    and the gradient of the input is dx + g[first n columns]: its path as excitation and all its paths as inhibition.

    params: "hidden1.beta", ..., "output.beta", as SynapseGraph has them.

    Raises: ValueError, TypeError (forward) if x is not (N, n) or not of the weights' dtype.
    """

    def __init__(
        self, features: int, hidden: Any=(), parametrisation: str="free", train_alpha: bool=True,
        *, rng: Rng=None, dtype: DTypeLike="float32", backend: BackendLike="numpy",
    ) -> None:  # fmt: skip
        hidden = tuple(integer("SynapseTensor", "hidden", units) for units in hidden)
        config = {"features": features, "hidden": hidden}
        super().__init__(dtype, backend, **config, parametrisation=parametrisation, train_alpha=train_alpha)
        width = self.features = self.integer("features")
        graphs = {}
        for name, units in [*((f"hidden{k}", m) for k, m in enumerate(hidden, start=1)), ("output", self.features)]:
            graphs[f"{name}."] = SynapseGraph(
                units, width, parametrisation, train_alpha, rng=rng, dtype=dtype, backend=backend
            )
            width += units
        self.add_parts(graphs)

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        self.check_input(x, "N", self.features)
        xp = array_module(x)
        *hidden, output = self.current_parts().values()
        v, caches = x, []
        for graph in hidden:
            h, cache = graph.forward(xp.ones((len(x), graph.features), x.dtype), v)
            v = xp.concatenate([v, h], axis=1)
            caches.append(cache)
        y, cache = output.forward(x, v)
        return y, [*caches, cache]

    def backward(self, dy: Array, cache: Any) -> tuple[Any, dict[str, Array]]:
        *hidden, (output_name, output) = self.current_parts().items()
        (dx, g), found = output.backward(dy, cache[-1])
        grads = {output_name: found}
        for (name, graph), graph_cache in zip(reversed(hidden), reversed(cache[:-1]), strict=True):
            before = graph.inhibitors
            (_, dv), grads[name] = graph.backward(g[:, before:], graph_cache)
            g = g[:, :before] + dv
        grads = {name + key: grads[name][key] for name, graph in self.parts.items() for key in graph.params}
        return dx + g, grads
