"""The package computes what PyTorch computed when golden/golden.npz was recorded. Needs no PyTorch."""

from pathlib import Path

import numpy as np
import pytest

from golden import cases

GOLDEN = Path(__file__).parent / "golden" / "golden.npz"
RECORD = "record golden.npz again, see golden/record.py"


@pytest.fixture(scope="module")
def golden():
    """dict case -> dict of arrays, read once."""
    tree = {}
    with np.load(GOLDEN) as stored:
        for key in stored.files:
            case, _, name = key.rpartition("/")
            tree.setdefault(case, {})[name] = stored[key]
    return tree


def test_every_layer_case_is_recorded_and_no_other(golden):
    recorded = {case.partition("/")[0] for case in golden if case.endswith("/inputs")}
    assert recorded == set(cases.LAYERS), RECORD


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", cases.LAYERS)
def test_layer_computes_the_recorded_values(name, dtype, golden):
    results = cases.run_layer(name, golden[f"{name}/inputs"], dtype)
    cases.assert_close(results, golden[f"{name}/results"], dtype)


def test_the_recorded_gradients_see_something(golden):
    gradients = {
        f"{case}: {name}": a
        for case, arrays in golden.items()
        if case.endswith("/results")
        for name, a in arrays.items()
        if name.startswith("d")
    }
    assert len(gradients) > 2 * len(cases.LAYERS)
    assert [name for name, a in gradients.items() if np.abs(a).max() < 1e-3] == []


def test_twenty_steps_start_where_the_recorded_ones_did(golden):
    initial = cases.fingerprint(cases.initial_state(cases.network()))
    np.testing.assert_allclose(initial, golden["network"]["initial"], rtol=1e-9, err_msg=RECORD)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_twenty_steps_end_where_the_recorded_ones_did(dtype, golden):
    losses, state = cases.run_network(dtype)
    cases.assert_close({"losses": losses}, {"losses": golden["network"]["losses"]}, dtype)
    cases.assert_close(cases.compact(state), golden["network/results"], dtype)
