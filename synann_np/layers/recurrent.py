"""What recurrent layers share: sequences in, states out, and how far back a gradient travels."""

from typing import Any

from ..backend import Array, BackendLike, DTypeLike, array_module
from ..product import product
from .base import Layer


class Recurrent(Layer):
    """h_t = step(x_t, h_t−1) for t = 0..T−1, with h_−1 = 0.

    x (N, T, input_size), h_t (N, hidden_size). y is the last state h_T−1 (N, hidden_size), or with
    return_sequences=True all of them, (N, T, hidden_size).

    Backpropagation through time: with dh_t the whole gradient of h_t, from the last step to the first,

        dh_t = dy_t + (what step t + 1 sends back to its h_t)        dy_t = 0 where h_t is not an output

    truncate=k cuts the sequence, counted from its end, into pieces of k steps. Forward computes the same, but no
    gradient passes from a piece to the one before: the state handed on counts as a constant there. So the
    gradient of the last state travels through exactly k steps. None: through all of them.

    Raises: ValueError, TypeError if a size or truncate is not an integer ≥ 1; if x is not (N, T, input_size) with T ≥ 1
    or dy is not shaped like y, or one of them not of the weights' dtype.
    """

    def __init__(
        self, input_size: int, hidden_size: int, return_sequences: bool, truncate: int | None, dtype: DTypeLike,
        backend: BackendLike, **config: Any,
    ) -> None:  # fmt: skip
        config = {"return_sequences": return_sequences, "truncate": truncate, **config}
        super().__init__(dtype, backend, input_size=input_size, hidden_size=hidden_size, **config)
        self.input_size, self.hidden_size = self.integer("input_size"), self.integer("hidden_size")
        self.return_sequences = self.flag("return_sequences")
        self.truncate = None if truncate is None else self.integer("truncate")

    def check_sequences(self, x: Array) -> None:
        """Refuse x unless it is (N, T, input_size) with T ≥ 1."""
        self.check_input(x, "N", "T", self.input_size)
        if x.shape[1] < 1:
            raise ValueError(f"{self}: expected one step or more, got input {tuple(x.shape)}")

    def multiplications(self, x_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> int:
        """As Layer's, where every matrix is used once a step."""
        return x_shape[1] * sum(p.size for p in self.params.values() if p.ndim > 1)

    def steps_of(self, x: Array) -> Any:
        """x as (T, N, input_size), contiguous, so that T N rows can be multiplied as one matrix."""
        self.check_sequences(x)
        return array_module(x).ascontiguousarray(x.swapaxes(0, 1))

    @staticmethod
    def product_of_steps(a: Array, matrix: Array) -> Array:
        """Σ_k a_tnk matrix_kh as one product of T N rows: (T, N, K), (K, H) -> (T, N, H)."""
        T, N, K = a.shape
        return product(a.reshape(T * N, K), matrix).reshape(T, N, matrix.shape[1])

    @staticmethod
    def sum_of_steps(a: Array, b: Array) -> Array:
        """Σ_tn a_tni b_tnj as one product: (T, N, I), (T, N, J) -> (I, J)."""
        return product(a.reshape(-1, a.shape[2]).T, b.reshape(-1, b.shape[2]))

    def output(self, states: Array) -> Array:
        """y, from h_t of all steps, (T, N, hidden_size)."""
        if not self.return_sequences:
            return states[-1]
        return array_module(states).ascontiguousarray(states.swapaxes(0, 1))

    def check_output_gradient(self, dy: Array, N: int, T: int) -> None:
        """Refuse dy unless it has the shape of y."""
        self.check_gradient(dy, (N, T, self.hidden_size) if self.return_sequences else (N, self.hidden_size))

    def output_gradient(self, dy: Array, t: int, T: int) -> Array:
        """dy_t: what the output itself sends back to h_t; 0 where h_t is not an output."""
        if self.return_sequences:
            return dy[:, t]
        return dy if t == T - 1 else array_module(dy).zeros_like(dy)

    def of_all_steps(self, dy: Array, T: int) -> Array:
        """dy_t of all steps, (N, T, hidden_size)."""
        if self.return_sequences:
            return dy
        xp = array_module(dy)
        before = xp.zeros((len(dy), T - 1, self.hidden_size), dy.dtype)
        return xp.concatenate([before, dy[:, None]], axis=1)

    def is_cut(self, t: int, T: int) -> bool:
        """Whether no gradient passes from step t to step t − 1."""
        return t == 0 or (self.truncate is not None and (T - t) % self.truncate == 0)
