"""scripts/depth_study.py on a tiny data set: its networks, its results file, its table and picture."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from synann_np.data import write_idx
from synann_np.layers import Residual

ROOT = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("depth_study", ROOT / "scripts" / "depth_study.py")
study = importlib.util.module_from_spec(spec)
spec.loader.exec_module(study)


@pytest.mark.parametrize("skip", [True, False])
def test_synapse_and_linear_stacks_have_the_same_number_of_weights(skip):
    sizes = {kind: sum(p.size for p in study.stack(kind, 3, skip, 1).params.values()) for kind in study.KINDS}
    block = 64 * 64 + 3 * 64
    assert sizes == dict.fromkeys(study.KINDS, 784 * 64 + 3 * 64 + 3 * block + 64 * 10 + 10)


def test_a_stack_has_as_many_synapses_and_skip_connections_as_asked():
    layers = study.stack("synapse", 4, True, 1).layers.values()
    assert sum(isinstance(layer, Residual) for layer in layers) == 4
    layers = study.stack("synapse", 4, False, 1).layers.values()
    assert sum("Synapse" in type(layer).__name__ for layer in layers) == 4


@pytest.fixture
def folder(tmp_path, rng):
    """Noise in the format of MNIST: 200 images to learn, 50 to test."""
    for split, n in (("train", 200), ("t10k", 50)):
        write_idx(tmp_path / f"{split}-images-idx3-ubyte", rng.integers(0, 256, (n, 28, 28)).astype("uint8"))
        write_idx(tmp_path / f"{split}-labels-idx1-ubyte", (np.arange(n) % 10).astype("uint8"))
    return tmp_path


def test_runs_are_kept_and_not_repeated_and_seed_0_chooses_the_rate(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(study, "IMAGES", 150)
    monkeypatch.setattr(study, "HELD_OUT", 50)
    monkeypatch.setattr(study, "RATES", (0.01, 0.03))
    out, plot = tmp_path / "depth.jsonl", tmp_path / "depth.png"
    arguments = ["--depths", "2", "--seeds", "1", "--epochs", "1", "--data-dir", str(folder), "--out", str(out)]
    assert study.main([*arguments, "--plot", str(plot)]) == 0
    results = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(results) == 4 * (len(study.RATES) + 1)
    for kind, skip in [("synapse", True), ("linear", False)]:
        tried = {r["rate"]: r["test"] for r in results if (r["kind"], r["skip"], r["seed"]) == (kind, skip, 0)}
        (final,) = [r for r in results if (r["kind"], r["skip"], r["seed"]) == (kind, skip, 1)]
        assert tried[final["rate"]] == max(tried.values())
        assert 0 <= final["test"] <= 1
    assert plot.stat().st_size > 1000
    first = capsys.readouterr().out
    assert "| synapse | yes | 2 |" in first
    assert study.main([*arguments, "--only-report"]) == 0
    assert capsys.readouterr().out.strip() in first
    assert len(out.read_text().splitlines()) == len(results)


def test_the_table_has_means_and_spreads():
    runs = [
        {
            "kind": "synapse",
            "depth": 2,
            "skip": True,
            "rate": 0.01,
            "seed": seed,
            "epochs": 1,
            "train": 1.0,
            "test": test,
        }
        for seed, test in ((1, 0.9), (2, 0.94), (0, 0.1))
    ]
    lines = list(study.table(runs))
    assert lines[2] == f"| synapse | yes | 2 | 0.01 | 100.00 | 92.00 ± {100 * np.std([0.9, 0.94], ddof=1):.2f} | 8.00 |"


def test_what_cannot_be_done_is_said_in_one_line(tmp_path, capsys):
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{")
    for arguments, reason in [
        (["--out", str(broken)], "not the results"),
        (["--data-dir", "/nowhere"], "no such folder"),
    ]:
        out = [] if "--out" in arguments else ["--out", str(tmp_path / "new.jsonl")]
        assert study.main([*arguments, *out]) == 2
        error = capsys.readouterr().err
        assert error.startswith("depth_study: ")
        assert error.count("\n") == 1
        assert reason in error
