"""Models and optimisers in files: what goes in comes out, and nothing else does."""

import io
import json
import random
import tracemalloc

import numpy as np
import pytest

import strict_device
import synann_np
from synann_np import layers
from synann_np.backend import BackendError, get_backend
from synann_np.layers import (
    ELU,
    GELU,
    RNN,
    SELU,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Dropout2d,
    Flatten,
    GroupNorm,
    Hardtanh,
    LayerNorm,
    LeakyReLU,
    Linear,
    LogSoftmax,
    MaxPool2d,
    Normalize,
    ReLU,
    Residual,
    Rows,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Synapse,
    SynapseRNN,
    SynapseTensor,
    Tanh,
)
from synann_np.models import SynaNN
from synann_np.optim import SGD, Adam, AdamW
from synann_np.sequential import Sequential
from synann_np.storage import checkpoint
from synann_np.storage.checkpoint import CheckpointError, check_content, read_checkpoint
from synann_np.storage.model_builder import build_without_memory
from synann_np.storage.model_config import describe
from synann_np.storage.optimizer_state import restore_optimizer
from synann_np.storage.safetensors_file import decode, encode, read
from synann_np.train import train_step
from synann_np.training.weight_average import WeightAverage


def every_layer(rng, dtype="float32"):
    """A network in which every layer class occurs, also nested, but for those of sequences."""
    options = {"rng": rng, "dtype": dtype}
    inner = Sequential([("conv", Conv2d(3, 2, (3, 1), (2, 1), (1, 0), False, **options)), ("relu", ReLU())], dtype)
    layers = [
        ("normalize", Normalize(1, dtype=dtype)),
        ("conv", Conv2d(1, 3, 3, padding=1, **options)),
        ("bn", BatchNorm2d(3, 1e-3, 0.2, **options)),
        ("drop", Dropout2d(0.25, rng=rng)),
        ("pool", MaxPool2d((2, 3), 2)),
        ("inner", inner),
        ("flatten", Flatten()),
        ("fc", Linear(2 * 2 * 3, 4, bias=False, **options)),
        ("drop1", Dropout(rng=rng)),
        ("softmax", Softmax()),
        ("synapse", Synapse(4, **options)),
        ("sigmoid", Sigmoid()),
        ("tensor", SynapseTensor(4, (3, 2), "surprisal", False, **options)),
        ("bn1", BatchNorm1d(4, **options)),
        ("log", LogSoftmax()),
    ]
    return Sequential(layers, dtype)


def layers_of_images(rng, dtype="float32"):
    """A network of the other layers of images, and of all activations."""
    options = {"rng": rng, "dtype": dtype}
    block = Sequential(
        [Conv2d(4, 4, 3, padding="same", groups=2, **options), GroupNorm(2, 4, **options), Tanh()], dtype
    )
    layers = [
        ("conv", Conv2d(1, 4, (3, 2), padding=(1, 0), dilation=(1, 2), **options)),
        ("block", Residual(block)),
        ("pool", MaxPool2d(3, 2, 1, 1, True)),
        ("average", AvgPool2d(2, 1, 1, True, False)),
        ("elu", ELU(0.5)),
        ("gelu", GELU("tanh")),
        ("selu", SELU()),
        ("hardtanh", Hardtanh(-2, 2)),
        ("leaky_relu", LeakyReLU(0.2)),
        ("silu", SiLU()),
        ("softplus", Softplus(2.0)),
        ("adaptive_max", AdaptiveMaxPool2d((2, 3))),
        ("adaptive_mean", AdaptiveAvgPool2d(1)),
        ("channels", Softmax(1)),
        ("norm", LayerNorm((4, 1, 1), bias=False, **options)),
        ("flatten", Flatten()),
        ("sigmoid", Sigmoid()),
        ("synapse", Synapse(4, zero_diagonal=True, **options)),
        ("log", LogSoftmax(axis=-1)),
    ]
    return Sequential(layers, dtype)


