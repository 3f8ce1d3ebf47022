"""Circuits of synapses: build them, run them on a batch, train them, draw their diagrams."""

from .builder import Circuit, CircuitError, Node
from .drawing import draw_circuit
from .library import adapting, add_and, add_not, add_or, add_xor, flip, flip_fixed_points, full_adder
from .simulator import CircuitSimulator
from .training import fit_response

__all__ = [
    "Circuit",
    "CircuitError",
    "CircuitSimulator",
    "Node",
    "adapting",
    "add_and",
    "add_not",
    "add_or",
    "add_xor",
    "draw_circuit",
    "fit_response",
    "flip",
    "flip_fixed_points",
    "full_adder",
]
