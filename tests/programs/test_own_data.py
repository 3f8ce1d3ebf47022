"""`synann train --data-dir` on images of other sizes, in colour, of any number of classes, in every known format."""

import numpy as np
import pytest

import synann_np
from in_process import train
from synann_np.data import load_dataset, write_idx
from synann_np.programs import evaluate, show_data
from synann_np.train import predict

Image = pytest.importorskip("PIL.Image")


def patterns(n, shape, classes, seed=0):
    """Images of which the label says in which column of pixels the light is."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    images = rng.integers(0, 100, (n, *shape)).astype("uint8")
    width = shape[-1] // classes
    for image, label in zip(images, labels, strict=True):
        image[..., label * width : (label + 1) * width] += 150
    return images, labels


def in_idx(folder, shape, classes):
    for split, n in (("train", 120), ("t10k", 30)):
        images, labels = patterns(n, shape, classes, n)
        write_idx(folder / f"{split}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{split}-labels-idx1-ubyte", labels)


def in_npz(folder, shape, classes):
    (x, y), (u, v) = patterns(120, shape, classes), patterns(30, shape, classes, 1)
    np.savez(folder / "data.npz", x_train=x, y_train=y, x_test=u, y_test=v)


def in_folders(folder, shape, classes):
    images, labels = patterns(150, shape, classes)
    for n, (image, label) in enumerate(zip(images, labels, strict=True)):
        (folder / f"class {label}").mkdir(exist_ok=True)
        pixels = image if image.ndim == 2 else image.transpose(1, 2, 0)
        Image.fromarray(pixels).save(folder / f"class {label}" / f"{n:03}.png")


@pytest.mark.parametrize(
    ("write", "shape", "classes", "model"),
    [
        (in_idx, (20, 24), 3, "lenet"),
        (in_idx, (12, 26), 13, "mlp"),
        (in_npz, (3, 16, 20), 4, "lenet"),
        (in_folders, (3, 18, 18), 2, "lenet"),
        (in_folders, (16, 16), 2, "tanh_rnn"),
    ],
)
def test_a_run_on_own_data(tmp_path, capsys, monkeypatch, write, shape, classes, model):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder, shape, classes)
    options = ["--data-dir", str(folder), "--model", model, "--epochs", "6", "--batch-size", "12", "--out", "run"]
    run = train(*options, "--optimizer", "adam", "--lr", "0.01", "--normalize", "--engine", "plain")
    assert run.returncode == 0, run.stderr
    out = run.stdout
    assert ("Classes: 0 class 0 1 class 1" in out) == (write is in_folders)
    loaded = synann_np.load("run/last.safetensors")
    _, _, images, labels = load_dataset(folder)
    accuracy = (predict(loaded, images) == labels).mean()
    assert accuracy > 0.8
    assert f"({accuracy:.2%})" in out
    if shape != (3, 18, 18):  # one of them in C and with a picture: both take longer than the training
        monkeypatch.setenv("SYNANN_FAST", "0")
        monkeypatch.setattr("synann_np.programs.evaluate.evaluation_picture", lambda *arguments: None)
        monkeypatch.setattr("synann_np.programs.show_data.sample_grid", lambda *arguments: None)
    assert evaluate.main(["run/last.safetensors", "--data-dir", str(folder), "--out", "e.png"]) == 0
    assert f"({accuracy:.2%})" in capsys.readouterr().out
    assert show_data.main(["--data-dir", str(folder), "--out", "s.png"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == classes + 3


def test_images_that_a_network_cannot_take_end_in_one_line_and_leave_no_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    in_idx(tmp_path, (8, 8), 3)
    run = train("--data-dir", tmp_path, "--out", "run")
    assert run.returncode == 2
    assert run.stderr.splitlines() == [
        "train_mnist: SynaNN: expected images of at least 16×16, got (1, 8, 8); SynaMLP takes any"
    ]
    assert not (tmp_path / "run").exists()


def test_a_table_in_an_npz_file_trains_the_perceptron(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    labels = np.arange(150) % 3
    x = rng.standard_normal((150, 5)) + 3 * np.eye(3, 5)[labels]
    np.savez("t.npz", x_train=x[:100] * 50, y_train=labels[:100], x_test=x[100:] * 50, y_test=labels[100:])
    options = ["--data-dir", "t.npz", "--model", "mlp", "--normalize", "--optimizer", "adam", "--epochs", "8"]
    assert train(*options, "--batch-size", "10", "--out", "run", "--engine", "plain").returncode == 0
    model = synann_np.load("run/last.safetensors")
    assert (predict(model, x[100:] * 50) == labels[100:]).mean() > 0.85
    assert show_data.main(["--data-dir", "t.npz"]) == 2
    assert "no images to draw" in capsys.readouterr().err
