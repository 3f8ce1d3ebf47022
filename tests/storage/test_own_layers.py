"""Layers of a user in files; and what a file could not give back is refused when it is saved."""

import json

import numpy as np
import pytest

import synann_np
from synann_np.layers import BatchNorm1d, Dropout, Layer, Linear, ReLU, Synapse, SynapseGraph, SynapseTensor
from synann_np.models import SynaNN
from synann_np.sequential import Sequential
from synann_np.storage import layer_registry
from synann_np.storage.checkpoint import CheckpointError


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """An empty one, so that tests do not see each other's classes."""
    monkeypatch.setattr(layer_registry, "_registered", {})


class Scale(Layer):
    """y_nc = weight_c x_nc + shift, which has an argument of every kind."""

    def __init__(self, features, shift=0.0, mode="plain", sizes=(1, 2), *, rng=None, dtype="float32", backend="numpy"):
        super().__init__(dtype, backend, features=features, shift=shift, mode=mode, sizes=sizes)
        self.shift, self.mode = shift, mode
        self.params = {"weight": self.backend.xp.ones(features, self.dtype)}
        self.buffers = {"calls": self.backend.xp.zeros((), "int64")}

    def forward(self, x, train=False):
        self.buffers["calls"] += 1
        return x * self.params["weight"] + self.shift, x

    def backward(self, dy, cache):
        return dy * self.params["weight"], {"weight": (dy * cache).sum(axis=0)}


def saved(tmp_path, *layers, dtype="float32"):
    """The Sequential of (name, layer) pairs, or of layers, saved and loaded."""
    named = [layer if isinstance(layer, tuple) else (f"l{k}", layer) for k, layer in enumerate(layers)]
    synann_np.save(tmp_path / "m.safetensors", Sequential(named, dtype))
    return synann_np.load(tmp_path / "m.safetensors")


def test_a_registered_layer_comes_back_with_arguments_and_arrays(tmp_path, rng):
    synann_np.register_layer(Scale)
    layer = Scale(np.int64(3), np.float32(0.5), "other", [4, (5, None)])
    layer.params["weight"][:] = 1, 2, 3
    x = rng.standard_normal((4, 3)).astype("float32")
    y, _ = layer.forward(x)
    loaded = saved(tmp_path, layer)
    assert loaded.layers["l0"].config == {"features": 3, "shift": 0.5, "mode": "other", "sizes": (4, (5, None))}
    assert loaded.buffers["l0.calls"] == 1
    np.testing.assert_array_equal(loaded.forward(x)[0], y, strict=True)


def test_register_layer_is_a_decorator_with_and_without_a_name(tmp_path):
    @synann_np.register_layer
    class First(ReLU):
        pass

    @synann_np.register_layer(name="mine.Second")
    class Second(ReLU):
        pass

    loaded = saved(tmp_path, First(), Second())
    assert [type(layer) for layer in loaded.layers.values()] == [First, Second]


def test_an_own_layer_may_have_the_name_of_one_of_the_package(tmp_path):
    own = type("Linear", (Scale,), {"__module__": __name__})
    synann_np.register_layer(own)
    loaded = saved(tmp_path, own(3), Linear(3, 2))
    assert [type(layer) for layer in loaded.layers.values()] == [own, Linear]


def test_layers_made_of_layers_come_back(tmp_path, rng):
    @synann_np.register_layer
    class Residual(Layer):
        """y = x + body(x)"""

        def __init__(self, body, *, dtype="float32", backend="numpy"):
            super().__init__(dtype, backend, body=body)
            self.body, self.params, self.buffers = body, body.params, body.buffers

        def forward(self, x, train=False):
            y, cache = self.body.forward(x, train)
            return x + y, cache

        def backward(self, dy, cache):
            dx, grads = self.body.backward(dy, cache)
            return dy + dx, grads

    body = Sequential([("fc", Linear(3, 3, rng=rng)), ("bn", BatchNorm1d(3, 1e-3))])
    model = Sequential([("res", Residual(body))])
    x = rng.standard_normal((4, 3)).astype("float32")
    model.forward(x, train=True)
    loaded = saved(tmp_path, ("res", model.layers["res"]))
    np.testing.assert_array_equal(loaded.forward(x)[0], model.forward(x)[0], strict=True)
    body.layers["bn"].eps = 0.1
    with pytest.raises(ValueError, match=r"cannot save .*bn.*eps is 0\.1, but 0\.001"):
        saved(tmp_path, ("res", model.layers["res"]))


def test_a_constructor_that_writes_into_its_arrays_is_no_obstacle(tmp_path):
    @synann_np.register_layer
    class Centred(Scale):
        def __init__(self, features, *, dtype="float32", backend="numpy"):
            super().__init__(features, dtype=dtype, backend=backend)
            self.config = {"features": features}
            self.params["weight"] *= 2
            self.params["more"] = self.backend.xp.eye(features, dtype=self.dtype)
            self.params["more"][0, 0] = 0

    assert saved(tmp_path, Centred(3)).params["l0.more"].shape == (3, 3)


