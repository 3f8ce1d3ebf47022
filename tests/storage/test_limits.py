"""Files that somebody forged, with a right checksum: refused in one line, without much memory, whatever they claim."""

import json
import random
import tracemalloc

import numpy as np
import pytest

import synann_np
from synann_np.layers import BatchNorm1d, Dropout, Linear, MaxPool2d, SynapseTensor
from synann_np.optim import SGD, Adam
from synann_np.sequential import Sequential
from synann_np.storage import checkpoint
from synann_np.storage.checkpoint import CheckpointError, check_content, read_checkpoint
from synann_np.storage.optimizer_state import restore_optimizer
from synann_np.storage.safetensors_file import encode, read


def network():
    return Sequential([("fc", Linear(3, 2)), ("drop", Dropout(0.5, seed=1))])


@pytest.fixture
def forged(tmp_path):
    """A function: change(tensors, texts) -> path of a file with these contents and the checksum that fits them."""

    def forge(change, *saved):
        synann_np.save(tmp_path / "m", *(saved or [network()]))
        tensors, texts = read(tmp_path / "m")
        del texts["sha256"]
        change(tensors, texts)
        texts["sha256"] = checkpoint._checksum(tensors, texts)
        (tmp_path / "m").write_bytes(encode(tensors, texts))
        return tmp_path / "m"

    return forge


def with_layers(*entries):
    def change(tensors, texts):
        texts["model"] = json.dumps({"dtype": "float32", "layers": list(entries)})

    return change


def relu(name):
    return {"name": name, "layer": "ReLU", "arguments": {}}


TENSOR = {"name": "a", "layer": "SynapseTensor", "arguments": {"features": 1, "hidden": [1] * 100_000}}
NESTED = {"name": "a", "layer": "MaxPool2d", "arguments": {"kernel_size": json.loads("[" * 900 + "]" * 900)}}


@pytest.mark.parametrize(
    "change",
    [
        with_layers(*(relu(str(k)) for k in range(100_000))),
        with_layers(TENSOR),
        with_layers(NESTED),
        with_layers({"name": "a", "layer": "MaxPool2d", "arguments": {"kernel_size": 0}}),
        with_layers({"name": "a", "layer": "MaxPool2d", "arguments": {"kernel_size": []}}),
        with_layers({"name": "a", "layer": "Linear", "arguments": {"in_features": 10**300, "out_features": 1}}),
        with_layers({"name": "\x1b[31m" * 10**5, "layer": "\x1b[31m" * 10**5, "arguments": {}}),
        with_layers({"name": "a", "layer": "Linear", "arguments": {"\x1b[31m" * 10**5: 1}}),
        with_layers({"name": "a", "layer": "Linear", "arguments": {"in_features": "\x1b" * 10**5, "out_features": 1}}),
        lambda tensors, texts: texts.update(model='{"layers": ' + "1" * 5000 + "}"),
        lambda tensors, texts: texts.update(model='{"layers": [' + "[" * 50_000),
        lambda tensors, texts: texts.update(training='{"step": ' + "1" * 5000 + "}"),
        lambda tensors, texts: texts.update(model='{"dtype": NaN, "layers": []}'),
        lambda tensors, texts: texts.update(model='{"dtype": "float32", "layers": 3}'),
        lambda tensors, texts: texts.update(format_version="9", package_version="\x1b[31m" * 10**5),
        lambda tensors, texts: texts.update(format_version="²"),
        lambda tensors, texts: tensors.update({"\x1b[31m" * 10**4: np.zeros(1, "float32")}),
    ],
)
def test_a_forged_file_costs_little_and_is_refused_in_one_short_line(forged, change):
    path = forged(change)
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError) as refusal:
            synann_np.load(path)
        assert tracemalloc.get_traced_memory()[1] < 12 * path.stat().st_size + 3e6
    finally:
        tracemalloc.stop()
    assert len(str(refusal.value)) < 700
    assert str(refusal.value).isprintable()


