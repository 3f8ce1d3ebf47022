"""Circuits: synapses connected in any way, with feedback through delays of one step.

A circuit is a set of named nodes, each with one output that any number of others may read:

    input      a value from outside, another one every step
    constant   a fixed value in [0, 1]
    synapse    S = α x (1 − β y) of two nodes, the excitatory x and the inhibitory y
    delay      what another node was one step before, and an initial value in [0, 1] at the first step

Every loop must pass a delay; then each step can be computed level by level. This file builds and checks;
simulator.py runs, drawing.py draws, library.py has gates, adders and the flip circuit.

    circuit = Circuit()
    x = circuit.input("x")
    memory = circuit.delay("memory", "out")           # names may be used before they exist
    circuit.parameter("decay", 0.9)
    circuit.synapse("out", memory, x, alpha="decay", beta=0.5)

Source of the idea: Chang Li, 2017 (neurons connected by synapses in any graph).
"""

from dataclasses import dataclass
from typing import Any


class CircuitError(ValueError):
    """The circuit cannot be built or run; the message names the node."""


@dataclass(frozen=True)
class Node:
    """A node: its kind, the nodes that it reads, and its numbers, name -> float or name of a parameter."""

    name: str
    kind: str
    sources: tuple = ()
    numbers: tuple = ()

    def __str__(self):
        return f"{self.kind} {self.name!r}"


# What a number of a node may be: test, and how to say it.
RANGES = {
    "alpha": (lambda v: 0 < v < float("inf"), "0 < alpha"),
    "beta": (lambda v: 0 <= v <= 1, "0 <= beta <= 1"),
    "value": (lambda v: 0 <= v <= 1, "0 <= value <= 1"),
    "initial": (lambda v: 0 <= v <= 1, "0 <= initial <= 1"),
}


class Circuit:
    """A circuit under construction.

    Methods that add a node return its name, so that calls nest. Sources may be named before they are added; numbers are
    Python numbers (fixed) or the name of a parameter (trainable, and shared by all who name it). With α ≤ 1, and inputs
    in [0, 1], every node stays in [0, 1]; α > 1 amplifies and may leave it.

    Attributes: nodes: dict name -> Node. parameters: dict name -> float.

    Raises: CircuitError naming the node: a name taken twice, a number out of range (when it is added); an unknown
        source, an unknown parameter or one out of range for a node, a cycle without delay (by check, which every user
        of a circuit calls).
    """

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.parameters: dict[str, float] = {}

    def __repr__(self):
        kinds = ("input", "constant", "delay", "synapse")
        return f"Circuit({', '.join(f'{kind}s={len(self.of_kind(kind))}' for kind in kinds)})"

    def of_kind(self, kind: str) -> list[str]:
        """The names of the nodes of a kind, in the order in which they were added."""
        return [node.name for node in self.nodes.values() if node.kind == kind]

    def input(self, name: str) -> str:
        """Add a node whose value comes from outside at every step."""
        return self._add(Node(name, "input"))

    def constant(self, name: str, value: float) -> str:
        """Add a node of fixed value, 0 ≤ value ≤ 1."""
        return self._add(Node(name, "constant", numbers=(("value", value),)))

    def synapse(
        self, name: str, excitatory: str, inhibitory: str, alpha: float | str = 1.0, beta: float | str = 1.0
    ) -> str:
        """Add S = α x (1 − β y), x and y the values of two nodes (or of one, twice); α > 0, 0 ≤ β ≤ 1."""
        return self._add(Node(name, "synapse", (excitatory, inhibitory), (("alpha", alpha), ("beta", beta))))

    def delay(self, name: str, source: str, initial: float = 0.0) -> str:
        """Add the value of `source` one step before; 0 ≤ initial ≤ 1 at the first step."""
        return self._add(Node(name, "delay", (source,), (("initial", initial),)))

    def parameter(self, name: str, value: float) -> str:
        """Add a parameter; its range is that of the places where it is used."""
        if name in self.parameters:
            raise CircuitError(f"parameter {name!r}: there is one of this name already")
        self.parameters[name] = float(value)
        return name

    def check(self) -> None:
        """Refuse a circuit that cannot run. Raises: CircuitError, see above."""
        self.levels()

    def levels(self) -> Any:
        """The synapses in the order of computing: lists of names, each reading only inputs, constants, delays and the
        lists before. Raises: CircuitError, see above."""
        for node in self.nodes.values():
            self._check_node(node)
        waiting = {}  # synapse -> how many of its sources are synapses not yet placed
        readers: dict[str, list[str]] = {}
        for name in self.of_kind("synapse"):
            before = [s for s in self.nodes[name].sources if self.nodes[s].kind == "synapse"]
            waiting[name] = len(before)
            for source in before:
                readers.setdefault(source, []).append(name)
        levels = []
        ready = [name for name, count in waiting.items() if count == 0]
        while ready:
            levels.append(ready)
            following = []
            for name in ready:
                del waiting[name]
                for reader in readers.get(name, ()):
                    waiting[reader] -= 1
                    if waiting[reader] == 0:
                        following.append(reader)
            ready = following
        if waiting:
            cycle = self._cycle(waiting)
            raise CircuitError(
                f"synapse {cycle[0]!r}: cycle without delay, {' -> '.join([*cycle, cycle[0]])}: put a delay into it"
            )
        return levels

    def number(self, value: float | str) -> float:
        """The value of a node's number: itself, or of the parameter that it names."""
        return self.parameters[value] if isinstance(value, str) else value

    def _add(self, node):
        if node.name in self.nodes:
            raise CircuitError(f"{node}: the name is taken by {self.nodes[node.name]}")
        for key, value in node.numbers:
            if not isinstance(value, str):
                _check_range(node, key, value)
        self.nodes[node.name] = node
        return node.name

    def _check_node(self, node):
        for source in node.sources:
            if source not in self.nodes:
                raise CircuitError(f"{node}: unknown node {source!r}")
        for key, value in node.numbers:
            if isinstance(value, str) and value not in self.parameters:
                raise CircuitError(f"{node}: {key} is the unknown parameter {value!r}")
            _check_range(node, key, self.number(value), f" (parameter {value!r})" if isinstance(value, str) else "")

    def _cycle(self, stuck):
        """A cycle among synapses that cannot be placed: walk from reader to stuck source until a name comes again."""
        path = [next(iter(stuck))]
        while True:
            source = next(s for s in self.nodes[path[-1]].sources if s in stuck)
            if source in path:
                return path[path.index(source) :][::-1]
            path.append(source)


def _check_range(node, key, value, origin=""):
    fits, words = RANGES[key]
    if not fits(value):
        raise CircuitError(f"{node}: expected {words}, got {value}{origin}")