def layers_of_sequences(rng, dtype="float32"):
    """A network of all the others."""
    options = {"rng": rng, "dtype": dtype}
    layers = [
        ("rows", Rows()),
        ("rnn", RNN(8, 5, True, 3, **options)),
        ("synapse", SynapseRNN(5, 4, False, 2, "surprisal", False, False, 2.0, 30.0, **options)),
        ("log", LogSoftmax()),
    ]
    return Sequential(layers, dtype)


def trained(model, x, labels, steps=3, optimizer=None):
    optimizer = optimizer or SGD(0.05, 0.9, 1e-4, nesterov=True)
    for step in range(steps):
        train_step(model, optimizer, x, labels, step)
    return optimizer


@pytest.fixture
def batch(rng):
    return rng.standard_normal((5, 1, 8, 8)).astype("float32"), rng.integers(0, 4, 5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", [every_layer, layers_of_images, layers_of_sequences])
def test_a_model_of_every_layer_is_rebuilt_from_its_file_alone(tmp_path, rng, batch, make, dtype):
    x, labels = batch[0].astype(dtype), batch[1]
    model = make(rng, dtype)
    trained(model, x, labels)
    synann_np.save(tmp_path / "m.safetensors", model)
    loaded = synann_np.load(str(tmp_path / "m.safetensors"))
    assert repr(loaded) == repr(model)
    for name, a in model.state_dict().items():
        np.testing.assert_array_equal(loaded.state_dict()[name], a, strict=True)
    for train in (False, True):
        np.testing.assert_array_equal(loaded.forward(x, train, 7)[0], model.forward(x, train, 7)[0], strict=True)


def test_every_layer_class_is_tested(rng):
    here = every_layer(rng)
    models = here, here.layers["inner"], layers_of_sequences(rng), layers_of_images(rng)
    used = [layer for model in models for layer in model.layers.values()]
    used += layers_of_images(rng).layers["block"].body.layers.values()
    assert {type(layer).__name__ for layer in used} >= set(layers.__all__) - {"Layer", "SynapseGraph"}, (
        "a layer class is missing in this test"
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: SGD(0.05, 0.9, 1e-4, nesterov=True),
        lambda: Adam(0.01, (0.8, 0.95), 1e-6, 0.1, decay_vectors=False),
        lambda: AdamW(0.01, (0.5, 0.9)),
    ],
    ids=["SGD", "Adam", "AdamW"],
)
def test_training_goes_on_as_if_nothing_had_happened(tmp_path, rng, batch, make):
    model = every_layer(rng)
    optimizer = trained(model, *batch, optimizer=make())
    synann_np.save(tmp_path / "m.safetensors", model, optimizer, {"step": 3})
    saved = read_checkpoint(tmp_path / "m.safetensors")
    assert saved.training == {"step": 3}
    again, its_optimizer = saved.build(), type(optimizer)(lr=1.0)
    restore_optimizer(saved, its_optimizer, again)
    assert {k: v for k, v in vars(its_optimizer).items() if not isinstance(v, dict)} == {
        k: v for k, v in vars(optimizer).items() if not isinstance(v, dict)
    }
    for step in range(3, 6):
        train_step(model, optimizer, *batch, step)
        train_step(again, its_optimizer, *batch, step)
    for name, a in model.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[name], a, strict=True)


def test_an_average_is_the_model_of_the_file_and_comes_back_with_the_weights(tmp_path, rng, batch, device):
    model = every_layer(rng)
    average = WeightAverage(model, 0.9)
    trained(model, *batch)
    average.update()
    weights, averages = model.state_dict(), average.state_dict()
    assert not np.array_equal(weights["fc.weight"], averages["fc.weight"])
    synann_np.save(tmp_path / "m", model, average=average)
    for name, a in synann_np.load(tmp_path / "m").state_dict().items():
        np.testing.assert_array_equal(a, averages[name], strict=True)
    for backend in ("numpy", device):
        saved = read_checkpoint(tmp_path / "m")
        again = saved.build(backend)
        its_average = WeightAverage(again, 0.9)
        its_average.update()
        for a in its_average.arrays.values():  # as if other steps had been done before
            a *= 0.5
        its_average.restore(saved)
        assert its_average.updates == 1
        for name, a in again.state_dict().items():
            np.testing.assert_array_equal(a, weights[name], strict=True)
            np.testing.assert_array_equal(its_average.state_dict()[name], averages[name], strict=True)
        synann_np.save(tmp_path / "again", again, average=its_average)
        assert (tmp_path / "again").read_bytes() == (tmp_path / "m").read_bytes()


