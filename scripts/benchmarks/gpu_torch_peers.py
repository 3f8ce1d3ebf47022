"""PyTorch's side of the benchmark on a GPU: the same network, all data on the device, as a PyTorch user writes it."""

import itertools
import time

import torch
import torch.nn.functional as F

from benchmarks.gpu_cases import STEPS, check_synapse, gpu_synapse_arrays
from benchmarks.torch_peers import Net, Synapse
from synann_np.data import epoch_permutation, load_mnist
from synann_np.models import SynaNN


class GpuTorchPeer:
    """The same work as GpuPeer's, from the same numbers; the first step of a call is not timed either.

    Arguments: graphs: a whole step, gather to update, is one CUDA graph. device: "cuda"; "cpu" in tests.
    """

    def __init__(self, graphs=False, device="cuda"):
        self.graphs, self.device = graphs, device
        torch.zeros(1, device=device)  # says at once if there is none

    def free_memory(self):
        """Hand back what is not in use: other peers share the device."""
        torch.cuda.empty_cache()

    def network(self, dropout):
        model = Net(Synapse, dropout)
        model.load_state_dict({k: torch.tensor(v) for k, v in SynaNN().state_dict().items()}, strict=False)
        return model.to(self.device)

    def data(self, part):
        """x (N, 1, 28, 28), normalised once, and labels."""
        images, labels = (torch.tensor(a, device=self.device) for a in load_mnist()[part])
        return ((images / 255 - 0.1307) / 0.3081)[:, None], labels.long()

    def trainer(self, batch_size, lr=0.012, momentum=0.5, dropout=True, tf32=True):
        """model, number of images, function: indices of a batch -> loss, a tensor on the device.

        tf32: products of convolutions, which PyTorch takes by default.
        """
        torch.backends.cudnn.allow_tf32 = tf32
        x, targets = self.data(slice(0, 2))
        model = self.network(dropout)
        optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)

        def step(rows):
            optimizer.zero_grad()
            loss = F.nll_loss(model(x[rows]), targets[rows])
            loss.backward()
            optimizer.step()
            return loss.detach()

        if not self.graphs:
            return model, len(x), step
        state = {k: v.clone() for k, v in model.state_dict().items()}
        replay, rows, loss = self.capture(step, batch_size)
        model.load_state_dict(state)  # the steps before the capture were no training
        for buffers in optimizer.state.values():
            buffers["momentum_buffer"].zero_()

        def graph_step(chosen):
            if len(chosen) < batch_size:
                return step(chosen)
            rows.copy_(chosen)
            replay()
            return loss

        return model, len(x), graph_step

    def capture(self, step, batch_size):
        """PyTorch's recipe for a graph of a whole step: some steps on a stream of their own, then the capture."""
        rows = torch.arange(batch_size, device=self.device)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                step(rows)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            loss = step(rows)
        return graph.replay, rows, loss

    def losses(self, batch_size, dropout):
        """A call: a step -> its loss. Products in float32, as ours."""
        _, M, step = self.trainer(batch_size, dropout=dropout, tf32=False)
        order, starts = self.order(M), itertools.cycle(range(0, M - batch_size + 1, batch_size))

        def work():
            i = next(starts)
            return step(order[i : i + batch_size])

        return work

    def steps(self, batch_size):
        """A call: at least STEPS steps, none of them waited for -> µs a step by the device's clock."""
        _, M, step = self.trainer(batch_size)
        order, starts = self.order(M), itertools.cycle(range(0, M - batch_size + 1, batch_size))

        def many():
            for i in itertools.islice(starts, STEPS):
                step(order[i : i + batch_size])

        def microseconds():
            step(order[:batch_size])
            return 1e3 * self.milliseconds(many) / STEPS

        return microseconds

    def epoch(self, batch_size):
        """A call: an epoch of training, the loss read every 100 batches -> seconds by the device's clock."""
        _, M, step = self.trainer(batch_size)
        order = self.order(M)

        def train():
            for batch, i in enumerate(range(0, M, batch_size)):
                loss = step(order[i : i + batch_size])
                if batch % 100 == 0:
                    loss.item()

        def seconds():
            step(order[:batch_size])
            return self.milliseconds(train) / 1e3

        return seconds

    def until(self, accuracy, most_epochs, batch_size, lr, momentum):
        """A call: training and evaluation from the start until that test accuracy -> epochs that it took, or NaN."""
        x, targets = self.data(slice(2, 4))

        def work():
            model, M, step = self.trainer(batch_size, lr, momentum)
            for epoch in range(1, most_epochs + 1):
                order = self.order(M, epoch)
                for i in range(0, M, batch_size):
                    step(order[i : i + batch_size])
                model.eval()
                with torch.no_grad():
                    parts = [slice(i, i + 1000) for i in range(0, len(x), 1000)]
                    right = sum((model(x[rows]).argmax(1) == targets[rows]).sum() for rows in parts)
                model.train()
                if int(right) >= accuracy * len(x):
                    return epoch
            return float("nan")

        return work

    def synapse(self, n, backward=True):
        """A call: forward, and backward, of a synapse layer -> ms by the device's clock."""
        x, beta, dy = (torch.tensor(a, device=self.device) for a in gpu_synapse_arrays(n))
        module = Synapse(n).to(self.device)
        with torch.no_grad():
            module.beta.copy_(beta)
        x.requires_grad_()
        y = module(x)
        y.backward(dy)
        check_synapse(n, *(a.detach().cpu().numpy() for a in (y, x.grad, module.beta.grad)))
        del y

        def work():
            if not backward:
                with torch.no_grad():
                    module(x)
                return
            x.grad = None
            module.zero_grad()
            module(x).backward(dy)

        def milliseconds():
            work()
            return self.milliseconds(work)

        return milliseconds

    def order(self, M, epoch=1):
        return torch.tensor(epoch_permutation(M, 5, epoch), device=self.device)

    def milliseconds(self, work):
        if self.device == "cpu":
            started = time.perf_counter()
            work()
            return 1e3 * (time.perf_counter() - started)
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        end.synchronize()
        return start.elapsed_time(end)
