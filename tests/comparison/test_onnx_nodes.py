"""ONNX's own node tests, as far as our layers and losses express them: its inputs, its outputs."""

import warnings
from unittest import mock

import numpy as np
import pytest

from comparison.tally import RefusedByDesign, Tally, assert_close
from synann_np import layers
from synann_np.losses import cross_entropy, nll_loss

onnx = pytest.importorskip("onnx", reason="onnx is not installed: its node tests cannot be compared")


def refuse(reason):
    raise RefusedByDesign(reason)


def along(kind):
    return lambda a, x, *_: kind(a.get("axis", -1) % x.ndim)


def padding(a):
    """Symmetric padding as a pair."""
    pads = a.get("pads", [0, 0, 0, 0])
    if a.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        refuse("auto_pad: padding that depends on the size of the image")
    if pads[:2] != pads[2:]:
        refuse("padding that differs before and after")
    if any(2 * p > k for p, k in zip(pads, a.get("kernel_shape", []), strict=False)):
        refuse("padding of more than half a window")
    return tuple(pads[:2])


def two_axes(a, x):
    if x.ndim != 4:
        refuse("not an image of two axes")


def conv(a, x, weight, bias=None):
    two_axes(a, x)
    if a.get("auto_pad") == "SAME_UPPER" and a.get("strides", [1, 1]) == [1, 1]:
        pad = "same"
    else:
        pad = padding({k: v for k, v in a.items() if k != "kernel_shape"})
    stride, dilation, G = tuple(a.get("strides", [1, 1])), tuple(a.get("dilations", [1, 1])), a.get("group", 1)
    shape = weight.shape
    layer = layers.Conv2d(x.shape[1], shape[0], shape[2:], stride, pad, bias is not None, dilation, G)
    return with_arrays(layer, weight=weight, bias=bias)


def max_pool(a, x):
    two_axes(a, x)
    sizes = tuple(a["kernel_shape"]), tuple(a.get("strides", [1, 1])), padding(a), tuple(a.get("dilations", [1, 1]))
    return layers.MaxPool2d(*sizes, bool(a.get("ceil_mode", 0)))


def average_pool(a, x):
    two_axes(a, x)
    if a.get("dilations", [1, 1]) != [1, 1]:
        refuse("average pooling with gaps")
    sizes = tuple(a["kernel_shape"]), tuple(a.get("strides", [1, 1])), padding(a)
    return layers.AvgPool2d(*sizes, bool(a.get("ceil_mode", 0)), bool(a.get("count_include_pad", 0)))


def global_pool(kind):
    def make(a, x):
        two_axes(a, x)
        return kind(1)

    return make


def batch_norm(a, x, weight, bias, mean, var):
    kind = layers.BatchNorm2d if x.ndim == 4 else layers.BatchNorm1d
    if a.get("training_mode", 0):
        refuse("ONNX's running variance is the biased estimate")
    layer = kind(x.shape[1], a.get("epsilon", 1e-5))
    return with_arrays(layer, weight=weight, bias=bias, running_mean=mean, running_var=var)


def layer_norm(a, x, weight, bias=None):
    axis = a.get("axis", -1) % x.ndim
    layer = layers.LayerNorm(x.shape[axis:], a.get("epsilon", 1e-5), True, bias is not None)
    return with_arrays(layer, weight=weight, bias=bias)


def instance_norm(a, x, weight, bias):
    layer = layers.GroupNorm(x.shape[1], x.shape[1], a.get("epsilon", 1e-5))
    return with_arrays(layer, weight=weight, bias=bias)


def group_norm(a, x, weight, bias):
    layer = layers.GroupNorm(a["num_groups"], x.shape[1], a.get("epsilon", 1e-5))
    return with_arrays(layer, weight=weight, bias=bias)


def gemm(a, x, weight, bias=None):
    if a.get("alpha", 1.0) != 1 or a.get("beta", 1.0) != 1 or a.get("transA", 0):
        refuse("a scaled or transposed product")
    weight = weight if a.get("transB", 0) else weight.T
    if bias is not None and bias.size != len(weight):
        refuse("a bias that is not a vector of the outputs")
    layer = layers.Linear(weight.shape[1], len(weight), bias is not None)
    return with_arrays(layer, weight=weight, bias=None if bias is None else bias.ravel())


def flatten(a, x):
    if a.get("axis", 1) % x.ndim != 1:
        refuse("another axis than the batch stays")
    return layers.Flatten()


def dropout(a, x, ratio=None, training=None):
    if training is not None and bool(training) and (ratio is None or ratio > 0):
        refuse("random masks of another generator")
    return layers.Dropout(0.5)


def hardtanh(a, x, low=None, high=None):
    if low is None or high is None or low > high:
        refuse("one limit only, or limits in the wrong order")
    return layers.Hardtanh(float(low), float(high))


