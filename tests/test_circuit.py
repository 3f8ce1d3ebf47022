"""Circuits: building and refusing, simulating against plain loops, gradients through time, the examples."""

import itertools
import pathlib
import re

import numpy as np
import pytest
from scipy.optimize import fsolve

import strict_device
from synann_np.gradcheck import check_layer, numeric_gradient
from synann_np.layers import Synapse
from synann_np.mathematics.circuit import Circuit, CircuitError, CircuitSimulator, draw_circuit, fit_response, library
from synann_np.mathematics.circuit.layout import lay_out
from synann_np.mathematics.synapse_function import synapse
from synann_np.optim import SGD
from synann_np.programs.pictures.circuits import adaptation_target

BITS = (0.0, 1.0)


def answers(circuit, outputs):
    """dict of input bits -> output bits, for all inputs at once."""
    simulator = CircuitSimulator(circuit, outputs)
    cases = list(itertools.product(BITS, repeat=len(simulator.inputs)))
    y, _ = simulator.forward(np.array([cases], np.float32))
    return {case: tuple(row.tolist()) for case, row in zip(cases, y[0], strict=True)}


def feedback_circuit():
    """All that a circuit may have: several levels, a node with many readers, delays of delays and of inputs, two delays
    of one node, a synapse that reads one node twice, shared and fixed numbers, every kind of parameter."""
    c = Circuit()
    c.parameter("a", 0.8)
    c.parameter("b", 0.6)
    c.parameter("start", 0.3)
    c.parameter("level", 0.7)
    u, v, bias = c.input("u"), c.input("v"), c.constant("bias", "level")
    c.constant("half", 0.5)
    c.delay("back", "out", "start")
    c.delay("back again", "back", 0.2)
    c.delay("out before", "out", 0.4)
    c.delay("u before", u, "start")
    c.synapse("p", u, "back", "a", "b")
    c.synapse("q", v, "p", 1.2, "b")
    c.synapse("r", "p", "p", "a", 0.9)
    c.synapse("s", bias, "back again", "a", "level")
    c.synapse("t", "s", "half", 1.0, "b")
    c.synapse("w", "out before", "u before", 1.1, 0.5)
    c.synapse("out", "q", "w", "a", "b")
    c.synapse("end", "out", "t")
    return c


def simulate_by_loops(circuit, x, outputs):
    """Node by node, by recursion: x (T, N, inputs)."""
    inputs = circuit.of_kind("input")

    def value(name, t, n):
        node = circuit.nodes[name]
        numbers = {key: circuit.number(v) for key, v in node.numbers}
        if node.kind == "input":
            return x[t, n, inputs.index(name)]
        if node.kind == "constant":
            return numbers["value"]
        if node.kind == "delay":
            return value(node.sources[0], t - 1, n) if t else numbers["initial"]
        return synapse(*(value(source, t, n) for source in node.sources), numbers["alpha"], numbers["beta"])

    T, N, _ = x.shape
    return np.array([[[value(name, t, n) for name in outputs] for n in range(N)] for t in range(T)])


# ---- building


def synapse_reads_unknown(c):
    c.synapse("bad", "x", "nowhere")


def cycle(c):
    c.synapse("after", "b", "x")  # stuck too, but no part of the cycle
    c.synapse("a", "x", "b")
    c.synapse("b", "a", "x")


