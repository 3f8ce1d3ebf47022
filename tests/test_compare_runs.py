"""Runs side by side: which are one row, what the row says, what is refused."""

import json

import pytest

from in_process import call
from synann_np.programs import compare_runs
from synann_np.programs.pictures.runs import accuracy_curves
from synann_np.programs.runs.comparison import group, names, read_run, table
from synann_np.train import EvalRecord
from synann_np.training.history import to_line


def make_run(folder, correct, **settings):
    """A run whose epochs ended with these numbers of right answers of 1000."""
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps(settings))
    lines = [to_line(EvalRecord(epoch, 10 * epoch, 0.5, c, 1000)) for epoch, c in enumerate(correct, start=1)]
    (folder / "history.jsonl").write_text("".join(lines))
    return folder


def compare(*arguments):
    return call(compare_runs.main, *arguments)


def test_runs_that_differ_in_the_seed_are_one_row_with_the_last_epochs(tmp_path):
    a = make_run(tmp_path / "a", [990, 970], seed=1, model="mlp", lr=0.1, out="x")
    b = make_run(tmp_path / "b", [900, 980, 990], seed=2, model="mlp", lr=0.1, out="y", threads=2)
    c = make_run(tmp_path / "c", [950], seed=1, model="mlp", lr=0.2, validation=5000)
    lines = table(group(map(read_run, (a, b, c)))).splitlines()
    assert lines[2:] == [
        "| mlp, lr 0.1 | test | 1, 2 | 2–3 | 98.00 ± 1.41 | 97.00, 99.00 |",
        "| mlp, lr 0.2, validation 5000 | validation | 1 | 1 | 95.00 | 95.00 |",
    ]


def test_groups_of_one_name_are_told_apart_by_what_differs(tmp_path):
    a = make_run(tmp_path / "a", [990], model="mlp", epochs=3, lr=0.1, momentum=0.9, seed=1)
    b = make_run(tmp_path / "b", [980], model="mlp", epochs=3, lr=0.2, momentum=0.9, seed=2)
    c = make_run(tmp_path / "c", [970], model="cnn", epochs=3, lr=0.2, momentum=0.9, seed=2)
    assert names(group(map(read_run, (a, b, c)))) == ["mlp, lr 0.1", "mlp, lr 0.2", "cnn"]


def test_a_run_of_a_recipe_is_named_by_it(tmp_path):
    assert read_run(make_run(tmp_path / "a", [1], recipe="quick", model="lenet")).label == "quick"
    assert read_run(make_run(tmp_path / "b", [1])).label == "synann"  # before there was a choice


def test_the_picture_is_written(tmp_path):
    runs = [read_run(make_run(tmp_path / name, [900, 950, 1000], seed=name)) for name in "ab"]
    accuracy_curves(group(runs), tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("run.json", "{", "run.json: not written by train_mnist.py"),
        ("run.json", "[]", "run.json: not written by train_mnist.py"),
        ("run.json", None, "run.json: No such file"),
        ("history.jsonl", "nonsense\n", "history.jsonl: line 1 is not a record"),
        ("history.jsonl", "", "no epoch was finished"),
        ("history.jsonl", None, "history.jsonl: No such file"),
    ],
)
def test_a_folder_that_is_no_run_is_named_in_one_line(file, content, message, tmp_path):
    folder = make_run(tmp_path / "run", [900])
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(content)
    result = compare(folder)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_script_prints_the_table_and_draws_the_picture(tmp_path):
    folder = make_run(tmp_path / "run", [900, 991], model="cnn", seed=3)
    result = compare(folder, "--out", tmp_path / "curves.png")
    assert result.returncode == 0, result.stderr
    assert "| cnn | test | 3 | 2 | 99.10 | 99.10 |" in result.stdout
    assert (tmp_path / "curves.png").exists()
