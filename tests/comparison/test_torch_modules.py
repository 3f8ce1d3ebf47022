"""The sample inputs of PyTorch's own tests of modules (ModuleInfo): every module that a layer or a loss expresses.

Module and layer have the same weights and get the same input, in float64 (batch-norm in training and in evaluation),
with a random upstream gradient. Outputs, the gradient of the input and all gradients of weights are compared.
"""

import warnings

import numpy as np
import pytest

from comparison.tally import RefusedByDesign, Tally, assert_close
from comparison.torch_tables import torch_table
from synann_np import layers, losses
from synann_np.sequential import Sequential

torch = pytest.importorskip("torch", reason="PyTorch is not installed: its sample inputs cannot be compared")
pytest.importorskip("expecttest", reason="expecttest is not installed, which PyTorch's sample inputs need")
nn = torch.nn
DOUBLE = {"dtype": "float64"}


def refuse(reason):
    raise RefusedByDesign(reason)


def conv2d(m):
    if m.padding_mode != "zeros":
        refuse(f"padding_mode={m.padding_mode}")
    padding = 0 if m.padding == "valid" else m.padding
    has_bias = m.bias is not None
    return layers.Conv2d(
        m.in_channels, m.out_channels, m.kernel_size, m.stride, padding, has_bias, m.dilation, m.groups, **DOUBLE
    )


def average_pool(m):
    if m.divisor_override is not None:
        refuse("divisor_override is no average")
    return layers.AvgPool2d(m.kernel_size, m.stride, m.padding, m.ceil_mode, m.count_include_pad)


def adaptive(kind):
    def make(m):
        size = m.output_size
        if isinstance(size, tuple) and None in size:
            refuse("an output size that depends on the input")
        return kind(size)

    return make


def batch_norm(kind):
    def make(m):
        if not (m.affine and m.track_running_stats) or m.momentum is None:
            refuse("without weights or without running statistics")
        if m.bias is None:
            refuse("weight without bias")
        return kind(m.num_features, m.eps, m.momentum, **DOUBLE)

    return make


def group_norm(m):
    if m.affine and m.bias is None:
        refuse("weight without bias")
    return layers.GroupNorm(m.num_groups, m.num_channels, m.eps, m.affine, **DOUBLE)


def along(kind):
    return lambda m: kind(m.dim) if m.dim is not None else refuse("no axis is named")


def rnn(m):
    if m.bidirectional or not m.bias or m.mode != "RNN_TANH":
        refuse("two directions, no bias, or relu")
    sizes = [m.input_size] + [m.hidden_size] * (m.num_layers - 1)
    return Sequential([layers.RNN(size, m.hidden_size, return_sequences=True, **DOUBLE) for size in sizes])


def softplus(m):
    # Above a threshold PyTorch returns x itself, which differs by e^-20.
    return layers.Softplus(m.beta) if m.threshold >= 20 else refuse("a threshold")


# torch.nn's class -> (layer from a module, axes of an input with a batch; 0: any)
MODULES = {
    "Conv2d": (conv2d, 4),
    "MaxPool2d": (lambda m: layers.MaxPool2d(m.kernel_size, m.stride, m.padding, m.dilation, m.ceil_mode), 4),
    "AvgPool2d": (average_pool, 4),
    "AdaptiveAvgPool2d": (adaptive(layers.AdaptiveAvgPool2d), 4),
    "AdaptiveMaxPool2d": (adaptive(layers.AdaptiveMaxPool2d), 4),
    "Linear": (lambda m: layers.Linear(m.in_features, m.out_features, m.bias is not None, **DOUBLE), 2),
    "BatchNorm1d": (batch_norm(layers.BatchNorm1d), 0),
    "BatchNorm2d": (batch_norm(layers.BatchNorm2d), 0),
    "GroupNorm": (group_norm, 0),
    "LayerNorm": (
        lambda m: layers.LayerNorm(m.normalized_shape, m.eps, m.elementwise_affine, m.bias is not None, **DOUBLE),
        0,
    ),
    "RNN": (rnn, 3),
    "Softmax": (along(layers.Softmax), 2),
    "LogSoftmax": (along(layers.LogSoftmax), 2),
    "Softmax2d": (lambda m: layers.Softmax(1), 4),
    "ReLU": (lambda m: layers.ReLU(), 0),
    "ReLU6": (lambda m: layers.Hardtanh(0, 6), 0),
    "LeakyReLU": (lambda m: layers.LeakyReLU(m.negative_slope), 0),
    "ELU": (lambda m: layers.ELU(m.alpha), 0),
    "SELU": (lambda m: layers.SELU(), 0),
    "SiLU": (lambda m: layers.SiLU(), 0),
    "GELU": (lambda m: layers.GELU(m.approximate), 0),
    "Hardtanh": (lambda m: layers.Hardtanh(m.min_val, m.max_val), 0),
    "Softplus": (softplus, 0),
    "Sigmoid": (lambda m: layers.Sigmoid(), 0),
    "Tanh": (lambda m: layers.Tanh(), 0),
}
LOSSES = {
    "NLLLoss": losses.nll_loss,
    "CrossEntropyLoss": losses.cross_entropy,
    "MSELoss": losses.mse_loss,
    "BCEWithLogitsLoss": losses.binary_cross_entropy_with_logits,
}


