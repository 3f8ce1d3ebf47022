"""What this folder needs besides NumPy; imported first, so that an incomplete installation is named."""

try:
    import sklearn
except ImportError as error:
    raise ImportError(
        f"synann_np.bridges.sklearn needs scikit-learn ({error}): python -m pip install scikit-learn"
    ) from error

VERSIONS = {"scikit-learn": sklearn.__version__}
