"""Recurrent layers in standard ONNX operators: RNN, and a Scan for the recurrent synapse."""

from typing import Any

import numpy as np

from .graph import Graph
from .synapses import add_synapse_graph


def rnn(graph: Any, name: str, layer: Any, x: str, size: tuple[int, ...]) -> Any:
    """layers.RNN as the operator RNN, which computes tanh unless told otherwise."""
    W, R, b, c = (layer.backend.to_host(layer.params[key]) for key in PARAMETERS)
    inputs = [
        steps_first(graph, name, x),
        graph.constant(f"{name}.weight_ih_l0", W[None]),
        graph.constant(f"{name}.weight_hh_l0", R[None]),
        graph.constant(f"{name}.bias", np.concatenate([b, c])[None]),
    ]
    if layer.return_sequences:
        outputs = [f"{name}/states", ""]  # (T, 1, N, H)
        graph.add_many("RNN", inputs, outputs, hidden_size=layer.hidden_size)
        states = graph.add("Squeeze", [outputs[0], graph.constant("axis_1", [1], "int64")], f"{name}/one_direction")
        return graph.add("Transpose", [states], name, perm=(1, 0, 2))
    outputs = ["", f"{name}/last"]  # (1, N, H)
    graph.add_many("RNN", inputs, outputs, hidden_size=layer.hidden_size)
    return graph.add("Squeeze", [outputs[1], graph.constant("axis_0", [0], "int64")], name)


PARAMETERS = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")


def synapse_rnn(graph: Any, name: str, layer: Any, x: str, size: tuple[int, ...]) -> Any:
    """layers.SynapseRNN: e of all steps, then a Scan over the steps with the state h (N, H)."""
    H = layer.hidden_size
    host = layer.backend.to_host
    weight, bias = (layer.gain * host(layer.params[key]) for key in ("weight", "bias"))
    factors = [steps_first(graph, name, x), graph.constant(f"{name}.weight", weight.T)]
    driven = graph.add("MatMul", factors, f"{name}/driven")  # (T, N, H)
    u = graph.add("Add", [driven, graph.constant(f"{name}.bias", bias)], f"{name}/u")
    e = graph.add("Sigmoid", [u], f"{name}/excitations")
    alpha, beta = map(host, layer.current_parts()[""].coefficients())
    leak, _ = layer.leaking_rate()
    leak = np.broadcast_to(host(leak) if isinstance(leak, layer.backend.xp.ndarray) else leak, H)

    inner = Graph()
    h, e_t = f"{name}/h", f"{name}/e_t"
    S = add_synapse_graph(inner, f"{name}/synapse", e_t, h, alpha, beta)
    kept = inner.add("Mul", [h, inner.constant(f"{name}.one_minus_leak", 1 - leak)], f"{name}/kept")
    new = inner.add("Mul", [S, inner.constant(f"{name}.leak", leak)], f"{name}/new")
    h_next = inner.add("Add", [kept, new], f"{name}/h_next")
    state = inner.add("Identity", [h_next], f"{name}/h_t")
    shape = ("N", H)
    body = inner.body(f"{name}/step", {h: shape, e_t: shape}, {h_next: shape, state: shape})
    graph.adopt(inner)

    outputs = [f"{name}/last" if layer.return_sequences else name, f"{name}/states"]
    graph.add_many("Scan", [zero_state(graph, name, x, H), e], outputs, body=body, num_scan_inputs=1)
    return graph.add("Transpose", [outputs[1]], name, perm=(1, 0, 2)) if layer.return_sequences else name


def steps_first(graph: Any, name: str, x: str) -> Any:
    """x (N, T, C) as (T, N, C)."""
    return graph.add("Transpose", [x], f"{name}/steps_first", perm=(1, 0, 2))


def zero_state(graph: Any, name: str, x: str, H: int) -> Any:
    """Zeros (N, H), with N the size of the first axis of x."""
    batch = graph.add("Shape", [x], f"{name}/batch", start=0, end=1)
    shape = graph.add("Concat", [batch, graph.constant(f"{name}.units", [H], "int64")], f"{name}/state_shape", axis=0)
    return graph.add("ConstantOfShape", [shape], f"{name}/h_0")
