"""What this folder needs besides NumPy; imported first, so that an incomplete installation is named."""

try:
    import onnx
except ImportError as error:
    raise ImportError(f"synann_np.bridges.onnx needs the package onnx ({error}): python -m pip install onnx") from error

VERSIONS = {"onnx": onnx.__version__}
