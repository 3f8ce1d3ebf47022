"""The synapse as a PyTorch module, against our layers and under what PyTorch does with modules."""

import copy
import io
import subprocess
import sys

import numpy as np
import pytest

from fast.loops import compiled
from synann_np import layers
from synann_np.models import SynaNN
from synann_np.sequential import Sequential
from synann_np.storage.torch_names import from_torch, to_torch

pytest.importorskip("torch")

import torch
from torch import nn

from synann_np.bridges.torch import Synapse, SynapseGraph

PARAMETRISATIONS = ("free", "logistic", "surprisal")


@pytest.fixture
def way(request, monkeypatch):
    """The kernels in C, and what runs where nothing can be compiled."""
    if request.param == "loops":
        compiled.require()
    else:
        monkeypatch.setenv("SYNANN_FAST", "0")


@pytest.fixture(autouse=True)
def same_numbers():
    torch.manual_seed(5)


def same_graph(n, m, parametrisation="free", dtype="float64", train_alpha=True):
    """The graph as a module and as a layer, with the same random parameters."""
    rng = np.random.default_rng(7)
    layer = layers.SynapseGraph(n, m, parametrisation, train_alpha, rng=rng, dtype=dtype)
    for p in (layer.params | layer.buffers).values():
        p[...] = rng.uniform(-1.5, 1.5, p.shape)
    module = SynapseGraph(n, m, parametrisation, train_alpha, dtype=getattr(torch, dtype))
    module.load_state_dict({name: torch.from_numpy(a.copy()) for name, a in (layer.params | layer.buffers).items()})
    return module, layer


@pytest.mark.parametrize("way", ["loops", "plain"], indirect=True)
@pytest.mark.parametrize("train_alpha", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
def test_values_and_gradients_are_those_of_the_layer(rng, parametrisation, dtype, train_alpha, way):
    module, layer = same_graph(5, 3, parametrisation, dtype, train_alpha)
    x, v, dy = (rng.uniform(0, 1, (4, size)).astype(dtype) for size in (5, 3, 5))
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, v)]
    y = module(*tensors)
    y.backward(torch.from_numpy(dy))
    expected, cache = layer.forward(x, v)
    (dx, dv), grads = layer.backward(dy, cache)
    found = {name: p.grad for name, p in module.named_parameters()}
    assert found.keys() == grads.keys()
    for a, b in zip((y, *(t.grad for t in tensors), *found.values()), (expected, dx, dv, *grads.values()), strict=True):
        assert a.dtype == getattr(torch, dtype)
        np.testing.assert_allclose(a.detach().numpy(), b, rtol=1e-5 if dtype == "float32" else 1e-12, atol=1e-7)


@pytest.mark.parametrize("way", ["loops", "plain"], indirect=True)
@pytest.mark.parametrize(("n", "m"), [(5, 3), (2, 7), (1, 1)])
def test_gradcheck_passes_for_any_beta(n, m, way):
    graph = SynapseGraph(n, m, dtype=torch.float64)
    with torch.no_grad():
        graph.beta.uniform_(-3, 3)
        graph.alpha.uniform_(-2, 2)
    x, v = (torch.rand(4, size, dtype=torch.float64, requires_grad=True) for size in (n, m))
    assert torch.autograd.gradcheck(with_parameters(graph), (x, v, graph.alpha, graph.beta))


@pytest.mark.parametrize("way", ["loops", "plain"], indirect=True)
def test_gradcheck_passes_where_factors_and_inputs_are_zero(way):
    graph = SynapseGraph(3, 4, dtype=torch.float64)
    v = torch.tensor([[0.5, 0.25, 1.0, 0.0], [0.5, 0.0, 0.125, 1.0]], dtype=torch.float64, requires_grad=True)
    x = torch.tensor([[0.0, 0.3, 0.6], [0.4, 0.0, 1.0]], dtype=torch.float64, requires_grad=True)
    with torch.no_grad():  # of row 0: one factor is 0, two are, none is
        graph.beta.copy_(torch.tensor([[2.0, 0.5, -1, 3], [2, 4, 0.5, 1], [0, -1, 0, 0.5]]))
    assert torch.autograd.gradcheck(with_parameters(graph), (x, v, graph.alpha, graph.beta))


