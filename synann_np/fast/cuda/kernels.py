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

Arguments of an entry point, in this order: the arrays read (const), the arrays written or changed, sizes as int32,
numbers as "real".
What each array is, says arrays.py. Kernels run in the order of the table on one stream; none waits for the host.
"""

from .arrays import HEAD_SIZE, PARAM_SIZE, ROW_SIZE
from .kernel import Kernel, of, tiles, words
from .layer_kernels import LAYER_KERNELS

TRAIN = ("train_forward", "train_head", "train_backward", "train_update")
EVALUATE = ("evaluate_forward", "evaluate_head")
UPDATE = ("gradient_norm", "update")
SYNAPSE = ("synapse_forward", "synapse_backward_t", "synapse_backward_beta", "synapse_backward_v")

# Blocks of train_update by what they do: 32 parameters whose partial sums are added, or a tile of 2 x 32 weights whose
# gradient is a product over the rows.
SUM_BLOCKS = (ROW_SIZE + HEAD_SIZE - 32) // 32
PRODUCT_BLOCKS = (PARAM_SIZE - ROW_SIZE - HEAD_SIZE + 32) // 64

NORM_BLOCKS = 64  # of gradient_norm, at most
# What the update does besides p ← p − rate g, as bits of its size `rules`.
RULES = {"ADAM": 1, "MOMENTUM": 2, "NESTEROV": 4, "DECAY_VECTORS": 8, "CLIP": 16, "AVERAGE": 32}
# Its numbers, in the order of update.numbers.
NUMBERS = words("rate weight_decay shrink beta1 gain1 beta2 gain2 root eps max_norm average_gain")

_KEPT = "pooled1 winner1 pooled2 winner2 hidden x product zeros y"

KERNELS = {
    "train_forward": Kernel(
        words("images order counter seeds params"), words(_KEPT), words("N"), lambda s: (s["N"], 1), 320
    ),
    "train_head": Kernel(
        words("labels order counter params y"),
        words("running stats dz head_parts"),
        words("N"),
        lambda s: (s["H"], 1),
        256,
    ),
    "train_backward": Kernel(
        words(f"images order counter seeds params {_KEPT} stats dz head_parts"),
        words("dy t t_zero dhidden row_parts"),
        words("N H"),
        lambda s: (s["G"], 1),
        384,
    ),
    "train_update": Kernel(
        words("hyper pooled2 x t t_zero dhidden head_parts row_parts"),
        words("counter params velocity grads losses"),
        words("N G H L"),
        lambda s: (SUM_BLOCKS + PRODUCT_BLOCKS, 1),
        256,
    ),
    "evaluate_forward": Kernel(words("images order params"), words("y"), words("N offset"), lambda s: (s["N"], 1), 320),
    "evaluate_head": Kernel(
        words("labels order params running y"),
        words("log_probs row_loss row_correct"),
        words("N offset"),
        lambda s: (tiles(s["N"], 4), 1),
        256,
    ),
    "synapse_forward": Kernel(
        of("synapse", "x v alpha beta"),
        of("synapse", "product zeros y"),
        words("N I J"),
        lambda s: (tiles(s["I"], 64), tiles(s["N"], 32)),
        128,
    ),
    "synapse_backward_t": Kernel(
        of("synapse", "x alpha product zeros dy"),
        of("synapse", "t t_zero dx dalpha"),
        words("N I"),
        lambda s: (tiles(s["I"], 32), 1),
        256,
    ),
    "synapse_backward_beta": Kernel(
        of("synapse", "v beta t t_zero"),
        of("synapse", "dbeta"),
        words("N I J"),
        lambda s: (tiles(s["J"], 64), tiles(s["I"], 32)),
        128,
    ),
    "synapse_backward_v": Kernel(
        of("synapse", "v beta t t_zero"),
        of("synapse", "dv"),
        words("N I J"),
        lambda s: (tiles(s["J"], 64), tiles(s["N"], 32)),
        128,
    ),
    "gradient_norm": Kernel(of("update", "grads"), of("update", "norms"), words("P H"), lambda s: (s["H"], 1), 256),
    "update": Kernel(
        of("update", "grads norms numbers is_matrix"),
        of("update", "values first second average"),
        words("P S H rules"),
        lambda s: (tiles(s["S"], 256), 1),
        256,
    ),
} | LAYER_KERNELS
