"""The CUDA sources as one text: they are compiled together, as one module."""

from pathlib import Path

from . import arrays, kernels

FOLDER = Path(__file__).parent
FILES = (
    "real.cu",
    "counter_random.cu",
    "convolution.cu",
    "dense.cu",
    "synapse.cu",
    "train_forward.cu",
    "head.cu",
    "train_backward.cu",
    "train_update.cu",
    "synapse_layer.cu",
    "update.cu",
    "dropout.cu",
    "pixels.cu",
    "batch_norm.cu",
    "recurrent.cu",
    "synapse_rnn.cu",
    "tanh_rnn.cu",
    "softmax.cu",
    "cross_entropy.cu",
)


def source(dtype="float32"):
    """The text of all files, in front of them the constants of arrays.py and kernels.py. dtype: of `real`."""
    constants = {"REAL_IS_DOUBLE": int(str(dtype) == "float64")}
    constants |= {name: getattr(arrays, name) for name in ("C1", "C2", "HIDDEN", "FEATURES", "CLASSES")}
    constants |= {name: getattr(arrays, name) for name in ("PARAM_SIZE", "ROW_SIZE", "HEAD_SIZE")}
    constants |= {name.replace(".", "_").upper(): offset for name, (offset, _) in arrays.PARAMETERS.items()}
    constants |= {f"RULE_{name}": bit for name, bit in kernels.RULES.items()}
    constants |= {f"NUMBER_{name.upper()}": place for place, name in enumerate(kernels.NUMBERS)}
    lines = [f"#define {name} {value}" for name, value in constants.items()]
    for name in FILES:  # with #line, so that a compiler's message names file and line
        lines += [f'#line 1 "{name}"', (FOLDER / name).read_text(encoding="utf-8")]
    # Letters of the comments that are not ASCII go: CuPy writes the text to a file in the encoding of the locale.
    return "\n".join(lines).encode("ascii", "replace").decode("ascii")
