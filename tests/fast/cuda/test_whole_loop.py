"""Training and evaluation by the real kernels, run on the CPU: the whole loop against the plain model on NumPy.

In float64, where what is not rounding shows; the loop in float32 is the same code.
"""

import numpy as np
import pytest

from cuda_emulator import require
from fast.cuda.captured_device import StrictEmulator
from stripes import stripes
from synann_np.fast.cuda import training
from synann_np.fast.cuda.model import CudaModel
from synann_np.fast.cuda.synapse import CudaSynapse
from synann_np.layers import Synapse
from synann_np.models import SynaNN
from synann_np.optim import SGD
from synann_np.train import fit


@pytest.fixture(autouse=True)
def underflow_is_zero():
    require()
    with np.errstate(under="ignore"):
        yield


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-11), ("float32", 1e-4)])
def test_two_epochs_with_graphs_a_partial_batch_and_a_resume_equal_the_plain_model(
    device, monkeypatch, dtype, tolerance
):
    monkeypatch.setattr(training, "STEPS_PER_GRAPH", 2)
    results = []
    for backend in ("numpy", device.backend):
        model, optimizer, records = SynaNN(dtype=dtype, backend=backend), SGD(0.02, 0.5, 0.001), []
        options = {"batch_size": 8, "test_batch_size": 7, "log_interval": 3}
        sets = stripes(60, 0), stripes(20, 1)  # 7 full batches and one of 4
        for step, stop in ((0, 12), (12, 99)):
            fast = model
            if backend != "numpy":
                fast = CudaModel(list(model.layers.items()), model, StrictEmulator(device.cuda, dtype), pytest.fail)
            for record in fit(fast, optimizer, *sets, 2, step=step, finished=step // 8, **options):
                records.append(record)
                if record.step == stop:
                    break
        state = model.state_dict()
        velocity = {f"velocity.{k}": model.backend.to_host(v) for k, v in optimizer.velocity.items()}
        losses = {"losses": np.array([record.loss for record in records], dtype)}
        results.append((state | velocity | losses, [(type(r), r.step, getattr(r, "correct", 0)) for r in records]))
    (expected, places), (arrays, device_places) = results
    assert device_places == places
    assert device.cuda.replays > 4
    assert arrays.keys() == expected.keys()
    for name, a in expected.items():
        assert np.abs(arrays[name] - a).max() <= tolerance * np.abs(a).max(), name


@pytest.mark.parametrize("parametrisation", ["free", "surprisal"])
def test_a_synapse_layer_equals_the_plain_one(device, parametrisation):
    results = []
    for backend in ("numpy", device.backend):
        layer = Synapse(70, parametrisation, rng=np.random.default_rng(1), dtype="float64", backend=backend)
        layer.params[layer.alpha[0]] += layer.backend.asarray(np.random.default_rng(4).random(70))
        to_device, to_host = layer.backend.asarray, layer.backend.to_host
        if backend != "numpy":
            layer = CudaSynapse(layer, StrictEmulator(device.cuda, "float64"))
        rng = np.random.default_rng(2)
        y, cache = layer.forward(to_device(rng.random((40, 70))))
        dx, grads = layer.backward(to_device(rng.normal(size=(40, 70))), cache)
        results.append({k: to_host(a) for k, a in {"y": y, "dx": dx, **grads}.items()})
    assert results[0].keys() == results[1].keys()
    for name, a in results[0].items():
        assert np.abs(results[1][name] - a).max() <= 1e-12 * np.abs(a).max(), name
