"""A circuit as tables of integers: what its nodes read, level by level. All on the host."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

import numpy as np

from .builder import CircuitError

ALPHA_LEAST = 1e-6  # alpha > 0 has no least value to return to


@dataclass(frozen=True)
class Program:
    """Every node has a row of the state: first the inputs, then constants, delays, synapses level by level.

    Every number has a place: first the parameters, then the fixed numbers, each different one once.

    Attributes:
        rows: how many nodes. input, constant, delay, synapse: slices of rows.
        levels: slices of synapses, in the order of computing.
        read (2, S): the rows that each synapse reads, excitatory and inhibitory.
        delayed (D,): the rows that the delays read.
        shown (O,): the rows of the outputs.
        alpha, beta (S,), value (C,), initial (D,): the places of the nodes' numbers.
        fixed: the fixed numbers. low, high (P,): the range of each parameter, over all its uses.
    """

    rows: int
    input: slice
    constant: slice
    delay: slice
    synapse: slice
    levels: list
    read: np.ndarray
    delayed: np.ndarray
    shown: np.ndarray
    alpha: np.ndarray
    beta: np.ndarray
    value: np.ndarray
    initial: np.ndarray
    fixed: list
    low: np.ndarray
    high: np.ndarray


def compile_circuit(circuit: Any, outputs: Sequence[str]) -> Any:
    """The Program of a circuit that shows the nodes `outputs`.

    Raises: CircuitError: the circuit cannot run, an output is unknown or named twice.
    """
    by_level = circuit.levels()
    groups = [*(circuit.of_kind(kind) for kind in ("input", "constant", "delay")), list(chain(*by_level))]
    ends = np.cumsum([0, *map(len, groups)]).tolist()
    row = {name: k for k, name in enumerate(chain(*groups))}
    shown = {}
    for name in outputs:
        if name not in row or name in shown:
            raise CircuitError(f"output {name!r}: {'named twice' if name in shown else 'unknown node'}")
        shown[name] = row[name]
    _, constants, delays, synapses = ([circuit.nodes[name] for name in group] for group in groups)
    level_ends = np.cumsum([0, *map(len, by_level)]).tolist()
    place = {name: k for k, name in enumerate(circuit.parameters)}
    for node in circuit.nodes.values():
        for _, value in node.numbers:
            place.setdefault(value, len(place))

    def reads(nodes, source):
        return np.array([row[node.sources[source]] for node in nodes], dtype=np.int64)

    def places(nodes, key):
        return np.array([place[dict(node.numbers)[key]] for node in nodes], dtype=np.int64)

    inputs, constant, delay, synapse = (slice(*pair) for pair in pairwise(ends))
    return Program(
        rows=len(row),
        input=inputs,
        constant=constant,
        delay=delay,
        synapse=synapse,
        levels=[slice(*pair) for pair in pairwise(level_ends)],
        read=np.stack([reads(synapses, 0), reads(synapses, 1)]),
        delayed=reads(delays, 0),
        shown=np.array(list(shown.values()), dtype=np.int64),
        alpha=places(synapses, "alpha"),
        beta=places(synapses, "beta"),
        value=places(constants, "value"),
        initial=places(delays, "initial"),
        fixed=[value for value in place if not isinstance(value, str)],
        **_bounds(circuit),
    )


def _bounds(circuit):
    low = dict.fromkeys(circuit.parameters, -np.inf)
    high = dict.fromkeys(circuit.parameters, np.inf)
    for node in circuit.nodes.values():
        for key, value in node.numbers:
            if isinstance(value, str):
                low[value] = max(low[value], ALPHA_LEAST if key == "alpha" else 0.0)
                high[value] = min(high[value], np.inf if key == "alpha" else 1.0)
    return {"low": np.array(list(low.values())), "high": np.array(list(high.values()))}
