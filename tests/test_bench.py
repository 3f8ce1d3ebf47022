"""scripts/bench.py on a CPU: a tiny run, the networks of PyTorch, wrong results, processes that must end."""

import importlib.util
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


@pytest.fixture
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    root = str(SCRIPTS.parent)
    monkeypatch.setenv("PYTHONPATH", root, prepend=os.pathsep)


@pytest.fixture
def bench(scripts):
    spec = importlib.util.spec_from_file_location("bench", SCRIPTS / "bench.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_tiny_run_writes_every_table(bench, tmp_path, capsys):
    out = tmp_path / "new" / "folder"
    command = ["--networks", "tanh_rnn", "--sizes", "8", "--rounds", "1", "--threads", "1", "--peers", "ours"]
    assert bench.main([*command, "--out", str(out)]) == 0
    result, text = json.loads((out / "bench.json").read_text()), (out / "bench.md").read_text()
    assert result["failures"] == []
    for part in ("networks", "busy", "threads"):
        assert list(result[part]["tanh_rnn"]) == ["ours"]
    assert result["networks"]["tanh_rnn"]["ours"]["step"]["ms"] > 0
    assert list(result["busy"]["tanh_rnn"]["ours"]) == ["quiet", "busy"]
    assert list(result["threads"]["tanh_rnn"]["ours"]) == ["1", "2"]
    assert max(result["synapse"]["8"]["ours"]["errors"].values()) < 1e-5
    assert text.count("| tanh_rnn | ours |") == 3
    assert "| 8 | ours |" in text
    assert text in capsys.readouterr().out


def test_results_are_not_overwritten(bench, tmp_path, capsys):
    (tmp_path / "bench.json").write_text("good")
    with pytest.raises(SystemExit):
        bench.main(["--out", str(tmp_path)])
    assert "choose another folder" in capsys.readouterr().err
    assert (tmp_path / "bench.json").read_text() == "good"


@pytest.mark.parametrize("network", ["synann", "lenet", "mlp", "rnn", "tanh_rnn", "small_cnn", "cnn"])
def test_the_networks_of_pytorch_compute_what_ours_compute(scripts, network, monkeypatch):
    pytest.importorskip("torch")
    from benchmarks import cases, numpy_peers, torch_peers
    from benchmarks.comparison import network_errors

    monkeypatch.setattr(numpy_peers.fast, "compile", lambda model, *arguments, **options: model)
    images, labels = cases.comparison_batch()
    for module in (numpy_peers, torch_peers):
        monkeypatch.setattr(module, "comparison_batch", lambda: (images[:20], labels[:20]))
    with np.errstate(under="ignore"):
        network_errors(numpy_peers.Network(network, 1).values(), torch_peers.Network(network, 1).values())


def test_the_synapse_of_pytorch_is_the_formula(scripts):
    pytest.importorskip("torch")
    from benchmarks import cases, torch_peers
    from benchmarks.comparison import synapse_errors

    everything = range(cases.SYNAPSE_BATCH), range(8)
    synapse_errors(torch_peers.SynapseLayer(8, 1).values(), cases.exact_synapse(8, *everything))


def test_a_wrong_result_is_refused(scripts):
    from benchmarks.comparison import WrongResult, network_errors, synapse_errors

    expected = {"log_probs": np.zeros((2, 3)), "fc.weight": np.ones((3, 4)), "fc.bias": np.full(3, 0.1)}
    network_errors({key: a.copy() for key, a in expected.items()}, expected)
    for key, wrong in (
        ("log_probs", np.full((2, 3), 0.01)),
        ("fc.bias", np.full(3, 0.101)),
        ("fc.bias", np.full(3, np.nan)),
        ("fc.weight", np.ones((4, 3))),
    ):
        with pytest.raises(WrongResult):
            network_errors(expected | {key: wrong}, expected)
    with pytest.raises(WrongResult, match="dx differs"):
        synapse_errors({"dx": np.array([1.0, 2.1])}, {"dx": np.array([1.0, 2.0])})


def test_a_peer_that_computes_something_else_is_not_measured(scripts, monkeypatch):
    from benchmarks import cpu_bench

    class Local:
        def __init__(self, name, subject, threads):
            self.name, self.threads = name, threads

        def ask(self, work, calls):
            return {"ms": [1.0] * calls, "peak_mib": 1.0}

        def close(self):
            pass

    values = {"ours": 1.1, "plain": 1.0, "torch": 1.0}
    monkeypatch.setattr(cpu_bench, "Peer", Local)
    monkeypatch.setattr(
        cpu_bench, "values_of", lambda peer: {"log_probs": np.zeros(1), "g": np.full(1, values[peer.name])}
    )
    result = cpu_bench.CpuBench(["ours", "plain", "torch"], 1, 2, {}).run(["networks"], ["mlp"])
    assert list(result["networks"]["mlp"]) == ["plain", "torch"]
    assert result["errors"]["mlp"] == {
        "plain": {"reference": "torch", "log_probs": 0.0, "gradients": 0.0, "worst": "g"}
    }
    assert "ours, mlp: the gradient of g differs" in result["failures"][0]


def test_a_peer_that_fails_says_why(scripts):
    from benchmarks.peer_process import Peer, PeerFailed

    peer = Peer("plain", "no_network", 1)
    try:
        with pytest.raises(PeerFailed, match="plain, no_network, step: KeyError"):
            peer.ask("step", calls=1)
    finally:
        peer.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the times of processes from /proc")
def test_busy_processes_compute_and_end_with_an_error_too(scripts):
    from benchmarks.peer_process import busy_cores

    def ticks(process):
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11])  # in user mode

    started = []

    def fail_when_they_compute():
        with busy_cores(2) as processes:
            started.extend(processes)
            before = [ticks(process) for process in processes]
            deadline = time.monotonic() + 10
            while not all(ticks(p) > b for p, b in zip(processes, before, strict=True)):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_when_they_compute()
    assert len(started) == 2
    assert all(process.returncode is not None for process in started)
