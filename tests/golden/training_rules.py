"""Optimisers and schedules with fixed inputs. `record_training.py` runs PyTorch's and stores what comes out."""

import numpy as np

from synann_np.optim import SGD, Adam, AdamW
from synann_np.training.schedules import constant, cosine, one_cycle, step_decay, warm_up

STEPS = 20

# name: class (also the name of PyTorch's), arguments
OPTIMIZERS = {
    "sgd with nesterov": (SGD, {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.02, "nesterov": True}),
    "adam": (Adam, {"lr": 0.01}),
    "adam with weight decay": (Adam, {"lr": 0.03, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    "adamw": (AdamW, {"lr": 0.01}),
    "adamw with more decay": (AdamW, {"lr": 0.03, "betas": (0.5, 0.9), "eps": 1e-6, "weight_decay": 0.3}),
}

# name: the schedule; PyTorch's is in record_training.py under the same name
SCHEDULES = {
    "constant": constant(0.1),
    "step": step_decay(0.1, 6, 0.3),
    "cosine": cosine(0.1, STEPS, 0.001),
    "one cycle": one_cycle(0.1, STEPS),
    "one cycle, other shape": one_cycle(0.4, STEPS, 0.45, 10.0, 100.0),
    "warm-up of a constant": warm_up(constant(0.1), 5),
    "warm-up of a cosine": warm_up(cosine(0.1, STEPS - 5), 5),
    "warm-up of a step": warm_up(step_decay(0.1, 4, 0.5), 3),
}


def start(dtype):
    """Parameters of a layer, and their gradients in each step; those of the first rows are often 0."""
    rng = np.random.default_rng(41)
    params = {"w": rng.normal(size=(4, 3)), "b": rng.normal(size=5)}
    grads = [
        {name: rng.normal(size=p.shape) * (rng.random(p.shape) < 0.8) for name, p in params.items()}
        for _ in range(STEPS)
    ]
    return {name: p.astype(dtype) for name, p in params.items()}, [
        {name: g.astype(dtype) for name, g in step.items()} for step in grads
    ]


def run_optimizer(name, dtype):
    """The parameters after STEPS steps at a rate that changes."""
    kind, arguments = OPTIMIZERS[name]
    optimizer, (params, grads) = kind(**arguments), start(dtype)
    for step, g in enumerate(grads):
        optimizer.lr = arguments["lr"] / (1 + step / 5)
        optimizer.step(params, g)
    return params


def run_schedule(name):
    """The rates (STEPS,)."""
    return np.array([SCHEDULES[name](step) for step in range(STEPS)])
