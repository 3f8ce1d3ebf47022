"""The launcher of real kernels, with a module that is faked."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from synann_np.fast.cuda import CupyLauncher, shape_of


@pytest.fixture
def cupy(monkeypatch):
    """looked_up: names of kernels that handles were made for. device: number of the current one."""
    fake = SimpleNamespace(ndarray=np.ndarray, looked_up=[], launched=[], device=0)

    def get_function(name):
        fake.looked_up.append(name)
        return lambda grid, block, arguments: fake.launched.append((name, grid, block, len(arguments)))

    fake.RawModule = lambda code, options: SimpleNamespace(get_function=get_function)
    fake.cuda = SimpleNamespace(runtime=SimpleNamespace(getDevice=lambda: fake.device))
    monkeypatch.setitem(sys.modules, "cupy", fake)
    return fake


def test_a_handle_is_made_once_for_a_kernel_and_a_device(cupy):
    launcher, sizes = CupyLauncher(), {"N": 2, "I": 3}
    names = launcher.array_names(["synapse_backward_t"])
    arrays = {name: np.zeros(shape_of(name, sizes), launcher.numpy_dtype(name)) for name in names}
    for _ in range(3):
        launcher.launch("synapse_backward_t", sizes, arrays)
    assert cupy.looked_up == ["synapse_backward_t"]
    assert cupy.launched == [("synapse_backward_t", (1, 1), (256,), 11)] * 3
    cupy.device = 1
    launcher.launch("synapse_backward_t", sizes, arrays)
    assert len(cupy.looked_up) == 2
