"""scripts/soak.py on a run as short as it can be."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "soak.py"


@pytest.fixture(scope="module")
def soak():
    spec = importlib.util.spec_from_file_location("soak", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_a_short_soak_passes(soak, capfd):
    arguments = ["--epochs", "3", "--images", "60", "--kills", "1", "--tolerance", "50"]
    assert soak.main([*arguments, "--batch-size", "20", "--log-interval", "1", "--threads", "1"]) == 0
    out = capfd.readouterr().out
    assert "history.jsonl: equal after 1 kills" in out
    assert out.endswith("passed\n")


def test_memory_that_grows_is_noticed_and_noise_is_not(soak, capsys):
    assert not soak.report_memory([100 + 0.1 * n for n in range(200)], tolerance=4)
    assert soak.report_memory([50.0] * 20 + [100 + n % 3 for n in range(180)], tolerance=4)
    assert "grew by +1" in capsys.readouterr().out
