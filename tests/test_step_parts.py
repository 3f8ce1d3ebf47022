"""scripts/step_parts.py: every part of a step is timed once, and together they are the step."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "step_parts.py"
spec = importlib.util.spec_from_file_location("step_parts", SCRIPT)
step_parts = importlib.util.module_from_spec(spec)
spec.loader.exec_module(step_parts)


def test_the_table_has_every_part_and_no_time_twice(capsys):
    assert step_parts.main(["--steps", "3"]) == 0
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    ms = {name: float(value) for name, value, *_ in rows[1:]}
    total = ms.pop("the whole step")
    layers = ("conv1", "conv2", "flatten", "fc1", "relu3", "fc1_drop", "softmax", "fcn", "batch-norm to log-softmax")
    expected = {f"{layer}, {way}" for layer in layers for way in ("forward", "backward")}
    assert ms.keys() == expected | {"between the parts", "loss and its gradient", "optimiser", "choice of the images"}
    assert 0 < sum(ms.values()) < 2 * total  # medians of parts need not add up to the median of their sum


def test_a_part_in_the_middle_of_another_is_counted_once():
    clock = step_parts.Clock()
    inner = clock.around("inner", lambda: step_parts.time.sleep(0.02))
    outer = clock.around("outer", inner)
    outer()
    assert clock.ms["inner"][0] >= 20
    assert clock.ms["outer"][0] < 20


def test_a_number_of_steps_that_the_data_do_not_have_is_refused(capsys):
    with pytest.raises(SystemExit):
        step_parts.main(["--steps", "581"])
    assert "1 to 580" in capsys.readouterr().err
