"""The sample inputs of PyTorch's own tests (OpInfo and its table of optimisers): outputs, gradients, steps.

Every sample of an operator that a layer, a loss or an optimiser expresses is run by both, in float64, with a random
upstream gradient. A sample without a batch gets one of one row. What our API refuses on purpose is counted with its
reason.
"""

import warnings
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest

from comparison.tally import RefusedByDesign, Tally, assert_close
from comparison.torch_tables import quick_samples, torch_table
from synann_np import layers
from synann_np.losses import cross_entropy, mse_loss, nll_loss
from synann_np.optim import SGD, Adam, AdamW

torch = pytest.importorskip("torch", reason="PyTorch is not installed: its sample inputs cannot be compared")
pytest.importorskip("expecttest", reason="expecttest is not installed, which PyTorch's sample inputs need")
F = torch.nn.functional
DOUBLE = {"dtype": "float64"}


def refuse(reason):
    raise RefusedByDesign(reason)


def bind(sample, *names, **defaults):
    """The arguments of a sample by name."""
    values = defaults | dict(zip(names, sample.args, strict=False)) | sample.kwargs
    return SimpleNamespace(**values)


def as_integers(value):
    """Of sizes: a one-element tuple stands for both axes."""
    if isinstance(value, list | tuple):
        value = tuple(int(v) for v in value)
        return value[0] if len(value) == 1 else value
    return value


def set_weights(layer, **tensors):
    for name, tensor in tensors.items():
        (layer.params if name in layer.params else layer.buffers)[name][...] = tensor.detach().numpy()
    layer.tensors = {name: tensors[name] for name in layer.params if name in tensors}
    return layer


def weights_of(a):
    if (a.weight is None) != (a.bias is None):
        refuse("weight without bias")
    return {} if a.weight is None else {"weight": a.weight, "bias": a.bias}


def conv2d(s):
    defaults = {"bias": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1}
    a = bind(s, "weight", *defaults, **defaults)
    N = s.input.dim()
    C, (out, _, *kernel) = s.input.shape[N - 3], a.weight.shape
    padding = 0 if a.padding == "valid" else a.padding if a.padding == "same" else as_integers(a.padding)
    layer = layers.Conv2d(
        C, out, tuple(kernel), as_integers(a.stride), padding, a.bias is not None,
        as_integers(a.dilation), a.groups, **DOUBLE,
    )  # fmt: skip
    return set_weights(layer, weight=a.weight, **({} if a.bias is None else {"bias": a.bias})), 4


def max_pool2d(s):
    defaults = {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False}
    a = bind(s, "kernel_size", *defaults, **defaults)
    sizes = (as_integers(v) for v in (a.kernel_size, a.stride, a.padding, a.dilation))
    return layers.MaxPool2d(*sizes, a.ceil_mode), 4


def avg_pool2d(s):
    names = "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"
    a = bind(s, *names, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None)
    if a.divisor_override is not None:
        refuse("divisor_override is not an average")
    sizes = (as_integers(v) for v in (a.kernel_size, a.stride, a.padding))
    return layers.AvgPool2d(*sizes, a.ceil_mode, a.count_include_pad), 4


def adaptive(kind):
    def make(s):
        a = bind(s, "output_size", "return_indices")
        image = s.input.shape[-2:]
        size = a.output_size if isinstance(a.output_size, list | tuple) else [a.output_size] * 2
        return kind(tuple(n if k is None else k for k, n in zip(size, image, strict=True))), 4

    return make


def linear(s):
    a = bind(s, "weight", "bias", bias=None)
    if a.weight.dim() != 2:
        refuse("a weight without an axis of outputs")
    out, inputs = a.weight.shape
    layer = layers.Linear(inputs, out, a.bias is not None, **DOUBLE)
    return set_weights(layer, weight=a.weight, **({} if a.bias is None else {"bias": a.bias})), 2


def along(kind):
    def make(s):
        a = bind(s, "dim", dtype=None)
        if s.input.dim() == 0:
            refuse("a number has no axis")
        if s.input.shape[a.dim] == 0:
            refuse("no elements along the axis")
        return kind(a.dim % s.input.dim()), 1

    return make


def layer_norm(s):
    a = bind(s, "normalized_shape", "weight", "bias", weight=None, bias=None, eps=1e-5)
    if a.eps < 0:
        refuse("eps < 0")
    affine, bias = a.weight is not None, a.bias is not None
    if bias and not affine:
        refuse("bias without weight")
    layer = layers.LayerNorm(tuple(a.normalized_shape), a.eps, affine, bias, **DOUBLE)
    given = {k: v for k, v in (("weight", a.weight), ("bias", a.bias)) if v is not None}
    return set_weights(layer, **given), len(a.normalized_shape) + 1


