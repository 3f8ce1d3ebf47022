import gzip
import importlib.util
import os
import pathlib
import struct
import subprocess
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "scripts" / "show_data.py"


@pytest.fixture(scope="module")
def show_data():
    spec = importlib.util.spec_from_file_location("show_data", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path):
    """A data set of 23 and 4 images in which class 7 is absent; image n is n grey levels bright."""
    folder = tmp_path / "data"
    folder.mkdir()
    for split, labels in [("train", [0] * 12 + [1, 2, 3, 4, 5, 6, 8, 9, 9, 9, 9]), ("t10k", [0, 1, 1, 9])]:
        count = len(labels)
        images = np.repeat(np.arange(count, dtype=np.uint8), 28 * 28)
        (folder / f"{split}-images-idx3-ubyte").write_bytes(
            struct.pack(">4B3I", 0, 0, 8, 3, count, 28, 28) + images.tobytes()
        )
        (folder / f"{split}-labels-idx1-ubyte.gz").write_bytes(
            gzip.compress(struct.pack(">4BI", 0, 0, 8, 1, count) + bytes(labels))
        )
    return folder


def test_the_table_counts_each_class_and_the_picture_is_written(show_data, folder, tmp_path, capsys):
    picture = tmp_path / "picture.png"
    assert show_data.main(["--data-dir", str(folder), "--out", str(picture)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["class", "train", "test"]
    counts = {name: (int(train), int(test)) for name, train, test in map(str.split, lines[1:12])}
    assert counts["0"] == (12, 1)
    assert counts["7"] == (0, 0)
    assert counts["total"] == (23, 4)
    assert len({len(line) for line in lines[:12]}) == 1
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "picture.png"]


def test_bad_data_ends_in_one_line_and_exit_code_2(show_data, folder, tmp_path, capsys):
    (folder / "train-images-idx3-ubyte").write_bytes(b"nonsense")
    assert show_data.main(["--data-dir", str(folder), "--out", str(tmp_path / "picture.png")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"show_data: {folder / 'train-images-idx3-ubyte'}: not an IDX file")
    assert err.count("\n") == 1
    assert not (tmp_path / "picture.png").exists()


def test_a_picture_that_cannot_be_written_ends_in_one_line_and_exit_code_2(show_data, folder, tmp_path, capsys):
    target = tmp_path / "nowhere" / "picture.png"
    assert show_data.main(["--data-dir", str(folder), "--out", str(target)]) == 2
    assert capsys.readouterr().err == f"show_data: {target}: No such file or directory\n"


def test_the_script_runs_from_the_command_line_without_a_display_or_pyplot(folder, tmp_path):
    environment = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "MPLBACKEND")}
    environment["PYTHONPATH"] = str(ROOT)

    def run(*arguments):
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    good = run("-X", "importtime", SCRIPT, "--data-dir", folder, "--out", "picture.png")
    assert good.returncode == 0
    assert "matplotlib.figure" in good.stderr
    assert "pyplot" not in good.stderr
    assert (tmp_path / "picture.png").exists()

    bad = run(SCRIPT, "--data-dir", "nothing")
    assert bad.returncode == 2
    assert bad.stderr == "show_data: nothing: no such folder; choose the folder that holds the data set\n"


def test_the_picture_shows_the_first_samples_of_each_class_in_its_row(tmp_path, monkeypatch):
    from synann_np.programs.pictures import samples

    shown = {}

    def keep(figure, path):
        axes = figure.axes[0]
        shown["mosaic"] = axes.images[0].get_array()
        shown["rows"] = [tick.get_text() for tick in axes.get_yticklabels()]

    monkeypatch.setattr(samples, "write_png", keep)
    images = np.arange(1, 7, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 3), np.uint8)
    samples.sample_grid(images, np.array([4, 1, 4, 4, 1, 8]), tmp_path / "p.png", per_class=2)
    assert shown["rows"] == ["1", "4", "8"]
    expected = [[2, 5], [1, 3], [6, 128]]
    for row, column in np.ndindex(3, 2):
        cell = shown["mosaic"][3 * row : 3 * row + 2, 4 * column : 4 * column + 3]
        assert (cell == expected[row][column]).all()


def test_a_picture_is_replaced_as_a_whole_so_that_who_reads_the_old_one_keeps_it(tmp_path):
    from synann_np.programs.pictures.samples import sample_grid

    picture = tmp_path / "p.png"
    picture.write_bytes(b"old")
    with picture.open("rb") as reader:
        sample_grid(np.zeros((1, 28, 28), np.uint8), np.zeros(1, np.uint8), picture)
        assert reader.read() == b"old"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_failed_picture_leaves_the_old_one_and_no_rest(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    from synann_np.programs.pictures.samples import sample_grid

    def fail(self, file, **options):
        file.write(b"half")
        raise OSError("disk full")

    picture = tmp_path / "p.png"
    picture.write_bytes(b"old")
    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        sample_grid(np.zeros((1, 28, 28), np.uint8), np.zeros(1, np.uint8), picture)
    assert picture.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [picture]


@pytest.mark.parametrize(("count", "labels", "per_class"), [(0, [], 1), (2, [1], 1), (1, [1], 0)])
def test_nothing_to_draw_is_refused(tmp_path, count, labels, per_class):
    from synann_np.programs.pictures.samples import sample_grid

    with pytest.raises(ValueError, match="nothing to draw"):
        sample_grid(np.zeros((count, 28, 28), np.uint8), np.array(labels), tmp_path / "p.png", per_class)
