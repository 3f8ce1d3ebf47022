"""The synapse under PyTorch's own machinery: inductor, several processes, function transforms."""

import copy
import shutil
import subprocess
import sys

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from synann_np.bridges.torch import Synapse, SynapseGraph


@pytest.fixture(autouse=True)
def same_numbers():
    torch.manual_seed(5)


def small_net():
    return nn.Sequential(nn.Linear(3, 4), nn.Softmax(dim=1), Synapse(4), nn.Linear(4, 2))


@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # PyTorch's own
def test_inductor_compiles_around_the_operator_forward_and_backward():
    net, x = small_net(), torch.rand(5, 3)
    twin = copy.deepcopy(net)
    compiled = torch.compile(twin, backend="inductor", fullgraph=True)
    torch.testing.assert_close(compiled(x), net(x), rtol=1e-5, atol=1e-6)
    for module in (net, compiled):
        module(x).square().sum().backward()
    for (name, p), q in zip(net.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(q.grad, p.grad, rtol=1e-4, atol=1e-6, msg=name)


# A step of DistributedDataParallel on half of the batch; the first rank saves the gradients.
STEP = """
import sys
import torch
from torch import nn
from synann_np.bridges.torch import Synapse

rank, folder = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)
torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
torch.manual_seed(5)
net, x = nn.Sequential(nn.Linear(3, 4), nn.Softmax(dim=1), Synapse(4), nn.Linear(4, 2)), torch.rand(6, 3)
parallel = nn.parallel.DistributedDataParallel(net)
parallel(x[3 * rank : 3 * rank + 3]).square().mean().backward()
if rank == 0:
    torch.save({name: p.grad for name, p in net.named_parameters()}, f"{folder}/grads.pt")
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_average_the_gradients_of_their_halves(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", STEP]
    ranks = [subprocess.Popen([*command, rank, str(tmp_path)], stderr=subprocess.PIPE, text=True) for rank in "01"]
    errors = [rank.communicate(timeout=300)[1] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], errors
    found = torch.load(tmp_path / "grads.pt", weights_only=True)
    torch.manual_seed(5)
    net, x = small_net(), torch.rand(6, 3)
    net(x).square().mean().backward()
    for name, p in net.named_parameters():
        torch.testing.assert_close(found[name], p.grad, rtol=1e-5, atol=1e-7, msg=name)


def test_data_parallel_on_the_host_is_the_module_itself():
    net, x = small_net(), torch.rand(5, 3)
    assert torch.equal(nn.DataParallel(net)(x), net(x))
    assert set(nn.DataParallel(net).state_dict()) == {f"module.{name}" for name in net.state_dict()}


TRANSFORMS = {
    "vmap": lambda f, x: torch.func.vmap(f)(x),
    "jvp": lambda f, x: torch.func.jvp(f, (x[0],), (x[0],)),
    "jacfwd": lambda f, x: torch.func.jacfwd(f)(x[0]),
    "jacrev": lambda f, x: torch.func.jacrev(f)(x[0]),
    "grad": lambda f, x: torch.func.grad(lambda a: f(a).sum())(x[0]),
    "hessian": lambda f, x: torch.func.hessian(f)(x[0]),
}


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # jvp uses it
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_transforms_that_are_not_supported_say_so(transform):
    graph = SynapseGraph(3, 3)
    with pytest.raises(RuntimeError, match=r"Synapse.*torch\.func"):
        TRANSFORMS[transform](lambda a: graph(a, a), torch.rand(2, 4, 3))
