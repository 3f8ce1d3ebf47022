"""The command `synann`: it finds its programs, imports only the one that is asked for, and its examples are there."""

import runpy
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from synann_np.programs.command import PROGRAMS, main
from synann_np.programs.examples import DIGITS, MODEL

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = {
    "train": "train_mnist", "compare": "compare_runs", "data": "show_data", "augment": "show_augmentation",
}  # fmt: skip
OURS = [name for name, (module, _) in PROGRAMS.items() if module.startswith("programs.")]


def python(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=120, check=False
    )


def test_without_a_program_the_command_lists_all_of_them(capsys):
    with pytest.raises(SystemExit) as ending:
        main([])
    assert ending.value.code == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines() if line.startswith("  ")][: len(PROGRAMS)] == [*PROGRAMS]


def test_an_unknown_program_is_refused_in_one_line(capsys):
    with pytest.raises(SystemExit) as ending:
        main(["trian"])
    assert ending.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("synann: argument PROGRAM: invalid choice: 'trian'")
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", OURS)
def test_command_and_script_are_one_program(name, capsys, monkeypatch):
    """--help differs in the name of the program only, and errors begin with that name."""
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit):
        main([name, "--help"])
    ours = capsys.readouterr().out
    assert ours.startswith(f"usage: synann {name} ")
    script = SCRIPTS.get(name, name)
    path = ROOT / "scripts" / f"{script}.py"
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(SystemExit):
        runpy.run_path(str(path), run_name="__main__")
    theirs = capsys.readouterr().out
    usage = " ".join(theirs.split()).replace(f"usage: {script} ", f"usage: synann {name} ", 1)
    assert " ".join(ours.split()) == usage
    with pytest.raises(SystemExit) as ending:
        main([name, "--no-such-option"])
    assert ending.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith(f"synann {name}: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"], ["predict", "--help"]])
def test_asking_for_help_imports_no_matplotlib(arguments):
    program = f"""
import sys
from synann_np.programs.command import main
try:
    main({arguments!r})
except SystemExit:
    pass
found = {{"matplotlib", "PIL", "tqdm"}} & set(sys.modules)
assert not found, found
if len({arguments!r}) == 1:
    assert not any(name.startswith("synann_np.programs.predict") for name in sys.modules)
"""
    run = python("-c", program)
    assert run.returncode == 0, run.stderr


def test_the_package_run_as_a_program_reads_a_photograph_with_its_own_model(tmp_path):
    """As python -m synann_np, from another folder, without naming a model."""
    program = f"import sys, runpy; sys.path.insert(0, {str(ROOT)!r}); sys.argv[1:] = ['predict', sys.argv[1]]"
    program += "; runpy.run_module('synann_np', run_name='__main__')"
    run = python("-c", program, DIGITS / "7_with_bar.png", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(f"{DIGITS / '7_with_bar.png'}: 7 (")


def test_the_benchmarks_are_named_where_they_are_not_installed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("synann_np.programs.bench.SCRIPTS", tmp_path)
    assert main(["bench"]) == 2
    assert "python scripts/bench.py" in capsys.readouterr().err


def test_model_and_digits_are_declared_as_data_of_the_package():
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    patterns = config["options.package_data"]["synann_np.programs.examples"].split(", ")
    found = {path for pattern in patterns for path in MODEL.parent.glob(pattern)}
    assert MODEL in found
    assert set(DIGITS.iterdir()) <= found
    assert config["options.entry_points"]["console_scripts"].strip() == "synann = synann_np.programs.command:run"
