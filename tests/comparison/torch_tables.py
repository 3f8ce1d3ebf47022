"""The tables of PyTorch's own tests."""

import random
from contextlib import contextmanager
from importlib import import_module
from unittest import mock

import numpy as np


def torch_table(module, name):
    """torch.testing._internal.MODULE.NAME.

    Its import forbids this process to set PyTorch's flags (disable_global_flags), which the tests of the benchmarks do;
    here it does not.
    """
    with mock.patch("torch.backends.disable_global_flags"):
        return getattr(import_module(f"torch.testing._internal.{module}"), name)


@contextmanager
def quick_samples():
    """Inside, PyTorch neither seeds every kind of device before each sample nor searches the stack for its own test.

    Both takes it longer than all that is compared. The numbers are the same.
    """
    from torch import default_generator

    def seed_the_host(seed):
        default_generator.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - as PyTorch

    place = "torch.testing._internal.common_utils"
    with mock.patch(f"{place}.set_rng_seed", seed_the_host), mock.patch(f"{place}.extract_test_fn", return_value=None):
        yield