@pytest.mark.parametrize("way", ["loops", "plain"], indirect=True)
def test_gradcheck_passes_for_the_synapse_of_one_input(way):
    synapse = Synapse(4, dtype=torch.float64)
    x = torch.rand(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(with_parameters(synapse), (x, synapse.alpha, synapse.beta))


def with_parameters(module):
    """The module as a function of its inputs, alpha and beta."""

    def function(*arguments):
        *inputs, alpha, beta = arguments
        return torch.func.functional_call(module, {"alpha": alpha, "beta": beta}, tuple(inputs))

    return function


def test_non_contiguous_tensors_are_right():
    module, _ = same_graph(6, 3)
    wide = torch.rand(5, 12, dtype=torch.float64)
    x, v = wide[:, ::2], torch.rand(3, 5, dtype=torch.float64).T
    dy = torch.ones((), dtype=torch.float64).expand(5, 6)
    results = []
    for inputs in ((x, v), (x.contiguous(), v.contiguous())):
        inputs = [a.detach().requires_grad_() for a in inputs]
        y = module(*inputs)
        y.backward(dy)
        results.append([y.detach(), *(a.grad for a in inputs)])
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)


def test_leading_axes_are_rows():
    synapse, x = Synapse(4), torch.rand(2, 3, 4)
    assert torch.equal(synapse(x)[1, 2], synapse(x[1, 2]))
    assert synapse(torch.rand(0, 4)).shape == (0, 4)


def test_contiguous_cpu_tensors_are_not_copied(monkeypatch):
    compiled.require()
    from synann_np.bridges.torch import operator

    synapse, x, seen = Synapse(4), torch.rand(3, 4), {}
    forward = operator.loops.synapse_graph_forward

    def spy(x, v, alpha, beta, threads):
        seen.update(x=x, alpha=alpha, beta=beta)
        y, cache = forward(x, v, alpha, beta, threads)
        seen["y"] = y
        return y, cache

    monkeypatch.setattr(operator.loops, "synapse_graph_forward", spy)
    y = synapse(x)
    for name, tensor in {"x": x, "alpha": synapse.alpha, "beta": synapse.beta, "y": y}.items():
        assert seen[name].ctypes.data == tensor.data_ptr(), name


