"""Record what PyTorch's optimisers and schedulers compute for training_rules.py into training.npz.

To record again (needs PyTorch, 2.13 made the values that are stored):

    PYTHONPATH=.:tests python -m golden.record_training

The functions here are also the PyTorch side of tests/test_training_rules.py.
"""

from pathlib import Path

import numpy as np
import torch
from torch.optim import lr_scheduler

from golden import training_rules
from golden.training_rules import STEPS

GOLDEN = Path(__file__).with_name("training.npz")


def warmed(optimizer, steps, then):
    first = lr_scheduler.LinearLR(optimizer, 1 / (steps + 1), 1.0, steps)
    return lr_scheduler.SequentialLR(optimizer, [first, then(optimizer)], [steps])


SCHEDULERS = {
    "constant": lambda o: lr_scheduler.ConstantLR(o, 1.0),
    "step": lambda o: lr_scheduler.StepLR(o, 6, 0.3),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS, 0.001),
    "one cycle": lambda o: lr_scheduler.OneCycleLR(o, 0.1, STEPS, cycle_momentum=False),
    "one cycle, other shape": lambda o: lr_scheduler.OneCycleLR(
        o, 0.4, STEPS, pct_start=0.45, div_factor=10.0, final_div_factor=100.0, cycle_momentum=False
    ),
    "warm-up of a constant": lambda o: warmed(o, 5, lambda o: lr_scheduler.ConstantLR(o, 1.0)),
    "warm-up of a cosine": lambda o: warmed(o, 5, lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS - 5)),
    "warm-up of a step": lambda o: warmed(o, 3, lambda o: lr_scheduler.StepLR(o, 4, 0.5)),
}


def run_torch_optimizer(name, dtype):
    """As training_rules.run_optimizer, by PyTorch."""
    kind, arguments = training_rules.OPTIMIZERS[name]
    params, grads = training_rules.start(dtype)
    tensors = {key: torch.tensor(p).requires_grad_() for key, p in params.items()}
    optimizer = getattr(torch.optim, kind.__name__)(tensors.values(), **arguments)
    for step, g in enumerate(grads):
        optimizer.param_groups[0]["lr"] = arguments["lr"] / (1 + step / 5)
        for key, t in tensors.items():
            t.grad = torch.tensor(g[key])
        optimizer.step()
    return {key: t.detach().numpy() for key, t in tensors.items()}


def run_torch_schedule(name):
    """As training_rules.run_schedule, by PyTorch."""
    weight = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    scheduler, rates = SCHEDULERS[name](optimizer), []
    for step in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < STEPS - 1:
            scheduler.step()
    return np.array(rates)


def main():
    stored = {"torch": np.array(torch.__version__)}
    for name in training_rules.OPTIMIZERS:
        stored |= {f"{name}/{key}": a for key, a in run_torch_optimizer(name, "float64").items()}
    stored |= {f"rates/{name}": run_torch_schedule(name) for name in training_rules.SCHEDULES}
    np.savez_compressed(GOLDEN, **stored)
    print(f"{GOLDEN}: {len(stored)} arrays, {GOLDEN.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
