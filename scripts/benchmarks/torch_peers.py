"""PyTorch's side of the benchmark: the same network and layers as a PyTorch user would write them."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.cases import LAYER_INPUTS, layer_arrays, synapse_arrays
from synann_np import layers
from synann_np.data import load_mnist
from synann_np.models import SynaNN


class Synapse(nn.Module):
    """The formula, by broadcasting."""

    def __init__(self, n):
        super().__init__()
        self.alpha, self.beta = nn.Parameter(torch.ones(n)), nn.Parameter(torch.zeros(n, n))

    def forward(self, x):
        return self.alpha * x * torch.exp(torch.log1p(-x[:, None, :] * self.beta).sum(-1))


class ListingSynapse(Synapse):
    """What the published listing computes, in the way that it computes it."""

    def forward(self, x):
        N, n = x.shape
        allone = torch.ones(N, N * n)
        factors = torch.log1p(-torch.diag_embed(x) @ self.beta.T).reshape(N * n, n)
        return self.alpha * torch.exp(torch.log(x) + allone @ factors)


class Net(nn.Module):
    """The seed network."""

    def __init__(self, synapse, dropout):
        super().__init__()
        p = 0.5 if dropout else 0.0
        self.conv1, self.conv2, self.conv2_drop = nn.Conv2d(1, 10, 5), nn.Conv2d(10, 20, 5), nn.Dropout2d(p)
        self.fc1, self.fc1_drop, self.fcn = nn.Linear(320, 64), nn.Dropout(p), synapse(64)
        self.fcb, self.fc2 = nn.BatchNorm1d(64), nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2_drop(self.conv2(x)), 2)).flatten(1)
        x = F.softmax(self.fc1_drop(F.relu(self.fc1(x))), dim=1)
        return F.log_softmax(self.fc2(self.fcb(self.fcn(x))), dim=1)


class TorchPeer:
    """The same work as NumpyPeer's, from the same numbers."""

    def __init__(self, threads, listing=False):
        torch.set_num_threads(threads)
        self.synapse_class = ListingSynapse if listing else Synapse

    def network(self, dropout=True):
        model = Net(self.synapse_class, dropout)
        model.load_state_dict({k: torch.tensor(v) for k, v in SynaNN().state_dict().items()}, strict=False)
        return model

    def step(self, batch_size, dropout=True):
        images, labels = (torch.tensor(a) for a in load_mnist()[:2])
        x, targets = ((images / 255 - 0.1307) / 0.3081)[:, None], labels.long()
        model = self.network(dropout)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.012, momentum=0.5)
        order = torch.tensor(np.random.default_rng(0).permutation(len(images)))
        starts = iter(())

        def work():
            nonlocal starts
            start = next(starts, None)
            if start is None:
                starts = iter(range(0, len(order), batch_size))
                start = next(starts)
            rows = order[start : start + batch_size]
            optimizer.zero_grad()
            loss = F.nll_loss(model(x[rows]), targets[rows])
            loss.backward()
            optimizer.step()
            return loss.item()

        return work

    def evaluation(self):
        images, labels = (torch.tensor(a) for a in load_mnist()[2:])
        x, targets, model = ((images / 255 - 0.1307) / 0.3081)[:, None], labels.long(), self.network().eval()

        def work():
            with torch.no_grad():
                losses = [
                    F.nll_loss(model(x[i : i + 1000]), targets[i : i + 1000], reduction="sum")
                    for i in range(0, len(x), 1000)
                ]
            return float(sum(losses)) / len(x)

        return work

    def layer(self, name):
        x, dy = layer_arrays(name)
        x, dy = torch.tensor(x, requires_grad=True), torch.tensor(dy)
        spec = LAYER_INPUTS[name]
        if name == "synapse":
            module = Synapse(64)
        elif name.startswith("conv"):
            module = nn.Sequential(nn.Conv2d(*spec.arguments), nn.MaxPool2d(2), nn.ReLU())
        else:
            module = getattr(nn, spec.layer)(*spec.arguments, **spec.torch_arguments)
        ours = getattr(layers, spec.layer)(
            *spec.arguments, **({"rng": np.random.default_rng(5)} if spec.arguments else {})
        )
        parameters = dict((module[0] if name.startswith("conv") else module).named_parameters())
        with torch.no_grad():
            for key, p in parameters.items():
                p.copy_(torch.tensor(ours.params[key]))

        def work():
            x.grad = None
            module.zero_grad()
            y = module(x)
            y.backward(dy)
            tensors = [y.detach(), x.grad, *(p.grad for p in parameters.values())]
            return float(sum(t.abs().mean() for t in tensors))

        return work

    def synapse(self, n, kind):
        x, beta, dy = synapse_arrays(n, kind)
        x, dy, module = torch.tensor(x, requires_grad=True), torch.tensor(dy), self.synapse_class(n)
        with torch.no_grad():
            module.beta.copy_(torch.tensor(beta))

        def work():
            x.grad = None
            module.zero_grad()
            y = module(x)
            y.backward(dy)
            return float(y.detach().abs().mean() + x.grad.abs().mean() + module.beta.grad.abs().mean())

        return work
