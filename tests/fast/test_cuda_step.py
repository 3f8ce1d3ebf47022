"""The four kernels of a training step, and the two of an evaluation, against the plain layers.

In float64 they agree to the last digits, so that every formula is seen; in float32, which is what a GPU runs, to what
its rounding leaves. The kernels run in the emulator, with guarded arrays, threads in three orders.
"""

import numpy as np
import pytest

from cuda_emulator import ASCENDING, DESCENDING, SCATTERED, EmulatorLauncher, require
from fast.cuda_step import Step, plain_backward, plain_layers, plain_step, random_model, striped_images
from synann_np.data import normalise
from synann_np.fast.cuda import EVALUATE, TRAIN, parameter_views
from synann_np.fast.cuda.arrays import HEAD_SIZE, ROW_SIZE
from synann_np.losses import nll_loss
from synann_np.optim import SGD

TOLERANCE = {"float32": 2e-5, "float64": 1e-12}  # of the largest element
ORDERS = {"ascending": ASCENDING, "descending": DESCENDING, "scattered": SCATTERED}

every_order = pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
every_size = pytest.mark.parametrize(("dtype", "N"), [("float64", 2), ("float64", 7), ("float32", 13)])


@pytest.fixture(autouse=True)
def compiler():
    require()


@pytest.fixture(autouse=True)
def quiet_underflow():
    with np.errstate(under="ignore"):
        yield


def assert_equal(computed, expected, dtype, what, size=0.0):
    """size: of what the elements are differences of, where these nearly cancel."""
    assert computed.dtype == dtype, what
    error, size = np.abs(computed - expected).max(), max(np.abs(expected).max(), size)
    assert error <= TOLERANCE[dtype] * size, f"{what}: {error:.2g}, largest element {size:.2g}"


def build(dtype, N, order=ASCENDING, model=None, step=11, images=None):
    """Step in front of its first kernel, the plain model, and the batch: x and labels."""
    rng = np.random.default_rng(N)
    model = random_model(rng, dtype) if model is None else model
    data, labels = striped_images(rng, 30) if images is None else images
    indices = rng.permutation(30)[:25]
    arrays = Step(EmulatorLauncher(dtype, order), model, data, labels, indices, N, step)
    arrays["counter"][1] = 3
    batch = indices[3 : 3 + N]
    return arrays, model, normalise(data[batch], dtype), labels[batch].astype("int64")


@every_order
@every_size
def test_forward_equals_the_layers(dtype, N, order):
    arrays, model, x, _ = build(dtype, N, order)
    arrays.launch("train_forward")
    outputs, caches = plain_layers(model, x, step=11)
    for name, layer in (
        ("pooled1", "relu1"),
        ("pooled2", "flatten"),
        ("hidden", "relu3"),
        ("x", "softmax"),
        ("y", "fcn"),
    ):
        assert_equal(arrays[name], outputs[layer], dtype, name)
    assert_equal(arrays["product"], caches["fcn"][3], dtype, "product")
    assert not arrays["zeros"].any()
    assert (outputs["conv2_drop"] == 0).any()


def exact_model(rng, dtype):
    """Convolutions that pick single pixels: equal pixels stay equal, and sums are exact in every order."""
    model = random_model(rng, dtype)
    for name in ("conv1", "conv2"):
        weight = model.params[f"{name}.weight"]
        weight[...] = 0
        for f, kernels in enumerate(weight):
            kernels[f % len(kernels), rng.integers(5), rng.integers(5)] = rng.choice([-1, 1])
    return model


def test_of_equal_pixels_the_first_wins_in_both_poolings():
    model = exact_model(np.random.default_rng(4), "float32")
    arrays, model, x, _ = build("float32", 9, model=model)
    arrays.launch("train_forward")
    outputs, caches = plain_layers(model, x, step=11)
    np.testing.assert_array_equal(arrays["pooled1"], outputs["relu1"])
    np.testing.assert_array_equal(arrays["winner1"], caches["pool1"][0])
    np.testing.assert_array_equal(arrays["winner2"], caches["pool2"][0].reshape(9, 320))
    flat = [outputs["conv1"][:, :, a::2, b::2] for a in (0, 1) for b in (0, 1)]
    tied = sum((pixels == np.max(flat, axis=0)).astype(int) for pixels in flat) > 1
    assert tied.mean() > 0.3
    assert set(np.unique(arrays["winner1"])) == {0, 1, 2, 3}


