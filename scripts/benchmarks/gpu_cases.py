"""The numbers that all peers on a GPU work on, and what their results are held against."""

import math

import numpy as np

STEPS = 200  # in a row, before anybody waits
BATCHES = (100, 256, 1000)
RECIPES = ("seed, average of the weights", "quick", "best", "mlp", "rnn", "tanh_rnn")
SYNAPSE_BATCH = 256
SYNAPSE_SIZES = (1024, 4096, 16384)

ACCURACY = 0.9904  # of the published network
MOST_EPOCHS = 150
SEED_RECIPE = {"batch_size": 100, "lr": 0.012, "momentum": 0.5}
# The one that is quickest on validation images is measured on the test images.
CANDIDATES = (
    {"batch_size": 100, "lr": 0.05, "momentum": 0.5},
    {"batch_size": 100, "lr": 0.1, "momentum": 0.5},
    {"batch_size": 100, "lr": 0.02, "momentum": 0.9},
    {"batch_size": 100, "lr": 0.05, "momentum": 0.9},
    {"batch_size": 256, "lr": 0.05, "momentum": 0.9},
    {"batch_size": 256, "lr": 0.1, "momentum": 0.9},
)

# Float32 instructions of a factor β_ij x_nj: forward a multiply-add (1 − β x) and a multiplication; backward 5.3 in
# each of two sums, as counted in synann_np/fast/cuda/synapse_layer.cu.
FORWARD_INSTRUCTIONS = 2
BOTH_INSTRUCTIONS = 2 + 2 * 5.3
CORES = {7.0: 64, 7.2: 64, 7.5: 64, 8.0: 64, 8.6: 128, 8.7: 128, 8.9: 128, 9.0: 128, 10.0: 128, 10.3: 128, 12.0: 128}


def half_the_fp32_rate(device):
    """Float32 instructions a second: the fp32 rate counts a multiply-add as two. NaN for a chip that is not known, and
    where the device could not be asked.
    """
    cores = CORES.get(device.get("compute_capability"), math.nan)
    return device.get("multiprocessors", math.nan) * cores * device.get("clock_khz", math.nan) * 1e3


def gpu_synapse_arrays(n):
    """x (256, n) in (0, 1), beta (n, n) = U(±1/√n) as the listing has it, dy (256, n): float32."""
    rng = np.random.default_rng(3)
    x = rng.random((SYNAPSE_BATCH, n), "float32")
    beta = (2 * rng.random((n, n), "float32") - 1) * np.float32(1 / math.sqrt(n))
    return x, beta, rng.standard_normal((SYNAPSE_BATCH, n), "float32")


def check_synapse(n, y, dx, dbeta, row=7, unit=11, tolerance=2e-4):
    """Hold one row of y and dx and one row of dbeta against float64 on the host.

    Raises: ValueError naming the array, and the error relative to its largest element.
    """
    x, beta, dy = gpu_synapse_arrays(n)
    x, dy = x.astype("float64"), dy.astype("float64")
    expected_y, sums = np.empty(n), np.zeros(n)
    for i in range(0, n, 256):  # n² factors at once would be too many
        part = beta[i : i + 256].astype("float64")
        q = 1 - part * x[row]
        expected_y[i : i + 256] = x[row, i : i + 256] * np.exp(np.log(q).sum(axis=1))
        t = dy[row, i : i + 256] * expected_y[i : i + 256]
        sums += (t[:, None] * part / q).sum(axis=0)
    expected_dx = dy[row] * expected_y / x[row] - sums
    q = 1 - beta[unit].astype("float64") * x  # (N, n)
    t = dy[:, unit] * x[:, unit] * np.exp(np.log(q).sum(axis=1))
    expected_dbeta = -(t[:, None] * x / q).sum(axis=0)
    for name, result, expected in (
        ("y", y[row], expected_y),
        ("dx", dx[row], expected_dx),
        ("dbeta", dbeta[unit], expected_dbeta),
    ):
        error = float(np.abs(result - expected).max() / np.abs(expected).max())
        if not error < tolerance:
            raise ValueError(f"synapse, n = {n}: {name} is wrong by {error:.1e} of its largest element")
