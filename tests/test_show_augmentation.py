"""The script that draws augmented digits."""

import gzip
import importlib.util
import pathlib
import struct

import numpy as np
import pytest

from synann_np.data.augment import Augment

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "scripts" / "show_augmentation.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("show_augmentation", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (5, 28, 28), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path, images):
    """A data set whose first images of the classes 2, 4, 7 are its images 1, 0, 3."""
    labels = bytes([4, 2, 4, 7, 2])
    for split in ("train", "t10k"):
        head = struct.pack(">4B3I", 0, 0, 8, 3, len(labels), 28, 28)
        (tmp_path / f"{split}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        (tmp_path / f"{split}-labels-idx1-ubyte.gz").write_bytes(
            gzip.compress(struct.pack(">4BI", 0, 0, 8, 1, len(labels)) + labels)
        )
    return tmp_path


def test_the_picture_holds_originals_and_the_versions_of_the_first_steps(script, folder, images, monkeypatch, capsys):
    from synann_np.programs.pictures import samples

    shown = {}

    def keep(figure, path):
        axes = figure.axes[0]
        shown["mosaic"] = axes.images[0].get_array().reshape(3, 29, 9, 29)[:, :28, :, :28]
        shown["rows"] = [tick.get_text() for tick in axes.get_yticklabels()]
        shown["columns"] = [tick.get_text() for tick in axes.get_xticklabels()]

    monkeypatch.setattr(samples, "write_png", keep)
    options = [
        "--shift",
        "3",
        "--rotate",
        "20",
        "--scale",
        "0.2",
        "--shear",
        "0",
        "--elastic",
        "0",
        "--seed",
        "8",
        "--erase",
        "5",
    ]
    assert script.main(["--data-dir", str(folder), "--out", "p.png", *options]) == 0
    assert shown["rows"] == ["2", "4", "7"]
    assert shown["columns"] == ["original"] + [f"step {step}" for step in range(8)]
    first = images[[1, 0, 3]]
    np.testing.assert_array_equal(shown["mosaic"][:, :, 0], first)
    augment = Augment(8, shift=3, rotate=20, scale=0.2, erase=5)
    for step in range(8):
        np.testing.assert_array_equal(shown["mosaic"][:, :, step + 1], augment(first, step))
    assert "shift=3.0, rotate=20.0, scale=0.2" in capsys.readouterr().out


def test_the_picture_is_written(script, folder):
    assert script.main(["--data-dir", str(folder), "--out", str(folder / "p.png")]) == 0
    assert (folder / "p.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--scale", "1"], "Augment: scale is a fraction below 1"),
        (["--elastic", "nan"], "Augment: elastic must be a finite number"),
        (["--data-dir", "nothing"], "nothing: no such folder"),
        (["--out", "nowhere/p.png"], "nowhere/p.png: No such file"),
    ],
)
def test_a_wrong_argument_ends_in_one_line_and_exit_code_2(script, folder, options, message, capsys):
    assert script.main(["--data-dir", str(folder), *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"show_augmentation: {message}")
    assert err.count("\n") == 1