def test_a_file_without_average_or_with_a_bad_one_is_refused(tmp_path, forged):
    model = Sequential([("fc", Linear(3, 2)), ("drop", Dropout(0.5, seed=1))])
    average = WeightAverage(model, 0.9)
    synann_np.save(tmp_path / "m", model)
    with pytest.raises(CheckpointError, match="no average of the weights"):
        average.restore(read_checkpoint(tmp_path / "m"))

    def add(updates, **shapes):
        def change(tensors, texts):
            texts["average"] = json.dumps({"updates": updates})
            tensors |= {f"weights.fc.{name}": np.zeros(shape, "float32") for name, shape in shapes.items()}

        return change

    for updates in (-1, 1.5, "1", None):
        with pytest.raises(CheckpointError, match="no average of the weights"):
            average.restore(read_checkpoint(forged(add(updates, weight=(2, 3), bias=2))))
    average.restore(read_checkpoint(forged(add(7, weight=(2, 3), bias=2))))
    assert average.updates == 7
    with pytest.raises(CheckpointError, match=r"'fc\.bias' missing"):
        read_checkpoint(forged(add(7, weight=(2, 3))))
    with pytest.raises(CheckpointError, match=r"'fc.bias' is float32 \(3,\)"):
        read_checkpoint(forged(add(7, weight=(2, 3), bias=3)))


def test_equal_states_make_equal_files(tmp_path, batch):
    for name in ("a", "b"):
        model = every_layer(np.random.default_rng(1))
        synann_np.save(tmp_path / name, model, trained(model, *batch), {"x": 1, "y": 2})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.fixture(params=["strict_device", pytest.param("cupy", marks=pytest.mark.gpu)])
def device(request):
    """A GPU, and arrays that behave like one."""
    if request.param == "strict_device":
        return strict_device.backend()
    try:
        return get_backend("cupy")
    except BackendError as error:
        pytest.skip(str(error))


def test_a_device_writes_the_same_file_and_reads_the_files_of_the_host(tmp_path, device, batch):
    host = every_layer(np.random.default_rng(1))
    optimizer = trained(host, *batch)
    synann_np.save(tmp_path / "host", host, optimizer, {"step": 3})
    saved = read_checkpoint(tmp_path / "host")
    model, its_optimizer = saved.build(device), SGD(1.0)
    restore_optimizer(saved, its_optimizer, model)
    assert model.backend is device
    synann_np.save(tmp_path / "device", model, its_optimizer, {"step": 3})
    assert (tmp_path / "device").read_bytes() == (tmp_path / "host").read_bytes()
    labels = device.asarray(batch[1])
    train_step(model, its_optimizer, device.asarray(batch[0]), labels, 3)
    assert synann_np.load(tmp_path / "device", device).backend is device


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    synann_np.save(path, SynaNN(1))
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        synann_np.save(path, SynaNN(2))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_names_are_pytorchs():
    names = set(SynaNN().state_dict())
    assert {"conv1.weight", "conv1.bias", "fc1.weight", "fcb.weight", "fcb.running_mean", "fcb.running_var"} <= names


def test_optimiser_of_another_class_or_none_is_refused(tmp_path, rng, batch):
    class Other:
        def __init__(self):
            self.lr, self.velocity = 0.1, {}

    model = every_layer(rng)
    synann_np.save(tmp_path / "with", model, trained(model, *batch))
    synann_np.save(tmp_path / "without", model)
    for name, optimizer in (("with", Other()), ("without", SGD(0.1))):
        with pytest.raises(CheckpointError, match="no state of an optimiser"):
            restore_optimizer(read_checkpoint(tmp_path / name), optimizer, model)
    with pytest.raises(CheckpointError, match="does not fit the model"):
        restore_optimizer(read_checkpoint(tmp_path / "with"), SGD(0.1), SynaNN())


