"""A PyTorch network with our synapse against the same network with the formula broadcast: time and memory of a step.

    python scripts/bench_torch_bridge.py

The network is Linear(784, n) → softmax → synapse → batch-norm → Linear(n, 10), trained by SGD. Every way of computing
the synapse runs in a process of its own, in turns; first losses and gradients are compared. The time is the median of
a process's steps and the best of its rounds. The memory is the peak of the process after its first steps less what it
held before, network and batch included.
"""

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # of this checkout, installed or not

from synann_np.programs.process import run_program

WAYS = {
    "ours": "synann_np.bridges.torch.Synapse",
    "product": "alpha * x * torch.prod(1 - beta * x[:, None, :], -1)",
    "logarithms": "alpha * x * torch.exp(torch.log1p(-x[:, None, :] * beta).sum(-1))",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--features", type=int, default=1024, metavar="n", help="units of the synapse (default: 1024)")
    parser.add_argument("--batch-size", type=int, default=128, metavar="N", help="rows of a batch (default: 128)")
    parser.add_argument("--threads", type=int, default=2, help="threads of PyTorch and of the kernels (default: 2)")
    parser.add_argument("--steps", type=int, default=4, help="timed steps of a process (default: 4)")
    parser.add_argument("--rounds", type=int, default=2, help="processes for each variant (default: 2)")
    parser.add_argument("--worker", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(measure(arguments)))
        return
    results = {way: [] for way in WAYS}
    for _ in range(arguments.rounds):
        for way, found in results.items():
            command = [sys.executable, __file__, "--worker", way, *sys.argv[1:]]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found.append(json.loads(done.stdout))
    check_agreement(results)
    print(f"n = {arguments.features}, N = {arguments.batch_size}, {arguments.threads} threads, {platform.machine()}")
    print(f"PyTorch {results['ours'][0]['torch']}, float32\n")
    print("| synapse | a step, ms | times ours | memory, MiB | times ours |\n|---|---|---|---|---|")
    ours = best(results["ours"])
    for way, found in results.items():
        seconds, peak = best(found)
        print(
            f"| {way}: `{WAYS[way]}` | {1000 * seconds:.1f} | {seconds / ours[0]:.1f} | {peak / 2**20:.0f} | "
            f"{peak / ours[1]:.1f} |"
        )


def best(found):
    """Seconds of a step and bytes, the least of the rounds."""
    return min(result["seconds"] for result in found), min(result["bytes"] for result in found)


def check_agreement(results):
    """Every way has the loss and the norms of the gradients of ours. Raises: SystemExit naming what differs."""
    expected = results["ours"][0]["checked"]
    for way, found in results.items():
        for name, value in found[0]["checked"].items():
            if abs(value - expected[name]) > 1e-4 * abs(expected[name]):
                raise SystemExit(f"{way}: {name} is {value}, ours {expected[name]}: nothing was timed")


def measure(arguments):
    """dict of seconds, bytes, and what is checked, of one way in this process."""
    import torch
    from torch import nn

    from benchmarks.torch_networks import CapturableSynapse as Logarithms
    from benchmarks.torch_networks import Synapse as Product
    from synann_np.bridges.torch import Synapse

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(5)
    n, N = arguments.features, arguments.batch_size
    x, labels = torch.rand(N, 784), torch.randint(10, (N,))  # before the synapse, which draws random numbers too
    first, last, beta = nn.Linear(784, n), nn.Linear(n, 10), torch.rand(n, n) / n
    synapse = {"ours": Synapse, "product": Product, "logarithms": Logarithms}[arguments.worker](n)
    with torch.no_grad():
        synapse.beta.copy_(beta)
    net = nn.Sequential(first, nn.Softmax(dim=1), synapse, nn.BatchNorm1d(n), last, nn.LogSoftmax(dim=1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)

    def step():
        optimizer.zero_grad()
        loss = nn.functional.nll_loss(net(x), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    # What any step needs, and the compiled kernels, on two rows: counted in no way.
    small = nn.functional.nll_loss(net(x[:2]), labels[:2])
    small.backward()
    before = in_use()
    checked = {"loss": step()} | {name: p.grad.norm().item() for name, p in net.named_parameters() if p.grad.any()}
    step()
    added = peak() - before
    times = []
    for _ in range(arguments.steps):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return {"seconds": statistics.median(times), "bytes": added, "checked": checked, "torch": torch.__version__}


def in_use():
    """Memory of this process now, in bytes; its peak where the system does not tell (not Linux)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return peak()


def peak():
    """Largest memory of this process until now, in bytes."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes if sys.platform == "darwin" else 1024 * kilobytes


if __name__ == "__main__":
    sys.exit(run_program(main))
