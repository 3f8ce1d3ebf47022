"""The table of kernels: entry name, arguments, grid and block.

    launcher = CupyLauncher()                                      # or the emulator of the tests: the same interface
    sizes = step_sizes(N=100, M=60_000, T=60_000, L=1000)
    arrays = {name: xp.zeros(shape_of(name, sizes), launcher.numpy_dtype(name)) for name in launcher.array_names(TRAIN)}
    step = [launcher.bind(name, sizes, arrays) for name in TRAIN]  # arguments are checked here, once
    for launch in step:                                            # one training step; may be captured in a graph
        launch()

TRAIN are the four kernels of a step in their order, EVALUATE the two of an evaluation (N may be the whole test set;
rows are images[order[offset + n]]), SYNAPSE those of a synapse layer of any size, UPDATE those of the end of any
network's step.

Arguments of an entry point, in this order: the arrays read (const), the arrays written or changed, then sizes as int32.
What each array is, says arrays.py. Kernels run in the order of the table on one stream; none waits for the host.
"""

from dataclasses import dataclass

from .arrays import HEAD_SIZE, PARAM_SIZE, ROW_SIZE

TRAIN = ("train_forward", "train_head", "train_backward", "train_update")
EVALUATE = ("evaluate_forward", "evaluate_head")
UPDATE = ("gradient_norm", "update")
SYNAPSE = ("synapse_forward", "synapse_backward_t", "synapse_backward_beta", "synapse_backward_v")


@dataclass(frozen=True)
class Kernel:
    """One entry point.

    reads, writes: names of arrays (arrays.py). sizes: names of sizes, passed as int32. grid: function of the dict of
    sizes -> (x, y). block: threads.
    """

    reads: tuple
    writes: tuple
    sizes: tuple
    grid: object
    block: int

    @property
    def arrays(self):
        """Names of all arrays, in the order of the arguments."""
        return self.reads + self.writes


def _words(text):
    return tuple(text.split())


def _of(prefix, text):
    return tuple(f"{prefix}.{name}" for name in text.split())


def _tiles(size, tile):
    return -(-size // tile)


# Blocks of train_update by what they do: 32 parameters whose partial sums are added, or a tile of 2 x 32 weights whose
# gradient is a product over the rows.
SUM_BLOCKS = (ROW_SIZE + HEAD_SIZE - 32) // 32
PRODUCT_BLOCKS = (PARAM_SIZE - ROW_SIZE - HEAD_SIZE + 32) // 64

NORM_BLOCKS = 64  # of gradient_norm, at most
# What the update does besides p ← p − rate g, as bits of its size `rules`.
RULES = {"ADAM": 1, "MOMENTUM": 2, "NESTEROV": 4, "DECAY_VECTORS": 8, "CLIP": 16, "AVERAGE": 32}
# Its numbers, in the order of update.numbers.
NUMBERS = _words("rate weight_decay shrink beta1 gain1 beta2 gain2 root eps max_norm average_gain")

_KEPT = "pooled1 winner1 pooled2 winner2 hidden x product zeros y"

KERNELS = {
    "train_forward": Kernel(
        _words("images order counter seeds params"), _words(_KEPT), _words("N"), lambda s: (s["N"], 1), 320
    ),
    "train_head": Kernel(
        _words("labels order counter params y"),
        _words("running stats dz head_parts"),
        _words("N"),
        lambda s: (s["H"], 1),
        256,
    ),
    "train_backward": Kernel(
        _words(f"images order counter seeds params {_KEPT} stats dz head_parts"),
        _words("dy t t_zero dhidden row_parts"),
        _words("N H"),
        lambda s: (s["G"], 1),
        384,
    ),
    "train_update": Kernel(
        _words("hyper pooled2 x t t_zero dhidden head_parts row_parts"),
        _words("counter params velocity grads losses"),
        _words("N G H L"),
        lambda s: (SUM_BLOCKS + PRODUCT_BLOCKS, 1),
        256,
    ),
    "evaluate_forward": Kernel(
        _words("images order params"), _words("y"), _words("N offset"), lambda s: (s["N"], 1), 320
    ),
    "evaluate_head": Kernel(
        _words("labels order params running y"),
        _words("log_probs row_loss row_correct"),
        _words("N offset"),
        lambda s: (_tiles(s["N"], 4), 1),
        256,
    ),
    "synapse_forward": Kernel(
        _of("synapse", "x v alpha beta"),
        _of("synapse", "product zeros y"),
        _words("N I J"),
        lambda s: (_tiles(s["I"], 64), _tiles(s["N"], 32)),
        128,
    ),
    "synapse_backward_t": Kernel(
        _of("synapse", "x alpha product zeros dy"),
        _of("synapse", "t t_zero dx dalpha"),
        _words("N I"),
        lambda s: (_tiles(s["I"], 32), 1),
        256,
    ),
    "synapse_backward_beta": Kernel(
        _of("synapse", "v beta t t_zero"),
        _of("synapse", "dbeta"),
        _words("N I J"),
        lambda s: (_tiles(s["J"], 64), _tiles(s["I"], 32)),
        128,
    ),
    "synapse_backward_v": Kernel(
        _of("synapse", "v beta t t_zero"),
        _of("synapse", "dv"),
        _words("N I J"),
        lambda s: (_tiles(s["J"], 64), _tiles(s["N"], 32)),
        128,
    ),
    "gradient_norm": Kernel(_of("update", "grads"), _of("update", "norms"), _words("P H"), lambda s: (s["H"], 1), 256),
    "update": Kernel(
        _of("update", "grads norms numbers is_matrix"),
        _of("update", "values first second average"),
        _words("P S H rules"),
        lambda s: (_tiles(s["S"], 256), 1),
        256,
    ),
    "columns_to_pixels": Kernel(
        _of("pixels", "dcols"),
        _of("pixels", "dx"),
        _words("C H W N OH OW KH KW SH SW DH DW top left"),
        lambda s: (_tiles(s["C"] * s["H"] * s["W"] * s["N"], 256), 1),
        256,
    ),
    "pool_forward": Kernel(
        _of("pixels", "x"),
        _of("pixels", "y winner"),
        _words("C H W N OH OW KH KW"),
        lambda s: (_tiles(s["C"] * s["OH"] * s["OW"] * s["N"], 256), 1),
        256,
    ),
    "pool_backward": Kernel(
        _of("pixels", "winner dy"),
        _of("pixels", "dx"),
        _words("C H W N OH OW KH KW"),
        lambda s: (_tiles(s["C"] * s["H"] * s["W"] * s["N"], 256), 1),
        256,
    ),
    "batch_norm_forward": Kernel(
        _of("norm", "x weight bias constants"),
        _of("norm", "running_mean running_var x_hat s y"),
        _words("C M stride_c stride_m relu"),
        lambda s: (s["C"], 1),
        256,
    ),
    "batch_norm_backward": Kernel(
        _of("norm", "dy x_hat s weight y"),
        _of("norm", "dx dweight dbias"),
        _words("C M stride_c stride_m relu"),
        lambda s: (s["C"], 1),
        256,
    ),
    "rnn_forward": Kernel(
        _of("rnn", "e alpha g beta"), _of("rnn", "h product zeros"), _words("T N I"), lambda s: (s["N"], 1), 256
    ),
    "rnn_backward": Kernel(
        _of("rnn", "dy e alpha g beta h product zeros"),
        _of("rnn", "t t_zero v de dalpha dg"),
        _words("T N I cut"),
        lambda s: (s["N"], 1),
        256,
    ),
}