@pytest.mark.parametrize("betas", [0.9, [0.9], [0.9, "0.9"], [0.9, 0.9, 0.9], "99", None])
def test_forged_betas_are_refused(tmp_path, betas):
    model = Sequential([("fc", Linear(3, 2))])
    optimizer = Adam()
    optimizer.betas = betas
    synann_np.save(tmp_path / "m", model, optimizer)
    with pytest.raises(CheckpointError, match="no state of an optimiser Adam"):
        restore_optimizer(read_checkpoint(tmp_path / "m"), Adam(), model)


def test_a_layer_that_could_not_be_loaded_again_is_refused_when_saving(tmp_path):
    class Own(ReLU):
        pass

    with pytest.raises(TypeError, match="own"):
        synann_np.save(tmp_path / "m", Sequential([("own", Own())]))
    assert not (tmp_path / "m").exists()


# Files that somebody made by hand, with a right checksum


@pytest.fixture
def forged(tmp_path):
    """A function: change(tensors, texts) -> path of a file with these contents and the checksum that fits them."""
    synann_np.save(tmp_path / "good", Sequential([("fc", Linear(3, 2)), ("drop", Dropout(0.5, seed=1))]))

    def forge(change):
        tensors, texts = read(tmp_path / "good")
        del texts["sha256"]
        change(tensors, texts)
        texts["sha256"] = checkpoint._checksum(tensors, texts)
        (tmp_path / "forged").write_bytes(encode(tensors, texts))
        return tmp_path / "forged"

    return forge


def edit(**changes):
    """Set entries of the first layer of the configuration."""

    def change(tensors, texts):
        model = json.loads(texts["model"])
        model["layers"][0] |= changes
        texts["model"] = json.dumps(model)

    return change


def arguments(**changes):
    return edit(arguments={"in_features": 3, "out_features": 2, "bias": True} | changes)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda tensors, texts: texts.update(format="pt"), "not a model of synann_np"),
        (lambda tensors, texts: texts.clear(), "not a model of synann_np"),
        (lambda tensors, texts: texts.update(format_version="2"), "format version 2.*update synann_np"),
        (lambda tensors, texts: texts.update(model="{"), "Expecting"),
        (lambda tensors, texts: texts.update(model="[]"), "not a JSON object"),
        (lambda tensors, texts: texts.update(model="{}"), "damaged"),
        (lambda tensors, texts: texts.update(model="[" * 100_000), "recursion|overflow"),
        (lambda tensors, texts: texts.update(training="3"), "not a JSON object"),
        (lambda tensors, texts: tensors.pop("fc.bias"), "'fc.bias' missing"),
        (lambda tensors, texts: tensors.update(more=np.zeros(1)), "'more' unknown"),
        (lambda tensors, texts: tensors.update({"fc.bias": np.zeros(3, "float32")}), r"'fc.bias' is float32 \(3,\)"),
        (lambda tensors, texts: tensors.update({"fc.bias": np.zeros(2)}), r"'fc.bias' is float64 \(2,\)"),
        (edit(layer="Lstm"), "'Lstm' is unknown"),
        (edit(layer="Layer"), "'Layer' is unknown"),
        (edit(layer="__builtins__"), "is unknown"),
        (edit(layer=["Linear"]), "is unknown"),
        (edit(name="a.b"), "'a.b' is not a layer name"),
        (edit(name="drop"), "occurs twice"),
        (edit(arguments=[1]), "cannot be built"),
        (arguments(rng=1), "argument 'rng'"),
        (arguments(backend="cupy"), "argument 'backend'"),
        (arguments(bias="yes"), "bias to be True or False"),
        (edit(layer="Synapse", arguments={"features": 2, "parametrisation": 1}), "parametrisation to be one of"),
        (edit(layer="Synapse", arguments={"features": 2, "parametrisation": "x"}), "cannot be built"),
        (edit(layer="SynapseGraph", arguments={"features": 2, "inhibitors": 2}), "SynapseGraph' is unknown"),
        (arguments(in_features={"a": 1}), "in_features to be an integer"),
        (arguments(surprise=1), "surprise"),
        (arguments(in_features=0), "cannot be built"),
        (arguments(in_features=-3), "cannot be built"),
        (arguments(in_features=10**400), "cannot be built"),
        (arguments(in_features=3.0), "cannot be built"),
        (edit(layer="Sequential", arguments={"layers": [{}]}), "cannot be built"),
    ],
)
def test_a_forged_file_is_refused_in_one_line(forged, change, reason):
    path = forged(change)
    with pytest.raises(CheckpointError, match=f"^{path}: [^\n]*{reason}[^\n]*$"):
        synann_np.load(path)


