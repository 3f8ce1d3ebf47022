"""How many operations and kernels a training step of a recipe launches, counted on a faked device.

As a program, prints the table of docs/gpu.md: PYTHONPATH=.:tests python tests/fast/cuda/launches.py
"""

from types import SimpleNamespace

import numpy as np

from fast.cuda.captured_device import captured_device
from synann_np.fast.cuda.compile import compile_for_cuda
from synann_np.programs.runs.arguments import parse_arguments
from synann_np.programs.runs.parts import make_model, make_optimizer, make_tools
from synann_np.train import train_steps

RECIPES = {
    "seed": ["--recipe", "seed"],
    "seed, average of the weights": ["--recipe", "seed", "--ema", "0.99"],
    "quick": ["--recipe", "quick"],
    "mlp": ["--recipe", "mlp"],
    "best": ["--recipe", "best"],
    "tanh_rnn": ["--recipe", "rnn", "--model", "tanh_rnn"],
    "rnn": ["--recipe", "rnn"],
}


def launches(recipe, set_attribute=setattr):
    """Of plain layers and of a captured step: a pair of numbers. set_attribute: pytest's monkeypatch.setattr."""
    args = parse_arguments(RECIPES[recipe], "", "test")
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (6, 28, 28), dtype="uint8"), rng.integers(0, 10, 6)
    found = []
    for compiled in (False, True):
        device = captured_device(SimpleNamespace(setattr=set_attribute), "float32")
        model, _ = make_model(args, device.backend, (images, labels, images, labels), images)
        optimizer, tools = make_optimizer(args), make_tools(args, model, 600)
        arrays = [device.backend.asarray(a) for a in (images, labels, np.arange(6))]
        if not compiled:
            train_steps(model, optimizer, *arrays, 2, 0, tools)  # the first steps make arrays that stay
            before = device.cuda.operations
            train_steps(model, optimizer, *arrays, 2, 3, tools)
            found.append((device.cuda.operations - before) // 3)
            continue
        fast = compile_for_cuda(model, device.launcher, lambda line: None, device.product)
        fast.train_steps(optimizer, *arrays, 2, 0, tools)
        programs = getattr(fast.capturing.training, "programs", None)
        found.append(len(programs[0][2].graph.functions) if programs else 4)  # SynaNN has four kernels of its own
    return tuple(found)


if __name__ == "__main__":
    np.seterr(all="ignore")
    for name in RECIPES:
        print("| {} | {} | {} |".format(name, *launches(name)))