def test_a_file_with_a_layer_that_is_not_registered_names_it_and_the_cure(tmp_path):
    synann_np.register_layer(Scale)
    saved(tmp_path, Scale(3))
    layer_registry._registered.clear()
    with pytest.raises(
        CheckpointError, match=r"layer 'l0': 'Scale' is not registered; import the module .*register_layer"
    ):
        synann_np.load(tmp_path / "m.safetensors")


def test_what_cannot_be_registered_is_refused():
    for wrong in (3, Layer(), int, lambda x: x):
        with pytest.raises(TypeError, match="expected a subclass of"):
            synann_np.register_layer(wrong)
    for wrong in (Linear, Sequential):
        with pytest.raises(ValueError, match="needs no registration"):
            synann_np.register_layer(wrong)
    with pytest.raises(TypeError, match="expected a name"):
        synann_np.register_layer(Scale, name="")
    synann_np.register_layer(Scale)
    synann_np.register_layer(Scale)  # a cell of a notebook that is run again
    other = type("Scale", (Scale,), {"__module__": "elsewhere"})
    with pytest.raises(ValueError, match=r"'Scale' is .*test_own_layers.Scale already"):
        synann_np.register_layer(other)


# What a file could not give back


def test_a_layer_that_is_not_registered_is_refused_with_the_cure(tmp_path):
    with pytest.raises(TypeError, match="own: cannot save Scale: register it with register_layer"):
        saved(tmp_path, ("own", Scale(3)))
    assert not list(tmp_path.iterdir())


def test_a_layer_of_two_inputs_and_a_model_that_is_no_sequential_are_refused(tmp_path):
    with pytest.raises(TypeError, match="SynapseGraph: a layer of two inputs"):
        saved(tmp_path, SynapseGraph(2, 3))

    class Own(Sequential):
        pass

    for model in (Linear(2, 2), Own([("fc", Linear(2, 2))])):
        with pytest.raises(TypeError, match=f"cannot save {type(model).__name__}: expected a Sequential"):
            synann_np.save(tmp_path / "m", model)
    with pytest.raises(TypeError, match="own: cannot save Own: register it"):
        saved(tmp_path, ("own", Own([("fc", Linear(2, 2))])))


class WithoutConfig:
    """Not even derived from Layer."""

    params, buffers, draws_masks = {}, {}, False

    def forward(self, x, train=False):
        return x, None

    def backward(self, dy, cache):
        return dy, {}


class ForgetsConfig(Layer):
    def __init__(self, groups):
        super().__init__()

    forward, backward = WithoutConfig.forward, WithoutConfig.backward


class Draws(Scale):
    """A fixed projection that is drawn, but kept nowhere."""

    def __init__(self, features, *, rng=None, dtype="float32", backend="numpy"):
        super().__init__(features, rng=rng, dtype=dtype, backend=backend)
        self.config = {"features": features}
        self.projection = np.random.default_rng(rng).standard_normal(3)


class TakesAFunction(Scale):
    def __init__(self, features, activation):
        super().__init__(features)
        self.config = {"features": features, "activation": activation}


@pytest.mark.parametrize(
    ("make", "error", "reason"),
    [
        (WithoutConfig, TypeError, "cannot save WithoutConfig: it has no config; derive it from .*Layer"),
        (lambda: ForgetsConfig(3), ValueError, "cannot save ForgetsConfig: its config lacks groups"),
        (lambda: Draws(3, rng=np.random.default_rng(7)), ValueError, "cannot save l0: its attribute projection"),
        (lambda: TakesAFunction(3, np.tanh), TypeError, "argument activation = <ufunc 'tanh'>: expected numbers"),
        (lambda: TakesAFunction(3, np.ones(3)), TypeError, "argument activation .*arrays belong into params"),
    ],
)
def test_an_own_layer_that_could_not_be_made_again_is_refused_by_name(tmp_path, make, error, reason):
    layer = make()
    synann_np.register_layer(type(layer))
    with pytest.raises(error, match=reason):
        saved(tmp_path, layer)
    assert not list(tmp_path.iterdir())


def changed(layer, **attributes):
    for name, value in attributes.items():
        setattr(layer, name, value)
    return layer


def without(layer, name):
    del layer.params[name]
    return layer


def with_param(layer, name, a):
    layer.params[name] = a
    return layer


