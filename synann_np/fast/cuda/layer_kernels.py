"""The kernels of layers and of the loss, of any size, in the table of kernels."""

from .kernel import Kernel, of, tiles, words

LAYER_KERNELS = {
    "columns_to_pixels": Kernel(
        of("pixels", "dcols"),
        of("pixels", "dx"),
        words("C H W N OH OW KH KW SH SW DH DW top left"),
        lambda s: (tiles(s["C"] * s["H"] * s["W"] * s["N"], 256), 1),
        256,
    ),
    "pool_forward": Kernel(
        of("pixels", "x"),
        of("pixels", "y winner"),
        words("C H W N OH OW KH KW"),
        lambda s: (tiles(s["C"] * s["OH"] * s["OW"] * s["N"], 256), 1),
        256,
    ),
    "pool_backward": Kernel(
        of("pixels", "winner dy"),
        of("pixels", "dx"),
        words("C H W N OH OW KH KW"),
        lambda s: (tiles(s["C"] * s["H"] * s["W"] * s["N"], 256), 1),
        256,
    ),
    "batch_norm_forward": Kernel(
        of("norm", "x weight bias"),
        of("norm", "running_mean running_var x_hat s y"),
        words("C M stride_c stride_m relu"),
        lambda s: (s["C"], 1),
        256,
        words("eps momentum unbiased"),
    ),
    "batch_norm_backward": Kernel(
        of("norm", "dy x_hat s weight y"),
        of("norm", "dx dweight dbias"),
        words("C M stride_c stride_m relu"),
        lambda s: (s["C"], 1),
        256,
    ),
    "rnn_forward": Kernel(
        of("rnn", "e alpha g beta"), of("rnn", "h product zeros"), words("T N I"), lambda s: (s["N"], 1), 256
    ),
    "rnn_backward": Kernel(
        of("rnn", "dy e alpha g beta h product zeros"),
        of("rnn", "t t_zero v de dalpha dg"),
        words("T N I D cut"),
        lambda s: (s["N"], 1),
        256,
    ),
    "tanh_rnn_forward": Kernel(
        of("tanh_rnn", "driven weight"), of("tanh_rnn", "h"), words("T N I"), lambda s: (s["N"], 1), 256
    ),
    "tanh_rnn_backward": Kernel(
        of("tanh_rnn", "dy weight h"),
        of("tanh_rnn", "da before"),
        words("T N I D cut"),
        lambda s: (s["N"], 1),
        256,
    ),
    "dropout_mask": Kernel(
        of("dropout", "low high threshold"),
        of("dropout", "mask"),
        words("E"),
        lambda s: (tiles(s["E"], 256), 1),
        256,
        words("scale"),
    ),
    "softmax_forward": Kernel(
        of("softmax", "x"), of("softmax", "y"), words("N K is_log"), lambda s: (tiles(s["N"], 8), 1), 256
    ),
    "softmax_backward": Kernel(
        of("softmax", "dy y"), of("softmax", "dx"), words("N K is_log"), lambda s: (tiles(s["N"], 8), 1), 256
    ),
    "cross_entropy": Kernel(
        of("loss", "logits labels ignored class_weights sample_weights"),
        of("loss", "dlogits row_losses"),
        words("N K class_weighted sample_weighted"),
        lambda s: (tiles(s["N"], 8), 1),
        256,
        words("smoothing"),
    ),
    "sum_of_losses": Kernel(of("loss", "row_losses"), of("loss", "loss"), words("N"), lambda s: (1, 1), 256),
}
