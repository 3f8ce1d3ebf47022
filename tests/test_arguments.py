"""Command lines made of anything: right, or refused with exit code 2, never a traceback."""

import importlib.util
import json
import random
from pathlib import Path

import numpy as np
import pytest

import synann_np
from synann_np.programs.runs.arguments import parse_arguments, to_json
from synann_np.programs.runs.options import HYPERPARAMETERS, TAKEN_OVER
from synann_np.programs.runs.parts import make_augment, make_optimizer, make_schedule, schedule_epochs, to_augment
from synann_np.programs.runs.recipes import FOLDER, recipe_names
from synann_np.programs.runs.save_interval import to_interval

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = [
    "--backend", "--dtype", "--epochs", "--batch-size", "--test-batch-size", "--lr", "--momentum", "--seed",
    "--log-interval", "--validation", "--validation-seed", "--data-dir", "--out", "--overwrite", "--resume",
    "--accept-changes", "--save-every", "--stop-if-unsaved", "--check-finite", "--unknown", "--", "-x", "--e",
    "--model", "--optimizer", "--nesterov", "--no-nesterov", "--weight-decay", "--no-decay-vectors", "--schedule",
    "--warmup", "--step-size", "--gamma", "--label-smoothing", "--clip", "--ema", "--augment", "--plain-epochs",
    "--patience", "--keep", "--recipe",
]  # fmt: skip
VALUES = [
    "1", "0", "-1", "20", "1.5", "1e400", "nan", "inf", "-inf", "1e-3", "", " ", "numpy", "tpu", "float32", "float16",
    "adam", "adamw", "cosine", "one_cycle", "best", "seed", "shift=2", "none", "rotate=1,scale=0.1", "shift=", "=", ",",
    "scale=1", "shift=1,shift=1", "a.toml", "0.5", "10min", "0min", "nanmin", "min", "9" * 5000, "١", "0x10", "1_000",
    "ä" * 300, "None", "true",
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
    rates = ("lr", "momentum", "weight_decay", "warmup", "gamma", "clip")
    assert all(0 <= getattr(args, name) < float("inf") for name in rates)
    assert 0 <= args.label_smoothing <= 1
    assert 0 <= args.ema < 1
    assert args.warmup < args.epochs
    assert args.keep in ("last", "best")
    assert args.validation or not (args.patience or args.keep == "best")
    make_optimizer(args)
    assert (to_augment(args.augment) is None) == (args.augment == "none")
    assert min(args.seed, args.validation, args.patience) >= 0
    assert args.dtype in ("float32", "float64")
    assert args.backend in ("numpy", "cupy", "auto")
    interval = to_interval(args.save_every)
    assert (interval.epochs or 0) >= 1 or interval.minutes >= 0


def test_command_lines_of_anything_are_right_or_refused(tmp_path, capsys):
    chance = random.Random(5)
    tried, refused = 1500, 0
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
    file, tried, refused = tmp_path / "run.json", 500, 0
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


def test_switches_come_back_from_run_json_too(tmp_path):
    first = outcome(["--nesterov", "--no-decay-vectors", "--validation", "9", "--patience", "2"])
    (tmp_path / "run.json").write_text(to_json(first))
    again = outcome(["--resume", str(tmp_path)])
    assert (again.nesterov, again.decay_vectors, again.patience, again.keep) == (True, False, 2, "best")
    assert outcome(["--resume", str(tmp_path), "--no-nesterov"]).nesterov is False
    assert to_json(again) == to_json(first).replace('"out": null', f'"out": "{tmp_path}"')


@pytest.mark.parametrize(
    ("argv", "lr", "weight_decay"),
    [
        ([], 0.012, 0.0),
        (["--optimizer", "adam"], 0.001, 0.0),
        (["--optimizer", "adamw"], 0.001, 0.01),
        (["--optimizer", "adamw", "--lr", "0.5", "--weight-decay", "0"], 0.5, 0.0),
    ],
)
def test_defaults_depend_on_the_optimizer(argv, lr, weight_decay):
    args = outcome(argv)
    assert (args.lr, args.weight_decay) == (lr, weight_decay)
    optimizer = make_optimizer(args)
    assert type(optimizer).__name__.lower() == args.optimizer
    assert (optimizer.lr, optimizer.weight_decay) == (lr, weight_decay)


def refusal(capsys, *argv):
    assert outcome([str(a) for a in argv]) is None
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--patience", "3"], "--validation N, since the test set must not choose"),
        (["--validation-seed", "3"], "--validation-seed: needs --validation N"),
        (["--keep", "best"], "--validation N, since the test set must not choose"),
        (["--nesterov", "--optimizer", "adam"], "--nesterov: needs --optimizer sgd"),
        (["--nesterov", "--momentum", "0"], "--momentum above 0"),
        (["--warmup", "3", "--epochs", "3"], "--warmup: 3 epochs leave nothing of --epochs 3"),
        (["--ema", "1"], "--ema: expected less than 1, got 1"),
        (["--label-smoothing", "1.1"], "--label-smoothing: expected at most 1, got 1.1"),
        (["--clip", "-1"], "--clip: expected 0 or more"),
        (["--augment", "shft=2"], "got shft=2"),
        (["--augment", "shift=2,shift=3"], "each once"),
        (["--augment", "shift=far"], "expected a number for shift, got far"),
        (["--augment", "scale=2"], "scale is a fraction below 1"),
        (["--save-every", "3h"], "expected epochs, as 5, or minutes, as 10min, got 3h"),
        (["--model", "resnet"], "--model: invalid choice: 'resnet'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(argv, words, capsys):
    assert words in refusal(capsys, *argv)


# Recipes


def recipe(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return str(path)


def test_recipes_travel_with_the_package():
    assert Path(synann_np.__file__).parent / "programs" / "recipes" == FOLDER
    assert "synann_np.programs = recipes/*.toml" in (FOLDER.parents[2] / "setup.cfg").read_text()


def test_every_recipe_of_the_repository_can_be_used():
    assert {"seed", "quick", "best"} <= set(recipe_names())
    for name in recipe_names():
        args = outcome(["--recipe", name])
        assert args.recipe == name
        make_optimizer(args)
        make_schedule(args, 600)


def test_the_recipe_seed_is_the_published_run():
    args = outcome(["--recipe", "seed"])
    found = {key: getattr(args, key) for key in HYPERPARAMETERS}
    default = {key: getattr(outcome([]), key) for key in HYPERPARAMETERS}
    assert found == default
    assert (args.model, args.optimizer, args.lr, args.momentum, args.seed) == ("synann", "sgd", 0.012, 0.5, 5)
    assert (args.batch_size, args.epochs, args.log_interval) == (100, 115, 100)
    text = (FOLDER / "seed.toml").read_text()  # whatever the defaults will be
    for line in ('optimizer = "sgd"', "lr = 0.012", "momentum = 0.5", "batch_size = 100", "epochs = 115", "seed = 5"):
        assert line in text.splitlines()


def test_what_is_given_on_the_command_line_wins_over_the_recipe(tmp_path):
    path = recipe(tmp_path, 'lr = 0.25\nepochs = 7\nnesterov = true\ndecay_vectors = false\naugment = "shift=1"\n')
    args = outcome(["--recipe", path])
    assert (args.lr, args.epochs, args.nesterov, args.decay_vectors) == (0.25, 7, True, False)
    assert (args.augment, args.recipe) == ("shift=1", path)
    args = outcome(["--epochs", "3", "--no-nesterov", "--recipe", path, "--augment", "none"])
    assert (args.lr, args.epochs, args.nesterov, args.augment) == (0.25, 3, False, "none")


def test_run_json_tells_the_recipe_and_a_resumed_run_keeps_its_settings_whatever_the_file_says_now(tmp_path, capsys):
    path = recipe(tmp_path, "lr = 0.25\n")
    (tmp_path / "run.json").write_text(to_json(outcome(["--recipe", path])))
    assert json.loads((tmp_path / "run.json").read_text())["recipe"] == path
    recipe(tmp_path, "lr = 0.5\n")
    again = outcome(["--resume", str(tmp_path)])
    assert (again.lr, again.recipe) == (0.25, path)
    assert "--recipe: not with --resume" in refusal(capsys, "--resume", tmp_path, "--recipe", path)


def test_recipes_are_listed_with_what_they_are_for(capsys):
    with pytest.raises(SystemExit) as stop:
        parse_arguments(["--recipe", "list"], "")
    assert stop.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == recipe_names()
    assert "seed: The published run: SynaNN by plain gradient descent, 115 epochs." in lines


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lrr = 1", "lrr is not a setting"),
        ("out = 'x'", "out is not a setting"),
        ("resume = true", "resume is not a setting"),
        ("recipe = 'seed'", "recipe is not a setting"),
        ("lr = 'fast'", "lr: expected 0 or more and a finite number, got fast"),
        ("lr = true", "lr: expected 0 or more"),
        ("lr = nan", "lr: expected 0 or more"),
        ("lr = [1]", "lr: expected a number, a text, true or false, got [1]"),
        ("[lr]\na = 1", "lr: expected a number, a text, true or false"),
        ("epochs = 1.5", "epochs: expected 1 or more and a whole number, got 1.5"),
        ("nesterov = 3", "nesterov: "),
        ("model = 'resnet'", "model: invalid choice"),
        ("augment = 'shft=1'", "augment: expected none"),
        ("lr =", "cannot be read ("),
        ("lr = 1\nlr = 2", "cannot be read ("),
        ("a = " + "[" * 10_000, "cannot be read ("),
        ("patience = 3", "since the test set must not choose"),
    ],
)
def test_a_bad_recipe_is_one_line_with_file_and_key(tmp_path, capsys, text, words):
    line = refusal(capsys, "--recipe", recipe(tmp_path, text))
    assert words in line
    assert "mine.toml: " in line or words.startswith("since")


def test_a_recipe_that_is_not_there_is_said_with_those_that_are(tmp_path, capsys):
    assert "no recipe fast: choose one of augmented, best, mlp, quick, rnn, seed" in refusal(capsys, "--recipe", "fast")
    assert "no recipe ../seed: " in refusal(capsys, "--recipe", "../seed")
    assert "none.toml: cannot be read (No such file" in refusal(capsys, "--recipe", tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    assert "binary.toml: cannot be read (" in refusal(capsys, "--recipe", tmp_path / "binary.toml")


# Schedules of a run


def rates(*argv, batches=10):
    schedule = make_schedule(outcome([*argv, "--lr", "1"]), batches)
    return schedule and [schedule(step) for step in range(outcome(list(argv)).epochs * batches)]


def test_arguments_give_the_schedules_in_epochs():
    assert rates("--epochs", "4") is None
    assert rates("--epochs", "3", "--warmup", "0.5")[4:7] == [pytest.approx(5 / 6), 1, 1]
    stepped = rates("--epochs", "4", "--schedule", "step", "--step-size", "2", "--gamma", "0.5")
    assert stepped == [1] * 20 + [0.5] * 20
    falling = rates("--epochs", "4", "--schedule", "cosine", "--warmup", "1")
    assert falling[9] == pytest.approx(10 / 11)
    assert falling[10] == 1
    assert falling[25] == pytest.approx(0.5)
    assert falling[39] < 0.01
    cycle = rates("--epochs", "4", "--schedule", "one_cycle")
    assert cycle.index(max(cycle)) == 11
    cycle = rates("--epochs", "4", "--schedule", "one_cycle", "--warmup", "2")
    assert cycle.index(max(cycle)) == 19
    assert cycle[39] < 1e-5


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
            "predict": ["--model", *paths],
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


def test_the_last_epochs_may_go_without_augmentation():
    images = np.random.default_rng(0).integers(0, 256, (2, 28, 28), dtype="uint8")
    args = outcome(["--epochs", "5", "--augment", "shift=2", "--plain-epochs", "2"])
    augment, always = make_augment(args, 10), to_augment("shift=2", args.seed)
    for step in (0, 29):
        np.testing.assert_array_equal(augment(images, step), always(images, step))
        assert not np.array_equal(augment(images, step), images)
    for step in (30, 49):
        np.testing.assert_array_equal(augment(images, step), images)
    assert schedule_epochs(args) == 5  # more epochs would be another run
    assert schedule_epochs(outcome(["--plain-epochs", "2"])) is None
    assert make_augment(outcome(["--plain-epochs", "2"]), 10) is None
