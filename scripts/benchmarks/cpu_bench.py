"""The benchmark on a CPU: peers in processes of their own take turns, and their results are compared first."""

import tempfile
from contextlib import ExitStack, closing, nullcontext
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.cases import exact_synapse
from benchmarks.comparison import WrongResult, network_errors, synapse_errors
from benchmarks.peer_process import Peer, PeerFailed, busy_cores
from synann_np import fast

PARTS = ("networks", "busy", "threads", "synapse")
PEERS = ("ours", "plain", "torch", "torch-tuned")
THREADS = (1, 2)  # of the part of that name
SIZES = (64, 1024, 4096)  # of the synapse layer
LARGEST_BROADCAST = 1024  # with N n² elements in memory, as all but ours need
FRESH_PROCESSES = 5  # of every synapse layer
TURN_MS, FEWEST_CALLS, MOST_CALLS = 200, 3, 50
EVALUATION_ROUNDS = 3
NETWORKS_ONLY = "torch-tuned"  # a peer of the parts networks and synapse: it differs by its memory alone


class CpuBench:
    """What is measured. What could not be, and why, is listed in result["failures"]; the rest goes on.

    Arguments:
        names: of the peers, some of PEERS.
        threads: of every peer, but in the part "threads".
        rounds: turns that every peer takes.
        machine: dict that goes into the result.
        changed: function that is called with the result after every row.
    """

    def __init__(self, names, threads, rounds, machine, changed=lambda result: None):
        self.names, self.threads, self.rounds, self.changed = names, threads, rounds, changed
        self.reference = next(name for name in ("torch", "torch-tuned", "plain", "ours") if name in names)
        self.result = {"machine": machine, "rounds": rounds, "failures": [], "errors": {}}

    def run(self, parts, networks, sizes=SIZES):
        """Everything as a dict for JSON."""
        rows = [(part, row) for part in parts for row in (sizes if part == "synapse" else networks)]
        for part, row in tqdm(rows, unit="row", disable=None):
            try:
                found = getattr(self, f"measure_{part}")(row)
            except PeerFailed as error:
                self.result["failures"].append(f"{part}: {error}")
                found = {}
            self.result.setdefault(part, {})[str(row)] = found
            self.changed(self.result)
        return self.result

    def measure_networks(self, network):
        """{peer: step, evaluation, both with the peak memory until then}"""
        with ExitStack() as stack:
            peers = self.agreeing(stack, network, [(name, self.threads) for name in self.names])
            steps = self.take_turns(peers, "step", self.rounds)
            evaluations = self.take_turns(peers, "evaluation", min(self.rounds, EVALUATION_ROUNDS), calls=1)
        pairs = zip(peers, steps, evaluations, strict=True)
        return {peer.name: {"step": s["quiet"], "evaluation": e["quiet"]} for peer, s, e in pairs}

    def measure_busy(self, network):
        """{peer: {"quiet": step, "busy": step with another process on each core}}"""
        with ExitStack() as stack:
            names = [name for name in self.names if name != NETWORKS_ONLY]
            peers = self.agreeing(stack, network, [(name, self.threads) for name in names])
            steps = self.take_turns(peers, "step", self.rounds, loads=("quiet", "busy"))
        return {peer.name: s for peer, s in zip(peers, steps, strict=True)}

    def measure_threads(self, network):
        """{peer: {number of threads: step}}"""
        with ExitStack() as stack:
            names = [name for name in self.names if name != NETWORKS_ONLY]
            peers = self.agreeing(stack, network, [(name, threads) for name in names for threads in THREADS])
            steps = self.take_turns(peers, "step", self.rounds)
        found = {}
        for peer, step in zip(peers, steps, strict=True):
            found.setdefault(peer.name, {})[str(peer.threads)] = step["quiet"]
        return found

    def measure_synapse(self, n):
        """{peer: median, least and largest of the fresh processes, memory of the first call, errors}"""
        names = [name for name in self.names if name == "ours" or n <= LARGEST_BROADCAST]
        found, medians = {}, {name: [] for name in names}
        for turn in range(min(self.rounds, FRESH_PROCESSES)):
            for name in names if turn % 2 == 0 else reversed(names):
                if len(medians[name]) < turn:
                    continue  # it failed
                try:
                    with closing(Peer(name, n, self.threads)) as peer:
                        first = peer.ask("step", calls=1)
                        errors = found[name]["errors"] if turn else compare_synapse(peer, n)
                        ms = peer.ask("step", calls=calls_of(first["ms"][0]))["ms"]
                except (PeerFailed, WrongResult) as error:
                    self.result["failures"].append(f"synapse: {name}, n = {n}: {error}")
                    continue
                medians[name].append(float(np.median(ms)))
                found.setdefault(name, {"errors": errors, **{k: first[k] for k in ("peak_mib", "extra_mib")}})
        return {name: row | summary(medians[name], whole_range=True) for name, row in found.items()}

    def agreeing(self, stack, network, names_and_threads):
        """Peers in processes, those whose results equal the reference's; stack closes them all."""
        peers = [stack.enter_context(closing(Peer(name, network, threads))) for name, threads in names_and_threads]
        expected, kept = None, []
        for peer in sorted(peers, key=lambda peer: peer.name != self.reference):  # the reference first
            try:
                values = values_of(peer)
                expected = values if expected is None else expected
                errors = network_errors(values, expected)
            except (PeerFailed, WrongResult) as error:
                self.result["failures"].append(f"{peer.name}, {network}: {error}")
                if expected is None:
                    raise PeerFailed(f"nothing to compare {network} with") from error
                continue
            if peer.name != self.reference:
                errors = {"reference": self.reference, **errors}
                self.result["errors"].setdefault(network, {}).setdefault(peer.name, errors)
            kept.append(peer)
        return [peer for peer in peers if peer in kept]

    def take_turns(self, peers, work, rounds, calls=None, loads=("quiet",)):
        """[{load: summary of the medians of the turns}] in the order of peers.

        Every peer makes the same number of calls in a turn; the order of the peers turns round after every round.
        """
        warm_up = [peer.ask(work, calls=calls or FEWEST_CALLS) for peer in peers]
        calls = calls or calls_of(max((float(np.median(answer["ms"])) for answer in warm_up), default=TURN_MS))
        medians = {(peer, load): [] for peer in peers for load in loads}
        last = {}
        for turn in range(rounds):
            for load in loads:
                with busy_cores(fast.usable_cores()) if load == "busy" else nullcontext():
                    for peer in peers if turn % 2 == 0 else reversed(peers):
                        last[peer] = peer.ask(work, calls=calls)
                        medians[peer, load].append(float(np.median(last[peer]["ms"])))
        return [
            {load: summary(medians[peer, load]) | {"peak_mib": last[peer]["peak_mib"]} for load in loads}
            for peer in peers
        ]


def calls_of(ms):
    """How many calls of so many milliseconds make a turn."""
    return int(np.clip(TURN_MS / ms, FEWEST_CALLS, MOST_CALLS))


def summary(medians, whole_range=False):
    """Median of the medians of all turns, and their 10th and 90th percentile, or the least and the largest."""
    low, high = np.percentile(medians, (0, 100) if whole_range else (10, 90))
    return {"ms": float(np.median(medians)), "low": float(low), "high": float(high)}


def values_of(peer):
    """The results of a peer, dict of arrays."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "values.npz"
        peer.ask("values", path=str(path))
        with np.load(path) as file:
            return dict(file)


def compare_synapse(peer, n):
    """Errors of some rows and units, the first and the last among them, from the formula in float64."""
    rows, units = (np.linspace(0, last, 4).astype(int) for last in (127, n - 1))
    values = values_of(peer)
    some = {key: values[key][rows if key in ("y", "dx") else units] for key in values}
    return synapse_errors(some, exact_synapse(n, rows, units))
