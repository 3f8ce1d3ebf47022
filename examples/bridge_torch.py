"""Train a PyTorch network with our synapse layer on MNIST: python examples/bridge_torch.py (extra `torch`)."""

import argparse

import torch
from torch import nn

from synann_np.bridges.torch import Synapse
from synann_np.data import load_mnist, normalise

parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
parser.add_argument("--steps", type=int, default=600, help="batches of 100 images (default: 600, one epoch)")
steps = parser.parse_args().steps

images, labels, test_images, test_labels = load_mnist()
torch.manual_seed(5)
net = nn.Sequential(
    nn.Flatten(), nn.Linear(784, 250), nn.Softmax(dim=1), Synapse(250), nn.BatchNorm1d(250), nn.Linear(250, 10)
)
optimizer = torch.optim.Adam(net.parameters(), lr=0.003)
for step, chosen in enumerate(torch.randperm(len(images))[: 100 * steps].split(100)):
    x = torch.from_numpy(normalise(images[chosen.numpy()]))
    loss = nn.functional.cross_entropy(net(x), torch.from_numpy(labels[chosen.numpy()]).long())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step}: loss {loss.item():.4f}")

net.eval()
with torch.no_grad():
    found = net(torch.from_numpy(normalise(test_images))).argmax(dim=1).numpy()
print(f"test accuracy {(found == test_labels).mean():.2%}")
