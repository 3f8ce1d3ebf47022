"""scripts/explain.py: numbers and a picture, or one line that says what is wrong."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

import synann_np
from stripes import stripes
from synann_np.data import write_idx
from synann_np.layers import Linear
from synann_np.models import SynaNN
from synann_np.sequential import Sequential

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "explain.py"
spec = importlib.util.spec_from_file_location("explain_script", SCRIPT)
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)


@pytest.fixture
def model(tmp_path):
    """Untrained, with the statistics of a trained one and a negative factor."""
    network = SynaNN()
    network.buffers["fcb.running_mean"][...] = 1 / 64
    network.buffers["fcb.running_var"][...] = 1e-4
    network.params["fcn.beta"][3, 5] = 100
    path = tmp_path / "m.safetensors"
    synann_np.save(path, network)
    return path


@pytest.fixture
def few(tmp_path):
    """A folder with 20 striped images for training and 20 for testing."""
    folder = tmp_path / "data"
    folder.mkdir()
    images, labels = stripes(20, seed=0)
    for split in ("train", "t10k"):
        write_idx(folder / f"{split}-images-idx3-ubyte", images)
        write_idx(folder / f"{split}-labels-idx1-ubyte", labels)
    return folder


# matplotlib's own arithmetic may underflow
@np.errstate(all="ignore")
def run(*arguments):
    return script.main([str(a) for a in arguments])


@pytest.mark.filterwarnings("ignore")
def test_an_image_of_the_test_set_gives_tables_and_a_picture(model, few, tmp_path, capsys):
    out = tmp_path / "shares.png"
    assert run("--index", 3, "--data-dir", few, "--model", model, "--out", out) == 0
    assert out.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    text = capsys.readouterr().out
    rows = re.findall(r"^ +(\d) +[\d.]+% (.+)$", text, re.M)
    assert [int(k) for k, _ in rows] == list(range(10))
    for _, numbers in rows:
        logit, *parts = map(float, numbers.split())
        assert abs(sum(parts) - logit) < 0.003  # printed digits
    assert "units of most weight" in text
    assert "inhibitory channels of most weight" in text


def test_a_photograph_is_explained(model, tmp_path):
    from PIL import Image

    photo = tmp_path / "one.png"
    pixels = np.full((60, 60), 255, np.uint8)
    pixels[10:50, 27:33] = 0
    Image.fromarray(pixels).save(photo)
    assert run(photo, "--model", model, "--out", tmp_path / "shares.png") == 0


def test_what_cannot_be_done_is_said_in_one_line(model, few, tmp_path, capsys):
    other = tmp_path / "other.safetensors"
    synann_np.save(other, Sequential([("fc", Linear(3, 2))]))
    cases = [
        (["--index", 20, "--model", model], "the test set has 0..19"),
        (["nothing.png", "--model", model], "nothing.png"),
        (["--index", 0, "--model", tmp_path / "none"], "none"),
        (["--index", 0, "--model", other], "one Synapse"),
        (["--index", 0, "--model", model, "--out", tmp_path / "no folder" / "a.png"], "No such file"),
    ]
    for arguments, reason in cases:
        assert run(*arguments, "--data-dir", few) == 2
        error = capsys.readouterr().err
        assert error.startswith("explain: ")
        assert error.count("\n") == 1
        assert reason in error
