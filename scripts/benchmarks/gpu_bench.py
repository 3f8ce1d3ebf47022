"""The benchmark on one GPU: peers in processes of their own take turns, and their results are compared first."""

import importlib.metadata
import json
import os
import subprocess
import sys
from contextlib import suppress
from datetime import datetime

import numpy as np
from tqdm import tqdm

from benchmarks.gpu_cases import ACCURACY, BATCHES, CANDIDATES, MOST_EPOCHS, SEED_RECIPE, SYNAPSE_SIZES

PEERS = ("fast", "plain", "torch", "torch-graphs")
PARTS = ("step", "epoch", "accuracy", "synapse")
PACKAGES = ("numpy", "torch", "cupy-cuda12x", "cupy-cuda13x")


class PeerFailed(Exception):
    """A peer could not do what it was asked; the message is its own."""


class WrongResult(Exception):
    """Two peers compute different things: their times would tell nothing."""


class GpuPeerProcess:
    """A worker process: benchmarks/gpu_worker.py. scripts: folder that `benchmarks` lies in."""

    def __init__(self, name, scripts):
        self.name = name
        paths = [str(scripts), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.gpu_worker", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
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
    """

    def __init__(self, peers, rounds):
        self.peers, self.rounds = peers, rounds
        self.failures = []

    def run(self, parts=PARTS, batches=BATCHES, sizes=SYNAPSE_SIZES, candidates=CANDIDATES, most_epochs=MOST_EPOCHS):
        """Everything as a dict for JSON. Raises: PeerFailed if there is no GPU of ours; WrongResult."""
        device = next(peer for peer in self.peers if peer.name in ("fast", "plain")).ask({"work": "device"})
        result = {"machine": {"date": datetime.now().isoformat(timespec="minutes"), **device, **versions()}}
        rows = [(part, key) for part, keys in self.rows(batches, sizes).items() if part in parts for key in keys]
        for part, key in tqdm(rows, unit="row", disable=None):
            if part == "step":
                row = self.turns("steps", self.checked(key), batch_size=key)
            elif part == "epoch":
                row = self.turns("epoch", self.checked(key), batch_size=key)
            elif part == "synapse":
                row = {
                    way: self.turns("synapse", self.peers, n=key, backward=way == "both") for way in ("forward", "both")
                }
            else:
                recipe = SEED_RECIPE if key == "seed" else self.quickest(candidates, most_epochs)
                row = {"recipe": recipe, **self.accuracy(recipe, most_epochs)} if recipe else {}
            result.setdefault(part, {})[str(key)] = row
        return result | {"failures": self.failures}

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
        return answers

    def turns(self, work, peers, **arguments):
        """{peer: {"median", "low", "high": 10th and 90th percentile of the rounds, "wall": median seconds a call}}."""
        peers = _those_in(peers, self.each(peers, work, 2, **arguments))  # these calls warm up
        values, wall = {peer.name: [] for peer in peers}, {peer.name: [] for peer in peers}
        for _ in range(self.rounds):
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
            }
            for peer in peers
        }

    def checked(self, batch_size):
        """The peers that make five steps from the same weights on the same batches with the same losses, in float32.

        The masks of PyTorch are others, so it is compared without dropout, with the plain layers; the fast path, whose
        dropout is built in, with them too, where both have the same masks.
        """
        passed = {}
        for dropout, names in ((False, ("plain", "torch", "torch-graphs")), (True, ("plain", "fast"))):
            peers = [peer for peer in self.peers if peer.name in names]
            answers = self.each(peers, "losses", 5, batch_size=batch_size, dropout=dropout)
            for name, answer in answers.items():
                reference = answers.get("plain", answer)["values"]
                if not np.allclose(answer["values"], reference, rtol=1e-4):
                    raise WrongResult(f"batch {batch_size}: losses of {name} {answer['values']}, of plain {reference}")
            passed |= answers
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
        warm = self.each(self.peers, "until", 1, **(arguments | {"most_epochs": 1}))
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
