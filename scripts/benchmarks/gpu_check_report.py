"""The results of a check on a GPU: results.json and summary.md, complete at every moment."""

import json
import time
from contextlib import suppress

from benchmarks.gpu_report import gpu_markdown
from synann_np.storage.atomic_file import write_atomically
from synann_np.train import EvalRecord
from synann_np.training.history import read_history

# Runs that differ in rounding alone drift apart: the first losses must agree, the accuracy be like.
FIRST_LOSS, ACCURACY = 1e-4, 0.01
LINES_OF_A_FAILURE = 25


class Report:
    """What is known so far of every part, and its two files.

    Arguments: folder: of the results. scratch: folder of the training runs. recorded: folder of runs made on a CPU.
    parts: list of Part. about: dict of what does not change.
    """

    def __init__(self, folder, scratch, recorded, parts, about):
        self.folder, self.scratch, self.recorded = folder, scratch, recorded
        self.parts, self.about = {part.name: part for part in parts}, about
        self.states = {part.name: {"result": "waiting"} for part in parts}
        self.training, self.started = {}, None

    def start(self, name):
        self.started = name, time.monotonic()
        self.states[name]["result"] = "running"
        self.write()

    def finish(self, name, result, output=()):
        """result: "passed", or what happened. output: lines of what the part printed."""
        self.read_training()
        part = self.parts[name]
        if result == "passed" and part.recorded:
            result = self.compared(part)
        shown = part.lines if result == "passed" else LINES_OF_A_FAILURE
        self.states[name] |= {"result": result, "output": list(output)[-shown:] if shown else []}
        if self.started and self.started[0] == name:
            self.states[name]["seconds"] = round(time.monotonic() - self.started[1], 1)
        self.started = None
        self.write()

    def write(self):
        """Both files, from what is known now: also in the middle of a part."""
        self.read_training()
        if self.started:
            self.states[self.started[0]]["seconds"] = round(time.monotonic() - self.started[1], 1)
        result = self.about | {"parts": self.states, "training": self.training}
        write_atomically(self.folder / "results.json", (json.dumps(result, indent=1) + "\n").encode())
        write_atomically(self.folder / "summary.md", ("\n".join(self.markdown()) + "\n").encode())

    def read_training(self):
        for name, part in self.parts.items():
            if part.trains:
                with suppress(OSError, ValueError):  # not begun, or a line that is being written
                    if records := read_history(self.scratch / name / "history.jsonl"):  # empty before the first line
                        self.training[name] = condensed(records)

    def compared(self, part):
        """ "passed", or in what the run differs from the recorded one."""
        try:
            expected = condensed(read_history(self.recorded / part.recorded / "history.jsonl"))
        except OSError:
            return "passed"  # a checkout without recorded runs
        return difference(self.training[part.name], expected) or "passed"

    def failed(self):
        """Names of the parts that failed."""
        return [name for name, state in self.states.items() if state["result"].startswith("failed")]

    def markdown(self):
        """Lines of the summary."""
        yield f"# {self.about['device']}, {self.about['date']}"
        yield ", ".join(f"{package} {version}" for package, version in self.about["versions"].items())
        yield from ("", "| part | what | result | seconds |", "|---|---|---|---|")
        for name, state in self.states.items():
            yield f"| {name} | {self.parts[name].what} | {state['result']} | {state.get('seconds', '')} |"
        if self.training:
            yield from ("", "| training | first loss | epochs | test accuracy | best |", "|---|---|---|---|---|")
        for name, run in self.training.items():
            accuracies = [epoch["accuracy"] for epoch in run["epochs"]]
            cells = [f"{accuracies[-1]:.2%}", f"{max(accuracies):.2%}"] if accuracies else ["", ""]
            yield f"| {name} | {run['first_loss']:.6f} | {len(accuracies)} | {' | '.join(cells)} |"
        for name, part in self.parts.items():
            path = self.folder / name / "gpu.json"
            if part.measures and path.exists():
                yield from ("", f"## {part.what}", "", tables(path))
        for name, state in self.states.items():
            if state.get("output"):
                yield from ("", f"## Output of {name}", "", "```", *state["output"], "```")


def tables(path):
    """A benchmark's tables, or what is wrong with them: a bad result must not end a part that is running."""
    try:
        return gpu_markdown(json.loads(path.read_text(encoding="utf-8")))
    except Exception as error:
        return f"{path.name} cannot be shown as tables ({type(error).__name__}: {error})"


def condensed(records):
    """{"first_loss", "steps", "epochs": [{"epoch", "loss", "accuracy"}]} of a history that has begun."""
    epochs = [{"epoch": r.epoch, "loss": r.loss, "accuracy": r.accuracy} for r in records if isinstance(r, EvalRecord)]
    return {"first_loss": records[0].loss, "steps": records[-1].step, "epochs": epochs}


def difference(run, expected):
    """In what a run differs from a recorded one, or ""."""
    if abs(run["first_loss"] - expected["first_loss"]) > FIRST_LOSS * expected["first_loss"]:
        return f"failed: the first loss is {run['first_loss']}, on the CPU {expected['first_loss']}"
    for epoch, recorded in zip(run["epochs"][-1:], expected["epochs"][len(run["epochs"]) - 1 :], strict=False):
        if abs(epoch["accuracy"] - recorded["accuracy"]) > ACCURACY:
            return (
                f"failed: {epoch['accuracy']:.2%} after epoch {epoch['epoch']}, on the CPU {recorded['accuracy']:.2%}"
            )
    return ""
