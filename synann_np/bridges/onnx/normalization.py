"""Layer-norm and group-norm in standard ONNX operators."""

from typing import Any

import numpy as np


def layer_norm(graph: Any, name: str, layer: Any, x: str, size: tuple[int, ...]) -> Any:
    """LayerNormalization, with ones for the weight that is left out."""
    arrays = {key: layer.backend.to_host(p) for key, p in layer.params.items()}
    weight = graph.constant(f"{name}.weight", arrays.get("weight", np.ones(layer.normalized_shape)))
    bias = [graph.constant(f"{name}.bias", arrays["bias"])] if "bias" in arrays else []
    return graph.add(
        "LayerNormalization", [x, weight, *bias], name, axis=-len(layer.normalized_shape), epsilon=layer.eps
    )


def group_norm(graph: Any, name: str, layer: Any, x: str, size: tuple[int, ...]) -> Any:
    """InstanceNormalization of the groups, seen as channels; weight and bias after it."""
    G = layer.num_groups
    groups = graph.constant(f"{name}.groups", [0, G, -1], "int64")
    ones, zeros = graph.constant(f"{name}.ones", np.ones(G)), graph.constant(f"{name}.zeros", np.zeros(G))
    grouped = graph.add("Reshape", [x, groups], f"{name}/grouped")
    x_hat = graph.add("InstanceNormalization", [grouped, ones, zeros], f"{name}/x_hat", epsilon=layer.eps)
    channels = graph.constant(f"{name}.channels", [0, *size[1:]], "int64")
    if not layer.params:
        return graph.add("Reshape", [x_hat, channels], name)
    y = graph.add("Reshape", [x_hat, channels], f"{name}/channels")
    column = (-1, *[1] * (len(size) - 2))
    weight, bias = (
        graph.constant(f"{name}.{key}", layer.backend.to_host(layer.params[key]).reshape(column))
        for key in ("weight", "bias")
    )
    return graph.add("Add", [graph.add("Mul", [y, weight], f"{name}/scaled"), bias], name)
