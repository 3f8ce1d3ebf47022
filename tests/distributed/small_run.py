"""A run of 15 steps with everything on, on random images, and what it leaves."""

import hashlib
from pathlib import Path

import numpy as np

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "train_mnist.py"
FAULTY = Path(__file__).with_name("faulty_train.py")
FILES = ("last.safetensors", "best.safetensors", "history.jsonl")


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    path.write_bytes(header + array.astype("uint8").tobytes())


def small_run(folder):
    """The arguments of train_mnist.py; the images are written into the folder."""
    rng = np.random.default_rng(0)
    for split, n in (("train", 225), ("t10k", 40)):
        write_idx(folder / f"{split}-images-idx3-ubyte", rng.integers(0, 256, (n, 28, 28)))
        write_idx(folder / f"{split}-labels-idx1-ubyte", rng.integers(0, 10, n))
    return [
        "--data-dir", folder, "--epochs", 3, "--batch-size", 48, "--validation", 30, "--test-batch-size", 9,
        "--augment", "shift=2,elastic=1", "--clip", 1, "--ema", 0.9, "--label-smoothing", 0.1, "--schedule", "cosine",
        "--keep", "best", "--log-interval", 2, "--engine", "plain", "--chunks", 4,
    ]  # fmt: skip


def hashes(folder):
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}
