"""PyTorch's side of the benchmark on a CPU: the same work from the same numbers, in eager mode."""

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.cases import (
    BATCH,
    EVALUATION_BATCH,
    LEARNING_RATE,
    MOMENTUM,
    comparison_batch,
    epoch_order,
    make_network,
    normalised,
    synapse_arrays,
)
from benchmarks.torch_networks import NETWORKS
from benchmarks.torch_networks import CapturableSynapse as Synapse  # for the peers on a GPU
from benchmarks.torch_networks import SynaNN as Net
from benchmarks.torch_networks import Synapse as ProductSynapse
from synann_np.data import load_mnist


def prepare(threads):
    torch.set_num_threads(threads)


class Network:
    """Work on one of the networks. step and evaluation return a function of one call."""

    def __init__(self, name, threads):
        self.name = name

    def make(self, dropout=True):
        """The network in training mode, with the initial weights of ours."""
        model = NETWORKS[self.name]()
        state = {key: torch.tensor(a) for key, a in make_network(self.name).state_dict().items()}
        state |= {key: a for key, a in model.state_dict().items() if key.endswith("num_batches_tracked")}
        model.load_state_dict(state)
        for module in model.modules():
            if isinstance(module, nn.Dropout | nn.Dropout2d) and not dropout:
                module.p = 0.0
        return model

    def values(self):
        """Log-probabilities, in training and in evaluation, and gradients, without dropout."""
        images, labels = comparison_batch()
        x, targets, model = torch.tensor(normalised(images)), torch.tensor(labels), self.make(dropout=False)
        with torch.no_grad():
            evaluated = model.eval()(x)
        log_probs = model.train()(x)
        F.nll_loss(log_probs, targets).backward()
        grads = {key: p.grad.numpy() for key, p in model.named_parameters()}
        return {"log_probs": log_probs.detach().numpy(), "log_probs in evaluation": evaluated.numpy()} | grads

    def data(self, part):
        """x (N, 1, 28, 28), normalised in place once, and labels."""
        images, labels = load_mnist()[part]
        return torch.tensor(images).float().div_(255).sub_(0.1307).div_(0.3081)[:, None], torch.tensor(labels).long()

    def step(self):
        """Choice of a batch, forward, loss, backward, update."""
        x, targets = self.data(slice(0, 2))
        model, order = self.make(), torch.tensor(epoch_order(len(x)))
        optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
        parts = iter(())

        def work():
            nonlocal parts
            rows = next(parts, None)
            if rows is None:
                parts = iter(order.split(BATCH))
                rows = next(parts)
            optimizer.zero_grad()
            loss = F.nll_loss(model(x[rows]), targets[rows])
            loss.backward()
            optimizer.step()

        return work

    def evaluation(self):
        """Mean loss and number of right answers of the 10,000 test images."""
        x, targets = self.data(slice(2, 4))
        model = self.make().eval()

        def work():
            losses, correct = 0.0, 0
            with torch.no_grad():
                for part, labels in zip(x.split(EVALUATION_BATCH), targets.split(EVALUATION_BATCH), strict=True):
                    log_probs = model(part)
                    losses += F.nll_loss(log_probs, labels, reduction="sum").item()
                    correct += (log_probs.argmax(1) == labels).sum().item()
            return losses / len(x), correct

        return work


class SynapseLayer:
    """The synapse layer alone, batch 128."""

    def __init__(self, n, threads):
        x, beta, dy = synapse_arrays(n)
        self.x, self.dy, self.module = torch.tensor(x, requires_grad=True), torch.tensor(dy), ProductSynapse(n)
        with torch.no_grad():
            self.module.beta.copy_(torch.tensor(beta))

    def values(self):
        y = self._call()
        found = {"y": y.detach(), "dx": self.x.grad, "alpha": self.module.alpha.grad, "beta": self.module.beta.grad}
        return {key: a.numpy() for key, a in found.items()}

    def step(self):
        """Forward and backward."""
        return self._call

    def _call(self):
        self.x.grad = None
        self.module.zero_grad()
        y = self.module(self.x)
        y.backward(self.dy)
        return y


__all__ = ["Net", "Network", "Synapse", "SynapseLayer", "prepare"]
