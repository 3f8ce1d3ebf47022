import re

import numpy as np
import pytest

from synann_np.gradcheck import check_layer
from synann_np.layers import BatchNorm1d, Dropout, Linear, ReLU, Softmax, Synapse
from synann_np.layers.residual import Residual
from synann_np.sequential import Sequential


def small_model(seed=5, dtype="float64"):
    """Every kind of thing that a Sequential handles: weights, buffers, masks, nothing at all."""
    rng = np.random.default_rng(seed)
    options = {"rng": rng, "dtype": dtype}
    layers = [
        ("fc1", Linear(3, 4, **options)),
        ("drop", Dropout(0.5, rng=rng)),
        ("softmax", Softmax()),
        ("synapse", Synapse(4, **options)),
        ("norm", BatchNorm1d(4, **options)),
        ("fc2", Linear(4, 2, **options)),
    ]
    return Sequential(layers, dtype)


def nested_model():
    rng = np.random.default_rng(5)
    options = {"rng": rng, "dtype": "float64"}
    block = Sequential([("fc", Linear(3, 4, **options)), ("drop", Dropout(0.5, rng=rng))], "float64")
    head = Sequential([("norm", BatchNorm1d(4, **options)), ("fc", Linear(4, 2, **options))], "float64")
    return Sequential([("block", block), ("relu", ReLU()), ("head", head)], "float64")


NAMES = {
    "fc1.weight": (4, 3),
    "fc1.bias": (4,),
    "synapse.alpha": (4,),
    "synapse.beta": (4, 4),
    "norm.weight": (4,),
    "norm.bias": (4,),
    "fc2.weight": (2, 4),
    "fc2.bias": (2,),
}
BUFFERS = {"norm.running_mean": (4,), "norm.running_var": (4,)}


def shapes(arrays):
    return {name: a.shape for name, a in arrays.items()}


def assert_same_arrays(actual, expected):
    assert actual.keys() == expected.keys()
    for name, a in expected.items():
        np.testing.assert_array_equal(actual[name], a, err_msg=name)


def scrambled(state):
    """Another state of the same names and shapes."""
    return {name: a + 1 + np.arange(a.size).reshape(a.shape) for name, a in state.items()}


def test_forward_applies_the_layers_in_order(rng):
    model = small_model()
    x = rng.standard_normal((3, 3))
    expected = x
    for layer in model.layers.values():
        expected, _ = layer.forward(expected)
    np.testing.assert_array_equal(model.forward(x)[0], expected)


def test_backward_applies_the_layers_in_reverse_with_their_own_caches(rng):
    model = small_model()
    x, dy = rng.standard_normal((3, 3)), rng.standard_normal((3, 2))
    caches, y = [], x
    for layer in model.layers.values():
        y, cache = layer.forward(y, train=True)
        caches.append(cache)
    dx, expected = dy, {}
    for (name, layer), cache in zip(reversed(model.layers.items()), reversed(caches), strict=True):
        dx, grads = layer.backward(dx, cache)
        expected |= {f"{name}.{key}": g for key, g in grads.items()}
    actual_dx, grads = model.backward(dy, model.forward(x, train=True)[1])
    np.testing.assert_array_equal(actual_dx, dx)
    assert_same_arrays(grads, expected)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("make", [small_model, nested_model])
def test_backward_equals_numeric_gradients(make, train, rng):
    model = make()
    for name, a in (model.params | model.buffers).items():
        a[...] = rng.uniform(0.5, 2, a.shape) if name.endswith("running_var") else rng.standard_normal(a.shape)
    check_layer(model, rng.standard_normal((5, 3)), rng, train=train)


def test_names_are_those_of_layer_and_parameter():
    model = small_model()
    assert shapes(model.params) == NAMES
    assert shapes(model.buffers) == BUFFERS


def test_grads_have_names_and_shapes_of_params(rng):
    model = small_model()
    y, caches = model.forward(rng.standard_normal((3, 3)), train=True)
    assert shapes(model.backward(y, caches)[1]) == NAMES


def test_params_and_buffers_are_the_arrays_of_the_layers_not_copies():
    model = small_model()
    assert model.params["fc1.weight"] is model.layers["fc1"].params["weight"]
    assert model.buffers["norm.running_var"] is model.layers["norm"].buffers["running_var"]


