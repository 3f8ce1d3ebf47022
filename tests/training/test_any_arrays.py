"""What fit, evaluate, predict and predict_proba take as data, and what they refuse by name."""

import importlib.util
import inspect
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

import synann_np
from synann_np.data.host_arrays import as_numbers
from synann_np.layers import BatchNorm2d, Conv2d, Flatten, Linear, LogSoftmax, Normalize
from synann_np.losses import mse_loss, nll_loss
from synann_np.models import SynaMLP, SynaNN, normalized
from synann_np.optim import SGD, Adam
from synann_np.sequential import Sequential
from synann_np.train import evaluate, fit, outputs, predict, predict_proba


def blobs(n=90, classes=3, features=4, seed=0):
    """A table of clouds of points, one for each class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    centres = np.random.default_rng(1).standard_normal((classes, features)) * 4
    return centres[labels] + rng.standard_normal((n, features)), labels


def table_model(features=4, classes=3, dtype="float32"):
    rng = np.random.default_rng(1)
    return Sequential([("fc", Linear(features, classes, rng=rng, dtype=dtype)), ("log", LogSoftmax())], dtype)


def state_after(x, labels, model=None, **options):
    model = model or table_model()
    list(fit(model, SGD(0.05), (x, labels), None, 2, batch_size=20, **options))
    return model.state_dict()


def test_a_table_is_learned():
    records = list(fit(table_model(), Adam(0.05), blobs(), blobs(60, seed=2), 5, batch_size=10))
    assert records[-1].accuracy > 0.9


@pytest.mark.parametrize("shape", [(3, 20, 18), (1, 16, 16), (16, 17)])
def test_bytes_are_images_of_any_size_and_number_of_channels(shape, rng):
    images, labels = rng.integers(0, 256, (50, *shape)).astype("uint8"), np.arange(50) % 4
    images[labels == 1] //= 3
    model = SynaNN(in_shape=shape if len(shape) == 3 else (1, *shape), classes=4)
    records = list(fit(model, SGD(0.01), (images, labels), (images[:9], labels[:9]), 1, batch_size=25))
    assert records[-1].total == 9
    assert predict(model, images[:7]).shape == (7,)


def as_read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def as_memory_map(x, folder):
    np.save(folder / "x.npy", x)
    return np.load(folder / "x.npy", mmap_mode="r")


@pytest.mark.parametrize(
    "change",
    [
        lambda x, t, _: (x.astype("float64"), t),
        lambda x, t, _: (x.tolist(), t.tolist()),
        lambda x, t, _: (as_read_only(x), as_read_only(t)),
        lambda x, t, folder: (as_memory_map(x, folder), t),
        lambda x, t, _: (np.asfortranarray(x), t.astype("uint8")),
        lambda x, t, _: (x[:, ::-1][:, ::-1], t.astype("float32")),
        lambda x, t, _: (x.astype("float32").astype(">f4"), t.astype(">i4")),
        lambda x, t, _: (np.ma.masked_array(x), t),
    ],
    ids=["float64", "lists", "read-only", "memory-mapped", "column-major", "float labels", "big-endian", "unmasked"],
)
def test_arrays_that_only_need_a_cast_train_the_same_network(change, tmp_path):
    x, labels = blobs()
    x = x.astype("float32")
    expected = state_after(x, labels)
    for name, a in state_after(*change(x, labels, tmp_path)).items():
        np.testing.assert_array_equal(a, expected[name], err_msg=name)


def test_pandas_objects_are_taken():
    pandas = pytest.importorskip("pandas")
    x, labels = blobs()
    expected = state_after(x, labels)
    found = state_after(pandas.DataFrame(x, columns=list("abcd")), pandas.Series(labels))
    assert all(np.array_equal(a, expected[name]) for name, a in found.items())


def test_whole_numbers_are_cast_and_not_scaled():
    x, labels = np.round(blobs()[0]), blobs()[1]
    expected = state_after(x, labels)
    found = state_after(x.astype("int16"), labels)
    assert all(np.array_equal(a, expected[name]) for name, a in found.items())


X, LABELS = blobs()


def changed(a, index, value, dtype=None):
    a = a.astype(dtype or a.dtype)
    a[index] = value
    return a


@pytest.mark.parametrize(
    ("x", "labels", "message"),
    [
        (changed(X, (7, 1), np.nan), LABELS, "train_set: x: NaN or infinity in row 7"),
        (changed(X, (8, 0), np.inf), LABELS, "train_set: x: NaN or infinity in row 8"),
        (X.astype(str), LABELS, "train_set: x: expected numbers, got <U"),
        (X.astype(object), LABELS, "train_set: x: expected numbers, got object"),
        (X * 1j, LABELS, "train_set: x: expected numbers, got complex"),
        (None, LABELS, "expected a NumPy array, got builtins.NoneType"),
        ([[1.0, 2, 3, 4], [1]], [0, 1], "rows have different lengths"),
        (np.zeros((0, 4)), np.zeros(0, int), "expected at least one row"),
        (np.ma.masked_equal(changed(X, (3, 3), 99.0), 99.0), LABELS, "some values are masked"),
        (X[:-1], LABELS, "89 inputs but 90 targets"),
        (X[:, :3], LABELS, "the model does not take x"),
        (X, LABELS + 1, "label 3 found, but the model has 3 classes, 0..2: they count from 1, use labels - 1"),
        (X, changed(LABELS, 5, -1), "label -1 found"),
        (X, LABELS * 10, r"label 20 found.*numpy\.unique"),
        (X, LABELS + 0.9, "expected whole numbers, got"),
        (X, changed(LABELS, 2, np.nan, "float64"), "NaN or infinity in row 2"),
        (X, LABELS.astype(str), r"names of classes, use names, labels = numpy\.unique"),
        (X, np.eye(3)[LABELS], r"one label per row.*labels\.argmax\(axis=1\)"),
        (X, LABELS[:, None], r"one label per row.*labels\.ravel\(\)"),
    ],
)
def test_what_is_not_meant_is_refused_by_name_before_anything_is_trained(x, labels, message):
    model = table_model()
    before = model.state_dict()
    with pytest.raises((TypeError, ValueError), match=message):
        fit(model, SGD(0.1), (x, labels), None, 1)
    if isinstance(x, np.ndarray) and len(x):
        with pytest.raises((TypeError, ValueError), match=message.replace("train_set", "evaluate")):
            evaluate(model, x, labels)
    assert all(np.array_equal(a, before[name]) for name, a in model.state_dict().items())


def test_a_tensor_that_numpy_cannot_share_is_refused_with_the_cure():
    torch = pytest.importorskip("torch")
    for call in (lambda x: fit(table_model(), SGD(0.1), (x, LABELS), None, 1), lambda x: predict(table_model(), x)):
        for tensor in (torch.tensor(X, requires_grad=True), torch.tensor(X, device="meta"), torch.tensor(X).bfloat16()):
            with pytest.raises(TypeError, match=r"got torch\.Tensor: pass x\.detach\(\)\.cpu\(\)\.numpy\(\)"):
                call(tensor)


class Shared:
    """An array of another library, by what DLPack asks of it."""

    def __init__(self, a, device):
        self.a, self.device = a, device

    def __dlpack__(self, **options):
        return self.a.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.device, 0


def test_an_array_of_another_library_in_host_memory_is_taken_without_a_copy():
    assert np.shares_memory(as_numbers(Shared(X, 1), "x"), X)
    with pytest.raises(TypeError, match="convert it to a NumPy array"):
        as_numbers(Shared(X, 2), "x")  # on a GPU
    models = table_model(), table_model()
    for model, x, labels in zip(models, (X, Shared(X, 1)), (LABELS, Shared(LABELS, 1)), strict=True):
        list(fit(model, SGD(0.1), (x, labels), (x, labels), 1))
    assert all(np.array_equal(a, models[1].state_dict()[name]) for name, a in models[0].state_dict().items())


def test_a_tensor_of_pytorch_is_taken_without_a_copy():
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(X)
    assert as_numbers(tensor, "x").ctypes.data == tensor.data_ptr()
    assert np.array_equal(predict(table_model(), tensor), predict(table_model(), X))


def test_an_array_of_jax_is_taken_without_a_copy(tmp_path):
    """In a process of its own: JAX starts threads, and warns at every later fork of its process."""
    if importlib.util.find_spec("jax") is None:
        pytest.skip("JAX is not installed")
    code = tmp_path / "with_jax.py"
    code.write_text(inspect.getsource(take_arrays_of_jax) + "\ntake_arrays_of_jax()\n")
    subprocess.run([sys.executable, str(code)], check=True)


def take_arrays_of_jax():
    import jax.numpy as jnp
    import numpy as np
    import pytest

    from synann_np.data.host_arrays import as_numbers
    from synann_np.layers import Linear, LogSoftmax
    from synann_np.optim import SGD
    from synann_np.sequential import Sequential
    from synann_np.train import fit, predict

    rng = np.random.default_rng(1)
    numbers = rng.standard_normal((90, 4)).astype("float32")
    x, labels = jnp.asarray(numbers), jnp.asarray(rng.integers(0, 3, 90))
    assert as_numbers(x, "x").ctypes.data == x.unsafe_buffer_pointer()
    model = Sequential([Linear(4, 3, rng=rng), LogSoftmax()])
    list(fit(model, SGD(0.1), (x, labels), None, 1))
    assert np.array_equal(predict(model, x), predict(model, numbers))
    with pytest.raises(TypeError, match=r"pass numpy\.asarray\(x\)"):
        as_numbers(x.astype("bfloat16"), "x")


def test_a_missing_or_misplaced_channel_axis_is_named(rng):
    model = SynaNN(in_shape=(3, 16, 16))
    with pytest.raises(ValueError, match=r"channels come second, use x\.transpose\(0, 3, 1, 2\)"):
        predict(model, rng.integers(0, 256, (4, 16, 16, 3)).astype("uint8"))
    with pytest.raises(ValueError, match=r"use x\[:, None\]"):
        predict(SynaNN(in_shape=(1, 16, 16)), rng.standard_normal((4, 16, 16)))


@pytest.mark.parametrize("batch_size", [1, 89])
def test_a_batch_of_one_row_is_refused_before_the_first_step_where_batch_norm_would_fail(batch_size):
    model = SynaMLP(in_shape=(4,), classes=3)
    before = model.state_dict()
    with pytest.raises(ValueError, match="cannot be trained on a batch of one row"):
        fit(model, SGD(0.1), (X, LABELS), None, 1, batch_size=batch_size)
    assert all(np.array_equal(a, before[name]) for name, a in model.state_dict().items())
    list(fit(table_model(), SGD(0.1), (X, LABELS), None, 1, batch_size=batch_size))


@pytest.mark.parametrize("name", ["batch_size", "test_batch_size", "log_interval"])
@pytest.mark.parametrize("value", [0, -1, 1.5])
def test_counts_are_integers_of_at_least_1(name, value):
    with pytest.raises((TypeError, ValueError), match=name):
        fit(table_model(), SGD(0.1), (X, LABELS), None, 1, **{name: value})


def test_a_run_that_is_never_iterated_warns_that_nothing_was_trained():
    with pytest.warns(RuntimeWarning, match="never iterated, so nothing was trained"):
        fit(table_model(), SGD(0.1), (X, LABELS), None, 1).__del__()
    run = fit(table_model(), SGD(0.1), (X, LABELS), None, 1)
    next(run)
    run.close()
    assert list(run) == []


# The normalisation


def test_bytes_are_scaled_by_the_models_own_layer_or_by_mnists_numbers(rng):
    images = rng.integers(0, 256, (20, 3, 5, 5)).astype("uint8")
    layers = [("conv", Conv2d(3, 2, 5, rng=rng, dtype="float64")), ("flatten", Flatten())]
    plain = Sequential(layers, "float64")
    np.testing.assert_allclose(outputs(plain, images), plain.forward((images / 255 - 0.1307) / 0.3081)[0], rtol=1e-12)
    own = normalized(plain, images)
    x = images / 255
    x = (x - x.mean(axis=(0, 2, 3), keepdims=True)) / x.std(axis=(0, 2, 3), keepdims=True)
    np.testing.assert_allclose(outputs(own, images), plain.forward(x)[0], rtol=1e-10, atol=1e-12)


def test_training_and_prediction_use_the_same_numbers_after_a_save(tmp_path, rng):
    x, labels = blobs()
    model = normalized(table_model(), x * 1000)
    *_, record = fit(model, Adam(0.05), (x * 1000, labels), (x * 1000, labels), 3, batch_size=10)
    synann_np.save(tmp_path / "m.safetensors", model)
    loaded = synann_np.load(tmp_path / "m.safetensors")
    assert isinstance(next(iter(loaded.layers.values())), Normalize)
    assert (predict(loaded, x * 1000) == labels).mean() == record.accuracy > 0.9
    np.testing.assert_array_equal(predict_proba(loaded, x * 1000), predict_proba(model, x * 1000))


# Prediction


def test_predictions_do_not_depend_on_the_batch_size_and_leave_the_model_alone():
    model = SynaMLP(in_shape=(4,), classes=3)
    before = model.state_dict()
    whole = outputs(model, X)
    np.testing.assert_allclose(outputs(model, X, batch_size=7), whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(predict(model, X.tolist()), whole.argmax(axis=1))
    np.testing.assert_allclose(predict_proba(model, X), np.exp(whole), rtol=1e-5)
    assert all(np.array_equal(a, before[name]) for name, a in model.state_dict().items())


def test_probabilities_of_logits_are_their_softmax():
    model = Sequential([("fc", Linear(4, 3, rng=np.random.default_rng(0), dtype="float64"))], "float64")
    e = np.exp(outputs(model, X))
    np.testing.assert_allclose(predict_proba(model, X), e / e.sum(axis=1, keepdims=True), rtol=1e-12)


def test_a_model_without_classes_has_outputs_and_no_predictions():
    model = Sequential([("fc", Linear(4, 1, rng=np.random.default_rng(0)))])
    assert outputs(model, X).shape == (90, 1)
    for call in (predict, predict_proba):
        with pytest.raises(ValueError, match=r"use outputs\(\)"):
            call(model, X)


def test_a_regression_is_trained_with_targets_of_the_shape_of_the_outputs():
    model = Sequential([("fc", Linear(4, 2, rng=np.random.default_rng(0), dtype="float64"))], "float64")
    targets = X @ np.arange(8.0).reshape(4, 2) + 1
    run = list(fit(model, Adam(0.3), (X, targets), (X, targets), 80, batch_size=30, loss=mse_loss))
    assert run[-1].loss < 1e-3
    assert run[-1].accuracy is None
    assert run[-1].correct is None
    with pytest.raises(ValueError, match="of one shape"):
        list(fit(model, Adam(0.3), (X, targets[:, :1]), None, 1, loss=mse_loss))


# Weights


def test_rows_of_weight_0_teach_nothing_and_weight_2_is_a_row_twice():
    weights = np.arange(90) % 3
    model, other = table_model(dtype="float64"), table_model(dtype="float64")
    for _ in range(3):
        list(fit(model, SGD(0.1), (X, LABELS, weights), None, 1, batch_size=90))
    twice = np.repeat(np.arange(90), weights)
    for _ in range(3):
        list(fit(other, SGD(0.1), (X[twice], LABELS[twice]), None, 1, batch_size=90))
    for name, a in model.state_dict().items():
        np.testing.assert_allclose(a, other.state_dict()[name], rtol=1e-9)
    found = evaluate(model, X, LABELS, sample_weights=weights)
    assert found[0] == pytest.approx(evaluate(other, X[twice], LABELS[twice])[0], rel=1e-9)


def test_weights_follow_their_rows_through_the_shuffle():
    """With weights that say which rows are right, wrong labels do no harm."""
    labels = np.where(np.arange(90) % 2, LABELS, (LABELS + 1) % 3)
    weights = (np.arange(90) % 2).astype(float)
    model = table_model()
    list(fit(model, Adam(0.05), (X, labels, weights), None, 20, batch_size=7))
    assert (predict(model, X) == LABELS).mean() > 0.9


@pytest.mark.parametrize("weights", [np.ones(89), np.zeros(90), -np.ones(90), np.full(90, np.nan), ["a"] * 90])
def test_weights_that_mean_nothing_are_refused(weights):
    with pytest.raises((TypeError, ValueError), match="sample weights"):
        fit(table_model(), SGD(0.1), (X, LABELS, weights), None, 1)


def test_ignored_labels_are_in_no_count():
    labels = np.where(np.arange(90) < 30, -100, LABELS)
    loss = partial(nll_loss, ignore_index=-100)
    *_, record = fit(table_model(), Adam(0.05), (X, labels), (X, labels), 5, batch_size=10, loss=loss)
    assert record.total == 60
    assert record.accuracy > 0.9
    with pytest.raises(ValueError, match="label -100 found"):
        fit(table_model(), SGD(0.1), (X, labels), None, 1)


def test_batch_norm_statistics_are_put_back_after_the_check_of_a_batch_of_one_row(rng):
    """Batch-norm over the pixels of one image works, and moves the running statistics."""
    layers = [("bn", BatchNorm2d(1)), ("flatten", Flatten()), ("fc", Linear(12, 3, rng=rng)), ("log", LogSoftmax())]
    model, x = Sequential(layers), rng.standard_normal((90, 1, 3, 4)) + 5
    fit(model, SGD(0.1), (x, LABELS), None, 1, batch_size=89).close()
    assert np.array_equal(model.buffers["bn.running_mean"], [0])
    assert np.array_equal(model.buffers["bn.running_var"], [1])
