"""Runs side by side: which are one row, what the row says, what is refused."""

import json
from pathlib import Path

import pytest

from in_process import call
from synann_np.programs import compare_runs
from synann_np.programs.pictures.runs import accuracy_curves
from synann_np.programs.runs.comparison import group, names, read_run
from synann_np.programs.runs.table import table, write_tables
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
    timed = {"model": "mlp", "lr": 0.1, "parameters": 12345, "threads": 2}
    a = make_run(tmp_path / "a", [990, 970], seed=1, out="x", seconds=5.0, **timed)
    b = make_run(tmp_path / "b", [900, 980, 990], seed=2, out="y", seconds=6.04, **timed)
    c = make_run(tmp_path / "c", [950], seed=1, model="mlp", lr=0.2, validation=5000, data_dir="/sets/fashion-mnist")
    lines = table(group(map(read_run, (a, b, c)))).splitlines()
    assert lines[2:] == [
        "| mlp, lr 0.1 | MNIST, test | 12,345 | 2–3 | 5.52 (2) | 1, 2 | 98.00 ± 1.41 | 97.00, 99.00 |",
        "| mlp, lr 0.2 | fashion-mnist, validation |  | 1 |  | 1 | 95.00 | 95.00 |",
    ]


def test_groups_of_one_name_are_told_apart_by_what_differs(tmp_path):
    a = make_run(tmp_path / "a", [990], model="mlp", epochs=3, lr=0.1, momentum=0.9, seed=1)
    b = make_run(tmp_path / "b", [980], model="mlp", epochs=3, lr=0.2, momentum=0.9, seed=2)
    c = make_run(tmp_path / "c", [970], model="cnn", epochs=3, lr=0.2, momentum=0.9, seed=2)
    assert names(group(map(read_run, (a, b, c)))) == ["mlp, lr 0.1", "mlp, lr 0.2", "cnn"]


def test_a_run_from_before_an_option_equals_one_with_the_option_off(tmp_path):
    later = {"normalize": False, "chunks": 0, "tensorboard": None, "C compiler": "cc 13", "numpy": "2.4"}
    a = make_run(tmp_path / "a", [990], model="mlp", seed=1, numpy="2.3")
    b = make_run(tmp_path / "b", [980], model="mlp", seed=2, **later)
    c = make_run(tmp_path / "c", [970], model="mlp", seed=3, **later | {"normalize": True})
    groups = group(map(read_run, (a, b, c)))
    assert [len(runs) for runs in groups] == [2, 1]
    assert names(groups) == ["mlp", "mlp, normalize True"]


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
        ("run.json", '{"seconds": "5"}', "run.json: parameters and seconds: expected numbers"),
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
    assert "| cnn | MNIST, test | 2 | 3 | 99.10 | 99.10 |" in result.stdout
    assert (tmp_path / "curves.png").exists()


# Tables in files


def test_the_tables_of_a_file_are_replaced_and_the_rest_stays(tmp_path):
    make_run(tmp_path / "run1", [990], seed=1, model="cnn")
    make_run(tmp_path / "run2", [980], seed=2, model="cnn")
    make_run(tmp_path / "other", [900], seed=1, model="mlp")
    file = tmp_path / "page.md"
    place = "<!-- runs: {} -->\n{}<!-- end of runs -->"
    file.write_text(f"before\n{place.format('run* other', 'old')}\nbetween\n{place.format('other', '')}\nafter\n")
    result = compare("--write", file)
    assert result.returncode == 0, result.stderr
    text = file.read_text()
    assert "old" not in text
    assert [line for line in text.splitlines() if line[:1] not in ("|", "", "<")] == ["before", "between", "after"]
    assert [line.split(" | ")[0] for line in text.splitlines() if line.endswith(("0.00 |", "9.00, 98.00 |"))] == [
        "| cnn", "| mlp", "| mlp",
    ]  # fmt: skip
    assert write_tables(file) == 2
    assert file.read_text() == text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text", "no place for a table"),
        ("<!-- runs: run -->\n", "no place for a table"),
        ("<!-- runs: run gone* -->\n<!-- end of runs -->", "no run matches gone*"),
        ("<!-- runs: /gone -->\n<!-- end of runs -->", "no run matches /gone"),
        ("<!-- runs:    -->\n<!-- end of runs -->", "a table without runs"),
        ("<!-- runs: page.md -->\n<!-- end of runs -->", "page.md/run.json"),
    ],
)
def test_a_file_whose_table_cannot_be_made_stays_as_it_was(content, message, tmp_path):
    make_run(tmp_path / "run", [990])
    file = tmp_path / "page.md"
    file.write_text(content)
    result = compare("--write", file)
    assert result.returncode == 2
    assert message in result.stderr
    assert file.read_text() == content


def test_without_runs_and_files_there_is_nothing_to_compare(tmp_path):
    assert "at least one run" in compare().stderr
    assert "at least one run" in compare("--out", tmp_path / "curves.png").stderr


@pytest.mark.parametrize("page", ["README.md", "docs/results/README.md"])
def test_the_published_tables_are_those_of_the_committed_runs(page, tmp_path):
    root = Path(__file__).parents[1]
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/results").mkdir()
    for folder in (root / "docs/results").iterdir():
        if folder.is_dir():
            (tmp_path / "docs/results" / folder.name).symlink_to(folder)
    text = (root / page).read_text(encoding="utf-8")
    (tmp_path / page).write_text(text, encoding="utf-8")
    write_tables(tmp_path / page)
    assert (tmp_path / page).read_text(encoding="utf-8") == text, f"run `synann compare --write {page}`"
