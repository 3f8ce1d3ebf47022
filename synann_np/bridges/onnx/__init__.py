"""Models as ONNX files, for other runtimes and languages (extra `onnx`).

from synann_np.bridges import onnx

onnx.export(model, "model.onnx")
"""

from . import requirements
from .export import export
from .translations import register_translation

__all__ = ["export", "register_translation", "requirements"]
