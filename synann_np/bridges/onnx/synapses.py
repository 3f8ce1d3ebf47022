"""The synapse graph in standard ONNX operators.

    y_i = α_i x_i P_i,    P_i = ∏_j q_ij = ∏_j sign(q_ij) · exp(Σ_j log |q_ij|),    q_ij = 1 − β_ij v_j

This form is exact where it matters. Where q_ij = 0, the sign is 0 and the exponential of −∞ is 0: P_i = 0. Signs count
the negative factors (β v > 1). The sum of logarithms neither over- nor underflows on its way, as a product in float32
would, and is clipped at half the logarithm of the largest float, as in layers.SynapseGraph.

The factors are N n m numbers. Where n m is large, a Scan computes a few units at a time, so that N · LARGEST numbers
are in memory at once.
"""

import math
from typing import Any

import numpy as np

from .graph import Graph

LARGEST = 2**14  # factors of a row of the batch in memory at once: with a batch of 100 they fit a cache
LOG_LARGEST = math.log(np.finfo(np.float32).max) / 2


def add_synapse_graph(graph: Any, name: str, x: str | None, v: str, alpha: np.ndarray, beta: np.ndarray) -> str:
    """Nodes for y (N, n).

    Arguments:
        name: prefix of the nodes and constants; also the name of y.
        x: name of a value (N, n), or None for the constant 1. v: name of a value (N, m).
        alpha (n,), beta (n, m): arrays.

    Returns: name.
    """
    n, m = beta.shape
    units = largest_divisor(n, max(1, LARGEST // m))
    v = graph.add("Unsqueeze", [v, graph.constant("axis_1", [1], "int64")], f"{name}/v")  # (N, 1, m)
    if units == n:
        P = _add_products(graph, name, v, graph.constant(f"{name}.beta", beta), f"{name}/product")
    else:
        P = _scan_products(graph, name, v, beta.reshape(-1, units, m))
    gain = graph.constant(f"{name}.alpha", alpha)
    if x is not None:
        gain = graph.add("Mul", [gain, x], f"{name}/excitation")
    return graph.add("Mul", [gain, P], name)


def largest_divisor(n: int, limit: int) -> int:
    """The largest divisor of n that is at most `limit`."""
    return next(d for d in range(min(n, limit), 0, -1) if n % d == 0)


def _add_products(graph, name, v, beta, output):
    """P (N, units) from v (N, 1, m) and beta (units, m)."""
    last = graph.constant("axis_last", [-1], "int64")
    terms = graph.add("Mul", [v, beta], f"{name}/beta_v")  # (N, units, m)
    q = graph.add("Sub", [graph.constant("one", 1), terms], f"{name}/factors")
    sign = graph.add("ReduceProd", [graph.add("Sign", [q], f"{name}/signs"), last], f"{name}/sign", keepdims=0)
    logarithms = graph.add("Log", [graph.add("Abs", [q], f"{name}/absolute")], f"{name}/logarithms")
    total = graph.add("ReduceSum", [logarithms, last], f"{name}/sum", keepdims=0)
    clipped = graph.add("Min", [total, graph.constant("log_largest", LOG_LARGEST)], f"{name}/clipped")
    size = graph.add("Exp", [clipped], f"{name}/size")
    return graph.add("Mul", [sign, size], output)


def _scan_products(graph, name, v, beta):
    """P (N, n) from v (N, 1, m) and beta (parts, units, m), one part after the other."""
    parts, units, m = beta.shape
    inner = Graph()
    part = f"{name}/beta_part"
    product = _add_products(inner, f"{name}/part", v, part, f"{name}/part_product")
    body = inner.body(f"{name}/units", {part: (units, m)}, {product: ("N", units)})
    graph.adopt(inner)
    stacked = graph.add(
        "Scan", [graph.constant(f"{name}.beta", beta)], f"{name}/products", body=body, num_scan_inputs=1
    )  # (parts, N, units)
    rows_first = graph.add("Transpose", [stacked], f"{name}/rows_first", perm=(1, 0, 2))
    shape = graph.constant(f"{name}.units", [0, parts * units], "int64")
    return graph.add("Reshape", [rows_first, shape], f"{name}/product")