def group_norm(s):
    a = bind(s, "num_groups", "weight", "bias", weight=None, bias=None, eps=1e-5)
    if a.eps < 0:
        refuse("eps < 0")
    weights = weights_of(a)
    return set_weights(layers.GroupNorm(a.num_groups, s.input.shape[1], a.eps, bool(weights), **DOUBLE), **weights), 2


def batch_norm(s):
    tensors = dict.fromkeys(("running_mean", "running_var", "weight", "bias"))
    a = bind(s, *tensors, **tensors, training=False, momentum=0.1, eps=1e-5)
    if not 0 <= a.momentum <= 1 or a.eps < 0:
        refuse("momentum outside 0..1, or eps < 0")
    if s.input.dim() not in (2, 3, 4):
        refuse("no BatchNorm3d")
    kind = layers.BatchNorm2d if s.input.dim() == 4 else layers.BatchNorm1d
    layer = kind(s.input.shape[1], a.eps, a.momentum, **DOUBLE)
    given = {k: v for k in ("weight", "bias", "running_mean", "running_var") if (v := getattr(a, k)) is not None}
    return set_weights(layer, **given), 2, a.training


def elementwise(make):
    def adapter(s):
        return make(s), 0

    return adapter


LAYERS = {
    "nn.functional.conv2d": conv2d,
    "nn.functional.max_pool2d": max_pool2d,
    "nn.functional.avg_pool2d": avg_pool2d,
    "nn.functional.adaptive_avg_pool2d": adaptive(layers.AdaptiveAvgPool2d),
    "nn.functional.adaptive_max_pool2d": adaptive(layers.AdaptiveMaxPool2d),
    "nn.functional.linear": linear,
    "softmax": along(layers.Softmax),
    "log_softmax": along(layers.LogSoftmax),
    "nn.functional.layer_norm": layer_norm,
    "nn.functional.group_norm": group_norm,
    "nn.functional.batch_norm": batch_norm,
    "nn.functional.relu": elementwise(lambda s: layers.ReLU()),
    "nn.functional.relu6": elementwise(lambda s: layers.Hardtanh(0, 6)),
    "nn.functional.leaky_relu": elementwise(lambda s: layers.LeakyReLU(**s.kwargs)),
    "nn.functional.elu": elementwise(lambda s: layers.ELU(**s.kwargs)),
    "nn.functional.selu": elementwise(lambda s: layers.SELU()),
    "nn.functional.silu": elementwise(lambda s: layers.SiLU()),
    "nn.functional.gelu": elementwise(lambda s: layers.GELU(**s.kwargs)),
    "nn.functional.hardtanh": elementwise(lambda s: layers.Hardtanh(**s.kwargs)),
    "tanh": elementwise(lambda s: layers.Tanh()),
    "sigmoid": elementwise(lambda s: layers.Sigmoid()),
}
EVERY = {"nn.functional.max_pool2d": 2}  # of its 1,440 samples every second one: without indices they repeat
LOSSES = {"nn.functional.nll_loss": nll_loss, "nn.functional.cross_entropy": cross_entropy}


def compare_layer(op, sample):
    layer, axes, *train = LAYERS[op.name](sample)
    x = sample.input.detach().clone().requires_grad_()
    y = op(x, *sample.args, **sample.kwargs)
    y = y[0] if isinstance(y, tuple) else y  # pooling with indices
    dy = torch.from_numpy(np.asarray(np.random.default_rng(0).standard_normal(tuple(y.shape))))
    if not y.requires_grad:
        refuse("no gradient")
    tensors = {name: t for name, t in getattr(layer, "tensors", {}).items() if t.requires_grad}
    dx, *dparams = torch.autograd.grad(y, [x, *tensors.values()], dy)
    add = sample.input.dim() < axes  # a batch of one row in front
    ours = x.detach().numpy()
    found, cache = layer.forward(ours[None] if add else ours, *train)
    found_dx, grads = layer.backward(dy.numpy()[None] if add else dy.numpy(), cache)
    assert_close("y", found[0] if add else found, y.detach().numpy(), 1e-10)
    assert_close("dx", found_dx[0] if add else found_dx, dx.numpy(), 1e-10)
    for name, dparam in zip(tensors, dparams, strict=True):
        assert_close(f"d{name}", grads[name], dparam.numpy(), 1e-10)


