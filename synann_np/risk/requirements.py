"""What this folder needs besides NumPy; imported first, so that an incomplete installation is named."""

try:
    import scipy
    import sklearn
except ImportError as error:
    raise ImportError(
        f"synann_np.risk needs SciPy and scikit-learn ({error}): python -m pip install scikit-learn scipy"
    ) from error

VERSIONS = {"scipy": scipy.__version__, "scikit-learn": sklearn.__version__}