def test_what_needs_no_gradient_gets_none_and_what_changed_in_between_is_refused():
    synapse, x = Synapse(4), torch.rand(3, 4)
    synapse.alpha.requires_grad_(False)
    synapse(x).sum().backward()
    assert synapse.alpha.grad is None
    assert x.grad is None
    assert synapse.beta.grad.any()
    y = synapse(x).sum()
    with torch.no_grad():
        synapse.beta.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_a_second_derivative_is_refused_by_name():
    synapse, x = Synapse(4), torch.rand(3, 4, requires_grad=True)
    (dx,) = torch.autograd.grad(synapse(x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="Synapse: double backward is not implemented"):
        dx.sum().backward()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_other_precisions_are_refused_with_the_cure(dtype):
    with pytest.raises(TypeError, match=r"expected float32 or float64, got torch\..*\.float\(\)"):
        Synapse(4).to(dtype)(torch.ones(3, 4, dtype=dtype))


def test_two_dtypes_and_wrong_sizes_are_refused():
    with pytest.raises(TypeError, match=r"x is torch\.float64, alpha is torch\.float32"):
        Synapse(4)(torch.rand(3, 4, dtype=torch.float64))
    for x, v in (((3, 4), (3, 4)), ((3, 5), (3, 2)), ((3, 4), (1, 2)), ((), (2,))):
        with pytest.raises(ValueError, match="expected x"):
            SynapseGraph(4, 2)(torch.rand(x), torch.rand(v))
    with pytest.raises(ValueError, match="free, logistic, surprisal, got 'tanh'"):
        Synapse(4, "tanh")


def test_autocast_computes_in_float32():
    synapse, x = Synapse(4), torch.rand(3, 4).bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        y = synapse(x)
    assert y.dtype == torch.float32
    assert torch.equal(y, synapse(x.float()))
    y.sum().backward()
    assert (x.grad.dtype, synapse.beta.grad.dtype) == (torch.bfloat16, torch.float32)


def test_torch_compile_keeps_it_as_one_operator():
    net = nn.Sequential(nn.Linear(3, 4), nn.Softmax(dim=1), Synapse(4), nn.BatchNorm1d(4))
    compiled_net = torch.compile(copy.deepcopy(net), backend="aot_eager", fullgraph=True)
    x = torch.rand(5, 3)
    for module in (net, compiled_net):
        module(x).square().sum().backward()
    for (name, p), q in zip(net.named_parameters(), compiled_net.parameters(), strict=True):
        torch.testing.assert_close(q.grad, p.grad, rtol=1e-5, atol=1e-6, msg=name)


def test_the_operator_passes_the_checks_of_pytorch():
    x, v, alpha, beta = (torch.rand(shape, requires_grad=True) for shape in ((4, 5), (4, 3), (5,), (5, 3)))
    torch.library.opcheck(torch.ops.synann_np.synapse_graph.default, (x, v, alpha, beta))


def test_copies_pickles_and_state_dicts_compute_the_same(tmp_path):
    module, _ = same_graph(4, 3)
    x, v = torch.rand(2, 4, dtype=torch.float64), torch.rand(2, 3, dtype=torch.float64)
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    torch.save(module.state_dict(), tmp_path / "weights.pt")
    other = SynapseGraph(4, 3, dtype=torch.float64)
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    for twin in (copy.deepcopy(module), torch.load(file, weights_only=False), other):
        assert torch.equal(twin(x, v), module(x, v))
        assert twin.beta.data_ptr() != module.beta.data_ptr()


def test_the_same_seed_draws_the_same_beta_within_one_over_the_root_of_the_inhibitors():
    torch.manual_seed(1)
    first = SynapseGraph(300, 25)
    torch.manual_seed(1)
    assert torch.equal(SynapseGraph(300, 25).beta, first.beta)
    assert not torch.equal(SynapseGraph(300, 25).beta, first.beta)
    assert 0.198 < first.beta.abs().max() <= 0.2
    assert (first.alpha == 1).all()
    with torch.device("meta"):
        assert SynapseGraph(30, 2).beta.device.type == "meta"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore:.*reduce_op.*")
def test_distributed_data_parallel_averages_its_gradients(tmp_path):
    distributed = torch.distributed
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    try:
        net = nn.Sequential(nn.Softmax(dim=1), Synapse(4))
        parallel = nn.parallel.DistributedDataParallel(copy.deepcopy(net))
        x = torch.rand(5, 4)
        for module in (net, parallel):
            module(x).square().sum().backward()
        for p, q in zip(net.parameters(), parallel.parameters(), strict=True):
            assert torch.equal(p.grad, q.grad)
    finally:
        distributed.destroy_process_group()


class TorchSynaNN(nn.Module):
    """models.SynaNN in PyTorch, in evaluation."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 10, 5), nn.Conv2d(10, 20, 5)
        self.fc1, self.fcn, self.fcb, self.fc2 = nn.Linear(320, 64), Synapse(64), nn.BatchNorm1d(64), nn.Linear(64, 10)

    def forward(self, x):
        x = nn.functional.max_pool2d(self.conv1(x), 2).relu()
        x = nn.functional.max_pool2d(self.conv2(x), 2).relu().flatten(1)
        x = self.fc1(x).relu().softmax(dim=1)
        return self.fc2(self.fcb(self.fcn(x))).log_softmax(dim=1)


def test_weights_of_a_whole_network_move_both_ways(rng):
    model, net = SynaNN(seed=1), TorchSynaNN().eval()
    x = rng.standard_normal((3, 1, 28, 28)).astype("float32")
    net.load_state_dict(to_torch(model), strict=True)
    with torch.no_grad():
        expected = net(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(model.forward(x)[0], expected, atol=1e-5)
        net.fcn.beta.uniform_(0, 1)
        net.fcn.alpha.uniform_(0, 1)
        expected = net(torch.from_numpy(x)).numpy()
    model.load_state_dict(from_torch(net.state_dict(), model))
    np.testing.assert_allclose(model.forward(x)[0], expected, atol=1e-5)


def test_a_layer_takes_the_modules_state_as_it_is():
    module = Synapse(4, "logistic")
    model = Sequential([("fcn", layers.Synapse(4, "logistic"))])
    model.load_state_dict(from_torch({f"fcn.{name}": a for name, a in module.state_dict().items()}, model))
    x = torch.rand(3, 4)
    np.testing.assert_allclose(model.forward(x.numpy())[0], module(x).detach().numpy(), rtol=1e-6)


def test_without_torch_the_message_names_the_extra():
    program = "import sys\nsys.modules['torch'] = None\nimport synann_np\nimport synann_np.bridges.torch"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "pip install torch" in done.stderr