def test_nested_names_are_joined_by_dots(rng):
    model = nested_model()
    names = {"block.fc.weight", "block.fc.bias", "head.norm.weight", "head.norm.bias", "head.fc.weight", "head.fc.bias"}
    assert model.params.keys() == names
    assert model.buffers.keys() == {"head.norm.running_mean", "head.norm.running_var"}
    y, caches = model.forward(rng.standard_normal((4, 3)))
    assert model.backward(y, caches)[1].keys() == names
    assert model.state_dict().keys() == names | model.buffers.keys()


def test_a_nested_model_computes_what_the_flat_one_computes(rng):
    model = nested_model()
    flat = [layer for part in model.layers.values() for layer in getattr(part, "layers", {"": part}).values()]
    x = rng.standard_normal((4, 3))
    expected = Sequential([(str(i), layer) for i, layer in enumerate(flat)], "float64").forward(x, train=True, step=3)
    np.testing.assert_array_equal(model.forward(x, train=True, step=3)[0], expected[0])


@pytest.mark.parametrize("make", [small_model, nested_model])
def test_step_selects_the_masks_of_all_layers(make, rng):
    model = make()
    x = rng.standard_normal((20, 3))
    at_3 = model.forward(x, train=True, step=3)[0]
    np.testing.assert_array_equal(model.forward(x, train=True, step=3)[0], at_3)
    assert not np.array_equal(model.forward(x, train=True, step=4)[0], at_3)


def test_train_alone_works_and_is_step_0(rng):
    model = small_model()
    x = rng.standard_normal((20, 3))
    np.testing.assert_array_equal(model.forward(x, train=True)[0], model.forward(x, train=True, step=0)[0])


def test_evaluation_uses_no_masks_and_leaves_the_state_untouched(rng):
    model = small_model()
    model.forward(rng.standard_normal((20, 3)), train=True)
    before = model.state_dict()
    x = rng.standard_normal((20, 3))
    first = model.forward(x)[0]
    np.testing.assert_array_equal(model.forward(x, step=7)[0], first)
    assert_same_arrays(model.state_dict(), before)


def test_two_calls_with_interleaved_backwards_are_right(rng):
    model = small_model()
    x, x2 = rng.standard_normal((4, 3)), rng.standard_normal((6, 3))
    dy, dy2 = rng.standard_normal((4, 2)), rng.standard_normal((6, 2))
    alone = model.backward(dy, model.forward(x, train=True, step=1)[1])
    _, caches = model.forward(x, train=True, step=1)
    _, caches2 = model.forward(x2, train=True, step=2)
    model.backward(dy2, caches2)
    dx, grads = model.backward(dy, caches)
    np.testing.assert_array_equal(dx, alone[0])
    assert_same_arrays(grads, alone[1])


def test_caches_of_another_model_are_refused(rng):
    y, caches = small_model().forward(rng.standard_normal((4, 3)))
    with pytest.raises(ValueError, match="shorter"):
        small_model().backward(y, caches[1:])


def test_a_name_with_a_dot_is_refused():
    with pytest.raises(ValueError, match=re.escape("without a dot, got ['re.lu']")):
        Sequential([("re.lu", ReLU())])


def test_a_name_that_occurs_twice_is_refused():
    with pytest.raises(ValueError, match=re.escape("a name occurs twice in ['relu', 'relu']")):
        Sequential([("relu", ReLU()), ("relu", ReLU())])


def test_repr_lists_the_layers_by_name():
    lines = repr(Sequential([("fc", Linear(3, 2)), ("relu", ReLU())])).splitlines()
    expected = ["Sequential(", "  fc: Linear(in_features=3, out_features=2, bias=True)", "  relu: ReLU()", ")"]
    assert lines == expected


def test_repr_of_nested_models_is_indented():
    block = Sequential([("fc", Linear(3, 3)), ReLU()])
    assert repr(Sequential([("block", Residual(block)), ("relu", ReLU())])).splitlines() == [
        "Sequential(",
        "  block: Residual(Sequential(",
        "    fc: Linear(in_features=3, out_features=3, bias=True)",
        "    1: ReLU()",
        "  ))",
        "  relu: ReLU()",
        ")",
    ]