def parameter_out_of_range(c):
    c.synapse("good", "x", "x", alpha=c.parameter("gain", 1.5))
    c.synapse("bad", "x", "x", beta="gain")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda c: c.input("x"), "input 'x': the name is taken by input 'x'"),
        (lambda c: c.synapse("bad", "x", "x", alpha=0), "synapse 'bad': expected 0 < alpha, got 0"),
        (lambda c: c.synapse("bad", "x", "x", beta=1.1), "synapse 'bad': expected 0 <= beta <= 1, got 1.1"),
        (lambda c: c.synapse("bad", "x", "x", beta=float("nan")), "synapse 'bad': expected 0 <= beta <= 1, got nan"),
        (lambda c: c.synapse("bad", "x", "x", alpha=float("inf")), "synapse 'bad': expected 0 < alpha, got inf"),
        (lambda c: c.constant("bad", -0.1), "constant 'bad': expected 0 <= value <= 1, got -0.1"),
        (lambda c: c.delay("bad", "x", 2), "delay 'bad': expected 0 <= initial <= 1, got 2"),
        (lambda c: [c.parameter("p", 1), c.parameter("p", 1)], "parameter 'p': there is one of this name already"),
        (synapse_reads_unknown, "synapse 'bad': unknown node 'nowhere'"),
        (lambda c: c.delay("bad", "nowhere"), "delay 'bad': unknown node 'nowhere'"),
        (lambda c: c.synapse("bad", "x", "x", "p"), "synapse 'bad': alpha is the unknown parameter 'p'"),
        (parameter_out_of_range, "synapse 'bad': expected 0 <= beta <= 1, got 1.5 (parameter 'gain')"),
        (cycle, "synapse 'a': cycle without delay, a -> b -> a: put a delay into it"),
        (lambda c: c.synapse("self", "x", "self"), "synapse 'self': cycle without delay, self -> self: put a delay"),
    ],
)
def test_a_circuit_that_cannot_run_is_refused_by_the_name_of_the_node(build, message):
    def build_and_check():
        circuit = Circuit()
        circuit.input("x")
        build(circuit)
        circuit.check()

    with pytest.raises(CircuitError, match="^" + re.escape(message)):
        build_and_check()


def test_a_cycle_is_told_in_the_direction_of_the_signal():
    circuit = Circuit()
    x = circuit.input("x")
    for name, source in [("a", "c"), ("b", "a"), ("c", "b"), ("d", "c")]:
        circuit.synapse(name, x, source)
    with pytest.raises(CircuitError) as error:
        circuit.levels()
    path = re.search("delay, (.*):", str(error.value))[1].split(" -> ")
    assert set(path) == {"a", "b", "c"}
    assert path[0] == path[-1]
    for source, reader in itertools.pairwise(path):
        assert source in circuit.nodes[reader].sources


def test_levels_hold_what_can_be_computed_at_once():
    assert feedback_circuit().levels() == [["p", "s", "w"], ["q", "r", "t"], ["out"], ["end"]]


@pytest.mark.parametrize(("outputs", "message"), [(["a", "zz"], "'zz': unknown"), (["p", "p"], "'p': named twice")])
def test_outputs_that_cannot_be_shown_are_refused(outputs, message):
    circuit = feedback_circuit()
    circuit.input("a")
    with pytest.raises(CircuitError, match=message):
        CircuitSimulator(circuit, outputs)


def test_input_of_another_width_or_dtype_or_without_steps_is_refused():
    simulator = CircuitSimulator(feedback_circuit())
    with pytest.raises(ValueError, match=r"expected input \(T, N, 2\), got \(3, 4, 1\)"):
        simulator.forward(np.ones((3, 4, 1), np.float32))
    with pytest.raises(TypeError, match="expected float32 input"):
        simulator.forward(np.ones((3, 4, 2)))
    with pytest.raises(ValueError, match="at least one step"):
        simulator.forward(np.ones((0, 4, 2), np.float32))


# ---- simulating


@pytest.mark.parametrize("shape", [(1, 1, 2), (5, 3, 2)])
def test_the_simulation_equals_the_circuit_walked_node_by_node(shape):
    circuit = feedback_circuit()
    x = np.random.default_rng(1).uniform(0, 1, shape)
    outputs = [*circuit.nodes]
    y, _ = CircuitSimulator(circuit, outputs, dtype="float64").forward(x)
    np.testing.assert_allclose(y, simulate_by_loops(circuit, x, outputs), rtol=1e-13)


def test_by_default_all_synapses_are_shown_in_the_order_of_their_making():
    assert CircuitSimulator(feedback_circuit()).outputs == ["p", "q", "r", "s", "t", "w", "out", "end"]


def test_a_run_can_be_cut_and_continued():
    simulator = CircuitSimulator(feedback_circuit(), dtype="float64")
    x = np.random.default_rng(2).uniform(0, 1, (7, 3, 2))
    whole, _ = simulator.forward(x)
    first, cache = simulator.forward(x[:4])
    rest, _ = simulator.forward(x[4:], state=simulator.state_after(cache))
    np.testing.assert_array_equal(np.concatenate([first, rest]), whole)


