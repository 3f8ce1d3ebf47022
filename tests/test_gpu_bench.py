"""The benchmark on a GPU, as far as it runs without one: peers on faked devices, the tables, the refusals."""

import gc
import json
import math
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import strict_device
from fake_cuda import FakeCuda
from fast.cuda.plain_launcher import PlainLauncher
from synann_np.fast.cuda.compile import compile_for_cuda

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
DEVICE = {"device": "Fake", "compute_capability": 9.0, "multiprocessors": 132, "clock_khz": 1_980_000}


@pytest.fixture
def bench(monkeypatch):
    """The modules of the benchmark, with 60 images and few steps."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from benchmarks import gpu_bench, gpu_cases, gpu_command, gpu_peers, gpu_report, gpu_worker

    rng = np.random.default_rng(0)
    sets = [(rng.integers(0, 256, (n, 28, 28), dtype="uint8"), rng.integers(0, 10, n, dtype="uint8")) for n in (60, 20)]
    monkeypatch.setattr(gpu_peers, "load_mnist", lambda: (*sets[0], *sets[1]))
    monkeypatch.setattr(gpu_peers, "STEPS", 2)
    # A collection goes through all objects of this process, PyTorch's too: a tenth of a second after every answer.
    monkeypatch.setattr(gpu_worker, "gc", SimpleNamespace(collect=lambda: None))
    monkeypatch.setattr(gpu_bench, "SEED_RECIPE", gpu_cases.SEED_RECIPE | {"batch_size": 20})
    modules = (gpu_bench, gpu_cases, gpu_command, gpu_peers, gpu_report, gpu_worker)
    return SimpleNamespace(**{module.__name__.removeprefix("benchmarks.gpu_"): module for module in modules})


@pytest.fixture
def torch_peers(bench, monkeypatch):
    torch = pytest.importorskip("torch")
    from benchmarks import gpu_torch_peers

    monkeypatch.setattr(gpu_torch_peers, "load_mnist", bench.peers.load_mnist)
    monkeypatch.setattr(gpu_torch_peers, "STEPS", 2)

    class WithoutGraphs(gpu_torch_peers.GpuTorchPeer):
        """What stands for a graph makes the step again."""

        def capture(self, step, batch_size):
            rows, loss = torch.arange(batch_size), torch.zeros(())
            for _ in range(3):
                step(rows)
            return lambda: loss.copy_(step(rows)), rows, loss

    return SimpleNamespace(module=gpu_torch_peers, peer=WithoutGraphs)


class Local:
    """A peer in this process."""

    def __init__(self, name, server):
        self.name, self.server, self.error = name, server, None

    def ask(self, order):
        from benchmarks.gpu_bench import PeerFailed

        answer = self.server.answer(json.loads(json.dumps(order)))  # as through a pipe
        if "error" in answer:
            raise PeerFailed(answer["error"])
        return json.loads(json.dumps(answer))


@pytest.fixture
def ours(bench, monkeypatch):
    """Function: name -> Local peer on strict arrays, with kernels that are the plain layers."""
    cuda = FakeCuda()
    cuda.runtime = SimpleNamespace(
        getDeviceProperties=lambda number: {"name": b"Fake"},
        driverGetVersion=lambda: 13000,
        runtimeGetVersion=lambda: 12090,
    )
    attributes = {"MultiProcessorCount": 132, "ClockRate": 1_980_000}
    cuda.Device = lambda: SimpleNamespace(id=0, compute_capability="90", attributes=attributes)
    monkeypatch.setattr(strict_device, "cuda", cuda)
    pool = SimpleNamespace(free_all_blocks=lambda: None)
    monkeypatch.setattr(strict_device, "get_default_memory_pool", lambda: pool, raising=False)
    launcher = PlainLauncher(cuda, strict_device.ndarray, lambda a: a._device)

    def make(name):
        def peer():
            backend = strict_device.backend()
            return bench.peers.GpuPeer(name == "fast", backend, lambda model: compile_for_cuda(model, launcher))

        return Local(name, bench.worker.Server(peer))

    return make


@pytest.fixture(autouse=True)
def underflow_is_zero():
    with np.errstate(under="ignore"):
        yield


SMALL = {"batches": (20, 30), "sizes": (30,), "candidates": ({"batch_size": 30, "lr": 0.1, "momentum": 0.9},)}


def test_a_whole_benchmark_runs_and_its_tables_show_every_peer(bench, ours, torch_peers):
    peers = [ours("fast"), ours("plain")]
    for name in ("torch", "torch-graphs"):
        server = bench.worker.Server(lambda name=name: torch_peers.peer(name == "torch-graphs", "cpu"))
        peers.append(Local(name, server))
    result = bench.bench.GpuBench(peers, rounds=2).run(most_epochs=1, **SMALL)
    assert result["failures"] == []
    assert result["machine"].items() >= DEVICE.items()
    assert list(result["step"]) == ["20", "30"]
    for rows in (result["step"]["20"], result["epoch"]["20"], *result["synapse"]["30"].values()):
        assert list(rows) == list(bench.bench.PEERS)
        assert all(row["low"] <= row["median"] <= row["high"] for row in rows.values())
    seed = result["accuracy"]["seed"]
    assert seed["recipe"] == {"batch_size": 20, "lr": 0.012, "momentum": 0.5}
    assert math.isnan(seed["fast"]["epochs"])
    assert "torch" not in seed  # many epochs: only who is asked for
    assert result["accuracy"]["quickest"] == {}  # no candidate got there
    text = bench.report.gpu_markdown(json.loads(json.dumps(result)))
    assert "| batch 20 |" in text
    assert "| n = 30, both |" in text
    assert "not reached in" in text
    assert "Goals at batch 100: 10 times PyTorch eager (not measured)" in text


def test_an_accuracy_that_is_reached_is_told_in_seconds_and_epochs(bench, ours, monkeypatch):
    monkeypatch.setattr(bench.bench, "ACCURACY", 0.0)
    peers = [ours("fast"), ours("plain")]
    result = bench.bench.GpuBench(peers, 1, ("fast", "plain")).run(["accuracy"], most_epochs=2, **SMALL)
    for row in result["accuracy"].values():
        assert row["fast"]["epochs"] == row["plain"]["epochs"] == 1
    assert result["accuracy"]["quickest"]["recipe"] == SMALL["candidates"][0]
    assert "(1) |" in bench.report.gpu_markdown(result)


def test_a_peer_that_computes_something_else_is_not_measured_and_the_others_are(bench, ours):
    wrong = ours("fast")
    make = wrong.server.make

    def peer():
        made = make()
        losses = made.losses

        def wrong_losses(**arguments):
            work = losses(**arguments)
            return lambda: 1.01 * work()

        made.losses = wrong_losses
        return made

    wrong.server.make = peer
    run = bench.bench.GpuBench([wrong, ours("plain")], 1)
    result = run.run(["step"], **SMALL)
    assert run.wrong
    assert [list(row) for row in result["step"].values()] == [["plain"], ["plain"]]
    assert [failure[:21] for failure in result["failures"]] == ["fast, batch 20: losse", "fast, batch 30: losse"]


def test_the_result_is_saved_after_every_row(bench, ours):
    saved = []
    run = bench.bench.GpuBench([ours("plain")], 1, save=lambda result: saved.append(json.dumps(result)))
    result = run.run(["step"], **SMALL)
    assert [list(json.loads(text).get("step", {})) for text in saved] == [[], ["20"], ["20", "30"], ["20", "30"]]
    assert json.loads(saved[-1]) == json.loads(json.dumps(result))
    assert not run.wrong


def test_no_row_is_started_after_the_deadline(bench, ours, monkeypatch):
    run = bench.bench.GpuBench([ours("plain")], 3, deadline=0)
    monkeypatch.setattr(bench.bench.time, "monotonic", iter([-1, -1, 1, 1, 1]).__next__)
    result = run.run(["step"], **SMALL)
    assert result["step"]["20"]["plain"]["rounds"] == 1  # of three: the time was up
    assert list(result["step"]) == ["20"]
    assert result["failures"] == ["step, 30: the time was up"]


def test_a_device_that_cannot_be_asked_costs_only_what_follows_from_it(bench, ours):
    peer = ours("fast")
    ask = peer.ask

    def refuse(order):
        if order["work"] == "device":
            raise bench.bench.PeerFailed("KeyError: 'ClockRate'")
        return ask(order)

    peer.ask = refuse
    result = bench.bench.GpuBench([peer], 1).run(["synapse"], **SMALL)
    assert result["failures"] == ["fast, device: KeyError: 'ClockRate'"]
    text = bench.report.gpu_markdown(result)
    assert "not measured | " in text.rpartition("n = 30")[2]


def test_memory_is_handed_back_after_every_answer_also_after_an_error(bench, monkeypatch):
    """What a peer keeps in its pool would be missing to the others."""
    monkeypatch.setattr(bench.worker, "gc", gc)
    held = []

    class Peer:
        def free_memory(self):
            held.append([o for o in gc.get_objects() if type(o) is Large])

        def work(self, fails):
            def call():
                large = Large()
                large.itself = large
                if fails:
                    raise MemoryError("out of memory")
                return large.value

            return call

    class Large:
        value = 1.0

    server = bench.worker.Server(Peer)
    order = {"work": "work", "calls": 1}
    assert server.answer(order | {"arguments": {"fails": False}})["values"] == [1.0]
    assert "out of memory" in server.answer(order | {"arguments": {"fails": True}})["error"]
    assert held == [[], []]


@pytest.mark.parametrize("peer", ["synapse", "steps", "epoch"])
def test_the_emptied_pool_is_filled_before_time_is_taken(bench, ours, monkeypatch, peer):
    made = ours("plain").server.make()
    launched = []
    monkeypatch.setattr(made, "milliseconds", lambda work: launched.append("timed") or 1.0)
    monkeypatch.setattr(bench.peers.layers.Synapse, "forward", noted(launched, bench.peers.layers.Synapse.forward))
    work = getattr(made, peer)(30 if peer == "synapse" else 20)
    launched.clear()
    work()
    assert launched == ["forward", "timed"]


def noted(seen, function):
    def forward(*arguments, **options):
        seen.append("forward")
        return function(*arguments, **options)

    return forward


def test_a_peer_that_fails_is_named_and_the_others_go_on(bench, ours):
    class Failing(Local):
        def ask(self, order):
            if order["work"] in ("synapse", "losses"):
                raise bench.bench.PeerFailed("out of memory")
            return super().ask(order)

    plain = ours("plain")
    result = bench.bench.GpuBench([ours("fast"), Failing("plain", plain.server)], 1).run(["step", "synapse"], **SMALL)
    assert list(result["synapse"]["30"]["both"]) == ["fast"]
    assert list(result["step"]["20"]) == ["fast"]  # what was not compared is not measured
    assert "plain, synapse, n 30, backward True: out of memory" in result["failures"]
    text = bench.report.gpu_markdown(result)
    assert "not measured" in text
    assert "out of memory" in text


def test_a_wrong_synapse_is_not_measured(bench, ours, monkeypatch):
    exact = bench.cases.gpu_synapse_arrays(30)
    monkeypatch.setattr(bench.peers, "gpu_synapse_arrays", lambda n: (exact[0], 1.001 * exact[1], exact[2]))
    result = bench.bench.GpuBench([ours("fast")], 1).run(["synapse"], **SMALL)
    assert result["synapse"]["30"]["both"] == {}
    assert "is wrong by" in result["failures"][0]


def test_what_is_told_of_a_run_that_measured_nothing(bench):
    nothing = {"machine": DEVICE, "step": {"100": {}}, "epoch": {"100": {}}, "accuracy": {"seed": {}}}
    text = bench.report.gpu_markdown(nothing | {"synapse": {"1024": {"forward": {}, "both": {}}}})
    assert text.count("not measured") == 4 * 5 + 3 + 4
    assert "nan" not in text


def test_the_share_of_the_fp32_rate_counts_instructions(bench):
    rate = bench.cases.half_the_fp32_rate(DEVICE)
    assert rate == 132 * 128 * 1.98e9  # 33.5e12, half of the 67 TFLOP/s of an H100
    row = {"forward": {"fast": {"median": 1.0}}}
    share = f"{256 * 4096**2 * 2 / 1e-3 / rate:.0%}"
    assert f"| {share} | not measured |" in bench.report.share_table({"4096": row}, rate)[-1]


def test_graphs_of_torch_are_captured_by_its_own_recipe(torch_peers, monkeypatch):
    """Names and order of PyTorch's calls; nothing is captured on a CPU."""
    import torch

    calls = []

    class Stream:
        def wait_stream(self, other):
            calls.append("wait")

    class Scope:
        def __init__(self, *what):
            calls.append(type(what[0]).__name__)

        def __enter__(self):
            pass

        def __exit__(self, *exception):
            pass

    class Graph:
        def replay(self):
            calls.append("replay")

    for name, fake in (("Stream", Stream), ("current_stream", Stream), ("CUDAGraph", Graph), ("stream", Scope),
                       ("graph", Scope)):  # fmt: skip
        assert hasattr(torch.cuda, name)
        monkeypatch.setattr(torch.cuda, name, fake)
    peer = torch_peers.module.GpuTorchPeer(graphs=True, device="cpu")
    _, _, step = peer.trainer(20)
    step(torch.arange(20))
    step(torch.arange(7))  # the rest of an epoch: not by the graph
    assert calls == ["wait", "Stream", "wait", "Graph", "replay"]


