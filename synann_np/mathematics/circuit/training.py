"""Train a circuit to give a wanted response."""

from collections.abc import Iterator
from typing import Any

from ...arguments import integer
from ...backend import Array


def fit_response(simulator: Any, optimizer: Any, x: Array, target: Array, steps: int) -> Iterator[float]:
    """Gradient descent on the mean squared error L = mean (y − target)², the whole batch and all time steps at once.

    With E elements of y, ∂L/∂y = 2 (y − target) / E. After each update the parameters are moved back into their ranges.

    Arguments:
        simulator: CircuitSimulator; its parameters change in place.
        optimizer: has step(params, grads), for example synann_np.optim.SGD.
        x (T, N, inputs), target (T, N, outputs): on the simulator's backend, of its dtype.
        steps: how many updates.

    Yields: L before each update, a scalar of the backend.

    Raises: ValueError, TypeError at the first step if target has not the shape of the response, or steps is not an
    integer of 0 or more.
    """
    for _ in range(integer("fit_response", "steps", steps, least=0)):
        y, cache = simulator.forward(x, train=True)
        if y.shape != target.shape:
            raise ValueError(f"the response is {tuple(y.shape)}, the target {tuple(target.shape)}")
        error = y - target
        _, grads = simulator.backward(error * (2 / error.size), cache)
        optimizer.step(simulator.params, grads)
        simulator.project()
        yield (error * error).mean()
