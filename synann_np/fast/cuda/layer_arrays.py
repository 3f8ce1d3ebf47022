"""The arrays of the kernels of layers and of the loss, of any size, in the table of arrays."""

LAYER_ARRAYS = {
    # of a synapse layer of any size: units I, inhibitors J
    "synapse.x": ("real", ("N", "I")),
    "synapse.v": ("real", ("N", "J")),
    "synapse.alpha": ("real", ("I",)),
    "synapse.beta": ("real", ("I", "J")),
    "synapse.product": ("real", ("N", "I")),
    "synapse.zeros": ("uint8", ("N", "I")),
    "synapse.y": ("real", ("N", "I")),
    "synapse.dy": ("real", ("N", "I")),
    "synapse.t": ("real", ("N", "I")),
    "synapse.t_zero": ("real", ("N", "I")),
    "synapse.dx": ("real", ("N", "I")),
    "synapse.dv": ("real", ("N", "J")),
    "synapse.dalpha": ("real", ("I",)),
    "synapse.dbeta": ("real", ("I", "J")),
    # of convolution and pooling, batch innermost: images of H × W pixels, outputs of OH × OW
    "pixels.dcols": ("real", ("C", "KH", "KW", "OH", "OW", "N")),
    "pixels.x": ("real", ("C", "H", "W", "N")),
    "pixels.dx": ("real", ("C", "H", "W", "N")),
    "pixels.y": ("real", ("C", "OH", "OW", "N")),
    "pixels.dy": ("real", ("C", "OH", "OW", "N")),
    "pixels.winner": ("uint8", ("C", "OH", "OW", "N")),
    # of batch-norm: C channels of M elements
    **{f"norm.{name}": ("real", ("CM",)) for name in ("x", "x_hat", "y", "dy", "dx")},
    **{
        f"norm.{name}": ("real", ("C",))
        for name in ("weight", "bias", "running_mean", "running_var", "s", "dweight", "dbias")
    },
    # of the recurrent synapse layer: T steps, I units
    **{
        f"rnn.{name}": ("real", ("T", "N", "I"))
        for name in ("e", "h", "product", "t", "t_zero", "v", "de", "dalpha", "dg")
    },
    "rnn.dy": ("real", ("N", "D", "I")),  # of the last D steps
    "rnn.zeros": ("uint8", ("T", "N", "I")),
    "rnn.alpha": ("real", ("I",)),
    "rnn.g": ("real", ("I",)),  # leaking rates
    "rnn.beta": ("real", ("I", "I")),
    # of the plain recurrent layer
    **{f"tanh_rnn.{name}": ("real", ("T", "N", "I")) for name in ("driven", "h", "da", "before")},
    "tanh_rnn.dy": ("real", ("N", "D", "I")),
    "tanh_rnn.weight": ("real", ("I", "I")),
    # of dropout: a mask of E elements
    "dropout.low": ("uint32", ()),  # half of the key of the step
    "dropout.high": ("uint32", ()),
    "dropout.threshold": ("uint32", (1,)),
    "dropout.mask": ("real", ("E",)),
    # of softmax and log-softmax: N rows of K
    **{f"softmax.{name}": ("real", ("N", "K")) for name in ("x", "y", "dy", "dx")},
    # of the loss of class labels: N rows, K classes
    "loss.logits": ("real", ("N", "K")),
    "loss.dlogits": ("real", ("N", "K")),
    "loss.labels": ("int64", ("N",)),
    "loss.ignored": ("int64", (1,)),  # the label that does not count
    "loss.class_weights": ("real", ("class_weighted",)),  # K, or 0 for none
    "loss.sample_weights": ("real", ("sample_weighted",)),  # N, or 0 for none
    "loss.row_losses": ("real", ("N",)),  # what each row adds to the loss
    "loss.loss": ("real", (1,)),
}