def test_delays_alone_are_a_shift_register():
    circuit = Circuit()
    circuit.delay("second", circuit.delay("first", circuit.input("x"), 0.5), 0.25)
    simulator = CircuitSimulator(circuit, ["x", "first", "second"])
    x = np.array([0.1, 0.2, 0.3, 0.4], np.float32)[:, None, None]
    y, cache = simulator.forward(x)
    expected = np.array([[0.1, 0.5, 0.25], [0.2, 0.1, 0.5], [0.3, 0.2, 0.1], [0.4, 0.3, 0.2]], np.float32)
    np.testing.assert_array_equal(y[:, 0], expected)
    dx, grads = simulator.backward(np.ones_like(y), cache)
    np.testing.assert_array_equal(dx[:, 0, 0], [3, 3, 2, 1])
    assert grads["values"].shape == simulator.params["values"].shape == (0,)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_device_computes_the_same_and_float32_stays_float32(dtype):
    rng = np.random.default_rng(3)
    x, state = rng.uniform(0, 1, (4, 3, 2)).astype(dtype), rng.uniform(0, 1, (3, 4)).astype(dtype)
    before = x.copy(), state.copy()
    device = strict_device.backend()
    host, there = (CircuitSimulator(feedback_circuit(), dtype=dtype, backend=b) for b in ("numpy", device))
    for start in (None, state):
        y, cache = host.forward(x, state=start)
        y_there, cache_there = there.forward(device.asarray(x), state=None if start is None else device.asarray(start))
        dx, grads = host.backward(y, cache)
        dx_there, grads_there = there.backward(y_there, cache_there)
        pairs = [(y, y_there), (dx, dx_there), (grads["values"], grads_there["values"])]
        pairs += [(host.state_after(cache), there.state_after(cache_there))]
        for a, b in pairs:
            assert a.dtype == b.dtype == dtype
            np.testing.assert_array_equal(device.to_host(b), a)
    there.project()
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(state, before[1])


def random_circuit(width, levels):
    rng = np.random.default_rng(5)
    circuit = Circuit()
    before = [circuit.input(f"i{k}") for k in range(4)]
    for level in range(levels):
        alphas = rng.uniform(0.5, 1, width).tolist()
        pairs = rng.integers(len(before), size=(width, 2)).tolist()
        before = [
            circuit.synapse(f"{level}.{k}", before[e], before[i], alpha, 0.5)
            for k, ((e, i), alpha) in enumerate(zip(pairs, alphas, strict=True))
        ]
    return circuit


def test_ten_thousand_synapses_take_as_many_array_calls_as_ten(monkeypatch):
    """Counted on a device: forward needs as many, backward more by the logarithm of the readers of a node."""
    count = 0
    call, getitem = strict_device._call, strict_device.ndarray.__getitem__

    def counted(*args):
        nonlocal count
        count += 1
        return call(*args)

    def counted_getitem(*args):
        nonlocal count
        count += 1
        return getitem(*args)

    monkeypatch.setattr(strict_device, "_call", counted)
    monkeypatch.setattr(strict_device.ndarray, "__getitem__", counted_getitem)
    device, calls = strict_device.backend(), {}
    for width in (1, 1000):
        simulator = CircuitSimulator(random_circuit(width, levels=10), backend=device)
        x = device.asarray(np.full((3, 2, 4), 0.5, np.float32))
        count = 0
        y, cache = simulator.forward(x)
        forward, count = count, 0
        simulator.backward(y, cache)
        calls[width] = forward, count
    assert len(simulator.outputs) == 10_000
    assert calls[1000][0] == calls[1][0] < 3 * 10 * 12
    assert calls[1000][1] < 3 * 10 * 60


# ---- gradients


@pytest.mark.parametrize("shape", [(1, 1, 2), (2, 3, 2), (6, 2, 2)])
def test_gradients_through_time_equal_numeric_ones(shape):
    rng = np.random.default_rng(shape[0])
    simulator = CircuitSimulator(feedback_circuit(), ["end", "out", "back", "r"], dtype="float64")
    check_layer(simulator, rng.uniform(0.1, 0.9, shape), rng)


