"""The synapse as a PyTorch module, computed by the kernels of synann_np (extra `torch`).

from synann_np.bridges.torch import Synapse

net = nn.Sequential(nn.Linear(784, 250), nn.Softmax(dim=1), Synapse(250), nn.BatchNorm1d(250), nn.Linear(250, 10))
"""

from . import requirements
from .modules import Synapse, SynapseGraph

__all__ = ["Synapse", "SynapseGraph", "requirements"]
