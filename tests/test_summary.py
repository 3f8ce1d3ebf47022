"""Sequential.summary against counts by hand."""

import re

import numpy as np
import pytest

from synann_np import fast
from synann_np.layers import (
    RNN,
    BatchNorm1d,
    Conv2d,
    Flatten,
    LayerNorm,
    Linear,
    LogSoftmax,
    MaxPool2d,
    ReLU,
    Synapse,
    SynapseRNN,
    SynapseTensor,
)  # fmt: skip
from synann_np.layers.residual import Residual
from synann_np.models import MODELS, SynaNN
from synann_np.sequential import Sequential


def row(model, in_shape, name):
    return next(row for row in model.summary(in_shape).rows if row.name == name)


def test_the_reference_network():
    summary = SynaNN().summary((1, 28, 28))
    shapes = {r.name: r.shape for r in summary.rows}
    assert shapes["conv1"] == (10, 24, 24)
    assert shapes["flatten"] == (320,)
    assert shapes["log_softmax"] == (10,)
    assert summary.parameters == 30_762
    assert summary.buffers == 128
    assert summary.multiplications == 10 * 25 * 24 * 24 + 20 * 10 * 25 * 8 * 8 + 320 * 64 + 64 * 64 + 64 * 10
    assert summary.memory == 4 * sum(int(np.prod(shape)) for shape in shapes.values())
    assert sum(r.parameters for r in summary.rows) == summary.parameters


@pytest.mark.parametrize(
    ("layer", "in_shape", "expected"),
    [
        (Linear(7, 5), (7,), 35),
        (Linear(7, 5, bias=False), (7,), 35),
        (Conv2d(3, 4, (2, 3), stride=2, padding=1), (3, 9, 8), 4 * 3 * 2 * 3 * 5 * 4),
        (Conv2d(4, 6, 3, groups=2), (4, 5, 5), 6 * 2 * 9 * 9),
        (Linear(7, 5), (3, 7), 3 * 35),
        (LayerNorm((3, 4)), (3, 4), 0),
        (Synapse(6), (6,), 36),
        (SynapseTensor(4, (3, 2)), (4,), None),
        (RNN(5, 3, return_sequences=True), (7, 5), 7 * (15 + 9)),
        (RNN(5, 3), (7, 5), 7 * (15 + 9)),
        (SynapseRNN(5, 3), (7, 5), 7 * (15 + 9)),
        (BatchNorm1d(6), (6,), 0),
        (ReLU(), (6,), 0),
    ],
)
def test_multiplications_are_one_for_each_weight_and_place_of_the_output(layer, in_shape, expected):
    if expected is None:
        expected = sum(p.size for p in layer.params.values() if p.ndim == 2)
    assert row(Sequential([("layer", layer)]), in_shape, "layer").multiplications == expected


def test_nested_layers_have_rows_of_their_own_and_are_counted_once():
    inner = Sequential([("fc", Linear(6, 6)), ("relu", ReLU())])
    model = Sequential(
        [("flatten", Flatten()), ("inner", inner), ("skip", Residual(Sequential([("fc2", Linear(6, 6))]))),
         ("fc3", Linear(6, 2)), ("log", LogSoftmax())],
    )  # fmt: skip
    summary = model.summary((2, 3))
    assert [(r.name, r.depth) for r in summary.rows] == [
        ("flatten", 0), ("inner", 0), ("fc", 1), ("relu", 1), ("skip", 0), ("fc2", 1), ("fc3", 0), ("log", 0),
    ]  # fmt: skip
    assert sum(r.parameters for r in summary.rows) == summary.parameters == 2 * 42 + 14
    assert summary.multiplications == 36 + 36 + 12


@pytest.mark.parametrize("name", MODELS)
def test_every_network_has_a_summary_that_changes_nothing(name):
    model = MODELS[name]()
    before = model.state_dict()
    summary = model.summary((1, 28, 28))
    assert summary.rows[-1].shape == (10,)
    assert all(r.multiplications is not None for r in summary.rows)
    assert all(np.array_equal(a, before[key]) for key, a in model.state_dict().items())


def test_a_layer_that_does_not_tell_its_multiplications_is_a_question_mark():
    class Own:
        params, buffers, draws_masks = {}, {}, False

        def forward(self, x, train=False):
            return 2 * x, None

    summary = Sequential([("own", Own()), ("fc", Linear(3, 2))]).summary((3,))
    assert summary.rows[0].multiplications is None
    assert summary.multiplications == 6
    assert re.search(r"own +Own +3 +0 +\? +12", str(summary))


def test_the_text_is_a_table_with_totals():
    lines = str(Sequential([("fc1", Linear(300, 40)), ("bn", BatchNorm1d(40)), ("fc2", Linear(40, 2))]).summary((300,)))
    lines = lines.splitlines()
    assert lines[0].split("  ")[0] == "layer"
    assert re.fullmatch(r"fc1 +Linear +40 +12,040 +12,000 +160", lines[2])
    assert re.fullmatch(r"total +12,202 +12,080 +328", lines[6])
    assert lines[7] == "80 numbers that are not trained"
    assert len({len(line) for line in lines[:7]}) == 1


def test_a_notebook_gets_a_table_and_names_are_escaped():
    page = Sequential([("<b>", Linear(3, 2)), ("pool & co", ReLU())]).summary((3,))._repr_html_()
    assert page.count("<tr>") == 4
    assert "&lt;b&gt;" in page
    assert "pool &amp; co" in page
    assert "<b>" not in page


def test_what_does_not_fit_is_refused_with_the_layer():
    model = Sequential([("fc1", Linear(3, 2)), ("pool", MaxPool2d(2))])
    with pytest.raises(ValueError, match=r"summary: fc1: .*expected input"):
        model.summary((4,))
    with pytest.raises(ValueError, match="summary: pool: "):
        model.summary((3,))
    for wrong in (3, None, "ab", (1.5,)):
        with pytest.raises(TypeError, match="expected the shape of one example"):
            model.summary(wrong)


def test_a_compiled_network_has_a_summary():
    plain = SynaNN()
    summary = fast.compile(plain, threads=1).summary((1, 28, 28))
    assert summary.parameters == plain.summary((1, 28, 28)).parameters