def compare_loss(op, sample):
    a = bind(sample, "target", "weight", weight=None, ignore_index=None, reduction="mean", label_smoothing=0.0)
    if a.reduction != "mean":
        refuse(f"reduction={a.reduction}: a loss is the mean over the batch")
    if sample.input.dim() != 2 or a.target.dtype.is_floating_point:
        refuse("labels of pixels, or probabilities as targets")
    if a.weight is not None and a.weight.min() < 0:
        refuse("class weights below 0")
    x = sample.input.detach().clone().requires_grad_()
    loss = op(x, *sample.args, **sample.kwargs)
    (dx,) = torch.autograd.grad(loss, x)
    if not np.isfinite(loss.item()):
        refuse("nothing to average: every label is ignored")
    if op.name.endswith("nll_loss") and x.max() > 0:
        refuse("values above 0 are no logarithms of probabilities")
    options = {"class_weights": None if a.weight is None else a.weight.detach().numpy(), "ignore_index": a.ignore_index}
    found, dfound = LOSSES[op.name](x.detach().numpy(), a.target.numpy(), a.label_smoothing, **options)
    assert_close("loss", np.asarray(found), loss.detach().numpy(), 1e-10)
    assert_close("dx", dfound, dx.numpy(), 1e-10)


def compare_mse(op, sample):
    a = bind(sample, "target", reduction="mean")
    if a.reduction != "mean" or sample.input.dim() == 0:
        refuse("a number, or a reduction that is not the mean")
    x = sample.input.detach().clone().requires_grad_()
    target = (sample.args[0] if sample.args else a.target).detach()
    loss = F.mse_loss(x, target)
    (dx,) = torch.autograd.grad(loss, x)
    found, dfound = mse_loss(x.detach().numpy(), target.numpy())
    assert_close("loss", np.asarray(found), loss.detach().numpy(), 1e-10)
    assert_close("dx", dfound, dx.numpy(), 1e-10)


def compare_optimizer(kind, options):
    rng = np.random.default_rng(0)
    options = {k: float(v) if isinstance(v, torch.Tensor) else v for k, v in options.items()}
    params = {"w": rng.normal(size=(3, 4)), "b": rng.normal(size=5)}
    tensors = {name: torch.tensor(p).requires_grad_() for name, p in params.items()}
    theirs = getattr(torch.optim, kind.__name__)(tensors.values(), **options)
    ours = kind(**({"lr": 1e-3} | options))
    for _ in range(10):
        grads = {name: rng.normal(size=p.shape) for name, p in params.items()}
        for name, g in grads.items():
            tensors[name].grad = torch.tensor(g)
        ours.step(params, grads)
        theirs.step()
    for name, p in params.items():
        assert_close(name, p, tensors[name].detach().numpy(), 1e-12)


def test_sample_inputs_and_optimisers_of_pytorch_agree():
    with warnings.catch_warnings(), np.errstate(under="ignore"), quick_samples():
        warnings.simplefilter("ignore")  # PyTorch's own
        tally = Tally()
        for op in torch_table("common_methods_invocations", "op_db"):
            known = op.name in LAYERS or op.name in LOSSES or op.name == "nn.functional.mse_loss"
            if op.variant_test_name or not known:
                continue
            compare = compare_layer if op.name in LAYERS else compare_loss if op.name in LOSSES else compare_mse
            samples = op.sample_inputs("cpu", torch.float64, requires_grad=True)
            for number, sample in islice(enumerate(samples), None, None, EVERY.get(op.name, 1)):
                tally.add(op.name, f"sample {number}", lambda: compare(op, sample))  # noqa: B023
        for info in torch_table("common_optimizers", "optim_db"):
            kind = {"SGD": SGD, "Adam": Adam, "AdamW": AdamW}.get(info.optim_cls.__name__)
            for case in info.optim_inputs_func(device="cpu") if kind else ():
                tally.add(f"optim.{kind.__name__}", case.desc, lambda: compare_optimizer(kind, case.kwargs))  # noqa: B023
    tally.show("PyTorch's sample inputs")
    assert not tally.wrong, "\n".join(tally.wrong[:20])
    assert tally.agreed.total() >= 700
    assert all(tally.agreed[name] for name in (*LAYERS, *LOSSES, "optim.SGD", "optim.Adam", "optim.AdamW"))