@pytest.mark.parametrize("place", ["conv1.weight", "conv2.weight", "fc1.bias", "fcn.beta"])
def test_nan_is_passed_on_and_not_hidden(place):
    model = random_model(np.random.default_rng(1), "float32")
    model.params[place][...] = np.nan
    arrays, *_ = build("float32", 2, model=model)
    arrays.launch("train_forward", "train_head", "train_backward", "train_update")
    assert np.isnan(arrays["y"]).all()
    assert np.isnan(arrays["losses"][11 % 8])


def test_a_nan_in_one_pixel_of_a_window_wins():
    """Two infinite weights: NaN where they meet pixels of opposite signs, infinity elsewhere."""
    model = random_model(np.random.default_rng(1), "float32")
    model.params["conv1.weight"][3, 0, 0, :2] = np.inf
    arrays, model, x, _ = build("float32", 4, model=model)
    arrays.launch("train_forward")
    with np.errstate(invalid="ignore"):
        outputs, caches = plain_layers(model, x, step=11)
    windows = np.isnan(outputs["conv1"][:, 3]).reshape(4, 12, 2, 12, 2).sum(axis=(2, 4))
    assert ((windows > 0) & (windows < 4)).any()
    np.testing.assert_array_equal(np.isnan(arrays["pooled1"]), np.isnan(outputs["relu1"]))
    np.testing.assert_array_equal(arrays["winner1"][:, 3], caches["pool1"][0][:, 3])


@every_order
@every_size
def test_head_equals_batch_norm_fc2_and_loss(dtype, N, order):
    arrays, model, _, labels = build(dtype, N, order)
    arrays["y"][...] = y = np.random.default_rng(0).uniform(0, 0.1, (N, 64)).astype(dtype)
    arrays.launch("train_head")
    outputs, caches = {}, {}
    z, caches["fcb"] = model.layers["fcb"].forward(y, train=True)
    logits, caches["fc2"] = model.layers["fc2"].forward(z)
    outputs, caches["log_softmax"] = model.layers["log_softmax"].forward(logits)
    loss, dlog_probs = nll_loss(outputs, labels)
    inputs, grads = {}, {}
    dy = dlog_probs
    for name in ("log_softmax", "fc2", "fcb"):
        dy, layer_grads = model.layers[name].backward(dy, caches[name])
        inputs[name] = dy
        grads |= {f"{name}.{key}": g for key, g in layer_grads.items()}
    assert_equal(arrays["dz"], inputs["fc2"], dtype, "dz")
    for row, name in enumerate(("running_mean", "running_var")):
        assert_equal(arrays["running"][row], model.buffers[f"fcb.{name}"], dtype, name)
    assert_equal(arrays["stats"][0], y.mean(axis=0), dtype, "mean")
    assert_equal(arrays["stats"][1], caches["fcb"][1], dtype, "1 / sqrt(var + eps)")
    parts = arrays["head_parts"].sum(axis=0)
    flat = np.zeros(ROW_SIZE + HEAD_SIZE - 32, dtype)
    flat[ROW_SIZE:] = parts[:-32]
    for name, (offset, shape) in (
        ("fcb.weight", (0, 64)), ("fcb.bias", (64, 64)), ("fc2.weight", (128, (10, 64))), ("fc2.bias", (768, 10)),
    ):  # fmt: skip
        assert_equal(parts[offset : offset + np.prod(shape)].reshape(shape), grads[name], dtype, name)
    assert_equal(parts[-32:-31], np.array([loss]), dtype, "loss")


