"""A model as an ONNX file."""

import math
from collections.abc import Sequence
from os import PathLike

import onnx

from ...data import MEAN, SIDE, STD
from ...layers import Linear
from ...sequential import Sequential
from ...storage.atomic_file import write_atomically
from ...version import __version__
from .graph import VERSION, Graph, value
from .translations import add_layers


def export(
    model: Sequential,
    path: str | PathLike,
    input_shape: Sequence[int] | None = None,
    normalise: tuple[float, float] | None = None,
) -> onnx.ModelProto:
    """Write a model in evaluation mode as an ONNX file of standard operators (opset 18), for any batch size.

    The networks of synann_np.models read images: the input of their files is "images", uint8 (N, 28, 28), as load_mnist
    returns them, and (x / 255 − 0.1307) / 0.3081 is computed in the file. Other models read what their forward reads:
    "x", float32 (N, *input_shape). The output has the name of the last layer.

    Values and constants are named after layers and parameters. All numbers are float32, whatever the model has. Dropout
    disappears. The file is checked by onnx.checker, with strict inference of all shapes, and written whole or not at
    all.

    Arguments:
        model: Sequential, on any backend; the model itself, not what fast.compile returned.
        path: the file to write.
        input_shape: of one example, without the batch; None: (in_features,) if the first layer is a Linear, else
            images of MNIST, normalised.
        normalise: (mean, std): the input is "images", uint8 (N, *input_shape), and the file computes
            (x / 255 − mean) / std first. Images (N, H, W) become (N, 1, H, W), as by data.normalise.

    Returns: what was written.

    Raises: TypeError for a layer without a translation (see register_translation) or a model that is no Sequential;
        ValueError if the model does not read such input; OSError if the file cannot be written.
    """
    if not isinstance(model, Sequential):
        raise TypeError(f"export: expected a Sequential, got {type(model).__name__}")
    if input_shape is None:
        first = next(iter(model.layers.values()), None)
        if isinstance(first, Linear):
            input_shape = (first.in_features,)
        else:
            input_shape, normalise = (SIDE, SIDE), normalise or (MEAN, STD)
    input_shape, graph = tuple(input_shape), Graph()
    name, dtype = ("x", "float32") if normalise is None else ("images", "uint8")
    x, shape = (name, input_shape) if normalise is None else _normalise(graph, name, input_shape, *normalise)
    try:
        y, size = add_layers(graph, model, x, (2, *shape))
    except ValueError as error:
        raise ValueError(f"export: the model does not read {shape} ({error}): pass its input_shape") from error
    if y == x:  # nothing was to do
        y = graph.add("Identity", [x], "y")
    inputs, outputs = [value(name, ("N", *input_shape), dtype)], [value(y, ("N", *size[1:]))]
    proto = onnx.helper.make_model(
        graph.proto("synann_np", inputs, outputs), producer_name="synann_np", producer_version=__version__, **VERSION
    )
    proto = onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True)
    onnx.checker.check_model(proto, full_check=True)
    write_atomically(path, proto.SerializeToString(deterministic=True))
    return proto


def _normalise(graph, name, shape, mean, std):
    """(x / 255 − mean) / std in float32 as data.normalise computes it -> name of the value, shape of an example."""
    if not (math.isfinite(mean) and math.isfinite(std) and std > 0):
        raise ValueError(f"export: expected normalise=(mean, std) with std > 0, got {(mean, std)}")
    x = graph.add("Cast", [name], f"{name}/float", to=onnx.TensorProto.FLOAT)
    x = graph.add("Div", [x, graph.constant("largest_pixel", 255)], f"{name}/scaled")
    x = graph.add("Sub", [x, graph.constant("mean", mean)], f"{name}/centred")
    x = graph.add("Div", [x, graph.constant("std", std)], f"{name}/normalised")
    if len(shape) != 2:
        return x, shape
    return graph.add("Unsqueeze", [x, graph.constant("axis_1", [1], "int64")], f"{name}/one_channel"), (1, *shape)