@pytest.mark.parametrize(
    "entry",
    [
        {"layer": "Linear", "arguments": {"in_features": 10**6, "out_features": 10**6}},
        {"layer": "Synapse", "arguments": {"features": 10**6}},
        {"layer": "Synapse", "arguments": {"features": 10**6, "parametrisation": "surprisal"}},
        {"layer": "SynapseTensor", "arguments": {"features": 10**6, "hidden": [10**6], "parametrisation": "logistic"}},
        {"layer": "BatchNorm1d", "arguments": {"num_features": 10**12}},
        {"layer": "Conv2d", "arguments": {"in_channels": 10**4, "out_channels": 10**4, "kernel_size": 100}},
    ],
)
def test_a_configuration_that_promises_too_much_costs_no_memory(forged, entry):
    path = forged(edit(**entry))
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError):
            synann_np.load(path)
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()


def test_shapes_are_those_of_the_built_model(rng):
    model = every_layer(rng)
    again = build_without_memory(describe(model))
    arrays = again.params | again.buffers
    assert {name: (a.shape, a.dtype) for name, a in arrays.items()} == {
        name: (a.shape, a.dtype) for name, a in model.state_dict().items()
    }


def test_too_many_sequentials_within_one_another_are_refused(forged):
    nested = {"layers": []}
    for _ in range(40):
        nested = {"layers": [{"name": "a", "layer": "Sequential", "arguments": nested}]}
    with pytest.raises(CheckpointError, match="within one another"):
        synann_np.load(forged(edit(layer="Sequential", arguments=nested)))


def test_damaged_files_are_refused_or_read_right(tmp_path, capsys):
    """Bytes flipped, cut off, inserted, repeated: thousands of files, each refused in one line or read as it was."""
    chance = random.Random(5)
    model = Sequential([("fc", Linear(3, 2)), ("bn", BatchNorm1d(2)), ("drop", Dropout(0.5, seed=1))])
    path = tmp_path / "m"
    synann_np.save(path, model, SGD(0.1, 0.5), {"step": 3})
    good, wanted = path.read_bytes(), (repr(model), {name: a.tolist() for name, a in model.state_dict().items()})
    tried, refused = 3000, 0
    for number in range(tried):
        content = bytearray(good)
        kind, at = chance.randrange(5), chance.randrange(len(good))
        if kind == 0:
            content[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            for _ in range(chance.randint(2, 5)):
                content[chance.randrange(len(good))] = chance.randrange(256)
        elif kind == 2:
            del content[at:]
        elif kind == 3:
            content[at:at] = chance.randbytes(chance.randint(1, 9))
        else:
            content[:8] = chance.randbytes(chance.randint(1, 8)).ljust(8, b"\0")
        reason = None
        try:
            if number % 30 == 0:
                path.write_bytes(content)
                loaded = synann_np.load(path)
            else:  # the same without the disk
                loaded = check_content(*decode(io.BytesIO(content), len(content), path), path).build()
        except CheckpointError as error:
            reason = str(error)
        if reason is None:
            assert (repr(loaded), {name: a.tolist() for name, a in loaded.state_dict().items()}) == wanted
        else:
            assert reason.startswith(f"{path}: ")
            assert "\n" not in reason
            refused += 1
    with capsys.disabled():
        print(f"\ncheckpoint loader: inputs tried {tried}, refused {refused}, read right {tried - refused}, failures 0")
