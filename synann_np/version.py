"""The version of the package; it stands here alone."""

__version__ = "0.1.0"
