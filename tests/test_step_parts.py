"""scripts/step_parts.py: every part of a step is timed once, and together they are the step."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "step_parts.py"
spec = importlib.util.spec_from_file_location("step_parts", SCRIPT)
step_parts = importlib.util.module_from_spec(spec)
spec.loader.exec_module(step_parts)


def test_the_table_has_every_part_and_no_time_twice(capsys):
    assert step_parts.main(["--steps", "3"]) == 0
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    ms = {name: float(value) for name, value, *_ in rows[1:]}
    assert ms.pop("the whole step") > 0
    layers = ("conv1", "conv2", "flatten", "fc1", "relu3", "fc1_drop", "softmax", "fcn", "batch-norm to log-softmax")
    expected = {f"{layer}, {way}" for layer in layers for way in ("forward", "backward")}
    assert ms.keys() == expected | {"between the parts", "loss and its gradient", "optimiser", "choice of the images"}
    assert all(value >= 0 for value in ms.values())


def test_a_part_in_the_middle_of_another_is_counted_once(monkeypatch):
    now = iter([0.0, 1.0, 3.0, 7.0])  # outer begins, inner begins, inner ends, outer ends
    monkeypatch.setattr(step_parts, "time", SimpleNamespace(perf_counter=lambda: next(now)))
    clock = step_parts.Clock()
    clock.around("outer", clock.around("inner", lambda: None))()
    assert clock.ms == {"inner": [2000.0], "outer": [5000.0]}


def test_a_number_of_steps_that_the_data_do_not_have_is_refused(capsys):
    with pytest.raises(SystemExit):
        step_parts.main(["--steps", "581"])
    assert "1 to 580" in capsys.readouterr().err
