"""Backends by name, array_module by type, and a message of its own for every way in which CuPy cannot run."""

import array
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import strict_device
from synann_np import backend
from synann_np.backend import Backend, BackendError, array_module, get_backend


class CUDARuntimeError(RuntimeError):
    """As CuPy's, told apart by its text alone."""


def raising(error):
    def call(*args, **kwargs):
        raise error

    return call


def fake_cupy(driver=13000, devices=1, works=True, **names):
    """A module in the place of CuPy 14: driver version, number of GPUs (or what asking for it raises), arrays."""
    cupy = ModuleType("cupy")
    cupy.__version__ = "14.2.0"
    cupy.ones = strict_device.ones if works else lambda *args, **kwargs: strict_device.zeros(*args, **kwargs)
    cupy.asarray, cupy.asnumpy, cupy.ndarray = strict_device.asarray, strict_device.asnumpy, strict_device.ndarray
    runtime = SimpleNamespace(
        driverGetVersion=lambda: driver,
        getDeviceCount=(lambda: devices) if isinstance(devices, int) else raising(devices),
        CUDARuntimeError=CUDARuntimeError,
    )
    cupy.cuda = SimpleNamespace(runtime=runtime, Device=strict_device.cuda.Device)
    for name, value in names.items():
        setattr(cupy, name, value)
    return cupy


@pytest.fixture
def install(monkeypatch, tmp_path):
    """install(module), or install(source code of cupy/__init__.py), or install(None) for no CuPy at all."""
    backend._cupy_backend.cache_clear()

    def install(cupy):
        if isinstance(cupy, str):
            (tmp_path / "cupy").mkdir()
            (tmp_path / "cupy" / "__init__.py").write_text(cupy)
            monkeypatch.syspath_prepend(tmp_path)
            monkeypatch.delitem(sys.modules, "cupy", raising=False)
        else:
            monkeypatch.setitem(sys.modules, "cupy", cupy)

    yield install
    backend._cupy_backend.cache_clear()


def insufficient_driver():
    text = "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"
    return CUDARuntimeError(text)


def no_device():
    return CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")


MISSING_CUBLAS = "libcublas.so.12: cannot open shared object file: No such file or directory"

