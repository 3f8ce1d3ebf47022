"""A model as an ONNX file."""

import json
from collections.abc import Sequence
from os import PathLike

import onnx

from ...data import SIDE
from ...layers import Linear, Normalize
from ...sequential import Sequential
from ...storage.atomic_file import write_atomically
from ...training.data_set import scaling
from ...version import __version__
from .graph import VERSION, Graph, value
from .translations import add_layers


def export(
    model: Sequential, path: str | PathLike, input_shape: Sequence[int] | None = None, pixels: bool | None = None,
) -> onnx.ModelProto:  # fmt: skip
    """Write a model in evaluation mode as an ONNX file of standard operators (opset 18), for any batch size.

    The file takes what `fit` and `predict` take. Pixels: input "images", uint8 (N, *input_shape), scaled to 0..1 and
    normalised in the file, by the model's Normalize layer or by MNIST's mean and standard deviation. Other numbers:
    input "x", float32 (N, *input_shape). The output has the name of the last layer.

    Values and constants are named after layers and parameters. All numbers are float32, whatever the model has. Dropout
    disappears. The file is checked by onnx.checker, with strict inference of all shapes, and written whole or not at
    all. The names of the classes, if the model has them, are in its metadata: class_names, a list in JSON.

    Arguments:
        model: Sequential, on any backend; the model itself, not what fast.compile returned.
        path: the file to write.
        input_shape: of one example, without the batch; images may be (H, W) or (C, H, W). None: model.in_shape if it is
            set, (in_features,) if the first layer (after Normalize) is a Linear, else the images of MNIST, (28, 28).
        pixels: whether the input is uint8. None: if it is the images of MNIST, or those of model.in_shape.

    Returns: what was written.

    Raises: TypeError for a layer without a translation (see register_translation) or a model that is not a Sequential;
        ValueError if the model does not take such input; OSError if the file cannot be written.
    """
    if not isinstance(model, Sequential):
        raise TypeError(f"export: expected a Sequential, got {type(model).__name__}")
    if input_shape is None and model.in_shape:
        input_shape, pixels = model.in_shape, len(model.in_shape) == 3 if pixels is None else pixels
    if input_shape is None:
        first = next((layer for layer in model.layers.values() if not isinstance(layer, Normalize)), None)
        if isinstance(first, Linear) and not pixels:
            input_shape, pixels = (first.in_features,), False
        else:
            input_shape, pixels = (SIDE, SIDE), pixels is not False
    input_shape, graph = tuple(input_shape), Graph()
    name, dtype = ("images", "uint8") if pixels else ("x", "float32")
    x, shape = _scale(graph, name, input_shape, *scaling(model)) if pixels else (name, input_shape)
    try:
        y, size = add_layers(graph, model, x, (2, *shape))
    except ValueError as error:
        raise ValueError(f"export: {error} (with an example of shape {shape}: is it the input_shape?)") from error
    if y == x:  # no layer has anything to do
        y = graph.add("Identity", [x], "y")
    inputs, outputs = [value(name, ("N", *input_shape), dtype)], [value(y, ("N", *size[1:]))]
    proto = onnx.helper.make_model(
        graph.proto("synann_np", inputs, outputs), producer_name="synann_np", producer_version=__version__, **VERSION
    )
    if model.class_names:
        onnx.helper.set_model_props(proto, {"class_names": json.dumps(model.class_names)})
    proto = onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True)
    onnx.checker.check_model(proto, full_check=True)
    write_atomically(path, proto.SerializeToString(deterministic=True))
    return proto


def _scale(graph, name, shape, mean, std):
    """(x / 255 − mean) / std in float32, as data.normalise -> name of the value, shape of an example."""
    x = graph.add("Cast", [name], f"{name}/float", to=onnx.TensorProto.FLOAT)
    x = graph.add("Div", [x, graph.constant("largest_pixel", 255)], f"{name}/scaled")
    if (mean, std) != (0, 1):
        x = graph.add("Sub", [x, graph.constant("mean", mean)], f"{name}/centred")
        x = graph.add("Div", [x, graph.constant("std", std)], f"{name}/normalised")
    if len(shape) != 2:
        return x, shape
    return graph.add("Unsqueeze", [x, graph.constant("axis_1", [1], "int64")], f"{name}/one_channel"), (1, *shape)