def with_arrays(layer, **arrays):
    for name, value in arrays.items():
        if value is not None:
            (layer.params if name in layer.params else layer.buffers)[name][...] = value
    return layer


LAYERS = {
    "AveragePool": average_pool,
    "BatchNormalization": batch_norm,
    "Clip": hardtanh,
    "Conv": conv,
    "Dropout": dropout,
    "Elu": lambda a, x: layers.ELU(a.get("alpha", 1.0)),
    "Flatten": flatten,
    "Gelu": lambda a, x: layers.GELU(a.get("approximate", "none")),
    "Gemm": gemm,
    "GlobalAveragePool": global_pool(layers.AdaptiveAvgPool2d),
    "GlobalMaxPool": global_pool(layers.AdaptiveMaxPool2d),
    "GroupNormalization": group_norm,
    "InstanceNormalization": instance_norm,
    "LayerNormalization": layer_norm,
    "LeakyRelu": lambda a, x: layers.LeakyReLU(a.get("alpha", 0.01)),
    "LogSoftmax": along(layers.LogSoftmax),
    "MaxPool": max_pool,
    "Relu": lambda a, x: layers.ReLU(),
    "Sigmoid": lambda a, x: layers.Sigmoid(),
    "Softmax": along(layers.Softmax),
    "Softplus": lambda a, x: layers.Softplus(),
    "Tanh": lambda a, x: layers.Tanh(),
}
OF_FOUR_DIGITS = {"test_averagepool_2d_ceil_last_window_starts_on_pad"}  # its expected output is written so
LOSSES = {"NegativeLogLikelihoodLoss": nll_loss, "SoftmaxCrossEntropyLoss": cross_entropy}


def compare_layer(node, attributes, inputs, outputs, tolerance):
    x, *others = inputs
    if x.dtype not in (np.float32, np.float64):
        refuse(f"input of {x.dtype}")
    layer = LAYERS[node.op_type](attributes, x, *others)
    add = node.op_type == "LayerNormalization" and attributes.get("axis", -1) % x.ndim == 0
    add = add or x.ndim == 0
    y, _ = layer.forward(x[None] if add else x)
    assert_close("y", y[0] if add else y, outputs[0], tolerance)


def compare_loss(node, attributes, inputs, outputs, tolerance):
    scores, labels, *weights = inputs
    if attributes.get("reduction", "mean") != "mean" or scores.ndim != 2 or len(outputs) > 1:
        refuse("labels of pixels, a second output, or a loss that is not the mean over the batch")
    if node.op_type.startswith("Negative") and scores.max() > 0:
        refuse("values above 0 are no logarithms of probabilities")
    options = {"class_weights": weights[0] if weights else None, "ignore_index": attributes.get("ignore_index")}
    loss, _ = LOSSES[node.op_type](scores, labels, **options)
    assert_close("loss", np.asarray(loss), outputs[0], tolerance)


def attribute(a):
    value = onnx.helper.get_attribute_value(a)
    return value.decode() if isinstance(value, bytes) else list(value) if isinstance(value, list | tuple) else value


def export(cls, name, bases, exports):
    """What ONNX does with every class of node tests as it is defined; here with those only that we may express.

    ONNX computes the outputs element by element: of all its operators and of volumes, it takes ten times as long.
    """
    if name in LAYERS.keys() | LOSSES.keys():
        for key in exports:
            if key.startswith("export") and "_3d" not in key:
                np.random.seed(0)  # noqa: NPY002 - as ONNX
                getattr(cls, key)()


def cases():
    """(name, model, [(inputs, outputs), ...]) of the node tests."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # ONNX's own
        from onnx.backend.test.case import base
        from onnx.backend.test.loader import load_model_tests

        with mock.patch.object(base._Exporter, "__init__", export):
            return load_model_tests(kind="node")


def test_node_tests_of_onnx_agree():
    tally = Tally()
    for case in cases():
        nodes = case.model.graph.node
        if len(nodes) != 1 or nodes[0].op_type not in LAYERS.keys() | LOSSES.keys():
            continue
        node = nodes[0]
        attributes = {a.name: attribute(a) for a in node.attribute}
        compare = compare_layer if node.op_type in LAYERS else compare_loss
        tolerance = 1e-4 if case.name in OF_FOUR_DIGITS else 2e-5
        for inputs, outputs in case.data_sets:
            given = dict(zip([i.name for i in case.model.graph.input], inputs, strict=False))
            ordered = [given.get(name) for name in node.input]
            with np.errstate(under="ignore"):
                tally.add(node.op_type, case.name, lambda: compare(node, attributes, ordered, outputs, tolerance))  # noqa: B023
    tally.show("ONNX's node tests")
    assert not tally.wrong, "\n".join(tally.wrong)
    assert tally.agreed.total() >= 80
