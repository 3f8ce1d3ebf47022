"""A synapse layer whose β is divided among ranks, for layers that are too large for one machine."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backend import Array, BackendLike, DTypeLike, Rng, array_module
from ..layers import Layer, SynapseGraph
from ..layers.synapse_parameters import PARAMETRISATIONS, initial_beta
from .chunks import tree_sum
from .rows import RowsOfRanks

ROWS = 64  # of β, drawn, sent or written at a time


class ShardedSynapse(SynapseGraph):
    """layers.Synapse with n = features, of which rank r of R holds the units r n/R up to (r + 1) n/R:

        alpha (n/R,), beta (n/R, n): its rows of β, which are never gathered

    Everything of a unit is local: its product P_ni, y_ni, dα_i and dβ_ij. Sent are x, whole, to every rank, y back to
    the rank that has the row, and the same for dy and dx: 2 N n (R − 1)/R (1 + 1/R) numbers a step. Of

        dx_nj = dy_nj α_j P_nj − Σ_i c_nij β_ij

    the sum over all units i is taken over `blocks` blocks of them, a number that does not depend on R, in the fixed
    tree; each block is one call of the same shape wherever it runs. So the bits do not depend on R.

    In a model that DataParallel trains, it takes the place of a Synapse; DataParallel does not sum its gradients, which
    are final. Called by itself, forward takes the same x (N, n) on all ranks and gives y (N, n) on all.

    Arguments:
        comm: Communicator, 1, 2, 4, ... ranks, at most `blocks`.
        blocks: divides n.
        rng: Generator, in the same state on every rank: weights, and what is drawn next, are those of one process.
        fused: an optimiser for β, such as SGD(0.01): backward then moves β itself, block by block, so that no dβ is
            kept; β is a buffer then. Its learning rate is `layer.fused_lr`, and clipping does not see it.
        Others: as Synapse's.

    Raises: ValueError for units or ranks that do not fit the blocks, or rng=None.
    """

    mixes_rows = True
    sharded = True
    __repr__ = Layer.__repr__

    def __init__(
        self, features: int, parametrisation: str = "free", train_alpha: bool = True,
        *, comm: Any, blocks: int = 8, fused: Any = None, rng: Rng = None, dtype: DTypeLike = "float32",
        backend: BackendLike = "numpy",
    ) -> None:  # fmt: skip
        config = {"features": features, "parametrisation": parametrisation, "train_alpha": train_alpha}
        self.zero_diagonal = False
        Layer.__init__(self, dtype, backend, **config, zero_diagonal=False)  # Synapse's: its file is that of a Synapse
        n, R = self.integer("features"), comm.size
        self.word("parametrisation", PARAMETRISATIONS)
        self.features = self.inhibitors = n
        if n % blocks or blocks % R:
            raise ValueError(f"{self}: {blocks} blocks on {R} ranks: blocks must divide features, and ranks the blocks")
        if rng is None:
            raise ValueError(f"{self}: expected rng, a Generator in the same state on every rank")
        self.comm, width = comm, n // R
        self.rows = slice(comm.rank * width, (comm.rank + 1) * width)
        size = n // blocks
        self.own_blocks = [slice(b, b + size) for b in range(0, width, size)]
        self.alpha, self.beta, _ = PARAMETRISATIONS[parametrisation]
        xp = self.backend.xp
        start = xp.zeros if self.alpha[0] == "theta" else xp.ones
        (self.params if self.flag("train_alpha") else self.buffers)[self.alpha[0]] = start(width, self.dtype)
        beta = xp.empty((width, n), self.dtype)
        generator: Any = rng.bit_generator
        generator.advance(self.rows.start * n)
        for row in range(0, width, ROWS):
            part = beta[row : row + ROWS]
            part[...] = self.backend.asarray(initial_beta(parametrisation, rng, len(part), n), self.dtype)
        generator.advance((n - self.rows.stop) * n)
        self.fused = fused and [copy.deepcopy(fused) for _ in self.own_blocks]
        (self.buffers if fused else self.params)[self.beta[0]] = beta

    @property
    def fused_lr(self) -> Any:
        """The learning rate of the fused optimiser."""
        return self.fused[0].lr

    @fused_lr.setter
    def fused_lr(self, lr: float) -> Any:
        for one in self.fused:
            one.lr = lr

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        """x, y (N, n), equal on all ranks. No cache: training is that of forward_chunks."""
        self.check_input(x, "N", self.features)
        y, _ = self._own_units(x)
        xp = array_module(x)
        return xp.ascontiguousarray(self.comm.slices(xp.ascontiguousarray(y.T)).T), None

    def backward(self, dy: Array, cache: Any) -> Any:
        raise NotImplementedError(f"{self}: only DataParallel can train it")

    def forward_chunks(self, xs: Sequence[Array], rows: Any, N: int) -> tuple[Any, Any]:
        """xs: the chunks of this rank, of which `rows` count (list of int, 0 or all of a chunk). N: rows of the batch.

        Returns: ys, cache.
        """
        for x in xs:
            self.check_input(x, "N", self.features)
        ranks = RowsOfRanks(self.comm, rows)
        x = ranks.whole(ranks.joined(xs))
        y, caches = self._own_units(x)
        return ranks.divided(ranks.units_to_rows(y)), (ranks, caches)

    def backward_chunks(self, dys: Sequence[Array], cache: Any) -> tuple[Any, dict[str, Array]]:
        """Returns: dxs, grads: of the own units, over the whole batch."""
        ranks, caches = cache
        dy = ranks.rows_to_units(ranks.joined(dys))  # (N, own units)
        xp = array_module(dy)
        dx, sums, dalpha = xp.empty_like(dy), [], xp.empty(dy.shape[1], dy.dtype)
        (alpha, alpha_of), (beta, beta_of) = self._raw()
        dbeta: Any = None if self.fused else xp.empty_like(beta)
        for number, (b, its) in enumerate(zip(self.own_blocks, caches, strict=True)):
            dx[:, b], dv, dalpha[b], dbeta_b = self.graph_backward(xp.ascontiguousarray(dy[:, b]), its)
            sums.append(dv)
            with np.errstate(under="ignore"):
                dbeta_b *= beta_of(beta[b])[1]
            if self.fused:
                self.fused[number].step({"beta": beta[b]}, {"beta": dbeta_b})
            else:
                dbeta[b] = dbeta_b
        inhibition = ranks.scattered(tree_sum(sums))
        with np.errstate(under="ignore"):
            grads = {self.alpha[0]: dalpha * alpha_of(alpha)[1], self.beta[0]: dbeta}
        return ranks.divided(ranks.units_to_rows(dx) + inhibition), {name: grads[name] for name in self.params}

    def _own_units(self, x):
        """y of the own units (N, n/R) for all rows of the batch, and a cache for each block of units."""
        xp, done = array_module(x), []
        (alpha, alpha_of), (beta, beta_of) = self._raw()
        for b in self.own_blocks:
            mine = slice(self.rows.start + b.start, self.rows.start + b.stop)
            coefficients = alpha_of(alpha[b])[0], beta_of(beta[b])[0]
            done.append(self.graph_forward(xp.ascontiguousarray(x[:, mine]), x, *coefficients))
        return xp.concatenate([y for y, _ in done], axis=1), [cache for _, cache in done]
