"""The tables of PyTorch's own tests."""

from importlib import import_module
from unittest import mock


def torch_table(module, name):
    """torch.testing._internal.MODULE.NAME.

    Its import forbids this process to set PyTorch's flags (disable_global_flags), which the tests of the benchmarks do;
    here it does not.
    """
    with mock.patch("torch.backends.disable_global_flags"):
        return getattr(import_module(f"torch.testing._internal.{module}"), name)
