"""What this folder needs besides NumPy; imported first, so that an incomplete installation is named."""

try:
    import torch
except ImportError as error:
    raise ImportError(f"synann_np.bridges.torch needs PyTorch ({error}): python -m pip install torch") from error

VERSIONS = {"torch": torch.__version__}