@pytest.mark.parametrize("zero_factors", [False, True], ids=["", "zero factors"])
@every_order
@every_size
def test_backward_equals_the_layers(dtype, N, order, zero_factors):
    """From a random gradient of batch-norm's output back to conv1."""
    rng = np.random.default_rng(2)
    model = random_model(rng, dtype)
    if zero_factors:  # where unit 5 is not dropped, softmax gives exactly 1 to it; q is then 0, or below
        model.params["fc1.bias"][5] += 20
        model.params["fcn.beta"][5, 5] = 1
        model.params["fcn.beta"][3, 5] = 1
        model.params["fcn.beta"][9, 5] = 2
    arrays, model, x, _ = build(dtype, N, order, model)
    arrays.launch("train_forward", "train_head")
    _, caches = plain_layers(model, x, step=11)
    dz = rng.normal(size=(N, 64)).astype(dtype)
    inputs, grads = plain_backward(model, caches, dz, "fcb")
    arrays["dz"][...] = dz
    arrays["head_parts"][...] = 0  # Σ dz x̂ and Σ dz, spread over the parts
    for first, total in ((0, grads["fcb.weight"]), (64, grads["fcb.bias"])):
        share = rng.normal(size=(arrays.sizes["H"], 1))
        arrays["head_parts"][:, first : first + 64] = total * share / share.sum()
    arrays.launch("train_backward")
    assert_equal(arrays["dy"], inputs["fcb"], dtype, "dy")
    size = np.abs(inputs["fcn"]).max() if zero_factors else 0  # a softmax of 0 and 1 lets (nearly) nothing through
    assert_equal(arrays["dhidden"], inputs["relu3"], dtype, "dhidden", size)
    parts = arrays["row_parts"].sum(axis=0)
    for name in ("fcn.alpha", "fc1.bias", "conv2.weight", "conv2.bias", "conv1.weight", "conv1.bias"):
        view = parameter_views(np.append(parts, np.zeros(40_000, dtype)))[name]
        assert_equal(view, grads[name], dtype, name, size)
    assert arrays["t_zero"].any() == (zero_factors and bool((caches["fcn"][5] == 1).any()))


@every_order
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("N", "G", "H", "hyper"),
    [(2, 1, 1, (0.1, 0, 0, 0)), (70, 13, 3, (0.1, 0.5, 0, 0)), (129, 40, 20, (0.01, 0.9, 0.3, 1))],
)
def test_update_equals_products_sums_and_sgd(N, G, H, hyper, dtype, order):
    rng = np.random.default_rng(N)
    model = random_model(rng, dtype)
    images = (np.zeros((1, 28, 28), "uint8"), np.zeros(1, "uint8"))
    arrays = Step(EmulatorLauncher(dtype, order), model, *images, [0], N, step=10, L=8, hyper=hyper)
    arrays.sizes |= {"G": G, "H": H}
    for name, shape in (("head_parts", (H, HEAD_SIZE)), ("row_parts", (G, ROW_SIZE))):
        arrays.arrays[name] = rng.normal(size=shape).astype(dtype)
    for name in ("pooled2", "x", "t", "t_zero", "dhidden"):
        arrays[name][...] = rng.normal(size=arrays[name].shape)
    arrays["x"][...] = rng.uniform(0, 1, (N, 64))
    arrays["t"][::3], arrays["t_zero"][1::3] = 0, 0
    x, beta = arrays["x"], model.params["fcn.beta"]
    x[0, 1], beta[4, 1] = 0.5, 2.0  # a factor of 0
    parameter_views(arrays["params"])["fcn.beta"][4, 1] = 2.0
    optimizer = SGD(*hyper[:3], nesterov=bool(hyper[3]))
    optimizer.velocity = {name: rng.normal(size=p.shape).astype(dtype) for name, p in model.params.items()}
    for name, view in parameter_views(arrays["velocity"]).items():
        view[...] = optimizer.velocity[name]

    q = 1 - beta * x[:, None, :]
    c = np.where(q == 0, arrays["t_zero"][:, :, None], arrays["t"][:, :, None] / np.where(q == 0, 1, q))
    flat = np.zeros_like(arrays["grads"])
    flat[:ROW_SIZE] = arrays["row_parts"].sum(axis=0)
    flat[ROW_SIZE : ROW_SIZE + HEAD_SIZE - 32] = arrays["head_parts"].sum(axis=0)[:-32]
    grads = parameter_views(flat)
    grads["fc1.weight"][...] = arrays["dhidden"].T @ arrays["pooled2"]
    grads["fcn.beta"][...] = -(c * x[:, None, :]).sum(axis=0)
    loss = arrays["head_parts"][:, -32].sum()
    assert np.abs(c[q == 0]).max() > 0

    arrays.launch("train_update")
    optimizer.step(model.params, grads)
    for name, view in parameter_views(arrays["grads"]).items():
        assert_equal(view, grads[name], dtype, f"gradient of {name}")
    for name, view in parameter_views(arrays["params"]).items():
        assert_equal(view, model.params[name], dtype, name)
    if hyper[1]:
        for name, view in parameter_views(arrays["velocity"]).items():
            assert_equal(view, optimizer.velocity[name], dtype, f"velocity of {name}")
    assert_equal(arrays["losses"][2:3], np.array([loss]), dtype, "loss")
    assert np.isnan(np.delete(arrays["losses"], 2)).all()
    assert arrays["counter"].tolist() == [11, N]


