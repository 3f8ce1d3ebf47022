"""Write a model as an ONNX file, which other runtimes and languages read. Needs the package onnx (extra `onnx`).

synann export runs/mine/best.safetensors model.onnx
synann export model.onnx                            the model that comes with the package
"""

import argparse
from collections.abc import Sequence

from ..storage.checkpoint import load
from .command_line import Parser, path
from .examples import MODEL
from .process import status_of


def main(argv: Sequence[str] | None = None, prog: str = "export") -> int | None:
    """The program. Returns: its exit status."""
    parser = Parser(__doc__, prog)
    parser.add_argument(
        "model", nargs="?", type=path, default=MODEL, help="a .safetensors file (default: the model of the package)"
    )
    parser.add_argument("out", type=path, metavar="out.onnx", help="the file to write")
    parser.add_argument(
        "--input-shape", type=_shape, metavar="C,H,W",
        help="shape of one example, for tables and for images other than MNIST's",
    )  # fmt: skip
    parser.add_argument("--pixels", action="store_true", help="the input is images of bytes (default: for MNIST only)")
    return status_of(prog, export, parser.parse_args(argv))


def export(args: argparse.Namespace) -> None:
    """Write the file, and print what a caller of it has to know."""
    from ..bridges import onnx

    if args.out.suffix == ".safetensors":
        raise ValueError(f"{args.out}: the ONNX file comes last: synann export MODEL model.onnx")
    written = onnx.export(load(args.model), args.out, args.input_shape, args.pixels or None)
    for word, values in (("input", written.graph.input), ("output", written.graph.output)):
        for value in values:
            print(f"{word} {value.name}: {_describe(value.type.tensor_type)}")
    print(f"ONNX file, opset 18: {args.out}")


def _describe(tensor):
    sizes = (size.dim_param or str(size.dim_value) for size in tensor.shape.dim)
    return f"{'uint8' if tensor.elem_type == 2 else 'float32'} ({', '.join(sizes)})"


def _shape(text):
    sizes = text.split(",")
    if not all(size.strip().isdecimal() and int(size) > 0 for size in sizes):
        raise argparse.ArgumentTypeError(f"expected sizes like 3,32,32, got {text!r:.80}")
    return tuple(map(int, sizes))
