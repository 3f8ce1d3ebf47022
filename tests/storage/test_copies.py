"""copy, pickle and joblib: the copy computes the same, and shares nothing with the original."""

import copy
import io
import pickle

import numpy as np
import pytest

from synann_np import fast, layers
from synann_np.backend import get_backend
from synann_np.fast.cuda.compile import compile_for_cuda
from synann_np.fast.loops.compiler import working_compiler
from synann_np.models import MODELS, SynaNN
from synann_np.optim import Adam
from synann_np.sequential import Sequential
from synann_np.train import train_step


def by_joblib(model):
    joblib = pytest.importorskip("joblib")
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


WAYS = {
    "deepcopy": copy.deepcopy,
    **{f"pickle {n}": lambda model, n=n: pickle.loads(pickle.dumps(model, n)) for n in (2, pickle.HIGHEST_PROTOCOL)},
    "joblib": by_joblib,
}
every_way = pytest.mark.parametrize("duplicate", WAYS.values(), ids=WAYS)


def outputs(model, x):
    return [model.forward(x, train, 3)[0] for train in (False, True)]


@pytest.fixture
def x(rng):
    return rng.random((4, 1, 28, 28), dtype="float32")


@every_way
@pytest.mark.parametrize("name", MODELS)
def test_a_copied_model_computes_and_learns_the_same_by_itself(duplicate, name, x):
    model = MODELS[name](seed=2)
    again = duplicate(model)
    assert repr(again) == repr(model)
    assert again.backend is model.backend
    for a, b in zip(outputs(model, x), outputs(again, x), strict=True):
        np.testing.assert_array_equal(a, b, strict=True)
    before = model.state_dict()
    train_step(again, Adam(), x, np.arange(4), 0)
    for key, a in model.state_dict().items():
        np.testing.assert_array_equal(a, before[key], strict=True)
    train_step(model, Adam(), x, np.arange(4), 0)
    for key, a in model.state_dict().items():
        np.testing.assert_array_equal(a, again.state_dict()[key], strict=True)


@every_way
def test_every_layer_can_be_copied(duplicate, rng):
    options = {"rng": rng}
    made = [
        layers.SynapseGraph(3, 2, "surprisal", **options),
        layers.SynapseTensor(3, (2,), **options),
        layers.SynapseRNN(3, 2, **options),
        layers.RNN(3, 2, **options),
        layers.Conv2d(1, 2, 3, **options),
        layers.BatchNorm2d(3),
        layers.Dropout2d(0.3, rng=rng),
    ]
    for layer in made:
        again = duplicate(layer)
        assert repr(again) == repr(layer)
        for kind in ("params", "buffers"):
            for name, a in getattr(layer, kind).items():
                copied = getattr(again, kind)[name]
                np.testing.assert_array_equal(copied, a, strict=True)
                assert not np.shares_memory(copied, a)


# joblib stores an array as often as it occurs, so there ties are lost.
@pytest.mark.parametrize("duplicate", [way for name, way in WAYS.items() if name != "joblib"])
def test_parts_of_a_copy_share_their_arrays_with_it_and_tied_weights_stay_tied(duplicate, rng):
    tensor = duplicate(layers.SynapseTensor(3, (2,), rng=rng))
    assert tensor.parts["output."].params["beta"] is tensor.params["output.beta"]
    first, second = layers.Linear(3, 3), layers.Linear(3, 3)
    second.params["weight"] = first.params["weight"]
    again = duplicate(Sequential([("a", first), ("b", second)]))
    assert again.params["a.weight"] is again.params["b.weight"]


@every_way
@pytest.mark.skipif(working_compiler() is None, reason="no C compiler")
def test_a_compiled_model_is_compiled_again(duplicate, x):
    compiled = fast.compile(SynaNN(seed=2), threads=1)
    again = duplicate(compiled)
    assert fast.report(again) == fast.report(compiled)
    assert again.again == compiled.again
    for a, b in zip(outputs(compiled, x), outputs(again, x), strict=True):
        np.testing.assert_array_equal(a, b, strict=True)
    train_step(again, Adam(), x, np.arange(4), 0)
    assert not np.array_equal(again.params["fc2.weight"], compiled.params["fc2.weight"])
    np.testing.assert_array_equal(again.plain.params["fc2.weight"], again.params["fc2.weight"])


@pytest.mark.skipif(working_compiler() is None, reason="no C compiler")
def test_a_pickle_of_a_compiled_model_works_where_nothing_is_compiled(monkeypatch, x):
    compiled = fast.compile(SynaNN(seed=2))
    content = pickle.dumps(compiled)
    monkeypatch.setenv("SYNANN_FAST", "0")
    again = pickle.loads(content)
    assert type(again) is Sequential
    np.testing.assert_allclose(again.forward(x)[0], compiled.forward(x)[0], atol=1e-5)


@pytest.mark.skipif(working_compiler() is None, reason="no C compiler")
def test_compiling_a_compiled_model_begins_with_the_plain_one():
    compiled = fast.compile(SynaNN(), threads=1)
    again = fast.compile(compiled, threads=2)
    assert again.plain is compiled.plain
    assert fast.report(again) == fast.report(compiled)


@every_way
def test_optimisers_with_their_state_can_be_copied(duplicate, x):
    model, optimizer = SynaNN(), Adam()
    train_step(model, optimizer, x, np.arange(4), 0)
    again = duplicate(optimizer)
    assert again.steps == 1
    np.testing.assert_array_equal(again.mean["fc2.weight"], optimizer.mean["fc2.weight"], strict=True)


def test_a_backend_is_copied_as_itself_and_pickled_by_name():
    backend = get_backend("numpy")
    assert copy.deepcopy(backend) is backend
    assert pickle.loads(pickle.dumps(backend)) is backend
    assert len(pickle.dumps(backend)) < 100


def test_a_model_for_cuda_that_cannot_run_here_is_the_plain_one():
    model = SynaNN()
    assert compile_for_cuda(model) is model
