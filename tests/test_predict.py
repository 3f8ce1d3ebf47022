"""scripts/predict.py and scripts/evaluate.py as a user calls them."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest

import synann_np
from synann_np.data import load_mnist
from synann_np.layers import Flatten, Linear
from synann_np.models import SynaNN
from synann_np.programs import examples
from synann_np.programs.digits.classify import best_classes, confusion_matrix, probabilities, worst_mistakes
from synann_np.sequential import Sequential

ROOT = Path(__file__).resolve().parents[1]
MODEL = examples.MODEL
DIGITS = examples.DIGITS


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def test_the_example_model_reads_the_example_photographs(tmp_path, capsys):
    assert script("predict")([str(MODEL), str(DIGITS), "--save-seen", str(tmp_path / "seen.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines.pop() == f"What the network saw: {tmp_path / 'seen.png'}"
    # ".../3_chalk.png: 3 (99.9%), 5 (0.1%), 2 (0.0%)": the name begins with the true digit
    answers = [(Path(line.partition(": ")[0]).name[0], line.partition(": ")[2].split(", ")) for line in lines]
    assert len(answers) >= 10
    assert {true for true, _ in answers} == set("0123456789")
    assert all(len(top) == 3 for _, top in answers)
    right = sum(top[0].startswith(f"{true} (") for true, top in answers)
    with capsys.disabled():
        print(f"\nexample photographs: {right} of {len(answers)} right")
    assert right >= len(answers) - 1
    assert (tmp_path / "seen.png").read_bytes().startswith(b"\x89PNG")


def test_bad_files_are_named_and_the_others_answered(tmp_path, capsys):
    (tmp_path / "bad.png").write_text("no picture")
    (tmp_path / "folder").mkdir()
    shutil.copy(DIGITS / "4_marker.png", tmp_path / "price $4$.png")
    paths = [tmp_path / name for name in ("bad.png", "price $4$.png", "nothing.png", "folder")]
    assert script("predict")([str(MODEL), *map(str, paths), "--save-seen", str(tmp_path / "seen.png")]) == 2
    out, err = capsys.readouterr()
    assert out.startswith(f"{tmp_path / 'price $4$.png'}: 4 (")
    assert [line.split(": ")[1] for line in err.splitlines()] == [
        str(tmp_path / name) for name in ("nothing.png", "folder", "bad.png")
    ] or {line.split(": ")[1] for line in err.splitlines()} == {
        str(tmp_path / name) for name in ("nothing.png", "folder", "bad.png")
    }


@pytest.mark.parametrize("name", ["predict", "evaluate"])
def test_what_is_no_model_is_one_line_and_exit_code_2(tmp_path, capsys, name):
    wrong = Sequential([("flatten", Flatten()), ("fc", Linear(784, 10))])  # no probabilities
    small = Sequential([("fc", Linear(3, 2))])
    broken = SynaNN()
    broken.params["conv1.bias"][0] = np.nan
    for number, model in enumerate((wrong, small, broken)):
        synann_np.save(tmp_path / str(number), model)
    (tmp_path / "text").write_text("no model")
    extra = [str(DIGITS / "4_marker.png")] if name == "predict" else ["--out", str(tmp_path / "x.png")]
    for path in (*(tmp_path / n for n in ("0", "1", "2", "text", "nothing")),):
        assert script(name)([*(["--model"] if name == "predict" else []), str(path), *extra]) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"{name}: ")
        assert err.count("\n") == 1


def test_evaluate_prints_accuracy_and_confusion_and_draws_the_worst(tmp_path, capsys, monkeypatch):
    images, labels = (a[:200] for a in load_mnist()[2:])
    main = script("evaluate")
    monkeypatch.setitem(main.__globals__, "load_dataset", lambda directory: (images, labels, images, labels))
    assert main([str(MODEL), "--out", str(tmp_path / "e.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    right = int(lines[0].partition("Accuracy: ")[2].partition("/")[0])
    assert right >= 192
    rows = [[int(n) for n in line.split()[1:11]] for line in lines[2:12]]
    assert sum(row[k] for k, row in enumerate(rows)) == right
    assert [sum(row) for row in rows] == np.bincount(labels).tolist()
    assert (tmp_path / "e.png").read_bytes().startswith(b"\x89PNG")
    assert main([str(MODEL), "--out", str(tmp_path / "no" / "e.png")]) == 2


def test_the_pieces_on_small_numbers():
    labels = np.array([0, 1, 1, 2])
    probs = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.9, 0.06, 0.04]])
    np.testing.assert_array_equal(confusion_matrix(labels, probs.argmax(1), 3), [[1, 0, 0], [1, 1, 0], [1, 0, 0]])
    assert worst_mistakes(labels, probs).tolist() == [3, 1]
    assert worst_mistakes(labels, probs, 1).tolist() == [3]
    assert best_classes(probs[0], 2) == [(0, 0.7), (1, 0.2)]


def test_probabilities_do_not_depend_on_the_batch_size(rng):
    images = rng.integers(0, 256, (7, 28, 28), dtype="uint8")
    model = SynaNN()
    np.testing.assert_allclose(probabilities(model, images, 3), probabilities(model, images), atol=1e-6)
