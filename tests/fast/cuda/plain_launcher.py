"""A launcher whose kernels are the plain layers on NumPy: what a step computes, whatever the kernels look like inside.

The last kernel of a step does all of it, so only what outlives a step is written: the arrays that the host sees, and
not what the kernels hand to each other.
"""

import numpy as np

from fast.cuda.plain_layer_kernels import PlainLayerKernels
from synann_np.data import normalise
from synann_np.fast.cuda import KERNELS, Launcher, parameter_views
from synann_np.fast.cuda.kernels import NUMBERS, RULES
from synann_np.layers import SynapseGraph
from synann_np.losses import nll_loss
from synann_np.models import SynaNN
from synann_np.optim import SGD
from synann_np.training.clipping import clip_grad_norm


class PlainLauncher(PlainLayerKernels, Launcher):
    """Launches through a FakeCuda, so that launches are counted and captured.

    Arguments: cuda: FakeCuda. array_type: of the arrays. to_numpy: function of such an array -> the NumPy array inside.
    """

    def __init__(self, cuda, array_type=np.ndarray, to_numpy=np.asarray, dtype="float32"):
        super().__init__(dtype)
        self.cuda, self.array_type, self.to_numpy = cuda, array_type, to_numpy
        self.model = SynaNN(dtype=dtype)

    def _start(self, kernel, grid, block, arguments):
        entry = KERNELS[kernel]
        names = [*entry.arrays, *entry.sizes, *entry.numbers]
        values = [a if isinstance(a, np.number) else self.to_numpy(a) for a in arguments]
        given = {name.rpartition(".")[2]: value for name, value in zip(names, values, strict=True)}
        self.seen = getattr(self, "seen", {}) | given  # arrays of the earlier kernels of a step
        everything = self.seen
        return lambda: self.cuda.launch(lambda: self.run(kernel, everything))

    def run(self, kernel, a):
        with np.errstate(all="ignore"):  # a device does not complain
            getattr(self, kernel, lambda a: None)(a)

    def load(self, a):
        self.model.load_state_dict(parameter_views(a["params"]) | self.buffers(a["running"]))

    def buffers(self, running):
        return {"fcb.running_mean": running[0], "fcb.running_var": running[1]}

    def train_update(self, a):
        model, (step, first) = self.model, a["counter"]
        self.load(a)
        model.layers["conv2_drop"].seed, model.layers["fc1_drop"].seed = map(int, a["seeds"])
        rows = a["order"][first : first + a["N"]]
        x = normalise(a["images"][rows].reshape(-1, 28, 28), self.dtype)
        log_probs, caches = model.forward(x, train=True, step=int(step))
        loss, dlog_probs = nll_loss(log_probs, a["labels"][rows])
        _, grads = model.backward(dlog_probs, caches)
        lr, momentum, decay, nesterov = map(float, a["hyper"])
        optimizer = SGD(lr, momentum, decay, bool(nesterov))
        if momentum:
            optimizer.velocity = parameter_views(a["velocity"])
        optimizer.step(parameter_views(a["params"]), grads)
        for name, buffer in self.buffers(a["running"]).items():
            buffer[...] = model.buffers[name]
        a["losses"][step % a["L"]] = loss
        a["counter"] += (1, a["N"])

    def evaluate_head(self, a):
        self.load(a)
        rows = a["order"][a["offset"] : a["offset"] + a["N"]]
        a["log_probs"][...] = self.model.forward(normalise(a["images"][rows].reshape(-1, 28, 28), self.dtype))[0]
        labels = a["labels"][rows]
        a["row_loss"][...] = -a["log_probs"][np.arange(a["N"]), labels]
        a["row_correct"][...] = a["log_probs"].argmax(axis=1) == labels

    def gradient_norm(self, a):
        a["norms"][...] = 0
        a["norms"][0, 0] = clip_grad_norm({"all": a["grads"]}, 1.0)[1]  # all that the update needs of it

    def update(self, a):
        has = {name: bool(a["rules"] & bit) for name, bit in RULES.items()}
        rate, weight_decay, shrink, beta1, gain1, beta2, gain2, root, eps, max_norm, gain = (
            a["numbers"][:, k : k + 1].view(self.dtype)[0, 0] for k in range(len(NUMBERS))
        )
        P = int(a["P"])
        p, g = a["values"][:P], a["grads"]
        if has["CLIP"]:
            g = g * np.minimum(max_norm / (a["norms"][0, 0] + 1e-6), 1.0)
        decays = has["DECAY_VECTORS"] | (a["is_matrix"] == 1)
        p *= np.where(decays, shrink, 1)
        g = np.where(decays & (weight_decay != 0), g + weight_decay * p, g)
        if has["ADAM"]:
            a["first"][...] = a["first"] * beta1 + gain1 * g
            a["second"][...] = a["second"] * beta2 + gain2 * (g * g)
            p -= rate * a["first"] / (np.sqrt(a["second"]) / root + eps)
        elif has["MOMENTUM"]:
            a["first"][...] = a["first"] * beta1 + g
            p -= rate * (g + beta1 * a["first"] if has["NESTEROV"] else a["first"])
        else:
            p -= rate * g
        if has["AVERAGE"]:
            a["average"] += gain * (a["values"] - a["average"])

    def graph(self, a):
        layer = SynapseGraph(int(a["I"]), int(a.get("J", 1)), dtype=self.dtype)
        layer.params = {"alpha": a["alpha"], "beta": a["beta"]}
        return layer

    def synapse_forward(self, a):
        a["y"][...] = self.graph(a).forward(a["x"], a["v"])[0]

    def synapse_backward_v(self, a):
        layer = self.graph(a)
        _, cache = layer.forward(a["x"], a["v"])
        (dx, dv), grads = layer.backward(a["dy"], cache)
        a["dx"][...], a["dv"][...] = dx, dv
        a["dalpha"][...], a["dbeta"][...] = grads["alpha"], grads["beta"]
