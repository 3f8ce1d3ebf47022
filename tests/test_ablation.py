"""The ablation: its variants, its results, its table; and the script on a tiny data set."""

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest

from synann_np.layers import Sigmoid, Softmax, Synapse
from synann_np.programs.ablation import report as ablation_report
from synann_np.programs.ablation.published_listing import PublishedListing
from synann_np.programs.ablation.training import is_same_run, run
from synann_np.programs.ablation.variants import VARIANTS, build, without_synapse

ROOT = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("ablation_script", ROOT / "scripts" / "ablation.py")
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)

TINY = {"epochs": 2, "batch_size": 50, "lr": 0.012, "momentum": 0.5, "train_images": 150, "test_images": 100}


def test_the_variants_differ_in_what_their_names_say():
    found = {}
    for name in VARIANTS:
        layers = build(name, 5).layers
        squash = {Softmax: "softmax", Sigmoid: "sigmoid"}
        squashes = [squash[type(layer)] for layer in layers.values() if type(layer) in squash]
        fcn = layers.get("fcn")
        kind = fcn.config["parametrisation"] if isinstance(fcn, Synapse) else type(fcn).__name__
        found[name] = (*squashes, kind, layers["fcb"].eps)
    assert found == {
        "identity": ("softmax", "NoneType", 1e-5),
        "listing": ("softmax", "PublishedListing", 1e-5),
        "free": ("softmax", "free", 1e-5),
        "logistic": ("softmax", "logistic", 1e-5),
        "surprisal": ("softmax", "surprisal", 1e-5),
        "sigmoid": ("sigmoid", "NoneType", 1e-5),
        "sigmoid-free": ("sigmoid", "free", 1e-5),
        "sigmoid-logistic": ("sigmoid", "logistic", 1e-5),
        "sigmoid-surprisal": ("sigmoid", "surprisal", 1e-5),
        "relu": ("NoneType", 1e-5),
        "relu-free": ("free", 1e-5),
        "identity-eps": ("softmax", "NoneType", 1e-12),
        "free-eps": ("softmax", "free", 1e-12),
    }


def test_all_variants_of_a_seed_start_alike():
    reference = build("free", 3).state_dict()
    for name in VARIANTS:
        for key, a in build(name, 3).state_dict().items():
            if not key.startswith("fcn"):
                np.testing.assert_array_equal(a, reference[key], err_msg=f"{name}: {key}")
    np.testing.assert_array_equal(build("listing", 3).params["fcn.beta"], reference["fcn.beta"])


def test_each_variant_is_compared_with_the_one_without_its_synapse():
    pairs = {name: without_synapse(name) for name in VARIANTS}
    assert {pairs[name] for name in ("identity", "listing", "free", "logistic", "surprisal")} == {"identity"}
    assert {pairs[name] for name in VARIANTS if name.startswith("sigmoid")} == {"sigmoid"}
    assert pairs["free-eps"] == pairs["identity-eps"] == "identity-eps"
    assert pairs["relu"] == "relu"


# Training in float32 underflows here and there, which is what users have.
@pytest.fixture
def usual_arithmetic():
    with np.errstate(under="ignore"):
        yield


def test_equal_runs_give_equal_results(usual_arithmetic):
    first, second = (run("free", 5, TINY) for _ in range(2))
    first.pop("seconds")
    second.pop("seconds")
    assert first == second
    assert len(first["accuracy"]) == len(first["loss"]) == 2
    assert is_same_run(json.loads(json.dumps(first)), "free", 5, TINY)
    assert not is_same_run(first, "free", 6, TINY)
    assert not is_same_run(first, "free", 5, TINY | {"lr": 0.1})
    assert -0.2 < first["beta"][0] < first["beta"][1] < 0.2
    assert 0 < first["inhibition"] < 0.1


def test_the_listing_couples_the_whole_batch_in_training(usual_arithmetic):
    """On shards of the batch it would be another function: the compiled model must not cut it."""
    from synann_np import fast

    x = np.random.default_rng(0).standard_normal((120, 1, 28, 28)).astype("float32")
    model = build("listing", 5)
    assert isinstance(model.layers["fcn"], PublishedListing)
    compiled = fast.compile(model, threads=2).forward(x, train=True)[0]
    np.testing.assert_allclose(compiled, model.forward(x, train=True)[0], atol=1e-4)