def test_a_model_of_many_parts_that_hold_arrays_is_no_forgery(tmp_path):
    model = Sequential([("a", SynapseTensor(1, (1,) * 300)), ("b", MaxPool2d((2, 2)))])
    synann_np.save(tmp_path / "m", model)
    assert repr(synann_np.load(tmp_path / "m")) == repr(model)


VALUES = [
    None,
    True,
    -1,
    0,
    0.5,
    1e400,
    10**30,
    "",
    "x",
    "free",
    [],
    [1],
    [[1, 2]],
    {},
    {"layer": "ReLU", "arguments": {}},
]


def mutated(value, chance):
    """A JSON value with one of its parts replaced."""
    if chance.random() < 0.2 or not isinstance(value, dict | list) or not value:
        return chance.choice(VALUES)
    copy = dict(value) if isinstance(value, dict) else list(value)
    key = chance.choice(list(copy) if isinstance(copy, dict) else range(len(copy)))
    copy[key] = mutated(copy[key], chance)
    return copy


def test_forged_configurations_are_refused_or_built(tmp_path):
    chance = random.Random(7)
    model = Sequential([("fc", Linear(3, 2)), ("bn", BatchNorm1d(2)), ("t", SynapseTensor(2, (2,)))])
    synann_np.save(tmp_path / "m", model, SGD(0.1, 0.5), {"step": 3})
    tensors, texts = read(tmp_path / "m")
    del texts["sha256"]
    refusals = []
    for _ in range(500):
        changed = dict(texts)
        for _ in range(chance.randint(1, 3)):
            key = chance.choice(["model", "model", "model", "optimizer", "training", "average"])
            changed[key] = json.dumps(mutated(json.loads(changed.get(key, "{}")), chance))
        changed["sha256"] = checkpoint._checksum(tensors, changed)
        try:
            saved = check_content(dict(tensors), changed, "forged")
            again = saved.build()
        except CheckpointError as error:
            refusals.append(str(error))
            continue
        try:
            restore_optimizer(saved, SGD(1.0), again)
        except CheckpointError as error:
            refusals.append(str(error))
    assert 100 < len(refusals) < 900
    assert all(refusal.isprintable() for refusal in refusals)


@pytest.fixture
def adam():
    model, optimizer = network(), Adam()
    optimizer.step(model.params, {name: np.ones_like(p) for name, p in model.params.items()})
    return model, optimizer


def numbers(**changes):
    def change(tensors, texts):
        optimizer = json.loads(texts["optimizer"])
        optimizer["numbers"] |= changes
        texts["optimizer"] = json.dumps(optimizer)

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda tensors, texts: tensors.pop("optimizer.mean.fc.bias"), "arrays of the optimiser are missing"),
        (lambda tensors, texts: tensors.pop("optimizer.mean_square.fc.weight"), "arrays of the optimiser are missing"),
        (lambda tensors, texts: tensors.update({"optimizer.\x1b.x": np.zeros(2, "float32")}), "does not fit"),
        (numbers(steps=-1), "steps is -1"),
        (numbers(steps=1.5), "steps is 1.5"),
        (numbers(lr=float("inf")), "no state of an optimiser Adam"),
        (numbers(lr=float("nan")), "no state of an optimiser Adam"),
        (numbers(lr=-1), "is refused .*lr >= 0"),
        (numbers(eps=-1), "is refused .*eps >= 0"),
        (numbers(betas=[0.9, 2]), "is refused .*beta"),
    ],
)
def test_a_forged_state_of_an_optimiser_is_refused_and_changes_nothing(forged, adam, change, reason):
    saved = read_checkpoint(forged(change, *adam))
    optimizer = Adam(lr=0.5)
    with pytest.raises(CheckpointError, match=reason) as refusal:
        restore_optimizer(saved, optimizer, saved.build())
    assert str(refusal.value).isprintable()
    assert (optimizer.lr, optimizer.steps, optimizer.mean) == (0.5, 0, {})