def test_layers_without_names_are_numbered_by_position(rng):
    layers = [Linear(3, 4, dtype="float64"), ReLU(), ("out", Linear(4, 2, dtype="float64"))]
    model = Sequential(layers)
    assert list(model.layers) == ["0", "1", "out"]
    assert model.state_dict().keys() == {"0.weight", "0.bias", "out.weight", "out.bias"}
    check_layer(model, rng.standard_normal((4, 3)), rng)
    with pytest.raises(ValueError, match=re.escape("a name occurs twice in ['1', '1']")):
        Sequential([("1", ReLU()), ReLU()])


def test_the_dtype_is_that_of_the_weights():
    assert Sequential([ReLU()]).dtype == "float32"
    assert Sequential([ReLU(), Linear(3, 2, dtype="float64")]).dtype == "float64"
    assert Sequential([Linear(3, 2), ReLU()], np.dtype("float32")).dtype == "float32"


@pytest.mark.parametrize("dtype", [None, "float32"])
def test_weights_of_different_dtypes_are_refused(dtype):
    with pytest.raises(ValueError, match=re.escape("one dtype, float32, but b.weight is float64")):
        Sequential([("a", Linear(3, 4)), ("b", Linear(4, 2, dtype="float64"))], dtype)


def test_a_model_mixes_rows_if_one_of_its_layers_does():
    assert small_model().mixes_rows
    assert not Sequential([Linear(3, 4), Dropout(0.5), ReLU()]).mixes_rows


def test_state_dict_holds_params_and_buffers_as_copies_on_the_host():
    model = small_model()
    state = model.state_dict()
    assert shapes(state) == NAMES | BUFFERS
    before = {name: a.copy() for name, a in state.items()}
    for a in state.values():
        assert type(a) is np.ndarray
        a += 1
    assert_same_arrays(model.params | model.buffers, before)


def test_a_state_goes_from_one_model_into_another(rng):
    trained, fresh = small_model(seed=5), small_model(seed=6)
    x = rng.standard_normal((8, 3))
    trained.forward(x, train=True)  # moves the running statistics
    fresh.load_state_dict(trained.state_dict())
    assert_same_arrays(fresh.state_dict(), trained.state_dict())
    np.testing.assert_array_equal(fresh.forward(x)[0], trained.forward(x)[0])


def test_loading_copies_into_the_arrays_that_are_there():
    model = small_model()
    arrays = model.params | model.buffers
    state = scrambled(model.state_dict())
    model.load_state_dict(state)
    for name, a in (model.params | model.buffers).items():
        assert a is arrays[name]
    expected = model.state_dict()
    for a in state.values():
        a += 1
    assert_same_arrays(model.state_dict(), expected)


@pytest.mark.parametrize(("source", "target"), [("float64", "float32"), ("float32", "float64")])
def test_loading_casts_to_the_dtype_of_the_model(source, target):
    state = small_model(seed=6, dtype=source).state_dict()
    model = small_model(dtype=target)
    model.load_state_dict(state)
    for name, a in model.state_dict().items():
        assert a.dtype == target
        np.testing.assert_array_equal(a, state[name].astype(target))


def without(state, *names):
    return {name: a for name, a in state.items() if name not in names}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: without(s, "fc2.bias"), "missing ['fc2.bias']"),
        (lambda s: without(s, "norm.running_mean", "fc1.bias"), "missing ['fc1.bias', 'norm.running_mean']"),
        (lambda s: {}, "missing ['fc1.bias', 'fc1.weight', "),
        (lambda s: s | {"fc3.bias": np.zeros(2)}, "the model has no ['fc3.bias']"),
        (lambda s: s | {"fc2.bias": np.zeros(3)}, "fc2.bias is (2,), got (3,)"),
        (lambda s: s | {"fc2.bias": np.zeros(1)}, "fc2.bias is (2,), got (1,)"),
        (lambda s: s | {"fc1.weight": s["fc1.weight"].T}, "fc1.weight is (4, 3), got (3, 4)"),
        (lambda s: s | {"norm.running_var": np.zeros(())}, "norm.running_var is (4,), got ()"),
    ],
    ids=["missing", "two-missing", "empty", "unknown", "misshaped", "broadcastable", "transposed", "scalar"],
)
def test_a_state_that_does_not_fit_is_refused_by_name_and_changes_nothing(change, message):
    model = small_model()
    before = model.state_dict()
    with pytest.raises(ValueError, match=re.escape(message)):
        model.load_state_dict(change(scrambled(before)))
    assert_same_arrays(model.state_dict(), before)
