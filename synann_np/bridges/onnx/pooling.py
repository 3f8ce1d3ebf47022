"""Pooling in standard ONNX operators."""

from collections.abc import Callable
from typing import Any


def max_pool(graph: Any, name: str, layer: Any, x: str, size: tuple[int, ...]) -> Any:
    """MaxPool."""
    refuse_ceil_mode(name, layer)
    return graph.add(
        "MaxPool", [x], name, kernel_shape=layer.kernel_size, strides=layer.stride, dilations=layer.dilation,
        pads=[*layer.padding, *layer.padding],
    )  # fmt: skip


def average_pool(graph: Any, name: str, layer: Any, x: str, size: tuple[int, ...]) -> Any:
    """AveragePool."""
    refuse_ceil_mode(name, layer)
    return graph.add(
        "AveragePool", [x], name, kernel_shape=layer.kernel_size, strides=layer.stride,
        pads=[*layer.padding, *layer.padding], count_include_pad=int(layer.count_include_pad),
    )  # fmt: skip


def adaptive_pool(kind: str) -> Callable:
    """Global pooling, or windows of one size where the output divides the image."""

    def translate(graph, name, layer, x, size):
        window = [n // k for n, k in zip(size[2:], layer.output_size, strict=True)]
        if any(n % k for n, k in zip(size[2:], layer.output_size, strict=True)):
            raise ValueError(f"{name}: {layer!r} cannot be exported: its windows on {size[2:]} pixels differ in size")
        return graph.add(kind, [x], name, kernel_shape=window, strides=window)

    return translate


def refuse_ceil_mode(name: str, layer: Any) -> Any:
    """Raises: ValueError."""
    if layer.ceil_mode:
        raise ValueError(f"{name}: {layer!r} cannot be exported: versions of ONNX disagree on ceil_mode")
