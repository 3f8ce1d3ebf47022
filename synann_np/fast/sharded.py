"""A batch cut into shards of rows, one thread each, until something mixes the rows."""

import math
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from itertools import pairwise

import numpy as np

from ..sequential import Sequential

ROWS = 50  # of a shard at most: its columns of a convolution then fit the cache of a core


class Sharded(Sequential):
    """A Sequential that runs its first part (blocks) on shards of the batch and the rest (a Sequential) on all of it.

    What a shard computes does not depend on the thread that computes it, and gradients are added in the order of the
    shards: equal settings, equal bits. With more than one thread, products of BLAS are limited to one thread each, for
    the whole process.
    """

    def __init__(self, model, by_rows, joint, threads):
        super().__init__(list(model.layers.items()), model.dtype, model.backend)
        self.by_rows, self.joint, self.threads = by_rows, joint, threads
        if threads > 1:
            import threadpoolctl  # importing the package needs NumPy only

            threadpoolctl.threadpool_limits(1, user_api="blas")
            self.pool = ThreadPoolExecutor(threads - 1)

    def forward(self, x, train=False, step=0):
        def run(rows):
            y, caches = x[rows], []
            for block in self.by_rows:
                y, cache = block.forward(y, train, step, rows.start)
                caches.append(cache)
            return y, caches

        shards = self.shards(len(x))
        parts = self.map(run, shards)
        y, joint_caches = self.joint.forward(np.concatenate([y for y, _ in parts]), train, step)
        return y, (shards, [caches for _, caches in parts], joint_caches)

    def backward(self, dy, caches):
        shards, shard_caches, joint_caches = caches
        dy, joint_grads = self.joint.backward(dy, joint_caches)

        def run(shard):
            rows, caches = shard
            dx, grads = dy[rows], {}
            for block, cache in zip(reversed(self.by_rows), reversed(caches), strict=True):
                dx, block_grads = block.backward(dx, cache)
                grads |= block_grads
            return dx, grads

        parts = self.map(run, list(zip(shards, shard_caches, strict=True)))
        dx = None if parts[0][0] is None else np.concatenate([dx for dx, _ in parts])
        grads = {name: reduce(np.add, [grads[name] for _, grads in parts]) for name in parts[0][1]}
        return dx, grads | joint_grads

    def shards(self, N):
        """Slices of nearly equal length, a multiple of the threads in number (or N)."""
        count = self.threads * math.ceil(N / (self.threads * ROWS))
        cuts = [N * i // count for i in range(count + 1)]
        return [slice(a, b) for a, b in pairwise(cuts) if b > a]

    def map(self, function, items):
        """[function(item) for item in items], cut into one run of items for each thread; the caller is one of them."""
        chunk = math.ceil(len(items) / self.threads)
        if chunk == len(items):
            return [function(item) for item in items]

        def run(chunk_items):
            return [function(item) for item in chunk_items]

        chunks = [items[i : i + chunk] for i in range(0, len(items), chunk)]
        futures = [self.pool.submit(run, chunk_items) for chunk_items in chunks[1:]]
        done = [run(chunks[0])]
        return [y for results in done + [f.result() for f in futures] for y in results]