def test_gradients_of_the_flip_circuit_with_its_shared_parameters_equal_numeric_ones():
    rng = np.random.default_rng(6)
    simulator = CircuitSimulator(library.flip(0.9, 0.8), dtype="float64")
    state = rng.uniform(0.1, 0.9, (3, 2))
    x, dy = np.empty((5, 3, 0)), rng.standard_normal((5, 3, 2))
    _, cache = simulator.forward(x, state=state)
    _, grads = simulator.backward(dy, cache)
    values = simulator.params["values"]
    numeric = numeric_gradient(lambda: float((simulator.forward(x, state=state)[0] * dy).sum()), values)
    np.testing.assert_allclose(grads["values"], numeric, rtol=1e-7)


@pytest.mark.parametrize("shape", [(1, 2), (2,), (3, 1), (2, 3), ()])
def test_a_state_of_another_shape_is_refused_not_broadcast(shape):
    simulator = CircuitSimulator(library.flip(0.9, 0.8), dtype="float64")
    with pytest.raises(ValueError, match=r"expected state \(3, 2\), got"):
        simulator.forward(np.zeros((4, 3, 0)), state=np.zeros(shape))
    with pytest.raises(TypeError, match="expected float64 state, got float32"):
        simulator.forward(np.zeros((4, 3, 0)), state=np.zeros((3, 2), "float32"))


@pytest.mark.parametrize("steps", [-1, 1.5, True])
def test_a_number_of_steps_that_is_none_is_refused(steps):
    simulator = CircuitSimulator(library.flip(0.9, 0.8), dtype="float64")
    with pytest.raises((TypeError, ValueError), match="fit_response: expected steps"):
        next(fit_response(simulator, SGD(0.1), np.zeros((4, 3, 0)), np.zeros((4, 3, 2)), steps))


def test_a_state_that_is_given_takes_the_gradient_from_the_initial_values():
    simulator = CircuitSimulator(feedback_circuit(), dtype="float64")
    x = np.full((1, 2, 2), 0.5)
    start = simulator.parameter_names.index("start")
    for state, moves in [(None, True), (np.full((2, 4), 0.5), False)]:
        y, cache = simulator.forward(x, state=state)
        assert (simulator.backward(y, cache)[1]["values"][start] != 0) == moves


def test_a_chain_of_synapses_is_a_unit_of_the_synapse_layer_forward_and_backward():
    n = 4
    rng = np.random.default_rng(7)
    layer = Synapse(n, dtype="float64", rng=rng)
    layer.params["alpha"][...] = rng.uniform(0.5, 1.5, n)
    layer.params["beta"][...] = rng.uniform(0, 1, (n, n))
    circuit = Circuit()
    xs = [circuit.input(f"x{j}") for j in range(n)]
    for i in range(n):
        out = xs[i]
        for j in range(n):
            alpha = circuit.parameter(f"alpha {i}", float(layer.params["alpha"][i])) if j == 0 else 1.0
            beta = circuit.parameter(f"beta {i} {j}", float(layer.params["beta"][i, j]))
            out = circuit.synapse(f"y {i} {j}", out, xs[j], alpha, beta)
    simulator = CircuitSimulator(circuit, [f"y {i} {n - 1}" for i in range(n)], dtype="float64")
    x, dy = rng.uniform(0, 1, (3, n)), rng.standard_normal((3, n))
    (y, cache), (y_layer, cache_layer) = simulator.forward(x[None]), layer.forward(x)
    (dx, grads), (dx_layer, grads_layer) = simulator.backward(dy[None], cache), layer.backward(dy, cache_layer)
    np.testing.assert_allclose(y[0], y_layer, rtol=1e-12)
    np.testing.assert_allclose(dx[0], dx_layer, rtol=1e-10)
    grads = grads["values"].reshape(n, 1 + n)
    np.testing.assert_allclose(grads[:, 0], grads_layer["alpha"], rtol=1e-10)
    np.testing.assert_allclose(grads[:, 1:], grads_layer["beta"], rtol=1e-10)


# ---- the examples


@pytest.mark.parametrize(
    ("add", "truth"),
    [
        (library.add_and, lambda a, b: a and b),
        (library.add_or, lambda a, b: a or b),
        (library.add_xor, lambda a, b: a != b),
        (lambda c, name, a, b: c.synapse(name, a, b), lambda a, b: a and not b),
        (lambda c, name, a, b: library.add_not(c, name, a), lambda a, b: not a),
    ],
)
def test_gates_answer_as_boolean_algebra(add, truth):
    circuit = Circuit()
    add(circuit, "out", circuit.input("a"), circuit.input("b"))
    for (a, b), (out,) in answers(circuit, ["out"]).items():
        assert out == truth(bool(a), bool(b))


