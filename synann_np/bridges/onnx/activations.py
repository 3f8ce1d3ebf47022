"""Activations in standard ONNX operators of opset 18."""

import math
from typing import Any


def gelu(graph: Any, name: str, layer: Any, x: str, size: tuple[int, ...]) -> Any:
    """x Φ(x), by Erf or by its approximation with Tanh."""
    half, one = graph.constant("half", 0.5), graph.constant("one", 1)
    if layer.approximate == "tanh":
        cube = graph.add("Mul", [x, graph.add("Mul", [x, x], f"{name}/square")], f"{name}/cube")
        bent = graph.add("Mul", [cube, graph.constant(f"{name}.cubic", 0.044715)], f"{name}/bent")
        u = graph.add("Add", [x, bent], f"{name}/sum")
        u = graph.add("Mul", [u, graph.constant(f"{name}.scale", math.sqrt(2 / math.pi))], f"{name}/u")
        inner = graph.add("Tanh", [u], f"{name}/tanh")
    else:
        z = graph.add("Mul", [x, graph.constant(f"{name}.scale", math.sqrt(1 / 2))], f"{name}/z")
        inner = graph.add("Erf", [z], f"{name}/erf")
    cdf = graph.add("Mul", [graph.add("Add", [inner, one], f"{name}/twice"), half], f"{name}/cdf")
    return graph.add("Mul", [x, cdf], name)


def silu(graph: Any, name: str, layer: Any, x: str, size: tuple[int, ...]) -> Any:
    """x σ(x)"""
    return graph.add("Mul", [x, graph.add("Sigmoid", [x], f"{name}/sigmoid")], name)


def softplus(graph: Any, name: str, layer: Any, x: str, size: tuple[int, ...]) -> Any:
    """log(1 + e^(βx)) / β"""
    beta = graph.constant(f"{name}.beta", layer.beta)
    return graph.add(
        "Div", [graph.add("Softplus", [graph.add("Mul", [x, beta], f"{name}/scaled")], f"{name}/y"), beta], name
    )


def hardtanh(graph: Any, name: str, layer: Any, x: str, size: tuple[int, ...]) -> Any:
    """x between min_val and max_val"""
    limits = [graph.constant(f"{name}.{key}", getattr(layer, key)) for key in ("min_val", "max_val")]
    return graph.add("Clip", [x, *limits], name)


def leaky_relu(graph: Any, name: str, layer: Any, x: str, size: tuple[int, ...]) -> Any:
    """x, or negative_slope x"""
    return graph.add("LeakyRelu", [x], name, alpha=layer.negative_slope)


def elu(graph: Any, name: str, layer: Any, x: str, size: tuple[int, ...]) -> Any:
    """x, or α (e^x − 1)"""
    return graph.add("Elu", [x], name, alpha=layer.alpha)
