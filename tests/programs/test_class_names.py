"""Names of the classes travel with a model: from folders of pictures to `synann predict`, ONNX and scikit-learn."""

import json

import numpy as np
import pytest

import synann_np
from synann_np import fast
from synann_np.data import DataError, read_picture
from synann_np.layers import Flatten, Linear, LogSoftmax
from synann_np.models import SynaMLP, normalized
from synann_np.programs.command import main
from synann_np.sequential import Sequential
from synann_np.storage.checkpoint import load, read_checkpoint, save
from synann_np.storage.model_card import write_model_card
from synann_np.storage.safetensors_file import CheckpointError

Image = pytest.importorskip("PIL.Image")


def small_model():
    return Sequential([("flatten", Flatten()), ("fc", Linear(48, 3)), ("out", LogSoftmax())])


@pytest.fixture
def pictures(tmp_path):
    """Ten pictures of each of two colours, 6 high and 8 wide."""
    rng = np.random.default_rng(5)
    for name, channel in {"rose": 0, "grass leaf": 1}.items():
        (tmp_path / "garden" / name).mkdir(parents=True)
        for n in range(10):
            pixels = rng.integers(0, 60, (6, 8, 3), "uint8")
            pixels[..., channel] += 180
            Image.fromarray(pixels).save(tmp_path / "garden" / name / f"{n}.png")
    return tmp_path / "garden"


@np.errstate(all="ignore")
def test_predict_and_evaluate_say_the_names_of_the_folders(pictures, tmp_path, capsys):
    run, seen = tmp_path / "run", tmp_path / "seen.png"
    options = [
        "--model",
        "mlp",
        "--epochs",
        "10",
        "--batch-size",
        "4",
        "--optimizer",
        "adam",
        "--normalize",
        "--threads",
        "1",
    ]
    assert main(["train", "--data-dir", str(pictures), "--out", str(run), *options]) == 0
    assert "Classes: 0 grass leaf 1 rose" in capsys.readouterr().out
    model = run / "last.safetensors"
    rose, leaf = pictures / "rose" / "4.png", pictures / "grass leaf" / "9.png"
    assert main(["predict", str(model), str(rose), str(leaf), "--save-seen", str(seen)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{rose}: rose (")
    assert ", grass leaf (" in lines[0]
    assert lines[1].startswith(f"{leaf}: grass leaf (")
    assert main(["evaluate", str(model), "--data-dir", str(pictures), "--out", str(tmp_path / "e.png")]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[1:4] == [
        "true \\ predicted  grass leaf       rose  accuracy",
        "      grass leaf           2          0   100.00%",
        "            rose           0          2   100.00%",
    ]


def test_a_picture_of_another_size_is_refused_with_the_size_that_is_right(pictures, tmp_path, capsys):
    model = normalized(SynaMLP(in_shape=(3, 6, 8), classes=2), np.random.default_rng(5).random((4, 3, 6, 8)))
    model.class_names, model.in_shape = ["a", "b"], (3, 6, 8)
    save(tmp_path / "m.safetensors", model)
    Image.new("RGB", (28, 20)).save(tmp_path / "large.png")
    assert main(["predict", str(tmp_path / "m.safetensors"), str(tmp_path / "large.png")]) == 2
    assert "28×20 pixels, but the model was trained on pictures of 8×6; resize it" in capsys.readouterr().err


def test_grey_models_read_colour_pictures_as_grey_and_the_other_way_round(tmp_path):
    Image.fromarray(np.arange(48, dtype="uint8").reshape(6, 8)).save(tmp_path / "grey.png")
    Image.new("RGB", (8, 6), (255, 0, 0)).save(tmp_path / "red.png")
    assert read_picture(tmp_path / "grey.png", (1, 6, 8)).tolist() == np.arange(48).reshape(6, 8).tolist()
    assert read_picture(tmp_path / "red.png", (1, 6, 8)).shape == (6, 8)
    assert read_picture(tmp_path / "grey.png", (3, 6, 8)).shape == (3, 6, 8)
    with pytest.raises(DataError, match="no picture"):
        read_picture(tmp_path / "nothing.png", (1, 6, 8))


def test_names_and_shape_are_saved_loaded_compiled_and_normalised(tmp_path):
    model = small_model()
    assert model.class_names is None
    assert model.in_shape is None
    model.class_names, model.in_shape = ["cat", "dog", "ü"], (3, 4, 4)
    save(tmp_path / "m.safetensors", fast.compile(model))
    again = load(tmp_path / "m.safetensors")
    assert (again.class_names, again.in_shape) == (("cat", "dog", "ü"), (3, 4, 4))
    assert normalized(again, np.random.default_rng(5).random((5, 3, 4, 4))).class_names == again.class_names
    compiled = fast.compile(model)
    compiled.class_names = ["x", "y", "z"]
    assert model.class_names == ("x", "y", "z")
    card = write_model_card(tmp_path / "m.safetensors", "Three classes.")
    assert "Classes: cat, dog, ü\n" in card.read_text(encoding="utf-8")


def test_a_model_without_names_is_described_as_ever(tmp_path):
    save(tmp_path / "m.safetensors", small_model())
    assert read_checkpoint(tmp_path / "m.safetensors").config.keys() == {"dtype", "layers"}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("ab", "expected class_names to be a list of strings, got 'ab'"),
        ([0, 1], "expected class_names to be a list of strings"),
        (["a", "a"], "'a' occurs twice"),
        (["a", ""], "can be printed"),
        (["a", "\x1b[31m"], "can be printed"),
    ],
)
def test_what_is_no_list_of_names_is_refused(names, message):
    model = small_model()
    with pytest.raises((TypeError, ValueError), match=message.replace("[", r"\[")):
        model.class_names = names
    assert model.class_names is None


@pytest.mark.parametrize("key", ["class_names", "in_shape"])
def test_a_forged_file_is_refused(tmp_path, key, monkeypatch):
    from synann_np.storage import checkpoint

    real = checkpoint.proved_description
    monkeypatch.setattr(checkpoint, "proved_description", lambda model: real(model) | {key: ["a", 1]})
    save(tmp_path / "m.safetensors", small_model())
    with pytest.raises(CheckpointError, match=key):
        load(tmp_path / "m.safetensors")


def test_onnx_metadata_hold_the_names(tmp_path):
    onnx = pytest.importorskip("onnx")
    from synann_np.bridges.onnx import export

    model = small_model()
    model.class_names, model.in_shape = ["cat", "dog", "owl"], (3, 4, 4)
    export(model, tmp_path / "m.onnx")
    written = onnx.load(tmp_path / "m.onnx")
    assert {p.key: json.loads(p.value) for p in written.metadata_props} == {"class_names": ["cat", "dog", "owl"]}
    (images,) = written.graph.input
    assert [d.dim_value or d.dim_param for d in images.type.tensor_type.shape.dim] == ["N", 3, 4, 4]
    assert images.type.tensor_type.elem_type == onnx.TensorProto.UINT8


def test_the_classifier_of_scikit_learn_names_the_classes_of_its_model(tmp_path):
    pytest.importorskip("sklearn")
    from synann_np.bridges.sklearn import SynapseNetClassifier

    X = np.random.default_rng(5).standard_normal((20, 3))
    estimator = SynapseNetClassifier(max_iter=1).fit(X, np.where(X[:, 0] > 0, "yes", "no"))
    synann_np.save(tmp_path / "m.safetensors", estimator.model_)
    assert synann_np.load(tmp_path / "m.safetensors").class_names == ("no", "yes")
