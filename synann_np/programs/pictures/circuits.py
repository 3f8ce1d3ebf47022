"""Pictures of the example circuits: their diagrams, and a response before and after training.

Every draw function writes one PNG file and raises OSError if it cannot be written.
"""

from os import PathLike
from typing import Any

import numpy as np

from ...mathematics.circuit import CircuitSimulator, adapting, draw_circuit, fit_response, flip, full_adder
from ...optim import SGD
from ...storage.png_file import own_settings, write_png


def draw_full_adder(path: str | PathLike) -> None:
    """The diagram of circuit.full_adder."""
    draw_circuit(full_adder(), path, "Full adder: a + b + c = 2 carry + sum")


def draw_flip_diagram(path: str | PathLike) -> None:
    """The diagram of circuit.flip."""
    draw_circuit(flip(0.9, 0.8), path, "Flip circuit: (x, y) → (S(x, y), S(y, x))")


def draw_adapting_diagram(path: str | PathLike) -> None:
    """The diagram of circuit.adapting."""
    draw_circuit(adapting(), path, "A synapse that adapts, through a memory of its input")


def adaptation_target(steps: int = 48, rise: float = 4.0, fall: float = 12.0) -> tuple[Any, Any]:
    """Pulses x (T, 1, 1) and a wanted response to them: 0.9 at the onset, less by 0.6 a, where a approaches 1 with the
    time constant `rise` while x is on and returns to 0 with `fall` while it is off."""
    x, target = np.zeros((steps, 1, 1)), np.zeros((steps, 1, 1))
    x[3:16] = x[19:28] = x[40:46] = 1
    a = 0.0
    for t in range(steps):
        target[t] = x[t] * (0.9 - 0.6 * a)
        a += (1 - a) / rise if x[t] else -a / fall
    return x, target


@own_settings()
def draw_training(path: str | PathLike, updates: int = 250) -> None:
    """Train the adapting circuit: its response before and after, and the error on the way."""
    from matplotlib.figure import Figure

    x, target = adaptation_target()
    simulator = CircuitSimulator(adapting(), ["y"], dtype="float64")
    before, _ = simulator.forward(x)
    errors = np.sqrt(list(fit_response(simulator, SGD(0.5, momentum=0.9), x, target, updates)))
    after, _ = simulator.forward(x)

    figure = Figure(figsize=(11, 3.8), layout="constrained")
    responses, error = figure.subplots(1, 2, width_ratios=(2, 1))
    t = np.arange(len(x))
    responses.fill_between(t, x[:, 0, 0], step="mid", color="0.92", label="input x")
    responses.plot(t, target[:, 0, 0], color="black", lw=3, alpha=0.35, label="wanted")
    responses.plot(t, before[:, 0, 0], ":", color="#d55e00", lw=2, label="before training")
    responses.plot(t, after[:, 0, 0], ".-", color="#0072b2", lw=1, label=f"after {updates} updates")
    responses.set(xlabel="time step", ylabel="output y", ylim=(0, 1.25), title="Response of the adapting circuit")
    responses.legend(ncols=4, loc="upper center", fontsize=9)
    error.plot(errors)
    error.set(xlabel="update", ylabel="root mean square error", yscale="log", title="Error while training")
    error.grid(alpha=0.3)
    write_png(figure, path)