@every_order
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_evaluation_equals_the_model_in_evaluation_mode(dtype, order):
    arrays, model, _, _ = build(dtype, 9, order)
    arrays.sizes["offset"] = 14
    arrays.launch(*EVALUATE)
    batch = arrays["order"][14 : 14 + 9]
    x = normalise(arrays["images"].reshape(-1, 28, 28)[batch], dtype)
    labels = arrays["labels"][batch].astype("int64")
    log_probs, _ = model.forward(x)
    assert_equal(arrays["log_probs"], log_probs, dtype, "log_probs")
    assert_equal(arrays["row_loss"], -log_probs[np.arange(9), labels], dtype, "row_loss")
    np.testing.assert_array_equal(arrays["row_correct"], log_probs.argmax(axis=1) == labels)
    assert set(arrays["row_correct"].tolist()) == {0, 1}


def train_both(dtype, steps, batches, launcher, hyper=(0.012, 0.5, 0, 0)):
    """Losses and final parameters of the kernels and of the plain layers. batches: rows of each step, repeated."""
    rng = np.random.default_rng(6)
    images, labels = striped_images(rng, sum(batches))
    order = rng.permutation(sum(batches))
    plain, optimizer = random_model(np.random.default_rng(7), dtype), SGD(*hyper[:3])
    arrays = Step(launcher, plain, images, labels, order, max(batches), L=steps, hyper=hyper)
    losses = []
    for step in range(steps):
        if step % len(batches) == 0:
            arrays["counter"][1] = 0
        N, first = batches[step % len(batches)], sum(batches[: step % len(batches)])
        arrays.rows(N).launch(*TRAIN)
        batch = order[first : first + N]
        losses.append(plain_step(plain, optimizer, images[batch], labels[batch], step)[0])
    assert arrays["counter"].tolist() == [steps, sum(batches[: (steps - 1) % len(batches) + 1])]
    return arrays, np.array(losses), plain


def assert_trained_alike(arrays, losses, plain, bound):
    np.testing.assert_allclose(arrays["losses"], losses, rtol=bound)
    for name, view in parameter_views(arrays["params"]).items():
        size = np.abs(plain.params[name]).max()
        assert np.abs(view - plain.params[name]).max() <= bound * size, name
    for row, name in enumerate(("running_mean", "running_var")):
        expected = plain.buffers[f"fcb.{name}"]
        assert np.abs(arrays["running"][row] - expected).max() <= bound * np.abs(expected).max(), name


def test_thirty_steps_equal_those_of_the_plain_layers():
    """Dropout masks, momentum, running statistics and a smaller last batch included."""
    trained = train_both("float64", 30, [9, 9, 5], EmulatorLauncher("float64", guard=False))
    assert_trained_alike(*trained, 1e-9)
    losses = trained[1]
    assert losses[-10:].mean() < losses[:10].mean()


def test_twelve_steps_in_float32_stay_close():
    """Rounding may now and then make another pixel of a window the largest, which moves a gradient at once."""
    assert_trained_alike(*train_both("float32", 12, [9, 9, 5], EmulatorLauncher("float32", guard=False)), 1e-1)


@pytest.mark.parametrize("N", [100, 300])
def test_a_whole_step_at_the_sizes_of_training(N):
    """300 rows: a block of the backward pass takes two of them."""
    assert_trained_alike(*train_both("float32", 1, [N], EmulatorLauncher("float32", SCATTERED)), 1e-5)


def test_results_do_not_depend_on_the_order_of_threads_to_the_last_bit():
    results = []
    for order in ORDERS.values():
        arrays, *_ = build("float32", 13, order)
        arrays.launch(*TRAIN)
        results.append({name: a.tobytes() for name, a in arrays.arrays.items()})
    assert results[0] == results[1] == results[2]


def test_a_step_reads_nothing_that_a_step_before_it_left():
    """Workspace of another batch in front of the launch: only what is documented as state may matter."""
    state = {"params", "velocity", "running", "counter", "hyper", "images", "labels", "order", "seeds", "losses"}
    results = []
    for garbage in (np.nan, 1e3):
        arrays, *_ = build("float32", 6)
        for name, a in arrays.arrays.items():
            if name not in state | {"head_parts", "row_parts"} and a.dtype.kind == "f":
                a[...] = garbage
        arrays.launch(*TRAIN)
        results.append(arrays["params"].tobytes())
    assert results[0] == results[1]
