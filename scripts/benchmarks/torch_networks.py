"""The networks of synann_np.models as a PyTorch user would write them, with the same names of parameters."""

import torch
import torch.nn.functional as F
from torch import nn

from synann_np.models.recurrent import BETA_GAIN, GAIN


class Synapse(nn.Module):
    """y_ni = α_i x_ni ∏_j (1 − β_ij x_nj), by broadcasting: x (N, n), y (N, n)."""

    def __init__(self, n):
        super().__init__()
        self.alpha, self.beta = nn.Parameter(torch.ones(n)), nn.Parameter(torch.zeros(n, n))

    def forward(self, x):
        return self.alpha * x * torch.prod(1 - self.beta * x[:, None, :], -1)


class CapturableSynapse(Synapse):
    """The same by logarithms: the backward pass of torch.prod waits for the device, which no CUDA graph may do."""

    def forward(self, x):
        return self.alpha * x * torch.exp(torch.log1p(-x[:, None, :] * self.beta).sum(-1))


class SynaNN(nn.Module):
    def __init__(self, synapse=Synapse, dropout=True):
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


class SynaLeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 10, 5), nn.BatchNorm2d(10)
        self.conv2, self.norm2 = nn.Conv2d(10, 20, 5), nn.BatchNorm2d(20)
        self.fc1, self.fcn = nn.Linear(320, 64), Synapse(64)
        self.fcb, self.fc2 = nn.BatchNorm1d(64), nn.Linear(64, 10)

    def forward(self, x):
        x = self.norm1(F.relu(F.max_pool2d(self.conv1(x), 2)))
        x = self.norm2(F.relu(F.max_pool2d(self.conv2(x), 2))).flatten(1)
        x = torch.sigmoid(self.fc1(x))
        return F.log_softmax(self.fc2(self.fcb(self.fcn(x))), dim=1)


class SynaMLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fcn = nn.Linear(784, 250), Synapse(250)
        self.fcb, self.fc2 = nn.BatchNorm1d(250), nn.Linear(250, 10)

    def forward(self, x):
        x = F.softmax(self.fc1(x.flatten(1)), dim=1)
        return F.log_softmax(self.fc2(self.fcb(self.fcn(x))), dim=1)


class SynaSmallCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 16, 5), nn.BatchNorm2d(16)
        self.conv2, self.norm2 = nn.Conv2d(16, 24, 3, bias=False), nn.BatchNorm2d(24)
        self.conv3, self.norm3 = nn.Conv2d(24, 48, 3, bias=False), nn.BatchNorm2d(48)
        self.fc1, self.fcn = nn.Linear(768, 64), Synapse(64)
        self.fcb, self.fc2 = nn.BatchNorm1d(64), nn.Linear(64, 10)

    def forward(self, x):
        x = self.norm1(F.relu(F.max_pool2d(self.conv1(x), 2)))
        x = F.relu(self.norm2(self.conv2(x)))
        x = F.relu(self.norm3(F.max_pool2d(self.conv3(x), 2))).flatten(1)
        x = torch.sigmoid(self.fc1(x))
        return F.log_softmax(self.fc2(self.fcb(self.fcn(x))), dim=1)


class SynaCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 32, 5), nn.BatchNorm2d(32)
        self.conv2, self.norm2 = nn.Conv2d(32, 64, 3, bias=False), nn.BatchNorm2d(64)
        self.conv3, self.norm3 = nn.Conv2d(64, 96, 3, bias=False), nn.BatchNorm2d(96)
        self.conv4, self.norm4 = nn.Conv2d(96, 128, 3, padding=1, bias=False), nn.BatchNorm2d(128)
        self.conv5, self.norm5 = nn.Conv2d(128, 160, 3, bias=False), nn.BatchNorm2d(160)
        self.fc1, self.fcn = nn.Linear(640, 128), Synapse(128)
        self.fcb, self.fc2 = nn.BatchNorm1d(128), nn.Linear(128, 10)

    def forward(self, x):
        x = self.norm1(F.relu(F.max_pool2d(self.conv1(x), 2)))
        x = F.relu(self.norm2(self.conv2(x)))
        x = F.relu(self.norm3(F.max_pool2d(self.conv3(x), 2)))
        x = F.relu(self.norm4(self.conv4(x)))
        x = F.relu(self.norm5(self.conv5(x))).flatten(1)
        x = torch.sigmoid(self.fc1(x))
        return F.log_softmax(self.fc2(self.fcb(self.fcn(x))), dim=1)


class SynapseRNN(nn.Module):
    """h_t = (1 − g) h_t−1 + g e_t ∏_j (1 − β_ij h_t−1,j), e_t = σ(k (W x_t + b)): x (N, T, I), all states (N, T, H)."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.weight, self.bias = (
            nn.Parameter(torch.zeros(hidden_size, input_size)),
            nn.Parameter(torch.zeros(hidden_size)),
        )
        self.beta_logit = nn.Parameter(torch.zeros(hidden_size, hidden_size))
        self.leak_logit = nn.Parameter(torch.zeros(hidden_size))
        self.register_buffer("alpha", torch.ones(hidden_size))

    def forward(self, x):
        e = torch.sigmoid(GAIN * F.linear(x, self.weight, self.bias))
        beta, g = torch.sigmoid(BETA_GAIN * self.beta_logit), torch.sigmoid(self.leak_logit)
        h, states = torch.zeros(len(x), len(g)), []
        for t in range(x.shape[1]):
            h = (1 - g) * h + g * self.alpha * e[:, t] * torch.prod(1 - beta * h[:, None, :], -1)
            states.append(h)
        return torch.stack(states, 1)


class SynaRNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.bn, self.fc = SynapseRNN(28, 64), nn.BatchNorm1d(28 * 64), nn.Linear(28 * 64, 10)

    def forward(self, x):
        return F.log_softmax(self.fc(self.bn(self.rnn(x[:, 0]).flatten(1))), dim=1)


class TanhRNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(28, 64, batch_first=True)
        self.bn, self.fc = nn.BatchNorm1d(28 * 64), nn.Linear(28 * 64, 10)

    def forward(self, x):
        states, _ = self.rnn(x[:, 0])
        return F.log_softmax(self.fc(self.bn(states.flatten(1))), dim=1)


NETWORKS = {
    "synann": SynaNN,
    "lenet": SynaLeNet,
    "mlp": SynaMLP,
    "rnn": SynaRNN,
    "tanh_rnn": TanhRNN,
    "small_cnn": SynaSmallCNN,
    "cnn": SynaCNN,
}