def load(layer, m):
    """The weights of a module; two RNNs, one after the other, are the two layers of PyTorch's."""
    state = {k: v for k, v in m.state_dict().items() if not k.endswith("num_batches_tracked")}
    if isinstance(layer, Sequential):
        state = {f"{k[-1]}.{k[:-1]}0": v for k, v in state.items()}
    found = layer.params | layer.buffers
    assert found.keys() == state.keys()
    for name, tensor in state.items():
        found[name][...] = tensor.numpy()
    return {k: (f"{k[-1]}.{k[:-1]}0" if isinstance(layer, Sequential) else k) for k, _ in m.named_parameters()}


def compare_layer(m, make, axes, sample):
    if len(sample.forward_input.args) > 1 or sample.forward_input.kwargs:
        refuse("a second input")
    (x,) = sample.forward_input.args
    if not isinstance(x, torch.Tensor):
        refuse("no tensor")
    layer = make(m)
    names = load(layer, m)
    x = x.detach().clone().requires_grad_()
    add, swap = x.dim() < axes, isinstance(m, nn.RNN) and not m.batch_first and x.dim() == 3
    ours = x.detach().numpy()
    ours = ours[None] if add else ours.swapaxes(0, 1) if swap else ours
    found, cache = layer.forward(ours, m.training)  # before the module, which moves the running statistics it shares
    y = m(x)
    y = y[0] if isinstance(y, tuple) else y
    dy = torch.from_numpy(np.asarray(np.random.default_rng(0).standard_normal(tuple(y.shape))))
    dx, *dparams = torch.autograd.grad(y, [x, *m.parameters()], dy)
    dy = dy.numpy()[None] if add else dy.numpy().swapaxes(0, 1) if swap else dy.numpy()
    found_dx, grads = layer.backward(dy, cache)
    back = (lambda a: a[0]) if add else (lambda a: a.swapaxes(0, 1)) if swap else (lambda a: a)
    assert_close("y", back(found), y.detach().numpy(), 1e-8 if isinstance(m, nn.Softplus) else 1e-10)
    assert_close("dx", back(found_dx), dx.numpy(), 1e-8 if isinstance(m, nn.Softplus) else 1e-10)
    for name, dparam in zip(names.values(), dparams, strict=True):
        assert_close(f"d{name}", grads[name], dparam.numpy(), 1e-10)


def compare_loss(m, loss, sample):
    x, target = sample.forward_input.args
    if m.reduction != "mean" or sample.forward_input.kwargs or x.dim() == 0:
        refuse("a number, or a reduction that is not the mean")
    is_class = type(m).__name__ in ("NLLLoss", "CrossEntropyLoss")
    if is_class and (x.dim() != 2 or target.dtype.is_floating_point):
        refuse("labels of pixels, or probabilities as targets")
    if getattr(m, "pos_weight", None) is not None or (not is_class and getattr(m, "weight", None) is not None):
        refuse("weights of elements")
    x = x.detach().clone().requires_grad_()
    value = m(x, target)
    (dx,) = torch.autograd.grad(value, x)
    options = {}
    if is_class:
        weights = None if m.weight is None else m.weight.numpy()
        options = {"ignore_index": m.ignore_index, "class_weights": weights}
        options["label_smoothing"] = getattr(m, "label_smoothing", 0.0)
    if is_class and m.weight is not None and m.weight.min() < 0:
        refuse("class weights below 0")
    if not np.isfinite(value.item()):
        refuse("nothing to average: every label is ignored")
    found, dfound = loss(x.detach().numpy(), target.detach().numpy(), **options)
    assert_close("loss", np.asarray(found), value.detach().numpy(), 1e-10)
    assert_close("dx", dfound, dx.numpy(), 1e-10)


def test_sample_inputs_of_pytorchs_modules_agree():
    with warnings.catch_warnings(), np.errstate(under="ignore"):
        warnings.simplefilter("ignore")  # PyTorch's own
        tally = Tally()
        for info in torch_table("common_modules", "module_db"):
            name = info.module_cls.__name__
            if name not in MODULES and name not in LOSSES:
                continue
            for training in (True, False) if name.startswith("BatchNorm") else (True,):
                torch.manual_seed(5)
                samples = info.module_inputs_func(info, "cpu", torch.float64, False, training)
                for number, sample in enumerate(samples):
                    given = sample.constructor_input
                    m = info.module_cls(*given.args, **given.kwargs).double().train(training)
                    if name in LOSSES:
                        tally.add(name, number, lambda: compare_loss(m, LOSSES[name], sample))  # noqa: B023
                    else:
                        tally.add(name, number, lambda: compare_layer(m, *MODULES[name], sample))  # noqa: B023
    tally.show("PyTorch's sample inputs of modules")
    assert not tally.wrong, "\n".join(tally.wrong[:20])
    assert tally.agreed.total() >= 100
    assert all(tally.agreed[name] for name in (*MODULES, *LOSSES))
