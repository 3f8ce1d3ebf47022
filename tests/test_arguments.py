"""Command lines made of anything: right, or refused with exit code 2, never a traceback."""

import importlib.util
import json
import random
from pathlib import Path

import pytest

from synann_np.runs.arguments import parse_arguments, to_json
from synann_np.runs.options import TAKEN_OVER
from synann_np.runs.save_interval import to_interval

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = [
    "--backend", "--dtype", "--epochs", "--batch-size", "--test-batch-size", "--lr", "--momentum", "--seed",
    "--log-interval", "--validation", "--data-dir", "--out", "--overwrite", "--resume", "--accept-changes",
    "--save-every", "--stop-if-unsaved", "--check-finite", "--unknown", "--", "-x", "--e",
]  # fmt: skip
VALUES = [
    "1", "0", "-1", "20", "1.5", "1e400", "nan", "inf", "-inf", "1e-3", "", " ", "numpy", "tpu", "float32", "float16",
    "10min", "0min", "nanmin", "min", "9" * 5000, "١", "0x10", "1_000", "ä" * 300, "None", "true",
]  # fmt: skip


def outcome(argv):
    """The namespace, or None if the arguments were refused."""
    try:
        return parse_arguments(argv, "a description")
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    return None


def check(args):
    assert all(getattr(args, name) >= 1 for name in ("epochs", "batch_size", "test_batch_size", "log_interval"))
    assert all(0 <= getattr(args, name) < float("inf") for name in ("lr", "momentum"))
    assert args.seed >= 0
    assert args.dtype in ("float32", "float64")
    assert args.backend in ("numpy", "cupy", "auto")
    interval = to_interval(args.save_every)
    assert (interval.epochs or 0) >= 1 or interval.minutes >= 0


def test_command_lines_of_anything_are_right_or_refused(tmp_path, capsys):
    chance = random.Random(5)
    tried, refused = 3000, 0
    for _ in range(tried):
        argv = [chance.choice(OPTIONS + VALUES) for _ in range(chance.choice([0, 0, 0, 1, 3]))]
        argv += [word for option in chance.sample(OPTIONS[:12], 2) for word in (option, chance.choice(VALUES))]
        args = outcome(argv)
        refused += args is None
        if args is not None:
            check(args)
    capsys.readouterr()
    with capsys.disabled():
        print(f"\narguments: inputs tried {tried}, refused {refused}, taken {tried - refused}, failures 0")


def test_run_json_of_anything_is_taken_over_right_or_refused(tmp_path, capsys):
    chance = random.Random(6)
    file, tried, refused = tmp_path / "run.json", 1000, 0
    args = outcome([])
    good = to_json(args).encode()
    values = [None, 0, 1, -1, 1.5, 10**400, True, "", "numpy", "1", [], {}, [1], {"a": 1}, "--epochs=3", "x y"]
    for _ in range(tried):
        if chance.random() < 0.5:
            settings = {key: chance.choice(values) for key in chance.sample(TAKEN_OVER, 2)}
            content = json.dumps(json.loads(good) | settings).encode()
        else:
            content = bytearray(good)
            content[chance.randrange(len(good))] = chance.randrange(256)
            content = bytes(content[: chance.randrange(len(good)) if chance.random() < 0.3 else None])
        file.write_bytes(content)
        args = outcome(["--resume", str(tmp_path)])
        refused += args is None
        if args is not None:
            check(args)
    capsys.readouterr()
    with capsys.disabled():
        print(f"\nrun.json: inputs tried {tried}, refused {refused}, taken {tried - refused}, failures 0")


def test_settings_come_back_from_run_json_and_new_ones_replace_them(tmp_path):
    first = outcome(["--lr", "0.5", "--epochs", "7", "--validation", "9", "--save-every", "3min", "--data-dir", "d"])
    (tmp_path / "run.json").write_text(to_json(first, numpy="2"))
    again = outcome(["--resume", str(tmp_path), "--epochs", "8"])
    assert (again.lr, again.epochs, again.validation, again.save_every) == (0.5, 8, 9, "3min")
    assert again.data_dir == Path("d").resolve()
    assert again.out == tmp_path


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.mark.parametrize("name", ["train_mnist", "predict", "evaluate", "show_data"])
def test_scripts_end_with_exit_code_2_and_a_line_whatever_the_paths(tmp_path, capsys, monkeypatch, name):
    """Paths that are missing, folders, empty files, files of nonsense; no run gets as far as training."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nonsense").write_bytes(random.Random(5).randbytes(1000))
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    chance, main, tried = random.Random(7), script(name), 100
    for _ in range(tried):
        paths = [chance.choice(["nonsense", "empty", "folder", "missing", "a/b", "ä" * 300]) for _ in "ab"]
        argv = {
            "train_mnist": ["--data-dir", paths[0], "--out", "out"],
            "predict": paths,
            "evaluate": [paths[0], "--data-dir", paths[1]],
            "show_data": ["--data-dir", paths[0]],
        }[name]
        assert main(argv) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"{name}: ")
        assert err.count("\n") == 1
    with capsys.disabled():
        print(f"\n{name}: command lines tried {tried}, failures 0")


@pytest.mark.parametrize("extra", [["--validation", "60000"], ["--batch-size", "59999"]])
def test_train_refuses_what_only_the_data_show(tmp_path, capsys, monkeypatch, extra):
    monkeypatch.chdir(tmp_path)
    assert script("train_mnist")(["--epochs", "1", *extra]) == 2
    err = capsys.readouterr().err
    assert err.startswith("train_mnist: ")
    assert err.count("\n") == 1