def test_a_run_that_diverges_is_a_result_too(usual_arithmetic):
    with np.errstate(all="ignore"):
        result = run("relu", 5, TINY | {"lr": 1e30, "epochs": 5})
    assert result["failed"].startswith("the loss is NaN in epoch")
    assert ":" not in result["failed"]
    assert len(result["accuracy"]) < 5
    json.dumps(result, allow_nan=False)


def made_up(variant, seed, *accuracy, **more):
    settings = TINY | {"epochs": len(accuracy)}
    return {"variant": variant, "seed": seed, "settings": settings, "accuracy": accuracy, "seconds": 9.6, **more}


RESULTS = [
    made_up("identity", 1, 0.5, 0.90, 0.91, 0.92),
    made_up("identity", 2, 0.5, 0.92, 0.93, 0.94),
    made_up("free", 1, 0.5, 0.91, 0.93, 0.95, beta=[-0.5, 0.25], inhibition=0.01),
    made_up("free", 2, 0.5, 0.93, 0.93, 0.96, beta=[-0.25, 0.5], inhibition=0.03),
    made_up("relu", 1, 0.5, 0.6, 0.7, 0.8),
    made_up("sigmoid", 1, 0.5, failed="the loss is nan"),
]


def test_the_table_has_means_spreads_and_paired_differences():
    lines = [line.strip("| ").split(" | ") for line in ablation_report.table(RESULTS)]
    assert lines[2:5] == [
        ["softmax, no synapse", "2", "0.012", "93.00 ± 1.41", "92.00 ± 1.41", "–", "–", "–"],
        ["softmax, synapse with free β", "2", "0.012", "95.50 ± 0.71", "93.50 ± 0.71", "+1.50 (-4.85 to +7.85)",
         "-0.50 … 0.50", "0.020"],
        ["relu, no synapse", "1", "0.012", "80.00", "70.00", "–", "–", "–"],
    ]  # fmt: skip
    assert lines[5:] == [["\nsigmoid, no synapse, seed 1: the loss is nan."]]


def test_the_table_replaces_what_is_between_the_markers():
    text = f"before\n{ablation_report.BEGIN}\nold\n{ablation_report.END}\nafter\n"
    filled = ablation_report.fill(text, RESULTS)
    assert filled.startswith("before\n<!--")
    assert filled.endswith("-->\nafter\n")
    assert "old" not in filled
    assert "93.00 ± 1.41" in filled
    assert ablation_report.fill(filled, RESULTS) == filled
    for wrong in ("no markers", text + text):
        with pytest.raises(ValueError, match="one place"):
            ablation_report.fill(wrong, RESULTS)


def test_the_page_has_a_place_for_the_table():
    ablation_report.fill((ROOT / "docs" / "ablation.md").read_text(encoding="utf-8"), RESULTS)


def test_the_script_trains_what_is_missing_writes_table_and_plot_and_does_nothing_twice(tmp_path, capsys, monkeypatch):
    out, page, plot = tmp_path / "new" / "a.jsonl", tmp_path / "a.md", tmp_path / "a.png"
    page.write_text(f"# Title\n{ablation_report.BEGIN}\n{ablation_report.END}\n")
    arguments = ["--variants", "identity", "free", "--epochs", "1", "--train-images", "100", "--test-images", "50",
                 "--batch-size", "50", "--jobs", "1", "--out", str(out)]  # fmt: skip
    report = ["--table", str(page), "--plot", str(plot)]
    assert script.main([*arguments, "--seeds", "1"]) == 0
    first = out.read_text()
    assert [json.loads(line)["variant"] for line in first.splitlines()] == ["identity", "free"]
    assert script.main([*arguments, "--seeds", "1", "2", *report]) == 0
    assert out.read_text().startswith(first)
    assert len(out.read_text().splitlines()) == 4
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "Seeds 1, 2; 1 epochs of 100 images" in page.read_text()
    assert len(re.findall(r"^\| softmax", page.read_text(), re.M)) == 2
    monkeypatch.setattr(script, "ProcessPoolExecutor", None)  # nothing is left to train
    assert script.main([*arguments, "--seeds", "1", "2", "--only-report"]) == 0
    capsys.readouterr()


def test_what_cannot_be_done_is_said_in_one_line(tmp_path, capsys):
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"a": \n')
    for arguments, reason in [
        (["--only-report", "--out", str(tmp_path / "none.jsonl")], "no finished run"),
        (["--out", str(broken)], "not the results"),
        (["--data-dir", str(tmp_path / "nowhere")], "no such folder"),
    ]:
        assert script.main(arguments) == 2
        error = capsys.readouterr().err
        assert error.startswith("ablation: ")
        assert error.count("\n") == 1
        assert reason in error
