"""An ONNX graph while it is built: nodes, and constants with names that a reader of the graph recognises."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


class Graph:
    """Nodes of the standard operators, in order.

    A layer `fc1` makes nodes fc1/Gemm, constants fc1.weight, and a value fc1 that the next layer reads.

    Attributes: nodes, constants: what was added.
    """

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}

    def add(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """A node with one output.

        Arguments:
            operator: name of a standard operator, "Gemm".
            inputs: names of values and constants; "" for an input that is left out.
            output: name of its value, "fc1" or "fcn/factors"; with the operator it makes the name of the node.
            attributes: of the operator.

        Returns: output.
        """
        return self.add_many(operator, inputs, [output], **attributes)[0]

    def add_many(
        self, operator: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any
    ) -> Sequence[str]:
        """A node with several outputs, "" for one that is not used. Returns: outputs."""
        name = f"{next(filter(None, outputs))}/{operator}"
        self.nodes.append(helper.make_node(operator, inputs, outputs, name=name, **attributes))
        return outputs

    def constant(self, name: str, value: Any, dtype: str = "float32") -> str:
        """A constant (array or number) that travels in the file; one of a name and value exists once.

        Returns: name. Raises: ValueError where another value has the name.
        """
        value = np.asarray(value, dtype, order="C")
        known = self.constants.setdefault(name, value)
        if not np.array_equal(known, value, equal_nan=True):
            raise ValueError(f"two constants of the ONNX graph are called {name!r}: rename one of the layers")
        return name

    def body(self, name: str, inputs: dict[str, tuple], outputs: dict[str, tuple]) -> onnx.GraphProto:
        """The nodes as the body of a Scan, whose constants it shares with the graph around it: see `adopt`.

        Arguments: inputs, outputs: dict name -> shape, a letter for any size.
        """
        first, last = ([value(n, s) for n, s in side.items()] for side in (inputs, outputs))
        return helper.make_graph(self.nodes, name, first, last)

    def adopt(self, inner: Any) -> None:
        """Take over the constants of a body."""
        for name, a in inner.constants.items():
            self.constant(name, a, a.dtype)

    def proto(self, name: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> onnx.GraphProto:
        """The onnx.GraphProto. Arguments: inputs, outputs: lists of `value`."""
        constants = [numpy_helper.from_array(a, n) for n, a in self.constants.items()]
        return helper.make_graph(self.nodes, name, inputs, outputs, constants)


def value(name: str, shape: Sequence[Any], dtype: str = "float32") -> onnx.ValueInfoProto:
    """An onnx.ValueInfoProto; letters in the shape stand for any size."""
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)


VERSION = {"opset_imports": [onnx.helper.make_opsetid("", 18)], "ir_version": 10}
