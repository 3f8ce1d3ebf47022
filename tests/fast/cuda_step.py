"""A training step of SynaNN twice: as arrays for the kernels, and by the plain layers."""

import numpy as np

from synann_np.data import normalise
from synann_np.fast.cuda import ARRAYS, EVALUATE, TRAIN, parameter_views, shape_of, step_sizes
from synann_np.losses import nll_loss
from synann_np.models import SynaNN

MUST_BE_ZERO = ("velocity", "head_parts", "row_parts")


def striped_images(rng, count):
    """uint8 images of ten classes of stripes on a constant background, and their labels: windows with equal pixels."""
    images, labels = np.zeros((count, 28, 28), "uint8"), rng.integers(0, 10, count).astype("uint8")
    for image, label in zip(images, labels, strict=True):
        image[2 * label + 3 : 2 * label + 6, 4:24] = rng.integers(100, 256, (3, 20))
    return images, labels


def random_model(rng, dtype):
    """SynaNN with random numbers where training would start from 0 and 1."""
    model = SynaNN(dtype=dtype)
    for name in ("fcn.alpha", "fcb.weight", "fcb.bias"):
        model.params[name] += rng.uniform(-0.3, 0.3, model.params[name].shape).astype(dtype)
    model.buffers["fcb.running_mean"] += rng.normal(size=64).astype(dtype) / 100
    model.buffers["fcb.running_var"] *= rng.uniform(0.5, 2, 64).astype(dtype)
    return model


class Step:
    """Arrays of a launcher for batches of N rows, filled from a model and a data set.

    What the kernels have to write holds NaN, or 99 in arrays of integers, until they do.
    """

    def __init__(self, launcher, model, images, labels, order, N, step=0, L=8, hyper=(0.012, 0.5, 0, 0)):
        self.launcher = launcher
        self.sizes = step_sizes(N, M=len(images), T=len(order), L=L) | {"offset": 0}
        self.arrays = {}
        for name in launcher.array_names(TRAIN + EVALUATE):
            dtype = launcher.numpy_dtype(name)
            empty = 0 if name in MUST_BE_ZERO else np.nan if dtype.kind == "f" else 99
            self.arrays[name] = np.full(shape_of(name, self.sizes), empty, dtype)
        self["images"][...] = images.reshape(len(images), 784)
        self["labels"][...] = labels
        self["order"][...] = order
        self["counter"][...] = (step, 0)
        self["seeds"][...] = [model.layers[name].seed for name in ("conv2_drop", "fc1_drop")]
        self["hyper"][...] = hyper
        self["params"][...] = 0
        for name, view in parameter_views(self["params"]).items():
            view[...] = model.params[name]
        self["running"][...] = [model.buffers["fcb.running_mean"], model.buffers["fcb.running_var"]]

    def __getitem__(self, name):
        return self.arrays[name]

    def launch(self, *kernels):
        for kernel in kernels:
            self.launcher.launch(kernel, self.sizes, self.arrays)

    def rows(self, N):
        """The same state for batches of N rows, fewer than before: the last batch of an epoch."""
        other = object.__new__(Step)
        other.launcher = self.launcher
        other.sizes = self.sizes | step_sizes(N, *(self.sizes[name] for name in "MTL"))
        leading = {"N", "G", "H"}
        other.arrays = {
            name: a[: other.sizes[ARRAYS[name][1][0]]] if ARRAYS[name][1][0] in leading else a
            for name, a in self.arrays.items()
        }
        return other


def plain_layers(model, x, step, train=True):
    """dict layer name -> output, and the caches."""
    outputs, caches = {}, {}
    for name, layer in model.layers.items():
        x, caches[name] = layer.forward(x, train, step) if layer.draws_masks else layer.forward(x, train)
        outputs[name] = x
    return outputs, caches


def plain_backward(model, caches, dy, behind):
    """dict layer name -> gradient of its input, and the gradients of the parameters, from the output of `behind` on."""
    inputs, grads = {}, {}
    names = list(model.layers)
    for name in reversed(names[: names.index(behind) + 1]):
        dy, layer_grads = model.layers[name].backward(dy, caches[name])
        inputs[name] = dy
        grads |= {f"{name}.{key}": g for key, g in layer_grads.items()}
    return inputs, grads


def plain_step(model, optimizer, images, labels, step):
    """loss and gradients of one update by the plain layers."""
    log_probs, caches = model.forward(normalise(images, model.dtype), train=True, step=step)
    loss, dlog_probs = nll_loss(log_probs, labels.astype("int64"))
    _, grads = model.backward(dlog_probs, caches)
    optimizer.step(model.params, grads)
    return loss, grads
