"""The losses compute what PyTorch's do, values and gradients."""

from functools import partial

import numpy as np
import pytest

from synann_np.layers import LogSoftmax
from synann_np.losses import binary_cross_entropy_with_logits, cross_entropy, mse_loss, nll_loss, soft_nll_loss

torch = pytest.importorskip("torch")
F = torch.nn.functional


def compare(ours, theirs, y):
    tensor = torch.tensor(y, requires_grad=True)
    expected = theirs(tensor)
    expected.backward()
    value, dy = ours(y)
    np.testing.assert_allclose(value, expected.item(), rtol=1e-12)
    np.testing.assert_allclose(dy, tensor.grad.numpy(), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, [0.2, 3.0, 0.0, 1.0]])
@pytest.mark.parametrize("ignored", [-100, 2])
def test_losses_of_labels(smoothing, weights, ignored, rng):
    logits, labels = rng.standard_normal((9, 4)) * 3, np.arange(9) % 4
    weight = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    options = {"class_weights": weights, "ignore_index": ignored}
    t = torch.tensor(labels)
    compare(
        lambda y: cross_entropy(y, labels, smoothing, **options),
        lambda y: F.cross_entropy(y, t, weight, ignore_index=ignored, label_smoothing=smoothing),
        logits,
    )
    log_probs = torch.log_softmax(torch.tensor(logits), 1).numpy()
    if not smoothing:
        theirs = partial(F.nll_loss, target=t, weight=weight, ignore_index=ignored)
        compare(partial(nll_loss, labels=labels, **options), theirs, log_probs)


def test_soft_labels(rng):
    logits, t = rng.standard_normal((9, 4)) * 3, rng.dirichlet(np.ones(4), 9)
    layer = LogSoftmax()

    def ours(logits):
        y, cache = layer.forward(logits)
        value, dy = soft_nll_loss(y, t)
        return value, layer.backward(dy, cache)[0]

    compare(ours, lambda y: F.cross_entropy(y, torch.tensor(t)), logits)


def test_losses_of_values(rng):
    y, t = rng.standard_normal((5, 3, 2)) * 4, rng.uniform(0, 1, (5, 3, 2))
    target = torch.tensor(t)
    compare(lambda y: mse_loss(y, t), lambda y: F.mse_loss(y, target), y)
    compare(
        lambda y: binary_cross_entropy_with_logits(y, t), lambda y: F.binary_cross_entropy_with_logits(y, target), y
    )
