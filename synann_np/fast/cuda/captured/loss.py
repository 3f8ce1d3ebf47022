"""The loss of class labels as kernels: log-softmax and negative log likelihood, forward and backward at once."""

from ....losses import cross_entropy, nll_loss
from ....losses.negative_log_likelihood import check_arguments
from ....sequential import Sequential
from ..layers.launches import arrays_of
from ..layers.softmax import CudaSoftmax

OPTIONS = {"class_weights", "ignore_index", "label_smoothing"}
NO_LABEL = -(2**63)  # ignored where no label is


class CudaCrossEntropy:
    """losses.cross_entropy by two launches: the rows, and the sum of their losses. A label that is no class gives NaN.

    Arguments: launcher: Launcher of the model's dtype. backend: of the arrays. Options: as of cross_entropy.
    """

    def __init__(self, launcher, backend, class_weights=None, ignore_index=None, label_smoothing=0.0):
        self.launcher, self.backend, self.label_smoothing = launcher, backend, label_smoothing
        ignored = NO_LABEL if ignore_index is None else ignore_index
        self.given = {"ignored": backend.asarray([ignored], "int64")}
        if class_weights is not None:
            self.given["class_weights"] = backend.asarray(class_weights, launcher.dtype)

    def __call__(self, logits, labels, label_smoothing=None, *, sample_weights=None):
        """As cross_entropy; label_smoothing None: that of this object."""
        smoothing = self.label_smoothing if label_smoothing is None else label_smoothing
        check_arguments(logits, labels, smoothing)
        xp, (N, K) = self.backend.xp, logits.shape
        given = self.given | {"logits": xp.ascontiguousarray(logits), "labels": xp.asarray(labels, dtype="int64")}
        if sample_weights is not None:
            given["sample_weights"] = xp.asarray(sample_weights, dtype=self.launcher.dtype)
        sizes = {
            "N": N, "K": K, "class_weighted": K * ("class_weights" in given),
            "sample_weighted": N * ("sample_weights" in given), "smoothing": smoothing,
        }  # fmt: skip
        arrays = arrays_of(self, "loss", ["cross_entropy", "sum_of_losses"], sizes, given)
        return arrays["loss"].reshape(()), arrays["dlogits"]


def with_loss_kernels(model, loss, launcher):
    """The model and the loss that a captured step takes in the place of these: the parameters have the same gradients.

    cross_entropy becomes a CudaCrossEntropy. So does nll_loss after a LogSoftmax, which the model then goes without.

    Returns: model, loss: those given where there are no kernels for them.
    """
    function, options = getattr(loss, "func", loss), getattr(loss, "keywords", {})
    *layers, (_, last) = model.layers.items()
    if getattr(loss, "args", ()) or options.keys() - OPTIONS:
        return model, loss
    if function is nll_loss and isinstance(last, CudaSoftmax) and last.is_log:
        model = Sequential(layers, model.dtype, model.backend)
    elif function is not cross_entropy:
        return model, loss
    return model, CudaCrossEntropy(launcher, model.backend, **options)
