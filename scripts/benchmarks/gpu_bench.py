"""The benchmark on one GPU: peers in processes of their own take turns, and their results are compared first."""

import importlib.metadata
import json
import math
import subprocess
import sys
import time
from contextlib import suppress
from datetime import datetime

import numpy as np
from tqdm import tqdm

from benchmarks.children import child_environment
from benchmarks.gpu_cases import ACCURACY, BATCHES, CANDIDATES, MOST_EPOCHS, SEED_RECIPE, SYNAPSE_SIZES

PEERS = ("fast", "plain", "torch", "torch-graphs")
PARTS = ("step", "epoch", "accuracy", "synapse")
PACKAGES = ("numpy", "torch", "cupy-cuda12x", "cupy-cuda13x")


class PeerFailed(Exception):
    """A peer could not do what it was asked; the message is its own."""


class GpuPeerProcess:
    """A worker process: benchmarks/gpu_worker.py."""

    def __init__(self, name):
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.gpu_worker", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env=child_environment(),
        )  # fmt: skip

    def ask(self, order):
        """The answer to an order. Raises: PeerFailed."""
        answer = {"error": "the process died"}
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
            if line := self.process.stdout.readline():
                answer = json.loads(line)
        if "error" in answer:
            raise PeerFailed(answer["error"])
        return answer

    def close(self):
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class GpuBench:
    """What is measured. What could not be, and why, is listed in `failures`; the rest goes on.

    Arguments:
        peers: list of objects with name and ask(order).
        rounds: turns that every peer takes.
        accuracy_peers: names of those whose time to an accuracy is measured, many epochs each.
        deadline: time.monotonic() after which no row is started.
        save: function of the result so far, called after every row.

    Attributes: failures (list of lines); wrong (whether a peer computed something else than the others, or nothing
    where it should).
    """

    def __init__(self, peers, rounds, accuracy_peers=("fast",), deadline=math.inf, save=lambda result: None):
        self.peers, self.rounds, self.accuracy_peers = peers, rounds, accuracy_peers
        self.deadline, self.save = deadline, save
        self.failures, self.wrong = [], False

    def run(self, parts=PARTS, batches=BATCHES, sizes=SYNAPSE_SIZES, candidates=CANDIDATES, most_epochs=MOST_EPOCHS):
        """Everything as a dict for JSON. A row that has begun is saved with the rounds that it got."""
        machine = {"date": datetime.now().isoformat(timespec="minutes"), **self.device(), **versions()}
        result = {"machine": machine, "failures": self.failures}
        self.save(result)
        rows = [(part, key) for part, keys in self.rows(batches, sizes).items() if part in parts for key in keys]
        for part, key in tqdm(rows, unit="row", disable=None):
            if time.monotonic() > self.deadline:
                self.failures.append(f"{part}, {key}: the time was up")
                continue
            if part in ("step", "epoch"):
                row = self.turns("steps" if part == "step" else "epoch", self.checked(key), batch_size=key)
            elif part == "synapse":
                row = {
                    way: self.turns("synapse", self.peers, n=key, backward=way == "both") for way in ("forward", "both")
                }
            else:
                recipe = SEED_RECIPE if key == "seed" else self.quickest(candidates, most_epochs)
                row = {"recipe": recipe, **self.accuracy(recipe, most_epochs)} if recipe else {}
            result.setdefault(part, {})[str(key)] = row
            self.save(result)
        self.save(result)
        return result

    def device(self):
        """What our first peer says of the device; {} if there is none, or it fails."""
        ours = [peer for peer in self.peers if peer.name in ("fast", "plain")]
        try:
            return ours[0].ask({"work": "device"}) if ours else {}
        except PeerFailed as error:
            self.failures.append(f"{ours[0].name}, device: {error}")
            return {}

    def rows(self, batches=BATCHES, sizes=SYNAPSE_SIZES):
        """dict part -> keys of its rows."""
        return {
            "step": list(batches),
            "epoch": list(batches[:1]),
            "accuracy": ["seed", "quickest"],
            "synapse": list(sizes),
        }

    def each(self, peers, work, calls, **arguments):
        """{name: answer} of the peers that can."""
        answers = {}
        for peer in peers:
            try:
                answers[peer.name] = peer.ask({"work": work, "arguments": arguments, "calls": calls})
            except PeerFailed as error:
                where = ", ".join([work, *(f"{key} {value}" for key, value in arguments.items())])
                self.failures.append(f"{peer.name}, {where}: {error}")
                self.wrong |= peer.name == "fast"
        return answers

    def turns(self, work, peers, **arguments):
        """{peer: {"median", "low", "high": 10th and 90th percentile of the rounds, "wall": median seconds a call,
        "rounds": their number, at least 1}}.
        """
        peers = _those_in(peers, self.each(peers, work, 2, **arguments))  # these calls warm up
        values, wall = {peer.name: [] for peer in peers}, {peer.name: [] for peer in peers}
        for _ in range(self.rounds):
            if time.monotonic() > self.deadline and all(values.values()):
                break
            answers = self.each(peers, work, 1, **arguments)
            peers = _those_in(peers, answers)
            for name, answer in answers.items():
                values[name] += answer["values"]
                wall[name] += answer["seconds"]
        return {
            peer.name: {
                "median": float(np.median(values[peer.name])),
                "low": float(np.percentile(values[peer.name], 10)),
                "high": float(np.percentile(values[peer.name], 90)),
                "wall": float(np.median(wall[peer.name])),
                "rounds": len(wall[peer.name]),
            }
            for peer in peers
        }

    def checked(self, batch_size):
        """The peers that make five steps from the same weights on the same batches with the same losses, in float32;
        the others are listed in `failures`.

        The masks of PyTorch are others, so it is compared without dropout, with the plain layers; the fast path, whose
        dropout is built in, with them too, where both have the same masks.
        """
        passed = {}
        for dropout, names in ((False, ("plain", "torch", "torch-graphs")), (True, ("plain", "fast"))):
            peers = [peer for peer in self.peers if peer.name in names]
            answers = self.each(peers, "losses", 5, batch_size=batch_size, dropout=dropout)
            reference = answers.get("plain", {}).get("values")
            for name, answer in answers.items():
                if reference is None or np.allclose(answer["values"], reference, rtol=1e-4):
                    passed[name] = answer
                else:
                    line = f"{name}, batch {batch_size}: losses {answer['values']}, of plain {reference}"
                    self.failures.append(f"{line}: not measured")
                    self.wrong = True
        return _those_in(self.peers, passed)

    def quickest(self, candidates, most_epochs):
        """The recipe that takes the fast path the fewest seconds to 99.04 % of validation images, or None."""
        fast = [peer for peer in self.peers if peer.name == "fast"]
        arguments = {"accuracy": ACCURACY, "most_epochs": most_epochs, "validation": True}
        answers = [self.each(fast, "until", 1, **arguments, **recipe).get("fast") for recipe in candidates]
        seconds = [answer["seconds"][0] if answer and answer["values"][0] > 0 else np.inf for answer in answers]
        return candidates[int(np.argmin(seconds))] if min(seconds, default=np.inf) < np.inf else None

    def accuracy(self, recipe, most_epochs):
        """{peer: {"epochs", "seconds"}} to 99.04 % of the test images, from the first weights. NaN: not reached."""
        arguments = {"accuracy": ACCURACY, "most_epochs": most_epochs, **recipe}
        # A run of one epoch compiles and loads what the measured one needs.
        peers = _those_in(self.peers, self.accuracy_peers)
        warm = self.each(peers, "until", 1, **(arguments | {"most_epochs": 1}))
        answers = self.each(_those_in(self.peers, warm), "until", 1, **arguments)
        return {name: {"epochs": a["values"][0], "seconds": a["seconds"][0]} for name, a in answers.items()}


def versions():
    """{package: version} of those that are installed."""
    found = {}
    for package in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def _those_in(peers, answers):
    return [peer for peer in peers if peer.name in answers]
