"""Record what PyTorch computes for the cases of cases.py into golden.npz, so that tests need no PyTorch.

To record again (after a case was added or changed; needs PyTorch, 2.13 made the values that are stored):

    PYTHONPATH=.:tests python -m golden.record

The functions here are also the PyTorch side of tests/test_parity_torch.py. They are written with PyTorch's own
layers, losses and optimiser, not with the package's formulas.
"""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from golden import cases

torch.set_num_threads(1)  # on small arrays a second thread of PyTorch only takes the core from NumPy's

GOLDEN = Path(__file__).with_name("golden.npz")


class TorchSynapse(nn.Module):
    """x α ∏ (1 − β x) with free and trained α and β, the gradients by autograd."""

    def __init__(self, features, parametrisation="free", train_alpha=True, zero_diagonal=False):
        super().__init__()
        assert (parametrisation, train_alpha, zero_diagonal) == ("free", True, False)
        self.alpha = nn.Parameter(torch.ones(features))
        self.beta = nn.Parameter(torch.zeros(features, features))

    def forward(self, x):
        return x * self.alpha * torch.prod(1 - self.beta * x[:, None, :], dim=-1)


TORCH_LAYERS = {
    "Linear": nn.Linear,
    "Conv2d": nn.Conv2d,
    "Synapse": TorchSynapse,
    "BatchNorm1d": nn.BatchNorm1d,
    "BatchNorm2d": nn.BatchNorm2d,
    "MaxPool2d": nn.MaxPool2d,
    "ReLU": nn.ReLU,
    "Softmax": lambda axis: nn.Softmax(dim=axis),
    "LogSoftmax": lambda axis: nn.LogSoftmax(dim=axis),
    "Flatten": nn.Flatten,
}


def torch_layer(layer, inputs, dtype, train):
    """PyTorch's namesake of a layer of the package, made with the same arguments, run on the same inputs."""
    module = TORCH_LAYERS[type(layer).__name__](**layer.config).to(getattr(torch, dtype)).train(train)
    load(module, {name: inputs[name] for name in layer.params | layer.buffers})
    x = tensor(inputs["x"], dtype).requires_grad_()
    y = module(x)
    y.backward(tensor(inputs["dy"], dtype))
    results = {"y": y, "dx": x.grad} | {f"d{name}": p.grad for name, p in module.named_parameters()}
    return {name: to_numpy(t) for name, t in (results | buffers(module)).items()}


def torch_network():
    """The network of the published listing with the formula's synapse, without dropout."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 10, kernel_size=5),
            pool1=nn.MaxPool2d(2),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(10, 20, kernel_size=5),
            pool2=nn.MaxPool2d(2),
            relu2=nn.ReLU(),
            flatten=nn.Flatten(),
            fc1=nn.Linear(320, 64),
            relu3=nn.ReLU(),
            softmax=nn.Softmax(dim=1),
            fcn=TorchSynapse(64),
            fcb=nn.BatchNorm1d(64),
            fc2=nn.Linear(64, 10),
            log_softmax=nn.LogSoftmax(dim=1),
        )
    )


def run_torch_network(dtype):
    """As cases.run_network, by PyTorch from end to end."""
    module = torch_network().to(getattr(torch, dtype)).train()
    load(module, cases.initial_state(cases.network()))
    optimizer = torch.optim.SGD(module.parameters(), **cases.RULE)
    losses = []
    for images, labels in zip(*cases.training_data(), strict=True):
        optimizer.zero_grad()
        x = (tensor(images, dtype)[:, None] / 255 - 0.1307) / 0.3081
        loss = F.nll_loss(module(x), torch.from_numpy(labels))
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    state = dict(module.named_parameters()) | buffers(module)
    return np.array(losses, dtype), {name: to_numpy(t) for name, t in state.items()}


def tensor(a, dtype):
    return torch.from_numpy(np.ascontiguousarray(a)).to(getattr(torch, dtype))


def to_numpy(t):
    return t.detach().numpy()


def buffers(module):
    return {name: b for name, b in module.named_buffers() if not name.endswith("num_batches_tracked")}


def load(module, state):
    """Every name must be PyTorch's; only batch-norm's count of batches is not ours."""
    missing, unknown = module.load_state_dict({k: torch.tensor(a) for k, a in state.items()}, strict=False)
    assert not unknown, unknown
    assert all(name.endswith("num_batches_tracked") for name in missing), missing


def main():
    stored = {}
    for name, (make, _, train) in cases.LAYERS.items():
        inputs = cases.layer_inputs(name)
        results = torch_layer(make(dtype="float64"), inputs, "float64", train)
        stored |= {f"{name}/inputs/{k}": a for k, a in inputs.items()}
        stored |= {f"{name}/results/{k}": a for k, a in results.items()}
    losses, state = run_torch_network("float64")
    stored |= {f"network/results/{k}": a for k, a in cases.compact(state).items()}
    stored["network/initial"] = cases.fingerprint(cases.initial_state(cases.network()))
    stored |= {"network/losses": losses, "torch": np.array(torch.__version__)}
    np.savez_compressed(GOLDEN, **stored)
    print(f"{GOLDEN}: {len(stored)} arrays, {GOLDEN.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