def test_gates_of_independent_probabilities_give_probabilities():
    circuit = Circuit()
    a, b = circuit.input("a"), circuit.input("b")
    library.add_and(circuit, "and", a, b)
    library.add_or(circuit, "or", a, b)
    y, _ = CircuitSimulator(circuit, ["and", "or"], dtype="float64").forward(np.array([[[0.3, 0.6]]]))
    np.testing.assert_allclose(y[0, 0], [0.3 * 0.6, 0.3 + 0.6 - 0.3 * 0.6])


def test_the_full_adder_adds_all_eight_inputs():
    table = answers(library.full_adder(), ["carry", "sum"])
    assert len(table) == 8
    for bits, (carry, total) in table.items():
        assert 2 * carry + total == sum(bits)


def run_flip(alpha, beta, starts, steps):
    simulator = CircuitSimulator(library.flip(alpha, beta), ["x", "y"], dtype="float64")
    return simulator.forward(np.empty((steps + 1, len(starts), 0)), state=np.array(starts))[0]


STARTS = [(0.9, 0.2), (0.2, 0.9), (0.5, 0.4), (0.3, 0.3), (0.7, 0.0)]


@pytest.mark.parametrize("beta", [0.1, 0.8, 1.0])
@pytest.mark.parametrize("alpha", [0.6, 1.0, 1.1])
def test_the_flip_circuit_iterates_its_map_and_multiplies_the_difference_by_alpha(alpha, beta):
    orbit = run_flip(alpha, beta, STARTS, 6)
    x, y = np.array(STARTS).T
    for t in range(7):
        np.testing.assert_allclose(orbit[t], np.stack([x, y], axis=1), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(orbit[t, :, 0] - orbit[t, :, 1], alpha**t * (orbit[0, :, 0] - orbit[0, :, 1]))
        x, y = synapse(x, y, alpha, beta), synapse(y, x, alpha, beta)


def test_with_alpha_1_the_smaller_input_of_the_flip_circuit_dies_and_their_difference_is_left():
    limit = run_flip(1.0, 0.8, STARTS[:3], 500)[-1]
    np.testing.assert_allclose(limit, [(0.7, 0), (0, 0.7), (0.1, 0)], atol=1e-12)


def test_below_alpha_1_all_trajectories_end_in_the_only_fixed_point():
    assert library.flip_fixed_points(0.9, 0.8) == [(0, 0, (0.9, 0.9))]
    assert run_flip(0.9, 0.8, STARTS, 300)[-1].max() < 1e-12


@pytest.mark.parametrize(("alpha", "beta"), [(1.05, 0.3), (1.15, 0.8), (1.5, 1.0), (1.6, 0.5), (0.7, 0.5)])
def test_the_fixed_points_and_their_eigenvalues_are_those_found_numerically(alpha, beta):
    def step(p):
        return run_flip(alpha, beta, [tuple(p)], 1)[1, 0]

    points = library.flip_fixed_points(alpha, beta)
    found = {tuple(np.round(fsolve(lambda p: step(p) - p, start), 6) + 0.0) for start in [(0.01, 0.01), (0.6, 0.6)]}
    inside = {p for p in found if min(p) >= 0 and max(p) <= 1}
    assert {tuple(np.round(p[:2], 6)) for p in points} == inside
    for x, y, eigenvalues in points:
        np.testing.assert_allclose(step((x, y)), (x, y), atol=1e-14)
        h = 1e-6
        jacobian = [(step((x + h, y)) - step((x - h, y))) / (2 * h), (step((x, y + h)) - step((x, y - h))) / (2 * h)]
        np.testing.assert_allclose(np.sort(np.linalg.eigvals(np.array(jacobian))), np.sort(eigenvalues), rtol=1e-7)


def test_the_saddle_attracts_along_the_diagonal():
    (_, (p, _, eigenvalues)) = library.flip_fixed_points(1.15, 0.8)
    assert eigenvalues == pytest.approx((0.85, 1.15))
    np.testing.assert_allclose(run_flip(1.15, 0.8, [(0.05, 0.05), (0.9, 0.9)], 200)[-1], p, rtol=1e-10)


def test_at_alpha_1_every_point_of_the_axes_is_fixed_and_none_is_isolated():
    assert library.flip_fixed_points(1, 0.8) == []
    axes = [(0.4, 0.0), (0.0, 0.9), (0.0, 0.0)]
    np.testing.assert_array_equal(run_flip(1.0, 0.8, axes, 3)[-1], axes)


# ---- training


def test_training_finds_the_parameters_behind_a_wanted_response():
    """rise 4 and fall 12 mean keep = 1 − 1/12 and keep (1 − drive) = 1 − 1/4; the memory ends at drive · 4."""
    x, target = adaptation_target()
    simulator = CircuitSimulator(library.adapting(), ["y"], dtype="float64")
    losses = list(fit_response(simulator, SGD(0.5, momentum=0.9), x, target, 120))
    assert losses[0] > 5e-3
    assert losses[-1] < 1e-6
    keep, rise = 1 - 1 / 12, 1 - 1 / 4
    drive = 1 - rise / keep
    expected = {"drive": drive, "keep": keep, "gain": 0.9, "inhibition": 0.6 / 0.9 / (4 * drive)}
    trained = dict(zip(simulator.parameter_names, simulator.params["values"].tolist(), strict=True))
    assert trained == pytest.approx(expected, abs=0.01)


def test_training_keeps_the_parameters_in_their_ranges():
    circuit = Circuit()
    circuit.synapse("y", circuit.input("x"), "x", circuit.parameter("a", 0.5), circuit.parameter("b", 0.5))
    circuit.synapse("z", "x", "x", "shared", circuit.parameter("shared", 0.9))
    simulator = CircuitSimulator(circuit, ["y", "z"])
    simulator.params["values"][...] = [-3, 1.5, 7]
    simulator.project()
    np.testing.assert_allclose(simulator.params["values"], [1e-6, 1, 1])
    simulator.params["values"][...] = [0.5, 0.5, 0.9]
    list(fit_response(simulator, SGD(1000.0), np.ones((2, 1, 1), np.float32), np.zeros((2, 1, 2), np.float32), 3))
    a, b, shared = simulator.params["values"]
    assert a > 0
    assert 0 <= b <= 1
    assert 0 < shared <= 1


def test_a_target_of_another_shape_is_refused():
    simulator = CircuitSimulator(library.adapting(), ["y"])
    with pytest.raises(ValueError, match=r"the response is \(2, 1, 1\), the target \(2, 1\)"):
        next(fit_response(simulator, SGD(1.0), np.ones((2, 1, 1), np.float32), np.ones((2, 1), np.float32), 1))


# ---- the diagram


def test_the_layout_has_every_node_and_edge_and_no_two_in_one_place():
    circuit = feedback_circuit()
    layout = lay_out(circuit)
    shown = {name for name, node in circuit.nodes.items() if node.kind != "constant"}
    assert layout.at.keys() == shown
    places = [*layout.at.values(), *(point for *_, points in layout.routes for point in points)]
    assert len(set(places)) == len(places)
    edges = {(source, target, side) for source, target, side, _ in layout.routes}
    assert len(edges) + len(layout.stubs) == 2 * len(circuit.of_kind("synapse"))
    for source, target, side in edges:
        assert circuit.nodes[target].sources[side] == source
        assert layout.at[source][0] < layout.at[target][0]
    for source, target, _, points in layout.routes:
        columns = [layout.at[source][0], *(column for column, _ in points), layout.at[target][0]]
        assert columns == list(range(columns[0], columns[-1] + 1))
    assert sorted(layout.stubs) == [(0.5, "t", 1), (0.7, "s", 0)]
    assert ("out", "back") in layout.feedback
    assert len(layout.feedback) == 4


def test_a_diagram_is_written(tmp_path):
    draw_circuit(feedback_circuit(), tmp_path / "circuit.png", "with feedback")
    assert [path.name for path in tmp_path.iterdir()] == ["circuit.png"]
    assert (tmp_path / "circuit.png").read_bytes().startswith(b"\x89PNG")


# ---- the page


def test_the_code_of_the_page_runs_and_prints_what_it_says(capsys):
    text = (pathlib.Path(__file__).resolve().parents[1] / "docs" / "circuits.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    printed = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    exec("\n".join(blocks), {})
    assert capsys.readouterr().out == "".join(printed)
    assert len(printed) >= 3
