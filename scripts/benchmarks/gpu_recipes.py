"""A training step of every recipe, plain and captured: losses compared, then timed. A table on standard output.

python -m benchmarks.gpu_recipes [RECIPE...]

Exit code: 1 if the losses of a recipe differ.
"""

import sys

import numpy as np

from benchmarks.gpu_cases import RECIPES, STEPS
from benchmarks.gpu_steps_of import TrainingSteps
from synann_np import fast
from synann_np.backend import get_backend

VARIANTS = {  # of recipes; the other names are recipes
    "seed, average of the weights": ["--recipe", "seed", "--ema", "0.99"],
    "tanh_rnn": ["--recipe", "rnn", "--model", "tanh_rnn"],
}
COMPARED = 5  # steps
TOLERANCE = 1e-2  # of a loss: Adam makes large steps of gradients that are nothing but rounding


def main(names):
    backend, same = get_backend("cupy"), True
    print("| recipe | plain, µs a step | captured, µs a step | largest difference of 5 losses |")
    print("|---|---|---|---|", flush=True)
    for name in names or RECIPES:
        losses, times = [], []
        for compile in (lambda model: model, fast.compile):
            steps = TrainingSteps(backend, VARIANTS.get(name, ["--recipe", name]), compile)
            losses.append([steps.run(1) for _ in range(COMPARED)])
            times.append(steps.microseconds(STEPS))
        plain, captured = np.array(losses)
        difference = np.max(np.abs(captured - plain) / np.abs(plain))
        same &= bool(difference <= TOLERANCE)
        print(f"| {name} | {times[0]:.0f} | {times[1]:.0f} | {difference:.1e} |", flush=True)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
