"""The synapse as a surface, and the flip circuit step by step, as values for the page."""

from typing import Any

import numpy as np

from ..mathematics.circuit import CircuitSimulator, flip, flip_fixed_points
from ..mathematics.surprisal import surprisal, surprisal_synapse
from ..mathematics.synapse_function import synapse, synapse_gradient
from .requested import finite, number, one_of, whole

SIDE = 25  # points along an axis of the surface
HIGHEST_SURPRISAL = 5.0
MOST_STEPS = 200


def surface(request: dict[str, Any]) -> dict[str, Any]:
    """S or its surprisal over a square, and at one point: value, gradient, and how the surprisal adds up."""
    alpha, beta = number(request, "alpha", 0.01, 1), number(request, "beta", 0, 1)
    x, y = number(request, "x", 0, 1), number(request, "y", 0, 1)
    space = one_of(request, "space", ("probability", "surprisal"), "probability")
    theta, gamma = surprisal(np.array(alpha)), surprisal(np.array(beta))
    if space == "probability":
        axis = np.linspace(0, 1, SIDE)
        heights = synapse(axis[:, None], axis, alpha, beta)
    else:
        axis = np.linspace(0, HIGHEST_SURPRISAL, SIDE)
        heights = surprisal_synapse(axis[:, None], axis, theta, gamma)
    u, v = surprisal(np.array(x)), surprisal(np.array(y))
    return {
        "space": space,
        "axis": axis.tolist(),
        "heights": finite(heights),
        "value": float(synapse(x, y, alpha, beta)),
        "gradient": finite(synapse_gradient(np.array(x), y, alpha, beta)),
        "u": finite(u), "v": finite(v), "theta": finite(theta), "gamma": finite(gamma),
        "surprisal": finite(surprisal_synapse(u, v, theta, gamma)),
    }  # fmt: skip


def flip_steps(request: dict[str, Any]) -> dict[str, Any]:
    """The flip circuit: the states of so many steps from a state (x, y), that one included, and its fixed points.

    With α > 1 it may leave the unit square, where states are no probabilities: there the list ends.
    """
    alpha, beta = number(request, "alpha", 0.01, 2), number(request, "beta", 0, 1)
    x, y = number(request, "x", 0, 1), number(request, "y", 0, 1)
    steps = whole(request, "steps", 1, MOST_STEPS, 60)
    simulator = CircuitSimulator(flip(alpha, beta), dtype="float64")
    with np.errstate(over="ignore", invalid="ignore"):
        states, _ = simulator.forward(np.zeros((steps, 1, 0)), state=np.array([[x, y]]))
    states = np.concatenate([[[x, y]], states[:, 0]])
    inside = ((states >= 0) & (states <= 1)).all(axis=1)
    last = len(states) if inside.all() else int(inside.argmin()) + 1  # one state outside shows where it leaves
    return {
        "states": finite(states[:last]),
        "leaves": bool(not inside.all()),
        "fixed_points": [[px, py, *eigenvalues] for px, py, eigenvalues in flip_fixed_points(alpha, beta)],
    }