FAILURES = {
    "not installed": (lambda: None, r"not installed: python -m pip install 'cupy-cuda12x\[ctk\]'.*never both"),
    "no driver": (lambda: fake_cupy(driver=0, devices=insufficient_driver()), "no NVIDIA driver was found"),
    "driver too old": (
        lambda: fake_cupy(driver=11040, devices=insufficient_driver()),
        r"driver is too old: it runs CUDA 11\.4 at most and CuPy 14\.2\.0 .* update the driver",
    ),
    "no GPU visible": (lambda: fake_cupy(devices=no_device()), "sees no GPU: check CUDA_VISIBLE_DEVICES"),
    "no GPU counted": (lambda: fake_cupy(devices=0), "sees no GPU: check CUDA_VISIBLE_DEVICES"),
    "libraries missing at import": (
        lambda: f"raise ImportError({MISSING_CUBLAS!r})",
        r"cannot load its libraries \(libcublas.*\): reinstall with",
    ),
    "module missing at import": (
        lambda: "import a_module_that_is_not_there",
        r"cannot load its libraries \(No module named 'a_module_that_is_not_there'\): reinstall with",
    ),
    "any error at import": (
        lambda: "raise RuntimeError('CuPy is not correctly installed')",
        r"cannot load its libraries \(CuPy is not correctly installed\): reinstall with",
    ),
    "libraries missing at first use": (
        lambda: fake_cupy(ones=raising(RuntimeError("libnvrtc.so.12: cannot open shared object file"))),
        r"cannot load its libraries \(libnvrtc.*\): reinstall with",
    ),
    "wrong product": (lambda: fake_cupy(works=False), "computed a wrong product"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_cupy_that_cannot_run_says_why_and_is_never_replaced(case, install):
    cupy, message = FAILURES[case]
    install(cupy())
    for _ in range(2):  # the second call too
        with strict_device.allow_sync(), pytest.raises(BackendError, match=message):
            get_backend("cupy")


@pytest.mark.parametrize("case", FAILURES)
def test_auto_falls_back_to_numpy_where_cupy_cannot_run(case, install):
    install(FAILURES[case][0]())
    with strict_device.allow_sync():
        assert get_backend("auto").name == "numpy"
        assert get_backend().name == "numpy"


def test_the_message_of_one_failure_is_not_that_of_another(install):
    said = {}
    for case in ("not installed", "no driver", "driver too old", "no GPU visible", "libraries missing at first use"):
        backend._cupy_backend.cache_clear()
        install(FAILURES[case][0]())
        with pytest.raises(BackendError) as caught:
            get_backend("cupy")
        said[case] = str(caught.value)
    matches = {(a, b) for a in said for b in said if re.search(FAILURES[a][1], said[b])}
    assert matches == {(case, case) for case in said}


def test_cupy_that_works_is_taken_by_name_and_by_auto(install):
    cupy = fake_cupy()
    install(cupy)
    with strict_device.allow_sync():
        found = get_backend("cupy")
        assert get_backend("auto") is found
    assert (found.name, found.xp) == ("cupy", cupy)
    x = found.asarray([1, 2], dtype="float32")
    assert type(x) is strict_device.ndarray
    assert x.dtype == np.float32
    assert type(found.to_host(x)) is np.ndarray
    found.synchronize()
    assert repr(found) == "get_backend('cupy')"


def test_a_backend_that_fails_once_may_work_later(install):
    install(None)
    with pytest.raises(BackendError):
        get_backend("cupy")
    install(fake_cupy())
    with strict_device.allow_sync():
        assert get_backend("cupy").name == "cupy"


def test_numpy_backend():
    numpy = get_backend("numpy")
    assert (numpy.name, numpy.xp) == ("numpy", np)
    x = numpy.asarray([1, 2], dtype="float32")
    assert x.dtype == np.float32
    assert numpy.asarray(x) is x
    assert numpy.to_host(x) is x
    assert numpy.synchronize() is None
    assert get_backend("numpy") is numpy


def test_a_backend_object_passes_through():
    for given in (Backend(), strict_device.backend()):
        assert get_backend(given) is given


@pytest.mark.parametrize("name", ["torch", "NumPy", "", None, 3, np])
def test_an_unknown_name_is_refused(name):
    with pytest.raises(ValueError, match="expected 'numpy', 'cupy' or 'auto'"):
        get_backend(name)


def test_array_module_is_found_by_type():
    assert array_module(np.zeros(2)) is np
    assert array_module(np.zeros(()).sum()) is np  # a reduction to a scalar is still of its backend
    assert array_module(strict_device.zeros(2)) is strict_device


def test_array_module_refuses_what_is_no_array():
    torch_like = type("Tensor", (), {"__module__": "torch"})
    for x in ([1.0], (1.0,), 1.0, None, "x", array.array("d"), torch_like(), SimpleNamespace()):
        with pytest.raises(TypeError, match=f"got {type(x).__name__}: convert with backend.asarray"):
            array_module(x)


def test_importing_the_package_and_running_a_layer_imports_numpy_only():
    code = """
import sys
import numpy
before = set(sys.modules)
import synann_np.layers, synann_np.models, synann_np.losses, synann_np.optim, synann_np.gradcheck
synann_np.models.SynaNN().forward(numpy.zeros((1, 1, 28, 28), "float32"))
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(loaded & {"cupy", "torch", "scipy", "matplotlib", "pooch", "tqdm", "safetensors"}))
"""
    root = Path(backend.__file__).parents[1]
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert run.stdout.strip() == "[]"