def with_part(layer, **attributes):
    changed(layer.parts["output."], **attributes)
    return layer


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: changed(BatchNorm1d(3), eps=1e-2), r"its attribute eps is 0\.01, but 1e-05 when built"),
        (lambda: changed(BatchNorm1d(3), momentum=float("nan")), "its attribute momentum is nan"),
        (lambda: changed(Dropout(0.5, seed=1), p=0.25), r"its attribute p is 0\.25, but 0\.5"),
        (lambda: changed(Synapse(3), features=4), "its attribute features is 4, but 3"),
        (lambda: changed(ReLU(), mixes_rows=True), "its attribute mixes_rows is True, but missing"),
        (lambda: changed(ReLU(), forward=abs), "its attribute forward is .*, but missing"),
        (
            lambda: changed(Linear(3, 2), config={"in_features": 3, "out_features": 4, "bias": True}),
            "'bias' is float32",
        ),
        (lambda: with_part(SynapseTensor(3, (2,)), train_alpha=1), "attribute train_alpha is 1, but missing"),
        (lambda: without(Linear(3, 2), "bias"), "'bias' is missing in params"),
        (lambda: with_param(ReLU(), "slope", np.ones(1, "float32")), "'slope' is an array more than"),
        (lambda: with_param(Linear(3, 2), "weight", np.ones((2, 2), "float32")), r"'weight' is float32 \(2, 2\), but"),
        (lambda: with_param(BatchNorm1d(3), "running_mean", np.ones(3, "float32")), "is in params and in buffers"),
    ],
)
def test_a_layer_that_would_be_another_function_is_refused_by_name(tmp_path, make, reason):
    with pytest.raises(ValueError, match=f"cannot save l0.*{reason}"):
        saved(tmp_path, make())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["optimizer", "weights"])
def test_names_that_files_use_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="rename the layer"):
        saved(tmp_path, (name, Linear(3, 2)))
    saved(tmp_path, ("outer", Sequential([(name, Linear(3, 2))])))  # further in, nothing collides


def test_a_name_that_load_refuses_is_refused_by_save(tmp_path):
    with pytest.raises(ValueError, match="name"):
        saved(tmp_path, ("", Linear(3, 2)))


def test_mixed_dtypes_are_refused_before_they_are_saved(tmp_path):
    with pytest.raises(ValueError, match=r"l0.*float64"):
        saved(tmp_path, Linear(3, 2, dtype="float64"))
    assert not list(tmp_path.iterdir())


def same(a):
    return a


@pytest.mark.parametrize("tie", [same, np.transpose, np.ravel], ids=["same array", "transposed", "flat view"])
def test_tied_weights_are_refused_by_name_and_copies_are_saved(tmp_path, tie):
    """Loaded as two arrays they would be another model to train."""
    first, second = Linear(3, 3, bias=False), Linear(3, 3, bias=False)
    second.params["weight"] = tie(first.params["weight"]).reshape(3, 3)
    with pytest.raises(ValueError, match=r"cannot save l1\.weight: it shares its memory with l0\.weight.*a copy"):
        saved(tmp_path, first, second)
    assert not list(tmp_path.iterdir())
    second.params["weight"] = second.params["weight"].copy()
    loaded = saved(tmp_path, first, second)
    np.testing.assert_array_equal(loaded.params["l1.weight"], second.params["weight"])


def test_arrays_that_lie_between_each_other_are_not_tied(tmp_path):
    memory = np.arange(12, dtype="float32").reshape(2, 6)
    first, second = Linear(3, 2, bias=False), Linear(3, 2, bias=False)
    first.params["weight"], second.params["weight"] = memory[:, ::2], memory[:, 1::2]
    loaded = saved(tmp_path, first, second)
    np.testing.assert_array_equal(loaded.params["l1.weight"], [[1, 3, 5], [7, 9, 11]])


def nested(depth):
    model = Linear(2, 2)
    for _ in range(depth):
        model = Sequential([("a", model)])
    return model


def test_what_is_nested_too_deep_is_refused_when_saving(tmp_path):
    assert saved(tmp_path, nested(20)).state_dict().keys() == Sequential([("l0", nested(20))]).state_dict().keys()
    with pytest.raises(ValueError, match=r"cannot save.*within one another"):
        saved(tmp_path, nested(40))


def test_numpys_numbers_in_a_configuration_are_saved_as_pythons(tmp_path):
    layers = Linear(np.int64(3), np.int32(4)), BatchNorm1d(np.int16(4), np.float64(1e-3), np.float32(0.25))
    loaded = saved(tmp_path, *layers)
    text = json.dumps([layer.config for layer in loaded.layers.values()])
    assert (
        text
        == '[{"in_features": 3, "out_features": 4, "bias": true}, {"num_features": 4, "eps": 0.001, "momentum": 0.25}]'
    )


def test_a_refused_save_leaves_the_old_file(tmp_path):
    synann_np.save(tmp_path / "m", SynaNN())
    before = (tmp_path / "m").read_bytes()
    model = SynaNN()
    model.layers["fcb"].eps = 1e-3
    with pytest.raises(ValueError, match="cannot save fcb"):
        synann_np.save(tmp_path / "m", model)
    assert (tmp_path / "m").read_bytes() == before
