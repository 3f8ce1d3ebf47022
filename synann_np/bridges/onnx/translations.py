"""Which layer becomes which standard ONNX operators."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import layers
from ...sequential import Sequential
from .activations import elu, gelu, hardtanh, leaky_relu, silu, softplus
from .normalization import group_norm, layer_norm
from .pooling import adaptive_pool, average_pool, max_pool
from .recurrent import rnn, synapse_rnn
from .synapses import add_synapse_graph


def translate(graph: Any, name: str, layer: Any, x: str, size: tuple[int, ...]) -> Any:
    """Add the nodes of a layer.

    Arguments: x: name of the value that it reads. size: shape of this value, the batch first, as an example.

    Returns: name of the value that it computes, `x` where a layer does nothing in evaluation.

    Raises: TypeError for a layer without a translation.
    """
    if type(layer) not in TRANSLATIONS:
        raise TypeError(
            f"cannot export {name}: {layer!r:.80} has no translation to ONNX. Export the model itself, not a compiled "
            f"one; for a layer of your own call register_translation({type(layer).__name__}, function)"
        )
    return TRANSLATIONS[type(layer)](graph, name, layer, x, size)


def register_translation(kind: type, function: Callable) -> None:
    """Teach `export` a class of layers.

    Arguments:
        kind: the class; its subclasses are not included.
        function: function(graph, name, layer, x, size) -> name of the value that the layer computes. It calls
            graph.constant(f"{name}.weight", array) and graph.add("MatMul", [x, ...], name); x is the name of the
            layer's input and size its shape with an example of a batch, (2, 784).

    Raises: TypeError if kind is not a class or function cannot be called.
    """
    if not isinstance(kind, type) or not callable(function):
        raise TypeError(f"register_translation: expected a class and a function, got {kind!r:.80} and {function!r:.80}")
    TRANSLATIONS[kind] = function


def _host(layer, key):
    arrays = layer.params | layer.buffers
    return layer.backend.to_host(arrays[key])


def _constants(graph, name, layer, *keys):
    return [graph.constant(f"{name}.{key}", _host(layer, key)) for key in keys if key in layer.params | layer.buffers]


def _linear(graph, name, layer, x, size):
    if len(size) == 2:
        return graph.add("Gemm", [x, *_constants(graph, name, layer, "weight", "bias")], name, transB=1)
    weight = graph.constant(f"{name}.weight", _host(layer, "weight").T)
    bias = _constants(graph, name, layer, "bias")
    y = graph.add("MatMul", [x, weight], f"{name}/product" if bias else name)
    return graph.add("Add", [y, *bias], name) if bias else y


def _conv2d(graph, name, layer, x, size):
    return graph.add(
        "Conv", [x, *_constants(graph, name, layer, "weight", "bias")], name,
        strides=layer.stride, pads=_pads(layer.border), dilations=layer.dilation, group=layer.groups,
    )  # fmt: skip


def _pads(border):
    """((above, below), (left, right)) in the order of ONNX: all that come before, then all after."""
    (above, below), (left, right) = border
    return [above, left, below, right]


def _along_axis(operator):
    return lambda graph, name, layer, x, size: graph.add(operator, [x], name, axis=layer.axis)


def _batchnorm(graph, name, layer, x, size):
    arrays = _constants(graph, name, layer, "weight", "bias", "running_mean", "running_var")
    return graph.add("BatchNormalization", [x, *arrays], name, epsilon=layer.eps)


def _normalize(graph, name, layer, x, size):
    shape = (-1, *[1] * (len(size) - 2))
    mean, std = (graph.constant(f"{name}.{key}", _host(layer, key).reshape(shape)) for key in ("mean", "std"))
    return graph.add("Div", [graph.add("Sub", [x, mean], f"{name}/centred"), std], name)


def _synapse(graph, name, layer, x, size):
    return add_synapse_graph(graph, name, x, x, *map(layer.backend.to_host, layer.coefficients()))


def _synapse_tensor(graph, name, layer, x, size):
    *hidden, (last, output) = layer.current_parts().items()
    v = x
    for prefix, part in hidden:
        part_name = f"{name}/{prefix.removesuffix('.')}"
        h = add_synapse_graph(graph, part_name, None, v, *map(part.backend.to_host, part.coefficients()))
        v = graph.add("Concat", [v, h], f"{part_name}/joined", axis=1)
    coefficients = map(output.backend.to_host, output.coefficients())
    y = add_synapse_graph(graph, f"{name}/{last.removesuffix('.')}", x, v, *coefficients)
    return graph.add("Identity", [y], name)


def _flatten(graph, name, layer, x, size):
    return graph.add("Flatten", [x], name, axis=1)


def _rows(graph, name, layer, x, size):
    return graph.add("Squeeze", [x, graph.constant("axis_1", [1], "int64")], name)


def _operator(operator, **attributes):
    """The translation of a layer without weights into one node."""
    return lambda graph, name, layer, x, size: graph.add(operator, [x], name, **attributes)


def _nothing(graph, name, layer, x, size):
    return x


def _residual(graph, name, layer, x, size):
    f = translate(graph, f"{name}/body", layer.body, x, size)
    return graph.add("Add", [x, f], name)


def _sequential(graph, name, model, x, size):
    return add_layers(graph, model, x, size, f"{name}.")[0]


TRANSLATIONS = {
    Sequential: _sequential,
    layers.AdaptiveAvgPool2d: adaptive_pool("AveragePool"),
    layers.AdaptiveMaxPool2d: adaptive_pool("MaxPool"),
    layers.AvgPool2d: average_pool,
    layers.ELU: elu,
    layers.GELU: gelu,
    layers.GroupNorm: group_norm,
    layers.Hardtanh: hardtanh,
    layers.LayerNorm: layer_norm,
    layers.LeakyReLU: leaky_relu,
    layers.Residual: _residual,
    layers.SELU: _operator("Selu"),
    layers.SiLU: silu,
    layers.Softplus: softplus,
    layers.Tanh: _operator("Tanh"),
    layers.BatchNorm1d: _batchnorm,
    layers.BatchNorm2d: _batchnorm,
    layers.Conv2d: _conv2d,
    layers.Dropout: _nothing,
    layers.Dropout2d: _nothing,
    layers.Flatten: _flatten,
    layers.Linear: _linear,
    layers.LogSoftmax: _along_axis("LogSoftmax"),
    layers.MaxPool2d: max_pool,
    layers.Normalize: _normalize,
    layers.ReLU: _operator("Relu"),
    layers.RNN: rnn,
    layers.Rows: _rows,
    layers.Sigmoid: _operator("Sigmoid"),
    layers.Softmax: _along_axis("Softmax"),
    layers.Synapse: _synapse,
    layers.SynapseRNN: synapse_rnn,
    layers.SynapseTensor: _synapse_tensor,
}


def add_layers(graph: Any, model: Any, x: str, size: tuple[int, ...], prefix: str = "") -> tuple[str, tuple[int, ...]]:
    """All layers of a Sequential.

    Returns: name of the value of the last layer, and its shape for an input of shape `size`.
    """
    example = model.backend.asarray(np.zeros(size), model.dtype)
    for name, layer in model.layers.items():
        x = translate(graph, prefix + name, layer, x, example.shape)
        example, _ = layer.forward(example)
    return x, example.shape
