"""Optimisers and schedules against PyTorch's: as recorded in golden/training.npz, and live if PyTorch is installed."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from golden import cases, training_rules

GOLDEN = Path(__file__).parent / "golden" / "training.npz"
RECORD = "record training.npz again, see golden/record_training.py"
DTYPES = ["float32", "float64"]


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def pytorch():
    if importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed: parity cannot be checked live")
    from golden import record_training

    return record_training


def test_every_rule_is_recorded_and_no_other(golden):
    recorded = {key.rpartition("/")[0] for key in golden} - {"", "rates"}
    assert recorded == set(training_rules.OPTIMIZERS), RECORD
    rates = {key.removeprefix("rates/") for key in golden if key.startswith("rates/")}
    assert rates == set(training_rules.SCHEDULES), RECORD


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", training_rules.OPTIMIZERS)
def test_twenty_steps_end_where_the_recorded_ones_did(name, dtype, golden):
    expected = {key: golden[f"{name}/{key}"] for key in ("w", "b")}
    cases.assert_close(training_rules.run_optimizer(name, dtype), expected, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", training_rules.OPTIMIZERS)
def test_twenty_steps_are_those_of_torch(name, dtype, pytorch):
    params = training_rules.run_optimizer(name, dtype)
    cases.assert_close(params, pytorch.run_torch_optimizer(name, dtype), dtype)
    before, _ = training_rules.start(dtype)
    assert all(np.abs(p - before[key]).max() > 0.01 for key, p in params.items())


@pytest.mark.parametrize("name", training_rules.SCHEDULES)
def test_rates_are_the_recorded_ones(name, golden):
    np.testing.assert_allclose(training_rules.run_schedule(name), golden[f"rates/{name}"], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", training_rules.SCHEDULES)
def test_rates_are_those_of_torch(name, pytorch):
    rates = training_rules.run_schedule(name)
    np.testing.assert_allclose(rates, pytorch.run_torch_schedule(name), rtol=1e-12, atol=1e-15)
