"""Circuits to build with: Boolean gates, the full adder, the flip circuit, a synapse that adapts.

At inputs 0 and 1, S(x, y; 1, 1) = x AND NOT y; with a constant 1 that makes every Boolean function. In between, a gate
gives the probability of its answer for independent inputs wherever no node reaches it on two ways. What a gate
adds to its own node is called "name.something".
"""

import math
from typing import Any

from .builder import Circuit

ONE = "1"


def add_not(circuit: Any, name: str, a: str) -> str:
    """NOT a = S(1, a): one synapse. Adds the constant 1 to the circuit if it is not there. Returns name."""
    if ONE not in circuit.nodes:
        circuit.constant(ONE, 1.0)
    return circuit.synapse(name, ONE, a)


def add_and(circuit: Any, name: str, a: str, b: str) -> str:
    """a AND b = S(a, NOT b): two synapses. Returns name."""
    return circuit.synapse(name, a, add_not(circuit, f"{name}.not b", b))


def add_or(circuit: Any, name: str, a: str, b: str) -> str:
    """a OR b = NOT (NOT a AND NOT b) = S(1, S(S(1, a), b)): three synapses. Returns name."""
    neither = circuit.synapse(f"{name}.nor", add_not(circuit, f"{name}.not a", a), b)
    return add_not(circuit, name, neither)


def add_xor(circuit: Any, name: str, a: str, b: str) -> str:
    """a XOR b = S(a, b) OR S(b, a): five synapses. Returns name."""
    only_a, only_b = circuit.synapse(f"{name}.only a", a, b), circuit.synapse(f"{name}.only b", b, a)
    return add_or(circuit, name, only_a, only_b)


def full_adder() -> Circuit:
    """A Circuit that adds three bits: inputs a, b, c; nodes sum and carry, a + b + c = 2 carry + sum."""
    circuit = Circuit()
    a, b, c = (circuit.input(name) for name in "abc")
    half = add_xor(circuit, "half", a, b)
    add_xor(circuit, "sum", half, c)
    add_or(circuit, "carry", add_and(circuit, "a and b", a, b), add_and(circuit, "half and c", half, c))
    return circuit


def flip(alpha: float, beta: float) -> Circuit:
    """The flip circuit: two synapses with the same α and β, each fed by both outputs of the step before.

        x_(t+1) = S(x_t, y_t; α, β)    y_(t+1) = S(y_t, x_t; α, β)

    Nodes: delays x and y, synapses "x next" and "y next"; parameters alpha and beta, shared by both. Start anywhere
    with the state of CircuitSimulator.

    By the swap equation x_t − y_t = αᵗ (x_0 − y_0), whatever β is. So for α = 1 the difference stays while both fall:
    the smaller input dies out and the limit is (max(x_0 − y_0, 0), max(y_0 − x_0, 0)), if β > 0.

    Arguments: alpha > 0, 0 ≤ beta ≤ 1. Raises: CircuitError if they are outside.
    """
    circuit = Circuit()
    shared = circuit.parameter("alpha", alpha), circuit.parameter("beta", beta)
    circuit.synapse("x next", circuit.delay("x", "x next", 0.5), circuit.delay("y", "y next", 0.5), *shared)
    circuit.synapse("y next", "y", "x", *shared)
    circuit.check()
    return circuit


def flip_fixed_points(alpha: float, beta: float) -> Any:
    """The isolated fixed points of the flip circuit, list of (x, y, eigenvalues of the Jacobian there).

    x = α x (1 − β y) and y = α y (1 − β x) have the solution (0, 0) with the Jacobian α·1, and where neither is 0,
    1 − β x = 1 − β y = 1/α: x = y = p = (1 − 1/α) / β, with the Jacobian

        ( α (1 − β p)     −α β p    )     (   1      1 − α )
        (   −α β p      α (1 − β p) )  =  ( 1 − α      1   )

    and the eigenvalues 2 − α along (1, 1) and α along (1, −1): for α > 1 a saddle, in the unit square if
    α (1 − β) ≤ 1. For α < 1, 0 attracts everything (and p is negative, left out). For α = 1 nothing is isolated:
    every point of the axes is fixed, the eigenvalues at (p, 0) being 1 and 1 − β p; the list is then empty. One of
    x and y being 0 and the other not is fixed for α = 1 only.
    """
    if alpha == 1:
        return []
    points = [(0.0, 0.0, (alpha, alpha))]
    p = (1 - 1 / alpha) / beta if beta > 0 else math.inf
    if 0 < p <= 1:
        points.append((p, p, (2 - alpha, alpha)))
    return points


def adapting(drive: float = 0.5, keep: float = 0.7, gain: float = 0.7, inhibition: float = 0.5) -> Circuit:
    """A synapse that gets used to its input, by inhibition through a memory m that fills while the input is on:

        y_t = gain x_t (1 − inhibition m_t)
        m_(t+1) = 1 − (1 − keep m_t) (1 − drive x_t)       m_t OR x_t, with probabilities; m_0 = 0

    While x = 1 the memory approaches drive / (1 − r) with the factor r = keep (1 − drive) a step, while x = 0 it decays
    with the factor keep. Nodes: input x, delay memory, synapses "kept.not", driven, "memory.not", "memory next", y.

    Arguments: initial values of the four parameters of these names; drive, gain > 0, keep and inhibition in [0, 1].
    Raises: CircuitError if they are outside.
    """
    circuit = Circuit()
    for name, value in {"drive": drive, "keep": keep, "gain": gain, "inhibition": inhibition}.items():
        circuit.parameter(name, value)
    x, one = circuit.input("x"), circuit.constant(ONE, 1.0)
    memory = circuit.delay("memory", "memory next")
    kept_not = circuit.synapse("kept.not", one, memory, beta="keep")
    driven = circuit.synapse("driven", x, one, alpha="drive", beta=0.0)
    add_not(circuit, "memory next", circuit.synapse("memory.not", kept_not, driven))
    circuit.synapse("y", x, memory, alpha="gain", beta="inhibition")
    circuit.check()
    return circuit