def test_without_a_gpu_the_command_says_what_is_missing(bench, capsys, tmp_path, monkeypatch):
    from synann_np.backend import BackendError

    def refuse(name):
        raise BackendError("no NVIDIA driver was found")

    monkeypatch.setattr(bench.command, "get_backend", refuse)
    assert bench.command.run_on_gpu(["step"], 1, tmp_path) == 2
    assert capsys.readouterr().err == "bench: no NVIDIA driver was found\n"
    assert list(tmp_path.iterdir()) == []


def test_the_command_lists_what_it_would_measure(bench, capsys, tmp_path):
    assert bench.command.run_on_gpu(["step", "accuracy", "synapse"], 1, tmp_path, only_list=True) == 0
    assert capsys.readouterr().out.splitlines() == [
        "step: 100, 256, 1000; peers: fast, plain, torch, torch-graphs",
        "accuracy: seed, quickest; peers: fast",
        "synapse: 1024, 4096, 16384; peers: fast, plain, torch, torch-graphs",
    ]


def test_the_command_writes_the_result_and_closes_its_peers(bench, ours, capsys, tmp_path, monkeypatch):
    closed = []

    def start(name):
        peer = ours("plain" if name.startswith("torch") else name)
        peer.name = name
        peer.close = lambda: closed.append(name)
        return peer

    monkeypatch.setattr(bench.command, "get_backend", lambda name: None)
    monkeypatch.setattr(bench.bench.GpuBench.run, "__defaults__", (("epoch",), (20,), (30,), (), 1))
    assert bench.command.run_on_gpu(["epoch"], 1, tmp_path / "new", start=start) == 0
    assert closed == list(bench.bench.PEERS)
    assert list(json.loads((tmp_path / "new" / "gpu.json").read_text())["epoch"]["20"]) == list(bench.bench.PEERS)
    assert "An epoch of 60,000 images" in capsys.readouterr().out


@pytest.mark.skipif("cupy" in sys.modules, reason="a GPU may be there")
def test_a_worker_process_tells_why_it_cannot_and_lives_on(bench, monkeypatch, tmp_path, capfd):
    from synann_np.backend import BackendError, get_backend

    try:
        get_backend("cupy")
        pytest.skip("a GPU is there")
    except BackendError as error:
        reason = str(error)
    # Modules that are found by PYTHONPATH are found by the worker too.
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.stderr.write('found\\n')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    process = bench.bench.GpuPeerProcess("fast")
    try:
        for _ in range(2):
            with pytest.raises(bench.bench.PeerFailed) as caught:
                process.ask({"work": "device"})
            assert str(caught.value) == f"BackendError: {reason}"
        process.process.kill()
        process.process.wait()
        with pytest.raises(bench.bench.PeerFailed, match="died"):
            process.ask({"work": "device"})
    finally:
        process.close()
    assert "found" in capfd.readouterr().err
